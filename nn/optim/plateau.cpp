// The counting follows torch.optim.lr_scheduler.ReduceLROnPlateau step for step; a test compares them.
#include <gradus/nn/optim/plateau.h>

#include <algorithm>
#include <cmath>

namespace gradus::optim {

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, PlateauOptions options)
    : optimizer_(&optimizer),
      options_(options),
      best_(options.maximize ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity()) {
  check(options.factor > 0 && options.factor < 1, "ReduceLROnPlateau: factor is {}; it must be between 0 and 1",
        options.factor);
  check(options.patience >= 0 && options.cooldown >= 0,
        "ReduceLROnPlateau: patience {} and cooldown {}; both must be at least 0", options.patience, options.cooldown);
  check(options.threshold >= 0 && options.min_lr >= 0 && options.eps >= 0,
        "ReduceLROnPlateau: threshold {}, min_lr {}, eps {}; all must be at least 0", options.threshold, options.min_lr,
        options.eps);
}

bool ReduceLROnPlateau::step(double metric) {
  const bool better =
      options_.maximize ? metric > best_ * (1 + options_.threshold) : metric < best_ * (1 - options_.threshold);
  if (better) best_ = metric;
  bad_steps_ = better ? 0 : bad_steps_ + 1;
  if (cooldown_ > 0) {
    --cooldown_;
    bad_steps_ = 0;
  }
  if (bad_steps_ <= options_.patience) return false;
  bad_steps_ = 0;
  cooldown_ = options_.cooldown;
  const double lr = std::max(optimizer_->lr() * options_.factor, options_.min_lr);
  if (optimizer_->lr() - lr <= options_.eps) return false;
  optimizer_->set_lr(lr);
  return true;
}

nn::NamedTensors ReduceLROnPlateau::state() const {
  return {{"best", tensor(best_, DType::f64)},
          {"bad_steps", tensor(static_cast<double>(bad_steps_), DType::f64)},
          {"cooldown", tensor(static_cast<double>(cooldown_), DType::f64)}};
}

void ReduceLROnPlateau::set_state(const nn::NamedTensors& state) {
  check(state.size() == 3 && state[0].first == "best" && state[1].first == "bad_steps" && state[2].first == "cooldown",
        "ReduceLROnPlateau: a state of {} entries came; it needs what state() gave: best, bad_steps, cooldown",
        state.size());
  best_ = state[0].second.item();
  bad_steps_ = std::llround(state[1].second.item());
  cooldown_ = std::llround(state[2].second.item());
}

}  // namespace gradus::optim
