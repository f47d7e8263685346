#include <gradus/nn/optim/adam.h>

#include <cmath>

#include <gradus/core/ops/update.h>
#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

void check_options(const char* name, const AdamOptions& options) {
  detail::check_number(name, "betas.first", options.betas.first, 1);
  detail::check_number(name, "betas.second", options.betas.second, 1);
  detail::check_number(name, "eps", options.eps);
}

std::vector<const char*> moments_of(const AdamOptions& options) {
  if (options.amsgrad) return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  return {"exp_avg", "exp_avg_sq"};
}

}  // namespace

Adam::Adam(std::vector<Tensor> params, AdamOptions options) : Adam(detail::one_group(std::move(params)), options) {}

Adam::Adam(std::vector<ParamGroup> groups, AdamOptions options) : Adam("Adam", std::move(groups), options, false) {}

Adam::Adam(const char* name, std::vector<ParamGroup> groups, const AdamOptions& options, bool decoupled)
    : Optimizer(name, std::move(groups), options.lr, options.weight_decay, moments_of(options)),
      options_(options),
      decoupled_(decoupled) {
  check_options(name, options);
}

std::vector<Optimizer::Option> Adam::options() const {
  return {{"beta1", options_.betas.first},
          {"beta2", options_.betas.second},
          {"eps", options_.eps},
          {"amsgrad", options_.amsgrad ? 1.0 : 0.0, true},
          {"maximize", options_.maximize ? 1.0 : 0.0, true}};
}

void Adam::set_options(const std::vector<double>& values) {
  const AdamOptions options{
      .betas = {values[0], values[1]}, .eps = values[2], .amsgrad = values[3] != 0, .maximize = values[4] != 0};
  check_options(decoupled_ ? "AdamW" : "Adam", options);
  options_ = options;
}

std::vector<const char*> Adam::moments() const {
  return moments_of(options_);
}

void Adam::update(const Slot& slot, const Tensor& grad, double lr) const {
  if (options_.amsgrad) return update_amsgrad(slot, grad, lr);
  const auto [beta1, beta2] = options_.betas;
  const auto t = static_cast<double>(slot.steps);
  adam_update(slot.param, slot.moments[0], slot.moments[1], grad,
              {.lr = lr,
               .beta1 = beta1,
               .beta2 = beta2,
               .eps = options_.eps,
               .weight_decay = slot.weight_decay,
               .decoupled = decoupled_,
               .bias_correction1 = 1 - std::pow(beta1, t),
               .bias_correction2 = 1 - std::pow(beta2, t)});
}

// As the kernel's step, with the largest v in the denominator.
void Adam::update_amsgrad(const Slot& slot, const Tensor& grad, double lr) const {
  const auto [beta1, beta2] = options_.betas;
  const auto t = static_cast<double>(slot.steps);
  const double correction1 = 1 - std::pow(beta1, t), correction2 = std::sqrt(1 - std::pow(beta2, t));
  dispatch(grad.dtype(), [&, beta1 = beta1, beta2 = beta2]<class T>() {
    const auto keep_m = static_cast<T>(beta1), take_m = static_cast<T>(1 - beta1);
    const auto keep_v = static_cast<T>(beta2), take_v = static_cast<T>(1 - beta2);
    const auto rate = static_cast<T>(lr / correction1), root_correction = static_cast<T>(correction2);
    const auto eps = static_cast<T>(options_.eps);
    const auto added = static_cast<T>(decoupled_ ? 0 : slot.weight_decay);
    const auto shrink = static_cast<T>(decoupled_ ? 1 - lr * slot.weight_decay : 1);
    const auto p = slot.param.data<T>(), m = slot.moments[0].data<T>(), v = slot.moments[1].data<T>();
    const auto most = slot.moments[2].data<T>(), g = grad.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) {
      const T slope = g[i] + added * p[i];
      m[i] = keep_m * m[i] + take_m * slope;
      v[i] = keep_v * v[i] + take_v * slope * slope;
      if (!(v[i] <= most[i])) most[i] = v[i];  // a NaN too
      p[i] = p[i] * shrink - rate * m[i] / (std::sqrt(most[i]) / root_correction + eps);
    });
  });
  slot.param.mark_written(name());
}

AdamW::AdamW(std::vector<Tensor> params, AdamWOptions options) : AdamW(detail::one_group(std::move(params)), options) {}

AdamW::AdamW(std::vector<ParamGroup> groups, AdamWOptions options)
    : Adam("AdamW", std::move(groups),
           {options.lr, options.betas, options.eps, options.weight_decay, options.amsgrad, options.maximize}, true) {}

}  // namespace gradus::optim
