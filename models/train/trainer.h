// Trainer: one optimizer step after another on a GPT, within a budget of steps, tokens or seconds; what it must know to
// resume exactly is its state().
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/dataset.h>
#include <gradus/nn/distributed/distributed_optimizer.h>
#include <gradus/nn/optim/adam.h>
#include <gradus/nn/optim/clip.h>
#include <gradus/nn/optim/warmup_schedule.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Budget and recipe of a training.
struct TrainOptions {
  // The budget: whichever is used up first ends the run. 0 is no limit; one of the three must be given.
  Index steps = 0;
  Index tokens = 0;
  double seconds = 0;      // spent in steps, and in what the caller says with spend()
  Index batch_size = 32;   // sequences (documents or windows) a forward pass
  Index accumulation = 1;  // forward passes per step and rank: a step sees batch_size * accumulation * ranks sequences
  double lr = 1e-3;
  double min_lr = 0;  // where a decay ends
  Index warmup = 0;   // steps in which the rate rises to lr
  optim::Schedule::Kind schedule = optim::Schedule::cosine;
  // The next two lines are for the AdamW that a trainer makes if it is given no optimizer.
  double weight_decay = 0;  // of matrices and embeddings only
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-8;
  double clip = 1;             // largest norm of all gradients together; 0: no limit
  double label_smoothing = 0;  // part of the target spread evenly over the vocabulary (Szegedy et al. 2016, section 7)

  /// Throws Error that says which value is out of its range.
  void validate() const;
};

/// What one step did.
struct StepReport {
  Index step;    // steps done, this one included
  double loss;   // nats per token, before this step's update, label smoothing included
  Index tokens;  // in this step
  double lr;
  double grad_norm;  // before clipping
  double seconds;    // this step took
  double waited;     // of them, this rank waited for others
};

/// Accumulates the gradient of the mean loss per token; each batch is weighted by its tokens, so the result equals that
/// of one large batch. Returns the mean loss, and stops early if it is not finite.
double accumulate_gradients(const GPT& model, std::span<const Batch> batches, double label_smoothing = 0);

/// The name of the optimizer that a Trainer makes where it is given none.
inline constexpr const char* default_optimizer = "AdamW";

/// Where a Trainer stands, beside the model's weights and its options.
struct TrainerState {
  Index steps = 0, tokens = 0;
  double seconds = 0;
  DatasetState dataset;
  std::string generator;                           // the default one, from which dropout draws
  nn::NamedTensors optimizer;                      // Optimizer::state() without lr, betas etc., which TrainOptions has
  std::string optimizer_name = default_optimizer;  // see Optimizer::name()
};

/// Looks on while a Trainer works. It must leave weights, gradients and the default generator as they are.
class StepWatcher {
 public:
  virtual ~StepWatcher() = default;
  /// Step `step`, counted from 1, has its gradients, not clipped yet, and will update the weights.
  virtual void before_update(Index step) = 0;
  /// It has updated them; the gradients are gone.
  virtual void after_update(Index step) = 0;
};

/// Trains with AdamW, or with the optimizer that it is given. Dropout, if the model has any, draws from the default
/// generator: call manual_seed for a run that can be repeated. With the same seeds and a budget in steps or
/// tokens every run gives the same bits, at any number of threads.
///
/// The accumulation * ranks micro-batches of a step are numbered in the order in which the dataset gives them, and rank
/// r computes numbers r, r + ranks, .. Where there are several, each one's gradient is computed by itself, and they are
/// added in this order; dropout depends on the step and the number. So N ranks with accumulation A give the bits of one
/// process with accumulation N A.
class Trainer {
 public:
  /// Keeps references to model and dataset, and leaves the model in training mode. `optimizer` has the model's
  /// parameters; its rate is set before every step, as the options say. Throws Error for options that make no sense and
  /// for a dataset whose vocabulary is not the model's or whose block_size is greater.
  Trainer(GPT& model, Dataset& dataset, const TrainOptions& options,
          std::unique_ptr<optim::Optimizer> optimizer = nullptr);
  /// One of several ranks. All make it, and call its functions, in the same order, with the same model, options and
  /// dataset, which must stand at the same place; rank 0's weights and default generator are everyone's from then on.
  /// Keeps a reference to the communicator. Throws Error, besides, for ranks that differ.
  Trainer(GPT& model, Dataset& dataset, const TrainOptions& options, distributed::Communicator& communicator,
          std::unique_ptr<optim::Optimizer> optimizer = nullptr, const distributed::DistributedOptions& exchange = {});

  /// Draws the next sequences and updates the weights once. When the loss or a gradient is not finite, the step runs
  /// once more under AnomalyMode, and Error names the op that made the first such value, if one did. The weights are
  /// then those before the step.
  StepReport step();
  /// step() for callers whose next use of the model is another step: weights that other ranks have updated arrive while
  /// that one begins. Call finish_weights() before anything else uses the model.
  StepReport step_before_another();
  void finish_weights() { optimizer_->finish_weights(); }

  bool done() const { return progress() >= 1; }
  /// The part of the budget that is used up, from 0 to 1.
  double progress() const;
  Index steps_done() const { return steps_done_; }
  Index tokens_done() const { return tokens_done_; }
  /// Time spent so far.
  double seconds() const { return seconds_; }
  /// Counts time that was spent between steps. Rank 0's counts.
  void spend(double seconds) { seconds_ += of_rank_0(seconds); }
  /// Keeps a part of a budget in seconds for what comes after the last step; at most half of it. Rank 0's counts.
  void reserve(double seconds) { reserved_ = of_rank_0(seconds); }
  /// Measures time by `clock`, in seconds, instead of the system's steady clock. A RunningClock leaves out time in
  /// which the process was suspended.
  void set_clock(std::function<double()> clock) { clock_ = std::move(clock); }
  /// Calls `watcher` in every step from now on; null: nobody. It must outlive the trainer or be replaced. Throws Error
  /// with several ranks, none of which has all gradients.
  void watch(StepWatcher* watcher);
  const TrainOptions& options() const { return options_; }

  /// All ranks call it; rank 0's has the optimizer's state, the others' lack it.
  TrainerState state() const;
  /// Resumes from another trainer's state, of the same model, weights, data, options and kind of optimizer: with a
  /// budget in steps or tokens all that follows has the same bits as if that one had continued, with any number of
  /// ranks that keeps accumulation * ranks. All ranks pass the whole state. Sets the default generator. Throws Error,
  /// and changes nothing, for a state that does not fit.
  void set_state(const TrainerState& state);

 private:
  Trainer(std::unique_ptr<distributed::Communicator> alone, distributed::Communicator* communicator, GPT& model,
          Dataset& dataset, const TrainOptions& options, std::unique_ptr<optim::Optimizer> optimizer,
          distributed::DistributedOptions exchange);
  double learning_rate() const;
  double of_rank_0(double value) const;
  Index micro_batches() const { return options_.accumulation * communicator_->size(); }
  void check_ranks();
  void draw();
  double run_micro_batch(Index round, bool first);
  double run_micro_batches();
  double sum_of_losses(const std::vector<double>& own) const;
  [[noreturn]] void stop(const char* what, double value, const Generator& before);
  std::string cause_of_anomaly();

  GPT& model_;
  Dataset& dataset_;
  TrainOptions options_;
  optim::Schedule schedule_;
  std::unique_ptr<distributed::Communicator> alone_;  // for a trainer that was given none
  distributed::Communicator* communicator_;
  std::unique_ptr<distributed::DistributedOptimizer> optimizer_;
  std::vector<Tensor> parameters_;
  std::vector<Batch> batches_;  // this rank's, kept from step to step for their memory
  std::vector<Index> tokens_;   // of each micro-batch of the step
  std::uint64_t seed_ = 0;      // of the step's dropout, if it has several micro-batches
  Index steps_done_ = 0, tokens_done_ = 0;
  double seconds_ = 0, reserved_ = 0;
  std::function<double()> clock_;
  StepWatcher* watcher_ = nullptr;
};

#pragma GCC visibility pop
}  // namespace gradus::models
