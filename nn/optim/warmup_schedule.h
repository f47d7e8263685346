// Schedule: the learning rate as a function of the step, or of the part of a time budget that is used up.
#pragma once

#include <optional>

#include <gradus/core/shape.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

/// A warm-up that rises linearly, then a constant rate, or a decay from max_lr to min_lr in a straight line or along
/// half a cosine (Loshchilov & Hutter 2017, without restarts). Steps count from 0, and the corners are nanoGPT's:
///   at(0)           max_lr / (warmup + 1), so the first step already moves; max_lr without a warm-up
///   at(warmup)      max_lr, the first step at the full rate; min_lr if total = warmup and the rate decays
///   at(total)       min_lr (max_lr if constant), one past the last step of a run of `total`; later steps have it too
/// Throws Error at the first use if a rate is negative or not finite, min_lr is above max_lr (unless constant), or
/// warmup is negative or above total.
struct Schedule {
  enum Kind { constant, linear, cosine };

  Kind kind = constant;
  double max_lr = 1e-3;
  double min_lr = 0;                // not used by constant
  Index warmup = 0;                 // steps
  std::optional<Index> total = {};  // steps; at() needs it for linear and cosine

  double at(Index step) const;
  /// For a budget in seconds or tokens, of which `fraction_done` is used up: 0 at the start, 1 at the end (more is as
  /// 1). The warm-up ends after `warmup` steps or a tenth of the budget, whichever comes first; the decay begins there.
  double at_fraction(Index step, double fraction_done) const;
  /// Throws Error for settings out of their range, as at() does.
  void validate() const;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
