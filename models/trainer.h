// Trainer: one optimizer step after another on a GPT, within a budget of steps, of seconds, or of both; and evaluate(),
// the loss over the whole of a held-out part.
#pragma once

#include <vector>

#include <gradus/models/dataset.h>
#include <gradus/models/gpt.h>
#include <gradus/nn/optim.h>
#include <gradus/nn/schedule.h>

namespace gradus::models {

struct TrainOptions {
  // The budget: whichever is used up first ends the run. 0 is no limit; one of the two must be given.
  Index steps = 0;
  double seconds = 0;      // spent in steps; evaluation and what the caller does in between do not count
  Index batch_size = 32;   // sequences (documents or windows) a forward pass
  Index accumulation = 1;  // forward passes a step: a step sees batch_size * accumulation sequences
  double lr = 1e-3;
  double min_lr = 0;  // where a decay ends
  Index warmup = 0;   // steps in which the rate rises to lr
  optim::Schedule::Kind schedule = optim::Schedule::cosine;
  double weight_decay = 0;  // of matrices and embeddings only
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-8;
  double clip = 1;  // largest norm of all gradients together; 0: no limit

  /// Throws Error that says which value is out of its range.
  void validate() const;
};

struct StepReport {
  Index step;    // steps done, this one included
  double loss;   // nats a token, before this step's update
  Index tokens;  // in this step
  double lr;
  double grad_norm;  // before clipping
  double seconds;    // this step took
};

/// Trains with AdamW. Dropout, if the model has any, draws from the default generator: call manual_seed for a run that
/// can be repeated. With the same seeds and a budget in steps every run gives the same bits, at any number of threads.
class Trainer {
 public:
  /// Keeps references to both, and leaves the model in training mode. Throws Error for options that make no sense and
  /// for a dataset whose vocabulary or block_size is not the model's.
  Trainer(GPT& model, Dataset& dataset, const TrainOptions& options);

  /// Draws the next sequences and updates the weights once. Throws Error when the loss or a gradient is not finite; the
  /// weights are then those before the step.
  StepReport step();

  bool done() const { return progress() >= 1; }
  /// The part of the budget that is used up, from 0 to 1.
  double progress() const;
  Index steps_done() const { return steps_done_; }
  /// Time spent in steps so far.
  double seconds() const { return seconds_; }
  const TrainOptions& options() const { return options_; }

 private:
  double learning_rate() const;
  [[noreturn]] void stop(const char* what, double value);

  GPT& model_;
  Dataset& dataset_;
  TrainOptions options_;
  optim::Schedule schedule_;
  optim::AdamW optimizer_;
  std::vector<Tensor> parameters_;
  std::vector<Batch> batches_;  // kept from step to step for their memory
  Index steps_done_ = 0;
  double seconds_ = 0;
};

struct Evaluation {
  double loss = 0;   // nats a token, the boundary token counted like any other
  Index tokens = 0;  // how many were predicted
};

/// The mean loss over every token of a part, in eval mode and without recording. Throws Error for an empty part.
Evaluation evaluate(GPT& model, const Dataset& dataset, Part part = Part::held_out);

}  // namespace gradus::models
