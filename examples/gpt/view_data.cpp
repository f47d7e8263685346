// What the data say: how far counting alone gets, and how sure the model may be.
#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/train/evaluate.h>

#include "view_parts.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;
using models::Part;

// Calls f(token, the one that follows) for all of a part.
template <class F>
void each_pair(const models::Dataset& dataset, Part part, const F& f) {
  constexpr Index at_once = 1 << 16;
  models::Batch batch;
  for (Index first = 0; first < dataset.size(part);) {
    first = dataset.read(part, first, at_once, batch);
    for (std::size_t i = 0; i < batch.tokens.size(); ++i) f(batch.tokens[i], batch.targets[i]);
  }
}

}  // namespace

Json baselines_part(const ViewRun& run) {
  if (!run.data || run.data->dataset->size(Part::held_out) == 0) return {};
  const models::Dataset& dataset = *run.data->dataset;
  const auto V = static_cast<std::size_t>(run.tokenizer.vocab_size());
  std::vector<double> of_token(V), of_context(V);
  std::unordered_map<std::uint64_t, double> of_pair;
  const auto key = [](std::int32_t a, std::int32_t b) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32U | static_cast<std::uint32_t>(b);
  };
  double all = 0;
  each_pair(dataset, Part::train, [&](std::int32_t a, std::int32_t b) {
    ++of_context[static_cast<std::size_t>(a)], ++of_token[static_cast<std::size_t>(b)], ++of_pair[key(a, b)], ++all;
  });
  double unigram = 0, bigram = 0, count = 0;
  const auto size = static_cast<double>(V);
  each_pair(dataset, Part::held_out, [&](std::int32_t a, std::int32_t b) {
    const auto pair = of_pair.find(key(a, b));
    unigram -= std::log((of_token[static_cast<std::size_t>(b)] + 1) / (all + size));
    bigram -=
        std::log(((pair == of_pair.end() ? 0 : pair->second) + 1) / (of_context[static_cast<std::size_t>(a)] + size));
    ++count;
  });
  return {{"uniform", number(std::log(size), 7)},
          {"unigram", number(unigram / count, 7)},
          {"bigram", number(bigram / count, 7)}};
}

Json calibration_part(const ViewRun& run) {
  if (!run.data || run.data->dataset->size(Part::held_out) == 0) return {};
  const models::Dataset& dataset = *run.data->dataset;
  constexpr Index most_tokens = 20'000, at_once = 2048;
  constexpr std::size_t bins = 10;
  std::array<double, bins> confidence{}, right{}, count{};
  const gradus::NoGrad no_grad;
  models::Batch batch;
  const auto judge = [&] {
    const gradus::Tensor p = softmax(run.model()(batch.tokens, batch.lengths));
    const gradus::Ids likeliest = argmax(p);
    const std::vector<double> highest = gradus::max(p, {-1}).to_vector();
    for (std::size_t i = 0; i < highest.size(); ++i) {
      if (!std::isfinite(highest[i])) continue;  // a model whose logits are not finite is sure of nothing
      const auto bin = std::min(bins - 1, static_cast<std::size_t>(highest[i] * bins));
      confidence[bin] += highest[i], ++count[bin];
      right[bin] += likeliest[i] == batch.targets[i] ? 1 : 0;
    }
    batch.clear();
  };
  const Index size = dataset.size(Part::held_out), some = models::sequences_of(dataset, Part::held_out, most_tokens);
  const Index chosen = some == 0 ? size : some;
  for (Index i = 0; i < chosen; ++i) {
    dataset.append(Part::held_out, size * i / chosen, batch);
    if (static_cast<Index>(batch.tokens.size()) >= at_once || i + 1 == chosen) judge();
  }
  Json list = Json::array();
  double all = 0, error = 0;
  for (const double n : count) all += n;
  for (std::size_t b = 0; b < bins; ++b) {
    if (count[b] == 0) continue;
    list.push_back({{"confidence", number(confidence[b] / count[b])},
                    {"accuracy", number(right[b] / count[b])},
                    {"count", static_cast<Index>(count[b])}});
    error += std::abs(confidence[b] - right[b]) / all;
  }
  return {{"bins", list}, {"ece", number(error)}};
}

}  // namespace gpt
