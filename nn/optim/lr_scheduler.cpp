// Closed forms. Where PyTorch computes a rate from the one before, they differ by rounding.
#include <gradus/nn/optim/lr_scheduler.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <gradus/nn/optim/detail/check.h>

namespace gradus::optim {

using detail::check_number;

LRScheduler::LRScheduler(const char* name, Optimizer& optimizer)
    : name_(name), optimizer_(&optimizer), base_lr_(optimizer.lr()) {}

void LRScheduler::step() {
  const double lr = at(last_epoch_ + 1);
  optimizer_->set_lr(lr);
  ++last_epoch_;
}

void LRScheduler::check_step(Index step) const {
  check(step >= 0, "{}: step {}; steps count from 0", name_, step);
}

nn::NamedTensors LRScheduler::state() const {
  return {{"base_lr", tensor(base_lr_, DType::f64)},
          {"last_epoch", tensor(static_cast<double>(last_epoch_), DType::f64)}};
}

void LRScheduler::set_state(const nn::NamedTensors& state) {
  check(state.size() == 2 && state[0].first == "base_lr" && state[1].first == "last_epoch",
        "{}: a state of {} entries came; it needs what state() gave: base_lr, last_epoch", name_, state.size());
  const double base_lr = state[0].second.item();
  check_number(name_, "the saved base_lr", base_lr);
  last_epoch_ = detail::whole_number(name_, "last_epoch", state[1].second.item());
  base_lr_ = base_lr;
}

StepLR::StepLR(Optimizer& optimizer, Index step_size, double gamma)
    : LRScheduler("StepLR", optimizer), step_size_(step_size), gamma_(gamma) {
  check(step_size > 0, "StepLR: step_size is {}; it must be at least 1", step_size);
  check_number("StepLR", "gamma", gamma);
}

double StepLR::at(Index step) const {
  check_step(step);
  return base_lr() * std::pow(gamma_, static_cast<double>(step / step_size_));
}

MultiStepLR::MultiStepLR(Optimizer& optimizer, std::vector<Index> milestones, double gamma)
    : LRScheduler("MultiStepLR", optimizer), milestones_(std::move(milestones)), gamma_(gamma) {
  for (const Index milestone : milestones_) {
    check(milestone >= 0, "MultiStepLR: a milestone is {}; steps count from 0", milestone);
  }
  check_number("MultiStepLR", "gamma", gamma);
  start();
}

double MultiStepLR::at(Index step) const {
  check_step(step);
  const auto reached = std::ranges::count_if(milestones_, [&](Index milestone) { return milestone <= step; });
  return base_lr() * std::pow(gamma_, static_cast<double>(reached));
}

ExponentialLR::ExponentialLR(Optimizer& optimizer, double gamma)
    : LRScheduler("ExponentialLR", optimizer), gamma_(gamma) {
  check_number("ExponentialLR", "gamma", gamma);
}

double ExponentialLR::at(Index step) const {
  check_step(step);
  return base_lr() * std::pow(gamma_, static_cast<double>(step));
}

CosineAnnealingWarmRestarts::CosineAnnealingWarmRestarts(Optimizer& optimizer, Index T_0, Index T_mult, double eta_min)
    : LRScheduler("CosineAnnealingWarmRestarts", optimizer), first_(T_0), factor_(T_mult), eta_min_(eta_min) {
  check(T_0 >= 1 && T_mult >= 1, "CosineAnnealingWarmRestarts: T_0 is {} and T_mult {}; both must be at least 1", T_0,
        T_mult);
  check_number("CosineAnnealingWarmRestarts", "eta_min", eta_min);
}

double CosineAnnealingWarmRestarts::at(Index step) const {
  check_step(step);
  double period = static_cast<double>(first_), since = static_cast<double>(step);
  if (factor_ == 1) since = static_cast<double>(step % first_);
  while (since >= period) {
    since -= period;
    period *= static_cast<double>(factor_);
  }
  return eta_min_ + (base_lr() - eta_min_) * (1 + std::cos(std::numbers::pi * since / period)) / 2;
}

OneCycleLR::OneCycleLR(Optimizer& optimizer, double max_lr, Index total_steps, OneCycleOptions options)
    : LRScheduler("OneCycleLR", optimizer), max_lr_(max_lr), total_steps_(total_steps), options_(options) {
  check_number("OneCycleLR", "max_lr", max_lr);
  check(total_steps > 0, "OneCycleLR: total_steps is {}; it must be at least 1", total_steps);
  check(options.pct_start >= 0 && options.pct_start <= 1, "OneCycleLR: pct_start is {}; it must be from 0 to 1",
        options.pct_start);
  check(options.div_factor > 0 && options.final_div_factor > 0,
        "OneCycleLR: div_factor is {} and final_div_factor {}; both must be above 0", options.div_factor,
        options.final_div_factor);
  start();
}

double OneCycleLR::between(double from, double to, double part) const {
  if (options_.anneal_strategy == OneCycleOptions::linear) return (to - from) * part + from;
  return to + (from - to) / 2 * (std::cos(std::numbers::pi * part) + 1);
}

double OneCycleLR::at(Index step) const {
  check_step(step);
  check(step <= total_steps_, "OneCycleLR: step {} of {}; make total_steps as large as the run", step, total_steps_);
  const auto now = static_cast<double>(std::min(step, total_steps_ - 1)), total = static_cast<double>(total_steps_);
  const double first = max_lr_ / options_.div_factor, last = first / options_.final_div_factor;
  const double top = options_.pct_start * total - 1, back = 2 * options_.pct_start * total - 2, end = total - 1;
  const auto phase = [&](double from, double to, double begin, double until) {
    return between(from, to, until > begin ? (now - begin) / (until - begin) : 1);
  };
  if (now <= top) return phase(first, max_lr_, 0, top);
  if (!options_.three_phase) return phase(max_lr_, last, top, end);
  return now <= back ? phase(max_lr_, first, top, back) : phase(first, last, back, end);
}

}  // namespace gradus::optim
