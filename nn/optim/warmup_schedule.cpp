// at() and at_fraction() both reduce to one question: how far has the decay come, from 0 to 1.
#include <gradus/nn/optim/warmup_schedule.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gradus::optim {
namespace {

double decayed(const Schedule& s, double progress) {
  switch (s.kind) {
    case Schedule::constant:
      return s.max_lr;
    case Schedule::linear:
      return std::lerp(s.min_lr, s.max_lr, 1 - progress);
    case Schedule::cosine:
      return std::lerp(s.min_lr, s.max_lr, (1 + std::cos(std::numbers::pi * progress)) / 2);
  }
  fail("schedule: {} is not a kind; use constant, linear or cosine", static_cast<int>(s.kind));
}

double rise(const Schedule& s, Index step) {
  return step >= s.warmup ? 1 : static_cast<double>(step + 1) / static_cast<double>(s.warmup + 1);
}

void check_step(Index step) {
  check(step >= 0, "schedule: step {}; steps count from 0", step);
}

}  // namespace

void Schedule::validate() const {
  check(std::isfinite(max_lr) && max_lr >= 0, "schedule: max_lr is {}; it must be a finite number of at least 0",
        max_lr);
  check(min_lr >= 0 && (kind == constant || min_lr <= max_lr),
        "schedule: min_lr is {}; it must be between 0 and max_lr, {}", min_lr, max_lr);
  check(warmup >= 0, "schedule: a warm-up of {} steps; it must be at least 0", warmup);
  check(!total || *total >= warmup,
        "schedule: {} steps in total are fewer than the {} of the warm-up; shorten the warm-up", total.value_or(0),
        warmup);
}

double Schedule::at(Index step) const {
  validate();
  check_step(step);
  check(kind == constant || total, "schedule: a decay needs to know where it ends; set total, or ask at_fraction()");
  if (step < warmup) return max_lr * rise(*this, step);
  if (kind == constant) return max_lr;
  if (step >= *total) return min_lr;
  return decayed(*this, static_cast<double>(step - warmup) / static_cast<double>(*total - warmup));
}

double Schedule::at_fraction(Index step, double fraction_done) const {
  validate();
  check_step(step);
  check(fraction_done >= 0, "schedule: {} of the budget is used up; it must be at least 0", fraction_done);
  constexpr double most_warmup = 0.1;
  const double fraction = std::min(fraction_done, 1.0);
  const double risen = std::max(rise(*this, step), fraction / most_warmup);
  if (risen < 1) return max_lr * risen;
  // The fraction of the budget that the warm-up took, if all steps take equally long.
  const double steps = std::max(1.0, static_cast<double>(step));
  const double warm = std::min(most_warmup, fraction * static_cast<double>(warmup) / steps);
  return decayed(*this, (fraction - warm) / (1 - warm));
}

}  // namespace gradus::optim
