// Generation from GPT-2 124M with random weights in f32, bf16, int8 and int4, beside reading as many bytes as a token
// reads, turn about. Prints a table; the medians of all turns. An argument says how many turns (default: 15).
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <vector>

namespace {

using gradus::Index;
using gradus::NarrowType;
using gradus::models::GPT;

template <class F>
double seconds(const F& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// What a token reads of the weights: matrices, biases and gains; of the two tables of embeddings only a row.
Index bytes_of(const GPT& model) {
  Index bytes = 0;
  const auto of = [](const gradus::Tensor& x) { return x.defined() ? 4 * x.numel() : 0; };
  const auto add = [&](const gradus::nn::Linear& layer) {
    bytes += of(layer.weight) + of(layer.bias) + (layer.narrow_weight.defined() ? layer.narrow_weight.bytes() : 0);
  };
  for (const auto& block : model.h) {
    for (const auto* layer : {&block.attn.c_attn, &block.attn.c_proj, &block.mlp.c_fc, &block.mlp.c_proj}) add(*layer);
    for (const auto* norm : {&block.ln_1, &block.ln_2}) {
      for (const gradus::Tensor& x : norm->parameters()) bytes += of(x);
    }
  }
  add(model.lm_head);
  return bytes;
}

// Reads `count` numbers once, all threads together: four streams at a time, called for 2 KB ahead. One stream, or
// without the call, was slower by 15 to 20 %.
std::uint64_t read_once(const std::uint64_t* numbers, Index count) {
  constexpr Index part = 1 << 15, streams = 4, apart = part / streams, line = 8, ahead = 256;
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(count / part));
  gradus::parallel_for(count / part, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const std::uint64_t* const from = numbers + i * part;
      std::uint64_t sum[streams][line] = {};
      for (Index k = 0; k < apart; k += line) {
        for (Index s = 0; s < streams; ++s) {
          __builtin_prefetch(from + s * apart + k + ahead);
          for (Index j = 0; j < line; ++j) sum[s][j] += from[s * apart + k + j];
        }
      }
      for (const auto& row : sum) {
        for (const std::uint64_t x : row) sums[static_cast<std::size_t>(i)] += x;
      }
    }
  });
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums) total += sum;
  return total;
}

struct Row {
  const char* name;
  GPT model;
  Index bytes;
  std::vector<double> token[2] = {}, read[2] = {};
};

void run(int turns) {
  gradus::manual_seed(1);
  const GPT model(gradus::models::GPTConfig::gpt2());
  std::vector<Row> rows{{"f32", model, 0}};
  for (const NarrowType type : {NarrowType::bf16, NarrowType::int8, NarrowType::int4}) {
    rows.push_back({gradus::name_of(type).data(), model.narrowed(type), 0});
  }
  for (Row& row : rows) row.bytes = bytes_of(row.model);
  const gradus::Buffer memory(rows[0].bytes / 4, gradus::DType::f32);
  memory.fill_zero(static_cast<std::size_t>(rows[0].bytes));

  std::uint64_t sum = 0;
  for (int turn = 0; turn < turns; ++turn) {
    for (Row& row : rows) {
      for (const int threads : {1, 2}) {
        gradus::set_num_threads(threads);
        constexpr Index tokens = 8, passes = 4;
        const std::int32_t prompt[] = {50256};
        const double generating =
            seconds([&] { gradus::models::generate(row.model, prompt, {.max_tokens = tokens, .temperature = 0}); });
        const double reading = seconds([&] {
          for (Index i = 0; i < passes; ++i) sum += read_once(memory.as<std::uint64_t>(), row.bytes / 8);
        });
        if (turn == 0) continue;  // threads start, caches fill
        row.token[threads - 1].push_back(generating / tokens);
        row.read[threads - 1].push_back(reading / passes);
      }
    }
  }
  fmt::print("GPT-2 124M, one text, {} turns, {}; sum {}\n", turns - 1, gradus::instruction_set(), sum);
  fmt::print(
      "| weights | threads | MB a token | reading them, ms | GB/s | a token, ms | of the limit | best: ms, of the "
      "limit |\n");
  fmt::print("|---|---|---|---|---|---|---|---|\n");
  for (const Row& row : rows) {
    for (const int threads : {1, 2}) {
      const auto& token = row.token[threads - 1];
      const auto& read = row.read[threads - 1];
      const double one = median(token), limit = median(read), best = std::ranges::min(token);
      fmt::print("| {} | {} | {:.1f} | {:.2f} | {:.1f} | {:.2f} | {:.0f} % | {:.2f}, {:.0f} % |\n", row.name, threads,
                 1e-6 * static_cast<double>(row.bytes), 1e3 * limit, 1e-9 * static_cast<double>(row.bytes) / limit,
                 1e3 * one, 100 * limit / one, 1e3 * best, 100 * std::ranges::min(read) / best);
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  int turns = 15;
  if (argc > 1 && !std::string_view(argv[1]).starts_with("--benchmark")) {  // `make bench` gives it to every suite
    const std::string_view text = argv[1];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), turns);
    if (error != std::errc{} || end != text.data() + text.size() || turns < 1) {
      fmt::print(stderr, "bench_narrow: '{}' is no number of turns; give a whole number from 1\n", text);
      return 2;
    }
  }
  run(turns + 1);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
