// ReduceLROnPlateau: a rate that falls when the held-out loss no longer does.
#pragma once

#include <limits>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct PlateauOptions {
  bool maximize = false;    // the metric is better when larger (accuracy)
  double factor = 0.1;      // what the rate is multiplied by
  Index patience = 10;      // bad steps that are allowed; one more lowers the rate
  double threshold = 1e-4;  // a metric is better only if it beats the best by more than threshold * best
  Index cooldown = 0;       // steps after a reduction in which nothing counts as bad
  double min_lr = 0;
  double eps = 1e-8;  // a smaller reduction is skipped
};

/// PyTorch's scheduler of that name, with its relative threshold: call step(loss) once an epoch. The optimizer must
/// outlive it. A NaN is never better.
class ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(Optimizer& optimizer, PlateauOptions options = {});
  /// Whether this metric lowered the rate.
  bool step(double metric);

  /// "best", "bad_steps", "cooldown": what must be saved, besides the optimizer's lr(), to go on exactly where this
  /// stands. set_state throws Error for anything else.
  nn::NamedTensors state() const;
  void set_state(const nn::NamedTensors& state);

 private:
  Optimizer* optimizer_;
  PlateauOptions options_;
  double best_;
  Index bad_steps_ = 0, cooldown_ = 0;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
