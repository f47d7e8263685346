// PyTorch's schedules of the learning rate: each is a function of the step, and step() sets an optimizer's rate by it.
#pragma once

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

/// What the schedules share. They begin at the optimizer's rate when they are made, base_lr(), and set the rate from
/// the step alone: what set_lr() set in between is lost. The optimizer must outlive them. Groups keep their lr_scale.
///     StepLR scheduler(optimizer, 30);
///     for (..) { ..  optimizer.step(); scheduler.step(); }
class LRScheduler {
 public:
  virtual ~LRScheduler() = default;
  LRScheduler(const LRScheduler&) = default;
  LRScheduler& operator=(const LRScheduler&) = default;

  /// The rate of a step (an epoch, if step() is called once an epoch), from 0.
  virtual double at(Index step) const = 0;
  /// Sets the rate of the next step. The constructor has set that of step 0.
  void step();
  double base_lr() const { return base_lr_; }
  /// How often step() was called.
  Index last_epoch() const { return last_epoch_; }

  /// "base_lr" and "last_epoch": with the optimizer's state all that is needed to go on. set_state throws Error for
  /// anything else.
  nn::NamedTensors state() const;
  void set_state(const nn::NamedTensors& state);

 protected:
  LRScheduler(const char* name, Optimizer& optimizer);
  void start() { optimizer_->set_lr(at(0)); }
  /// Throws Error for a step below 0.
  void check_step(Index step) const;

 private:
  const char* name_;
  Optimizer* optimizer_;
  double base_lr_;
  Index last_epoch_ = 0;
};

/// base_lr gamma^floor(step / step_size)
class StepLR : public LRScheduler {
 public:
  explicit StepLR(Optimizer& optimizer, Index step_size, double gamma = 0.1);
  double at(Index step) const override;

 private:
  Index step_size_;
  double gamma_;
};

/// base_lr gamma^n, with n of the milestones reached; one that is given twice counts twice.
class MultiStepLR : public LRScheduler {
 public:
  explicit MultiStepLR(Optimizer& optimizer, std::vector<Index> milestones, double gamma = 0.1);
  double at(Index step) const override;

 private:
  std::vector<Index> milestones_;
  double gamma_;
};

/// base_lr gamma^step
class ExponentialLR : public LRScheduler {
 public:
  explicit ExponentialLR(Optimizer& optimizer, double gamma);
  double at(Index step) const override;

 private:
  double gamma_;
};

/// eta_min + (base_lr - eta_min) (1 + cos(pi t / T)) / 2, where t counts the steps since the last restart. The first
/// period T is T_0 steps, each next one T_mult times as long. Loshchilov & Hutter 2017, equation 5.
class CosineAnnealingWarmRestarts : public LRScheduler {
 public:
  explicit CosineAnnealingWarmRestarts(Optimizer& optimizer, Index T_0, Index T_mult = 1, double eta_min = 0);
  double at(Index step) const override;

 private:
  Index first_, factor_;
  double eta_min_;
};

struct OneCycleOptions {
  enum Anneal { cos, linear };

  double pct_start = 0.3;  // the part of the steps in which the rate rises
  Anneal anneal_strategy = cos;
  double div_factor = 25;         // the rate begins at max_lr / div_factor
  double final_div_factor = 1e4;  // and ends at that divided by final_div_factor
  bool three_phase = false;       // falls to the first rate as slowly as it rose, then to the last
};

/// Smith & Topin 2018 (super-convergence): a rise to max_lr, and a fall far below the first rate. PyTorch's OneCycleLR
/// without its cycle of the momentum (cycle_momentum=False). The steps are 0 .. total_steps - 1. at(total_steps), which
/// the last step() of a run calls, is the last rate (PyTorch extrapolates its curve, a line to below 0). Later steps
/// throw Error.
class OneCycleLR : public LRScheduler {
 public:
  explicit OneCycleLR(Optimizer& optimizer, double max_lr, Index total_steps, OneCycleOptions options = {});
  double at(Index step) const override;

 private:
  double between(double from, double to, double part) const;
  double max_lr_;
  Index total_steps_;
  OneCycleOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
