// All unfinished samples go through the model together, packed one after another; only the last row of each meets the
// head. Probabilities are computed in double from whatever type the logits have.
#include <gradus/models/generate.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/eval_mode.h>
#include <gradus/models/text.h>

namespace gradus::models {
namespace {

template <class T>
void check_logits(std::span<const T> logits) {
  check(!logits.empty(), "sample_token: there are no logits; give one for each token");
  bool any = false;
  for (const T x : logits) {
    check(!std::isnan(x) && x != std::numeric_limits<T>::infinity(),
          "sample_token: a logit is {}; the model's weights are damaged or its training went wrong", x);
    any |= std::isfinite(x);
  }
  check(any, "sample_token: every logit is -infinity; leave at least one token possible");
}

template <class T>
std::int32_t sample(std::span<const T> logits, const GenerateOptions& options, Generator& generator) {
  check_logits(logits);
  const auto likeliest = std::ranges::max_element(logits);
  if (options.temperature == 0) return static_cast<std::int32_t>(likeliest - logits.begin());

  std::vector<double> weights(logits.size());  // not normalized: the largest is 1
  const double largest = static_cast<double>(*likeliest);
  std::ranges::transform(logits, weights.begin(),
                         [&](T x) { return std::exp((static_cast<double>(x) - largest) / options.temperature); });

  std::vector<std::size_t> tokens(weights.size());
  std::iota(tokens.begin(), tokens.end(), std::size_t{0});
  const bool limit_count = options.top_k > 0 && std::cmp_less(options.top_k, tokens.size());
  if (limit_count || options.top_p < 1) {
    // Likeliest first. The sort is stable, so that among equals the lower token stays in front.
    std::ranges::stable_sort(tokens, std::ranges::greater{}, [&](std::size_t token) { return weights[token]; });
    if (limit_count) tokens.resize(static_cast<std::size_t>(options.top_k));
  }
  const auto sum = [&] {
    return std::accumulate(tokens.begin(), tokens.end(), 0.0,
                           [&](double total, std::size_t token) { return total + weights[token]; });
  };
  if (options.top_p < 1) {
    const double wanted = options.top_p * sum();
    std::size_t kept = 0;
    for (double reached = 0; reached < wanted && kept < tokens.size(); ++kept) reached += weights[tokens[kept]];
    tokens.resize(std::max<std::size_t>(kept, 1));
  }

  double rest = generator.uniform<double>() * sum();
  std::size_t drawn = tokens.front();
  for (const std::size_t token : tokens) {
    if (weights[token] == 0) continue;  // rounding must not lead to a token that is impossible
    drawn = token;
    rest -= weights[token];
    if (rest < 0) break;
  }
  return static_cast<std::int32_t>(drawn);
}

}  // namespace

void GenerateOptions::validate() const {
  check(max_tokens >= 0, "generate: max_tokens is {}, it must be at least 0", max_tokens);
  check(std::isfinite(temperature) && temperature >= 0,
        "generate: the temperature is {}, it must be at least 0 (0 always takes the likeliest token)", temperature);
  check(top_k >= 0, "generate: top_k is {}, it must be at least 0 (0 draws from all tokens)", top_k);
  check(top_p > 0 && top_p <= 1, "generate: top_p is {}, it must be above 0 and at most 1 (1 draws from all tokens)",
        top_p);
}

std::int32_t sample_token(std::span<const float> logits, const GenerateOptions& options, Generator& generator) {
  options.validate();
  return sample(logits, options, generator);
}

std::int32_t sample_token(std::span<const double> logits, const GenerateOptions& options, Generator& generator) {
  options.validate();
  return sample(logits, options, generator);
}

std::vector<std::vector<std::int32_t>> generate(GPT& model, std::span<const std::vector<std::int32_t>> prompts,
                                                const GenerateOptions& options) {
  options.validate();
  struct Sample {
    std::vector<std::int32_t> context;  // prompt and what was drawn
    std::size_t prompt_size;
    Generator generator;
    bool done = false;
  };
  std::vector<Sample> samples;
  for (const auto& prompt : prompts) {
    check(!prompt.empty(), "generate: a prompt is empty; begin with at least one token, such as the boundary token");
    samples.push_back({prompt, prompt.size(), Generator(options.seed + samples.size())});
  }

  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  const auto block_size = static_cast<std::size_t>(model.config().block_size);
  std::vector<std::int32_t> tokens, last_rows;
  std::vector<Index> lengths;
  for (Index step = 0; step < options.max_tokens; ++step) {
    tokens.clear();
    lengths.clear();
    last_rows.clear();
    for (const Sample& sample : samples) {
      if (sample.done) continue;
      const std::size_t length = std::min(block_size, sample.context.size());
      tokens.insert(tokens.end(), sample.context.end() - static_cast<std::ptrdiff_t>(length), sample.context.end());
      lengths.push_back(static_cast<Index>(length));
      last_rows.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
    }
    if (lengths.empty()) break;
    const Tensor logits = model.head(embedding(model.features(tokens, lengths), last_rows));  // (active, V)
    dispatch(logits.dtype(), [&]<class T>() {
      const auto vocab_size = static_cast<std::size_t>(logits.size(-1));
      std::span<const T> rows = logits.data<T>();
      for (Sample& current : samples) {
        if (current.done) continue;
        const std::int32_t token = sample(rows.first(vocab_size), options, current.generator);
        rows = rows.subspan(vocab_size);
        current.done = token == options.stop;
        if (!current.done) current.context.push_back(token);
      }
    });
  }

  std::vector<std::vector<std::int32_t>> results;
  for (const Sample& sample : samples) {
    results.emplace_back(sample.context.begin() + static_cast<std::ptrdiff_t>(sample.prompt_size),
                         sample.context.end());
  }
  return results;
}

std::vector<std::int32_t> generate(GPT& model, std::span<const std::int32_t> prompt, const GenerateOptions& options) {
  const std::vector<std::int32_t> one(prompt.begin(), prompt.end());
  return generate(model, std::span(&one, 1), options).front();
}

std::vector<std::string> generate(GPT& model, const CharTokenizer& tokenizer, std::string_view prompt, Index count,
                                  const GenerateOptions& options) {
  check(count >= 1, "generate: {} samples were asked for; ask for at least 1", count);
  check(tokenizer.vocab_size() == model.config().vocab_size,
        "generate: the tokenizer has {} tokens, the model {}; use the tokenizer that the model was trained with",
        tokenizer.vocab_size(), model.config().vocab_size);
  const std::vector<std::int32_t> given = tokenizer.encode(prompt, "prompt");
  std::vector<std::int32_t> start;
  GenerateOptions with_stop = options;
  if (tokenizer.has_boundary()) {
    start.push_back(tokenizer.boundary());
    if (!with_stop.stop) with_stop.stop = tokenizer.boundary();
  } else if (given.empty()) {
    const bool has_line_break = tokenizer.characters().find(U'\n') != std::u32string::npos;
    start.push_back(has_line_break ? tokenizer.encode("\n").front() : 0);
  }
  start.insert(start.end(), given.begin(), given.end());

  constexpr Index group = 64;  // drawn side by side: enough to keep the threads busy, few enough for any memory
  std::vector<std::string> texts;
  for (Index done = 0; done < count; done += group) {
    const std::vector<std::vector<std::int32_t>> prompts(static_cast<std::size_t>(std::min(group, count - done)),
                                                         start);
    with_stop.seed = options.seed + static_cast<std::uint64_t>(done);
    for (std::vector<std::int32_t>& drawn : generate(model, prompts, with_stop)) {
      drawn.insert(drawn.begin(), given.begin(), given.end());
      texts.push_back(tokenizer.decode(drawn));
    }
  }
  return texts;
}

}  // namespace gradus::models
