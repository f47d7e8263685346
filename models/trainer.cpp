// A step draws all its batches first: how much each weighs in the mean depends on the tokens in all of them, so that
// accumulating ragged batches gives the gradient of one large batch.
#include <gradus/models/trainer.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include <gradus/core/anomaly.h>
#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/eval_mode.h>

namespace gradus::models {
namespace {

const TrainOptions& validated(const TrainOptions& options) {
  options.validate();
  return options;
}

void check_fit(const GPT& model, const Dataset& dataset) {
  const GPTConfig& config = model.config();
  check(dataset.tokenizer().vocab_size() == config.vocab_size,
        "train: the data's vocabulary has {} tokens, the model's {}; make the model for the data's tokenizer",
        dataset.tokenizer().vocab_size(), config.vocab_size);
  check(dataset.options().block_size <= config.block_size,
        "train: the data come in sequences of up to {} tokens, the model takes {}; give both the same block_size",
        dataset.options().block_size, config.block_size);
}

Index count_tokens(std::span<const Batch> batches) {
  return std::accumulate(batches.begin(), batches.end(), Index{0},
                         [](Index sum, const Batch& batch) { return sum + static_cast<Index>(batch.tokens.size()); });
}

}  // namespace

void TrainOptions::validate() const {
  constexpr Index most_steps = 1'000'000'000'000, most_sequences = 1 << 20;
  check(steps >= 0 && steps <= most_steps, "train: steps is {}, it must be from 0 (no limit) to {}", steps, most_steps);
  check(std::isfinite(seconds) && seconds >= 0, "train: seconds is {}, it must be at least 0 (0: no limit)", seconds);
  check(steps > 0 || seconds > 0,
        "train: neither steps nor seconds is above 0, so the run would never end; give one of them");
  check(batch_size >= 1 && batch_size <= most_sequences, "train: batch_size is {}, it must be from 1 to {}", batch_size,
        most_sequences);
  check(accumulation >= 1 && accumulation <= most_sequences, "train: accumulation is {}, it must be from 1 to {}",
        accumulation, most_sequences);
  check(std::isfinite(lr) && lr > 0, "train: the learning rate is {}, it must be a number above 0", lr);
  check(clip >= 0, "train: clip is {}, it must be at least 0 (0: no limit)", clip);
}

Trainer::Trainer(GPT& model, Dataset& dataset, const TrainOptions& options)
    : model_(model),
      dataset_(dataset),
      options_(validated(options)),
      schedule_{options.schedule, options.lr, options.min_lr, options.warmup,
                options.steps > 0 ? std::optional(options.steps) : std::nullopt},
      optimizer_(optim::decay_groups(model, options.weight_decay), {.lr = options.lr,
                                                                    .betas = {options.beta1, options.beta2},
                                                                    .eps = options.eps,
                                                                    .weight_decay = options.weight_decay}),
      parameters_(model.parameters()),
      batches_(static_cast<std::size_t>(options.accumulation)) {
  schedule_.validate();
  check_fit(model, dataset);
  model_.train();
}

double Trainer::progress() const {
  double used = 0;
  if (options_.steps > 0) used = static_cast<double>(steps_done_) / static_cast<double>(options_.steps);
  if (options_.seconds > 0) used = std::max(used, seconds_ / options_.seconds);
  return std::min(used, 1.0);
}

double Trainer::learning_rate() const {
  return options_.seconds > 0 ? schedule_.at_fraction(steps_done_, progress()) : schedule_.at(steps_done_);
}

void Trainer::stop(const char* what, double value) {
  optimizer_.zero_grad();
  fail(
      "train: the {} of step {} is {}; training stopped with the weights of step {}, so try a learning rate below {:g}",
      what, steps_done_ + 1, value, steps_done_, options_.lr);
}

StepReport Trainer::step() {
  const auto start = std::chrono::steady_clock::now();
  for (Batch& batch : batches_) dataset_.next(options_.batch_size, batch);
  const Index tokens = count_tokens(batches_);
  if (AnomalyMode* const anomaly = gradus::detail::anomaly_mode()) anomaly->set_step(steps_done_ + 1);

  double loss = 0;
  for (const Batch& batch : batches_) {
    const double weight = static_cast<double>(batch.tokens.size()) / static_cast<double>(tokens);
    const Tensor mean = cross_entropy(model_(batch.tokens, batch.lengths), batch.targets);
    loss += weight * mean.item();
    if (!std::isfinite(loss)) stop("loss", std::abs(loss));  // x86 makes NaN with a minus sign
    (batches_.size() == 1 ? mean : mean * weight).backward();
  }
  constexpr double no_limit = std::numeric_limits<double>::infinity();
  const double norm = optim::clip_grad_norm(parameters_, options_.clip > 0 ? options_.clip : no_limit);
  if (!std::isfinite(norm)) stop("norm of the gradients", std::abs(norm));

  const double lr = learning_rate();
  optimizer_.set_lr(lr);
  optimizer_.step();
  optimizer_.zero_grad();
  ++steps_done_;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  seconds_ += seconds;
  return {steps_done_, loss, tokens, lr, norm, seconds};
}

Evaluation evaluate(GPT& model, const Dataset& dataset, Part part) {
  check_fit(model, dataset);
  check(dataset.size(part) > 0, "evaluate: the {} part of the data is empty; hold out {}",
        part == Part::train ? "training" : "held-out", part == Part::train ? "less" : "more");
  // Batches large enough to keep all threads busy, small enough for the logits to stay within some 16 MB.
  constexpr Index most_tokens = 4096, most_logits = Index{1} << 22;
  const Index batch_tokens = std::clamp(most_logits / model.config().vocab_size, Index{1}, most_tokens);

  const detail::EvalMode eval(model);
  const NoGrad no_grad;
  Batch batch;
  Evaluation result;
  for (Index i = 0; i < dataset.size(part);) {
    i = dataset.read(part, i, batch_tokens, batch);
    const auto tokens = static_cast<Index>(batch.tokens.size());
    result.loss +=
        cross_entropy(model(batch.tokens, batch.lengths), batch.targets).item() * static_cast<double>(tokens);
    result.tokens += tokens;
  }
  result.loss /= static_cast<double>(result.tokens);
  return result;
}

}  // namespace gradus::models
