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

// Sums over the tokens of one sequence.
struct Cluster {
  double tokens = 0, loss = 0, right = 0, bytes = 0, characters = 0;
};

// What a batch has to say: the mean loss of its tokens, and its sequences where they are asked for.
struct BatchResult {
  double loss = 0, tokens = 0, sequences = 0;
  std::vector<Cluster> clusters;
};

// As numbers, one batch after another: what ranks send each other.
void write(const BatchResult& result, std::vector<double>& to) {
  to.insert(to.end(), {result.loss, result.tokens, result.sequences, static_cast<double>(result.clusters.size())});
  for (const Cluster& c : result.clusters) to.insert(to.end(), {c.tokens, c.loss, c.right, c.bytes, c.characters});
}
BatchResult read(const std::vector<double>& numbers, std::size_t& at) {
  BatchResult result{numbers[at], numbers[at + 1], numbers[at + 2], {}};
  const auto clusters = static_cast<std::size_t>(numbers[at + 3]);
  at += 4;
  for (std::size_t i = 0; i < clusters; ++i, at += 5) {
    result.clusters.push_back({numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3], numbers[at + 4]});
  }
  return result;
}

// The results of all batches in order; `own` are those of this rank, which has every size()-th batch.
std::vector<BatchResult> gathered(std::vector<BatchResult> own, std::size_t batches,
                                  distributed::Communicator* communicator) {
  if (communicator == nullptr || communicator->size() == 1) return own;
  std::vector<double> numbers;
  for (const BatchResult& result : own) write(result, numbers);
  const std::vector<double> all = communicator->all_gather(numbers);
  const auto ranks = static_cast<std::size_t>(communicator->size());
  std::vector<BatchResult> results(batches);
  std::size_t at = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    for (std::size_t b = r; b < batches; b += ranks) results[b] = read(all, at);
  }
  return results;
}

// What `judge_batch` says of one batch after another of the sequences to evaluate.
std::vector<BatchResult> each_batch(const GPT& model, const Dataset& dataset, Part part, const EvaluateOptions& options,
                                    const std::function<BatchResult(const Batch&)>& judge_batch) {
  const Index size = dataset.size(part), count = options.sequences > 0 ? std::min(options.sequences, size) : size;
  const Index most = judged_tokens(model.config());
  const Index rank = options.communicator == nullptr ? 0 : options.communicator->rank();
  const Index ranks = options.communicator == nullptr ? 1 : options.communicator->size();
  std::vector<BatchResult> own;
  Batch batch;
  Index batches = 0, tokens = 0;
  const auto flush = [&](Index done) {
    if (batches++ % ranks == rank) own.push_back(judge_batch(batch));
    batch.clear();
    tokens = 0;
    if (options.progress) options.progress(static_cast<double>(done) / static_cast<double>(count));
  };
  if (options.progress) options.progress(0);
  for (Index i = 0; i < count; ++i) {
    const Index chosen = size / count * i + size % count * i / count;  // size * i / count, without overflow
    const Index length = dataset.length(part, chosen);
    if (tokens > 0 && tokens + length > most) flush(i);
    tokens += length;
    if (batches % ranks == rank) dataset.append(part, chosen, batch);
  }
  flush(count);
  return gathered(std::move(own), static_cast<std::size_t>(batches), options.communicator);
}

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
  const std::vector<BatchResult> results = each_batch(model, dataset, part, options, [&](const Batch& batch) {
    BatchResult of_batch;
    const Tensor logits = model(batch.tokens, batch.lengths);
    of_batch.loss = cross_entropy(logits, batch.targets).item();
    of_batch.tokens = static_cast<double>(batch.tokens.size());
    of_batch.sequences = static_cast<double>(batch.lengths.size());
    if (!whole) add_clusters(batch, log_softmax(logits), of_batch.clusters);
    return of_batch;
  });
  Evaluation result;
  std::vector<Cluster> clusters;  // for the margin alone
  for (const BatchResult& of_batch : results) {
    result.loss += of_batch.loss * of_batch.tokens;
    result.tokens += static_cast<Index>(of_batch.tokens);
    result.sequences += static_cast<Index>(of_batch.sequences);
    clusters.insert(clusters.end(), of_batch.clusters.begin(), of_batch.clusters.end());
  }
  result.loss /= static_cast<double>(result.tokens);
  if (!whole) result.margin = estimate(clusters, &Cluster::loss).margin;
  return result;
}

Judgement judge(GPT& model, const Dataset& dataset, Part part, const EvaluateOptions& options) {
  check_part(model, dataset, part);
  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  const std::vector<BatchResult> results = each_batch(model, dataset, part, options, [&](const Batch& batch) {
    BatchResult of_batch;
    const Tensor log_p = log_softmax(model(batch.tokens, batch.lengths));  // (N, V)
    const Ids likeliest = argmax(log_p);
    add_clusters(batch, log_p, of_batch.clusters);
    std::size_t row = 0;
    for (std::size_t i = 0; i < batch.lengths.size(); ++i) {
      const Index length = batch.lengths[i];
      Cluster& cluster = of_batch.clusters[i];
      const std::string text =
          dataset.tokenizer().decode(std::span(batch.targets).subspan(row, static_cast<std::size_t>(length)));
      cluster.bytes = static_cast<double>(text.size());
      // A character that two tokens share counts where it begins.
      cluster.characters = static_cast<double>(characters_in(text));
      for (Index t = 0; t < length; ++t, ++row) cluster.right += likeliest[row] == batch.targets[row] ? 1 : 0;
    }
    return of_batch;
  });
  std::vector<Cluster> clusters;
  for (const BatchResult& of_batch : results) {
    clusters.insert(clusters.end(), of_batch.clusters.begin(), of_batch.clusters.end());
  }
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
