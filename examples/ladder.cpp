// Four ways to guess the next character of a name, each seeing more than the one before:
//   bigram       the last character alone: a table of V x V numbers
//   MLP          the last three, as vectors side by side (Bengio et al. 2003)
//   RNN          all before, squeezed into one vector that is carried along (Mikolov et al. 2010)
//   transformer  all before, looked up where they stand (Vaswani et al. 2017)
// Same names, same batches, same optimizer; what differs is the model. The loss on names that none of them has seen, in
// nats a character, falls from rung to rung.   B names, T places, V characters
//
//   build/bin/ladder        writes ladder.svg
//   build/bin/ladder 100    the same after at most 100 steps each, for a quick look
#include <fmt/format.h>
#include <gradus/gradus.h>
#include <gradus_embedded/names.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "svg.h"

using gradus::Index;
using gradus::Tensor;
namespace nn = gradus::nn;
namespace models = gradus::models;
using Ids = std::vector<std::int32_t>;

constexpr Index batch_size = 64;

// (B, T): a boundary and a name, filled up with boundaries; targets are one further, -1 after the end.
struct PaddedBatch {
  Ids tokens, targets;
  Index B = 0, T = 0;
};

PaddedBatch make_batch(const std::vector<Ids>& names, std::span<const Index> rows, std::int32_t boundary) {
  PaddedBatch batch{{}, {}, static_cast<Index>(rows.size()), 0};
  for (const Index row : rows) batch.T = std::max(batch.T, std::ssize(names[static_cast<std::size_t>(row)]) + 1);
  for (const Index row : rows) {
    const Ids& name = names[static_cast<std::size_t>(row)];
    const auto places = static_cast<std::size_t>(batch.T);
    for (std::size_t t = 0; t < places; ++t) {
      batch.tokens.push_back(t > 0 && t <= name.size() ? name[t - 1] : boundary);
      batch.targets.push_back(t < name.size() ? name[t] : t == name.size() ? boundary : -1);
    }
  }
  return batch;
}

// Every rung maps a batch to logits (B T, V).
struct Rung : nn::Module {
  virtual Tensor operator()(const PaddedBatch& batch) const = 0;
};

struct Bigram : Rung {
  explicit Bigram(Index V) : table(V, V) {}
  Tensor operator()(const PaddedBatch& batch) const override { return table(batch.tokens); }
  void members(nn::Visitor& visit) const override { visit("table", table); }
  nn::Embedding table;
};

struct LastThree : Rung {
  explicit LastThree(Index V) : vectors(V, 24), hidden(3 * 24, 128), head(128, V) {}
  Tensor operator()(const PaddedBatch& batch) const override {
    Ids last;  // (B T, 3): what lies before the name is the boundary
    for (Index i = 0; i < batch.B * batch.T; ++i) {
      for (Index back = 2; back >= 0; --back) {
        last.push_back(batch.tokens[static_cast<std::size_t>(i % batch.T >= back ? i - back : i - i % batch.T)]);
      }
    }
    return head(tanh(hidden(reshape(vectors(last), {batch.B * batch.T, 3 * 24}))));
  }
  void members(nn::Visitor& visit) const override {
    visit("vectors", vectors);
    visit("hidden", hidden);
    visit("head", head);
  }
  nn::Embedding vectors;
  nn::Linear hidden, head;
};

struct Recurrent : Rung {
  explicit Recurrent(Index V) : vectors(V, 32), rnn(32, 64), head(64, V) {}
  Tensor operator()(const PaddedBatch& batch) const override {
    return head(reshape(rnn(vectors(batch.tokens, {batch.B, batch.T})), {batch.B * batch.T, 64}));
  }
  void members(nn::Visitor& visit) const override {
    visit("vectors", vectors);
    visit("rnn", rnn);
    visit("head", head);
  }
  nn::Embedding vectors;
  nn::RNN rnn;
  nn::Linear head;
};

struct Transformer : Rung {
  Transformer(Index V, Index longest)
      : gpt({.vocab_size = V, .block_size = longest + 1, .n_layer = 2, .n_head = 4, .n_embd = 64}) {}
  Tensor operator()(const PaddedBatch& batch) const override {
    const Tensor logits = gpt(batch.tokens, batch.B, batch.T);
    return reshape(logits, {batch.B * batch.T, logits.size(-1)});
  }
  void members(nn::Visitor& visit) const override { visit("gpt", gpt); }
  models::GPT gpt;
};

struct Data {
  std::vector<Ids> names;
  std::vector<Index> train, held_out;
  std::int32_t boundary;
};

double held_out_loss(const Rung& model, const Data& data) {
  const gradus::NoGrad guard;
  double sum = 0, count = 0;
  for (std::size_t first = 0; first < data.held_out.size(); first += 200) {
    const std::size_t n = std::min<std::size_t>(200, data.held_out.size() - first);
    const PaddedBatch batch = make_batch(data.names, std::span(data.held_out).subspan(first, n), data.boundary);
    const auto characters = static_cast<double>(std::ranges::count_if(batch.targets, [](auto t) { return t >= 0; }));
    sum += cross_entropy(model(batch), batch.targets).item() * characters;
    count += characters;
  }
  return sum / count;
}

double climb(const char* name, Rung& model, const Data& data, int steps, double lr) {
  const auto start = std::chrono::steady_clock::now();
  gradus::Generator generator(1);  // the same batches for all
  gradus::optim::AdamW optimizer(gradus::optim::decay_groups(model, 0.1), {.lr = lr, .betas = {0.9, 0.99}});
  const gradus::optim::Schedule schedule{
      .kind = gradus::optim::Schedule::cosine, .max_lr = lr, .min_lr = lr / 50, .warmup = 20, .total = steps};
  std::vector<Index> rows(batch_size);
  for (int step = 0; step < steps; ++step) {
    for (Index& row : rows) row = data.train[static_cast<std::size_t>(generator.below(std::ssize(data.train)))];
    const PaddedBatch batch = make_batch(data.names, rows, data.boundary);
    const Tensor loss = cross_entropy(model(batch), batch.targets);
    optimizer.zero_grad();
    loss.backward();
    gradus::optim::clip_grad_norm(model.parameters(), 1);
    optimizer.set_lr(schedule.at(step));
    optimizer.step();
  }
  const double loss = held_out_loss(model, data);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("{:12} {:10} {:8} {:8.1f} s {:14.4f} {:12.2f}  {}\n", name, model.num_parameters(), steps, seconds.count(),
             loss, nn::perplexity(loss), std::string(static_cast<std::size_t>(40 * (loss - 2)), '#'));
  std::fflush(stdout);
  return loss;
}

int main(int argc, char** argv) try {
  int most = 2000;
  if (argc > 1) {
    const char* const end = argv[1] + std::strlen(argv[1]);
    const auto [parsed, error] = std::from_chars(argv[1], end, most);
    gradus::check(error == std::errc{} && parsed == end && most >= 1,
                  "got '{}'; the steps of each model must be a whole number of at least 1", argv[1]);
  }
  gradus::manual_seed(1);
  const std::vector<std::string> lines = models::split_documents(std::string(gradus::embedded::names), "names");
  const models::CharTokenizer tokenizer = models::CharTokenizer::from_documents(lines);
  Data data{{}, {}, {}, tokenizer.boundary()};
  std::size_t longest = 0;
  for (const std::string& line : lines) {
    data.names.push_back(tokenizer.encode(line));
    longest = std::max(longest, data.names.back().size());
  }
  gradus::Generator generator(1);
  data.train = generator.permutation(std::ssize(data.names));
  data.held_out.assign(data.train.end() - std::ssize(data.train) / 10, data.train.end());
  data.train.resize(data.train.size() - data.held_out.size());
  const auto V = static_cast<Index>(tokenizer.vocab_size());
  fmt::print("{} names, {} held out, {} characters, {} names a step\n\n", lines.size(), data.held_out.size(), V,
             batch_size);
  fmt::print("{:12} {:>10} {:>8} {:>10} {:>14} {:>12}\n", "", "parameters", "steps", "time", "held-out loss",
             "perplexity");

  Bigram bigram(V);
  LastThree mlp(V);
  Recurrent rnn(V);
  Transformer transformer(V, static_cast<Index>(longest));
  const std::vector<double> losses{climb("bigram", bigram, data, std::min(most, 600), 5e-2),
                                   climb("MLP", mlp, data, most, 4e-3), climb("RNN", rnn, data, most, 4e-3),
                                   climb("transformer", transformer, data, most, 4e-3)};

  Svg svg({-0.5, 3.5}, {1.9, 2.75}, 560, 320);
  const char* names[] = {"bigram", "MLP", "RNN", "transformer"};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto x = static_cast<double>(i);
    svg.rect(x - 0.32, 1.9, 0.64, losses[i] - 1.9, i == 3 ? red : blue);
    svg.text(x, losses[i] + 0.02, fmt::format("{:.3f}", losses[i]));
    svg.text(x, 1.845, names[i]);
  }
  svg.save("ladder.svg", "held-out loss, nats a character");
} catch (const gradus::Error& error) {
  fmt::print(stderr, "ladder: {}\n", error.what());
  return 1;
}
