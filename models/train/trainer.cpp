// A step draws all its batches first: how much each weighs in the mean depends on the tokens in all of them, so that
// accumulating ragged batches gives the gradient of one large batch. A rank reads its own batches, and of the others
// only their numbers of tokens.
#include <gradus/models/train/trainer.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/anomaly.h>
#include <gradus/core/ops.h>
#include <gradus/core/post_accumulate_grad.h>
#include <gradus/core/runtime/cpu.h>
#include <gradus/core/version.h>
#include <gradus/models/detail/keep_generator.h>
#include <gradus/models/text/identity.h>
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

// The seed of a micro-batch: the step's and its number, mixed as SplitMix64 does (Steele et al. 2014), since seeds that
// are near each other would give sequences that are.
std::uint64_t seed_of(std::uint64_t step_seed, Index number) {
  std::uint64_t z = step_seed + (static_cast<std::uint64_t>(number) + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
  z = (z ^ z >> 27) * 0x94d049bb133111ebU;
  return z ^ z >> 31;
}

// What must be alike on all ranks, as text. Of the tokens some that lie evenly: a rank need not read all of its data.
std::string settings_of(const TrainOptions& options) {
  std::string text;
  detail::for_each_option(
      options, [&](const auto& value, const char* name, const auto&) { text += fmt::format("{} {}, ", name, value); });
  return text + fmt::format("eps {}, schedule {}", options.eps, static_cast<int>(options.schedule));
}
std::string data_of(const Dataset& dataset) {
  const auto tokens = dataset.stream().tokens();
  constexpr std::size_t looked_at = 4096;
  std::string some;
  for (std::size_t i = 0; i < std::min(looked_at, tokens.size()); ++i) {
    some += fmt::format("{} ", tokens[tokens.size() > looked_at ? tokens.size() / looked_at * i : i]);
  }
  const DatasetState state = dataset.state();
  return fmt::format(
      "{} tokens ({}), tokenizer {}, block_size {}, {} and {} sequences, epoch {}, position {}, order {}",
      tokens.size(), fingerprint(some), fingerprint(dataset.tokenizer().to_json()), dataset.options().block_size,
      dataset.size(Part::train), dataset.size(Part::held_out), state.epoch, state.position,
      fingerprint(state.generator));
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
    : Trainer(std::make_unique<distributed::SingleProcess>(), nullptr, model, dataset, options, std::move(optimizer),
              {}) {}

Trainer::Trainer(GPT& model, Dataset& dataset, const TrainOptions& options, distributed::Communicator& communicator,
                 std::unique_ptr<optim::Optimizer> optimizer, const distributed::DistributedOptions& exchange)
    : Trainer(nullptr, &communicator, model, dataset, options, std::move(optimizer), exchange) {}

Trainer::Trainer(std::unique_ptr<distributed::Communicator> alone, distributed::Communicator* communicator, GPT& model,
                 Dataset& dataset, const TrainOptions& options, std::unique_ptr<optim::Optimizer> optimizer,
                 distributed::DistributedOptions exchange)
    : model_(model),
      dataset_(dataset),
      options_(validated(options)),
      schedule_{options.schedule, options.lr, options.min_lr, options.warmup,
                options.steps > 0 ? std::optional(options.steps) : std::nullopt},
      alone_(std::move(alone)),
      communicator_(alone_ != nullptr ? alone_.get() : communicator),
      parameters_(model.parameters()),
      batches_(static_cast<std::size_t>(options.accumulation)),
      tokens_(static_cast<std::size_t>(micro_batches())),
      clock_(
          [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }) {
  schedule_.validate();
  detail::check_fit("train", model, dataset);
  if (communicator_->size() > 1) check_ranks();
  exchange.accumulation = options.accumulation;
  optimizer_ = std::make_unique<distributed::DistributedOptimizer>(
      optimizer != nullptr ? std::move(optimizer) : make_adamw(model, options), *communicator_, exchange);
  model_.train();
}

void Trainer::check_ranks() {
  communicator_->set_activity("the comparison of the ranks");
  communicator_->check_equal("the version",
                             fmt::format("{}.{}.{}", GRADUS_VERSION_MAJOR, GRADUS_VERSION_MINOR, GRADUS_VERSION_PATCH));
  communicator_->check_equal("the instruction set", instruction_set());
  communicator_->check_equal("the model", model_.config().to_json());
  communicator_->check_equal("the list of training options", settings_of(options_));
  communicator_->check_equal("the dataset", data_of(dataset_));
  default_generator().set_state(communicator_->broadcast_text(default_generator().state()));
}

double Trainer::of_rank_0(double value) const {
  return options_.seconds > 0 && communicator_->size() > 1 ? communicator_->broadcast_value(value) : value;
}

void Trainer::watch(StepWatcher* watcher) {
  check(watcher == nullptr || communicator_->size() == 1,
        "train: a run of {} ranks cannot be recorded, since no rank has all gradients; turn the recording off",
        communicator_->size());
  watcher_ = watcher;
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

// Reads this rank's batches and counts the tokens of all. With several micro-batches each has a generator of its own,
// seeded by one number that all ranks draw.
void Trainer::draw() {
  const Index ranks = communicator_->size();
  for (Index i = 0; i < micro_batches(); ++i) {
    Index& tokens = tokens_[static_cast<std::size_t>(i)];
    if (i % ranks == communicator_->rank()) {
      Batch& batch = batches_[static_cast<std::size_t>(i / ranks)];
      dataset_.next(options_.batch_size, batch);
      tokens = static_cast<Index>(batch.tokens.size());
    } else {
      tokens = dataset_.skip(options_.batch_size);
    }
  }
  if (micro_batches() > 1) seed_ = default_generator().random64();
}

// The mean loss over the tokens of this rank's micro-batch of the round. Adds its gradient, unless it is not finite.
double Trainer::run_micro_batch(Index round, bool first) {
  const Index number = round * communicator_->size() + communicator_->rank();
  const Batch& batch = batches_[static_cast<std::size_t>(round)];
  const bool several = micro_batches() > 1;
  if (several) default_generator().manual_seed(seed_of(seed_, number));
  const auto arriving = first ? optimizer_->arriving_weights() : nullptr;
  const Tensor loss = cross_entropy(model_(batch.tokens, batch.lengths), batch.targets, -1, options_.label_smoothing);
  const double value = loss.item();
  if (first) optimizer_->finish_weights();
  // One of several ranks must go on: the others wait for its gradients.
  if (!std::isfinite(value) && communicator_->size() == 1) return value;
  const double weight = static_cast<double>(tokens_[static_cast<std::size_t>(number)]) /
                        static_cast<double>(std::accumulate(tokens_.begin(), tokens_.end(), Index{0}));
  (several ? loss * weight : loss).backward();
  return value;
}

// The mean loss over all tokens.
double Trainer::run_micro_batches() {
  std::vector<double> losses;
  std::optional<detail::KeepGenerator> after_the_seed;
  if (micro_batches() > 1) after_the_seed.emplace();
  for (Index round = 0; round < options_.accumulation; ++round) {
    losses.push_back(run_micro_batch(round, round == 0));
    if (!std::isfinite(losses.back()) && communicator_->size() == 1) break;
  }
  optimizer_->finish_gradients();
  return sum_of_losses(losses);
}

// In the order of the micro-batches, up to the first that is not finite.
double Trainer::sum_of_losses(const std::vector<double>& own) const {
  const auto ranks = static_cast<std::size_t>(communicator_->size());
  const std::vector<double> all = ranks > 1 ? communicator_->all_gather(own) : own;
  const auto tokens = static_cast<double>(std::accumulate(tokens_.begin(), tokens_.end(), Index{0}));
  double sum = 0;
  for (std::size_t i = 0; i < tokens_.size() && std::isfinite(sum); ++i) {
    const double loss = all[i % ranks * own.size() + i / ranks];
    sum += static_cast<double>(tokens_[i]) / tokens * loss;
  }
  return sum;
}

// Runs the step once more under AnomalyMode. What the first micro-batch that has an anomaly says, as one process would.
std::string Trainer::cause_of_anomaly() {
  const PostAccumulateGrad::Off no_exchange;
  constexpr double none = std::numeric_limits<double>::infinity();
  std::vector<double> first(1, none);
  std::string cause =
      "when the step was repeated, every op's result was finite; only the mean loss or the norm of all gradients was "
      "not";
  Index round = 0;
  try {
    AnomalyMode watch(model_.named_parameters());
    watch.set_step(steps_done_ + 1);
    for (; round < options_.accumulation; ++round) run_micro_batch(round, false);
  } catch (const Error& error) {
    first[0] = static_cast<double>(round * communicator_->size() + communicator_->rank());
    cause = error.what();
  }
  model_.zero_grad();
  if (communicator_->size() == 1) return cause;
  const std::vector<double> all = communicator_->all_gather(first);
  return communicator_->broadcast_text(cause, static_cast<int>(std::ranges::min_element(all) - all.begin()));
}

// `before`: the default generator as the forward passes began, so that dropout drops the same again.
void Trainer::stop(const char* what, double value, const Generator& before) {
  optimizer_->zero_grad();
  model_.zero_grad();
  const Generator now = std::exchange(default_generator(), before);
  const std::string cause = cause_of_anomaly();
  default_generator() = now;
  fail(
      "train: the {} of step {} is {}; training stopped with the weights of step {}, so try a learning rate below {:g} "
      "({})",
      what, steps_done_ + 1, std::abs(value), steps_done_, options_.lr, cause);  // x86 makes NaN with a minus sign
}

StepReport Trainer::step() {
  const StepReport report = step_before_another();
  finish_weights();
  return report;
}

StepReport Trainer::step_before_another() {
  const double start = clock_(), waited = optimizer_->seconds_waited();
  if (communicator_->size() > 1) communicator_->set_activity(fmt::format("step {}", steps_done_ + 1));
  draw();
  gradus::detail::for_each_watcher([&](OpWatcher& watcher) { watcher.set_step(steps_done_ + 1); });

  const Generator before = default_generator();
  const double loss = run_micro_batches();
  if (!std::isfinite(loss)) stop("loss", loss, before);
  if (watcher_ != nullptr) watcher_->before_update(steps_done_ + 1);
  constexpr double no_limit = std::numeric_limits<double>::infinity();
  const double norm = optimizer_->clip_grad_norm(parameters_, options_.clip > 0 ? options_.clip : no_limit);
  if (!std::isfinite(norm)) stop("norm of the gradients", norm, before);

  const double lr = learning_rate();
  const Index tokens = std::accumulate(tokens_.begin(), tokens_.end(), Index{0});
  optimizer_->set_lr(lr);
  optimizer_->start_step();
  optimizer_->zero_grad();
  model_.zero_grad();
  ++steps_done_;
  tokens_done_ += tokens;
  if (watcher_ != nullptr) watcher_->after_update(steps_done_);
  const double seconds = of_rank_0(clock_() - start);
  seconds_ += seconds;
  return {steps_done_, loss, tokens, lr, norm, seconds, optimizer_->seconds_waited() - waited};
}

TrainerState Trainer::state() const {
  optimizer_->finish_weights();
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
  try {
    dataset_.set_state(state.dataset);
    optimizer_->set_state(optim::Optimizer::without_options(state.optimizer));
  } catch (...) {
    dataset_.set_state(dataset_before);
    throw;
  }
  default_generator() = generator;
  steps_done_ = state.steps;
  tokens_done_ = state.tokens;
  seconds_ = state.seconds;
}

}  // namespace gradus::models
