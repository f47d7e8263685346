#include <gradus/nn/optim/adam.h>

#include <cmath>

#include <gradus/core/ops/update.h>
#include <gradus/nn/optim/detail/check.h>

namespace gradus::optim {
namespace {

void check_options(const char* name, const AdamOptions& options) {
  detail::check_number(name, "betas.first", options.betas.first, 1);
  detail::check_number(name, "betas.second", options.betas.second, 1);
  detail::check_number(name, "eps", options.eps);
}

}  // namespace

Adam::Adam(std::vector<Tensor> params, AdamOptions options) : Adam(detail::one_group(std::move(params)), options) {}

Adam::Adam(std::vector<ParamGroup> groups, AdamOptions options) : Adam("Adam", std::move(groups), options, false) {}

Adam::Adam(const char* name, std::vector<ParamGroup> groups, const AdamOptions& options, bool decoupled)
    : Optimizer(name, std::move(groups), options.lr, options.weight_decay, {"exp_avg", "exp_avg_sq"}),
      options_(options),
      decoupled_(decoupled) {
  check_options(name, options);
}

std::vector<Optimizer::Option> Adam::options() const {
  return {{"beta1", options_.betas.first}, {"beta2", options_.betas.second}, {"eps", options_.eps}};
}

void Adam::set_options(const std::vector<double>& values) {
  const AdamOptions options{.betas = {values[0], values[1]}, .eps = values[2]};
  check_options(decoupled_ ? "AdamW" : "Adam", options);
  options_ = options;
}

void Adam::update(const Slot& slot, const Tensor& grad, double lr) const {
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

AdamW::AdamW(std::vector<Tensor> params, AdamWOptions options) : AdamW(detail::one_group(std::move(params)), options) {}

AdamW::AdamW(std::vector<ParamGroup> groups, AdamWOptions options)
    : Adam("AdamW", std::move(groups), {options.lr, options.betas, options.eps, options.weight_decay}, true) {}

}  // namespace gradus::optim
