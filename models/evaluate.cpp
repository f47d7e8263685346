// Both walk through a part in batches that keep all threads busy and the logits small.
#include <gradus/models/evaluate.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/check_fit.h>
#include <gradus/models/detail/eval_mode.h>

namespace gradus::models {
namespace {

void check_part(const GPT& model, const Dataset& dataset, Part part) {
  detail::check_fit("evaluate", model, dataset);
  check(dataset.size(part) > 0, "evaluate: the {} part of the data is empty; hold out {}",
        part == Part::train ? "training" : "held-out", part == Part::train ? "less" : "more");
}

Index batch_tokens(const GPT& model) {
  constexpr Index most_tokens = 4096, most_logits = Index{1} << 22;  // 16 MB
  return std::clamp(most_logits / model.config().vocab_size, Index{1}, most_tokens);
}

// Sums over the tokens of one sequence.
struct Cluster {
  double tokens, loss, right;
};

Estimate estimate(const std::vector<Cluster>& clusters, double Cluster::*sum) {
  double total = 0, tokens = 0, squares = 0;
  for (const Cluster& cluster : clusters) total += cluster.*sum, tokens += cluster.tokens;
  const double mean = total / tokens;
  for (const Cluster& cluster : clusters) squares += std::pow(cluster.*sum - mean * cluster.tokens, 2);
  const auto count = static_cast<double>(clusters.size());
  constexpr double normal_95 = 1.959964;
  if (clusters.size() < 2) return {mean, std::numeric_limits<double>::quiet_NaN()};
  return {mean, normal_95 * std::sqrt(squares * count / (count - 1)) / tokens};
}

}  // namespace

Evaluation evaluate(GPT& model, const Dataset& dataset, Part part, Index sequences) {
  check_part(model, dataset, part);
  const Index size = dataset.size(part), count = sequences > 0 ? std::min(sequences, size) : size;
  const Index most = batch_tokens(model);
  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  Batch batch;
  Evaluation result;
  const auto flush = [&] {
    const auto tokens = static_cast<Index>(batch.tokens.size());
    const Tensor loss = cross_entropy(model(batch.tokens, batch.lengths), batch.targets);
    result.loss += loss.item() * static_cast<double>(tokens);
    result.tokens += tokens;
    batch.clear();
  };
  for (Index i = 0; i < count; ++i) {
    const Index chosen = size / count * i + size % count * i / count;  // size * i / count, without overflow
    if (!batch.tokens.empty() && static_cast<Index>(batch.tokens.size()) + dataset.length(part, chosen) > most) flush();
    dataset.append(part, chosen, batch);
  }
  flush();
  result.loss /= static_cast<double>(result.tokens);
  return result;
}

Judgement judge(GPT& model, const Dataset& dataset, Part part) {
  check_part(model, dataset, part);
  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  Batch batch;
  std::vector<Cluster> clusters;
  for (Index i = 0; i < dataset.size(part);) {
    i = dataset.read(part, i, batch_tokens(model), batch);
    const Tensor log_p = log_softmax(model(batch.tokens, batch.lengths));  // (N, V)
    const std::vector<Index> likeliest = argmax(log_p);
    dispatch(log_p.dtype(), [&]<class T>() {
      const std::span<const T> values = log_p.data<T>();
      const auto width = static_cast<std::size_t>(log_p.size(-1));
      std::size_t row = 0;
      for (const Index length : batch.lengths) {
        Cluster cluster{static_cast<double>(length), 0, 0};
        for (Index t = 0; t < length; ++t, ++row) {
          const std::int32_t target = batch.targets[row];
          cluster.loss -= static_cast<double>(values[row * width + static_cast<std::size_t>(target)]);
          cluster.right += likeliest[row] == target ? 1 : 0;
        }
        clusters.push_back(cluster);
      }
    });
  }
  double tokens = 0;
  for (const Cluster& cluster : clusters) tokens += cluster.tokens;
  return {estimate(clusters, &Cluster::loss), estimate(clusters, &Cluster::right), static_cast<Index>(tokens),
          static_cast<Index>(clusters.size())};
}

}  // namespace gradus::models
