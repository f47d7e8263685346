// Both walk through a part in batches that keep all threads busy and the logits small.
#include <gradus/models/train/evaluate.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/eval_mode.h>
#include <gradus/models/gpt/cost.h>
#include <gradus/models/train/detail/check_fit.h>

namespace gradus::models {
namespace {

void check_part(const GPT& model, const Dataset& dataset, Part part) {
  detail::check_fit("evaluate", model, dataset);
  check(dataset.size(part) > 0, "evaluate: the {} part of the data is empty; hold out {}",
        part == Part::train ? "training" : "held-out", part == Part::train ? "less" : "more");
}

// Calls `take` with one batch after another of the sequences to evaluate.
void each_batch(const GPT& model, const Dataset& dataset, Part part, const EvaluateOptions& options,
                const std::function<void(const Batch&)>& take) {
  const Index size = dataset.size(part), count = options.sequences > 0 ? std::min(options.sequences, size) : size;
  const Index most = judged_tokens(model.config());
  Batch batch;
  const auto flush = [&](Index done) {
    take(batch);
    batch.clear();
    if (options.progress) options.progress(static_cast<double>(done) / static_cast<double>(count));
  };
  if (options.progress) options.progress(0);
  for (Index i = 0; i < count; ++i) {
    const Index chosen = size / count * i + size % count * i / count;  // size * i / count, without overflow
    if (!batch.tokens.empty() && static_cast<Index>(batch.tokens.size()) + dataset.length(part, chosen) > most) {
      flush(i);
    }
    dataset.append(part, chosen, batch);
  }
  flush(count);
}

// Sums over the tokens of one sequence.
struct Cluster {
  double tokens = 0, loss = 0, right = 0, bytes = 0, characters = 0;
};

// Adds the sequences of a batch; `log_p` (N, V) is what the model says of it.
void add_clusters(const Batch& batch, const Tensor& log_p, std::vector<Cluster>& clusters) {
  dispatch(log_p.dtype(), [&]<class T>() {
    const std::span<const T> values = log_p.data<T>();
    const auto width = static_cast<std::size_t>(log_p.size(-1));
    std::size_t row = 0;
    for (const Index length : batch.lengths) {
      Cluster cluster{.tokens = static_cast<double>(length)};
      for (Index t = 0; t < length; ++t, ++row) {
        cluster.loss -= static_cast<double>(values[row * width + static_cast<std::size_t>(batch.targets[row])]);
      }
      clusters.push_back(cluster);
    }
  });
}

Estimate estimate(const std::vector<Cluster>& clusters, double Cluster::*sum,
                  double Cluster::*count_of = &Cluster::tokens) {
  double total = 0, units = 0, squares = 0;
  for (const Cluster& cluster : clusters) total += cluster.*sum, units += cluster.*count_of;
  const double mean = total / units;
  for (const Cluster& cluster : clusters) squares += std::pow(cluster.*sum - mean * cluster.*count_of, 2);
  const auto count = static_cast<double>(clusters.size());
  constexpr double normal_95 = 1.959964;
  if (clusters.size() < 2) return {mean, std::numeric_limits<double>::quiet_NaN()};
  return {mean, normal_95 * std::sqrt(squares * count / (count - 1)) / units};
}

}  // namespace

Index sequences_of(const Dataset& dataset, Part part, Index tokens) {
  const Index all = dataset.tokens(part), size = dataset.size(part);
  if (all <= tokens) return 0;
  const double share = static_cast<double>(tokens) / static_cast<double>(all);
  return std::max<Index>(1, std::llround(share * static_cast<double>(size)));
}

Evaluation evaluate(GPT& model, const Dataset& dataset, Part part, const EvaluateOptions& options) {
  check_part(model, dataset, part);
  const bool whole = options.sequences <= 0 || options.sequences >= dataset.size(part);
  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  Evaluation result;
  std::vector<Cluster> clusters;  // for the margin alone
  each_batch(model, dataset, part, options, [&](const Batch& batch) {
    const auto tokens = static_cast<Index>(batch.tokens.size());
    const Tensor logits = model(batch.tokens, batch.lengths);
    result.loss += cross_entropy(logits, batch.targets).item() * static_cast<double>(tokens);
    result.tokens += tokens;
    result.sequences += static_cast<Index>(batch.lengths.size());
    if (!whole) add_clusters(batch, log_softmax(logits), clusters);
  });
  result.loss /= static_cast<double>(result.tokens);
  if (!whole) result.margin = estimate(clusters, &Cluster::loss).margin;
  return result;
}

Judgement judge(GPT& model, const Dataset& dataset, Part part, const EvaluateOptions& options) {
  check_part(model, dataset, part);
  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  std::vector<Cluster> clusters;
  each_batch(model, dataset, part, options, [&](const Batch& batch) {
    const Tensor log_p = log_softmax(model(batch.tokens, batch.lengths));  // (N, V)
    const Ids likeliest = argmax(log_p);
    std::size_t sequence = clusters.size(), row = 0;
    add_clusters(batch, log_p, clusters);
    for (const Index length : batch.lengths) {
      Cluster& cluster = clusters[sequence++];
      const std::string text =
          dataset.tokenizer().decode(std::span(batch.targets).subspan(row, static_cast<std::size_t>(length)));
      cluster.bytes = static_cast<double>(text.size());
      // A character that two tokens share counts where it begins.
      cluster.characters = static_cast<double>(characters_in(text));
      for (Index t = 0; t < length; ++t, ++row) cluster.right += likeliest[row] == batch.targets[row] ? 1 : 0;
    }
  });
  Cluster all;
  for (const Cluster& cluster : clusters) {
    all.tokens += cluster.tokens, all.bytes += cluster.bytes, all.characters += cluster.characters;
  }
  return {.loss = estimate(clusters, &Cluster::loss),
          .accuracy = estimate(clusters, &Cluster::right),
          .tokens = static_cast<Index>(all.tokens),
          .sequences = static_cast<Index>(clusters.size()),
          .loss_per_byte = estimate(clusters, &Cluster::loss, &Cluster::bytes),
          .loss_per_character = estimate(clusters, &Cluster::loss, &Cluster::characters),
          .bytes = static_cast<Index>(all.bytes),
          .characters = static_cast<Index>(all.characters)};
}

}  // namespace gradus::models
