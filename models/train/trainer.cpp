// A step draws all its batches first: how much each weighs in the mean depends on the tokens in all of them, so that
// accumulating ragged batches gives the gradient of one large batch.
#include <gradus/models/train/trainer.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/anomaly.h>
#include <gradus/core/ops.h>
#include <gradus/models/train/detail/check_fit.h>
#include <gradus/models/train/detail/train_option_ranges.h>

namespace gradus::models {
namespace {

const TrainOptions& validated(const TrainOptions& options) {
  options.validate();
  return options;
}

std::unique_ptr<optim::Optimizer> make_adamw(const GPT& model, const TrainOptions& options) {
  return std::make_unique<optim::AdamW>(optim::decay_groups(model, options.weight_decay),
                                        optim::AdamWOptions{.lr = options.lr,
                                                            .betas = {options.beta1, options.beta2},
                                                            .eps = options.eps,
                                                            .weight_decay = options.weight_decay});
}

Index count_tokens(std::span<const Batch> batches) {
  return std::accumulate(batches.begin(), batches.end(), Index{0},
                         [](Index sum, const Batch& batch) { return sum + static_cast<Index>(batch.tokens.size()); });
}

}  // namespace

void TrainOptions::validate() const {
  detail::for_each_option(*this, [](const auto& value, const char* name, const detail::Range& range) {
    check(range.has(static_cast<double>(value)), "train: {} is {}, it must be {}", name, value, range.text());
  });
  check(steps > 0 || seconds > 0 || tokens > 0,
        "train: none of steps, tokens and seconds is above 0, so the run would never end; give one of them");
}

Trainer::Trainer(GPT& model, Dataset& dataset, const TrainOptions& options, std::unique_ptr<optim::Optimizer> optimizer)
    : model_(model),
      dataset_(dataset),
      options_(validated(options)),
      schedule_{options.schedule, options.lr, options.min_lr, options.warmup,
                options.steps > 0 ? std::optional(options.steps) : std::nullopt},
      optimizer_(optimizer != nullptr ? std::move(optimizer) : make_adamw(model, options)),
      parameters_(model.parameters()),
      batches_(static_cast<std::size_t>(options.accumulation)),
      clock_(
          [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }) {
  schedule_.validate();
  detail::check_fit("train", model, dataset);
  model_.train();
}

double accumulate_gradients(const GPT& model, std::span<const Batch> batches, double label_smoothing) {
  const auto all_tokens = static_cast<double>(count_tokens(batches));
  double sum = 0;
  for (const Batch& batch : batches) {
    const double weight = static_cast<double>(batch.tokens.size()) / all_tokens;
    const Tensor logits = model(batch.tokens, batch.lengths);
    const Tensor loss = cross_entropy(logits, batch.targets, -1, label_smoothing);
    sum += weight * loss.item();
    if (!std::isfinite(sum)) return sum;
    (batches.size() == 1 ? loss : loss * weight).backward();
  }
  return sum;
}

double Trainer::progress() const {
  const auto part = [](double used, double budget) { return budget > 0 ? used / budget : 0; };
  return std::min(1.0, std::max({part(static_cast<double>(steps_done_), static_cast<double>(options_.steps)),
                                 part(static_cast<double>(tokens_done_), static_cast<double>(options_.tokens)),
                                 part(seconds_, std::max(options_.seconds - reserved_, options_.seconds / 2))}));
}

double Trainer::learning_rate() const {
  const bool by_steps = options_.seconds == 0 && options_.tokens == 0;
  return by_steps ? schedule_.at(steps_done_) : schedule_.at_fraction(steps_done_, progress());
}

// `before`: the default generator as the step began, so that dropout drops the same again.
void Trainer::stop(const char* what, double value, const Generator& before) {
  model_.zero_grad();
  std::string cause =
      "when the step was repeated, every op's result was finite; only the mean loss or the norm of all gradients was "
      "not";
  const Generator now = std::exchange(default_generator(), before);
  try {
    AnomalyMode watch(model_.named_parameters());
    watch.set_step(steps_done_ + 1);
    accumulate_gradients(model_, batches_, options_.label_smoothing);
  } catch (const Error& error) {
    cause = error.what();
  }
  default_generator() = now;
  model_.zero_grad();
  fail(
      "train: the {} of step {} is {}; training stopped with the weights of step {}, so try a learning rate below {:g} "
      "({})",
      what, steps_done_ + 1, std::abs(value), steps_done_, options_.lr, cause);  // x86 makes NaN with a minus sign
}

StepReport Trainer::step() {
  const double start = clock_();
  for (Batch& batch : batches_) dataset_.next(options_.batch_size, batch);
  const Index tokens = count_tokens(batches_);
  gradus::detail::for_each_watcher([&](OpWatcher& watcher) { watcher.set_step(steps_done_ + 1); });

  const Generator before = default_generator();
  const double loss = accumulate_gradients(model_, batches_, options_.label_smoothing);
  if (!std::isfinite(loss)) stop("loss", loss, before);
  if (watcher_ != nullptr) watcher_->before_update(steps_done_ + 1);
  constexpr double no_limit = std::numeric_limits<double>::infinity();
  const double norm = optim::clip_grad_norm(parameters_, options_.clip > 0 ? options_.clip : no_limit);
  if (!std::isfinite(norm)) stop("norm of the gradients", norm, before);

  const double lr = learning_rate();
  optimizer_->set_lr(lr);
  optimizer_->step();
  model_.zero_grad();
  ++steps_done_;
  tokens_done_ += tokens;
  if (watcher_ != nullptr) watcher_->after_update(steps_done_);
  const double seconds = clock_() - start;
  seconds_ += seconds;
  return {steps_done_, loss, tokens, lr, norm, seconds};
}

TrainerState Trainer::state() const {
  return {steps_done_,
          tokens_done_,
          seconds_,
          dataset_.state(),
          default_generator().state(),
          optim::Optimizer::without_options(optimizer_->state()),
          optimizer_->name()};
}

void Trainer::set_state(const TrainerState& state) {
  check(state.steps >= 0 && state.tokens >= 0 && state.seconds >= 0,
        "train: a saved state with {} steps, {} tokens and {} seconds; it is damaged", state.steps, state.tokens,
        state.seconds);
  check(state.optimizer_name == optimizer_->name(),
        "train: the saved state belongs to {}, but this trainer's optimizer is {}; give it the kind that the run began "
        "with",
        state.optimizer_name, optimizer_->name());
  Generator generator(0);
  generator.set_state(state.generator);
  const DatasetState dataset_before = dataset_.state();
  const nn::NamedTensors optimizer_before = optimizer_->state();
  optimizer_->set_state(optim::Optimizer::without_options(state.optimizer));
  try {
    dataset_.set_state(state.dataset);
  } catch (...) {
    dataset_.set_state(dataset_before);
    optimizer_->set_state(optimizer_before);
    throw;
  }
  default_generator() = generator;
  steps_done_ = state.steps;
  tokens_done_ = state.tokens;
  seconds_ = state.seconds;
}

}  // namespace gradus::models
