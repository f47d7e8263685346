// The products M_t follow from the options and the count of steps, so that a state does not hold them.
#include <gradus/nn/optim/nadam.h>

#include <cmath>

#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

void check_options(const NAdamOptions& options) {
  detail::check_number("NAdam", "betas.first", options.betas.first, 1);
  detail::check_number("NAdam", "betas.second", options.betas.second, 1);
  detail::check_number("NAdam", "eps", options.eps);
  detail::check_number("NAdam", "momentum_decay", options.momentum_decay);
}

double momentum_at(const NAdamOptions& options, Index t) {
  return options.betas.first * (1 - 0.5 * std::pow(0.96, static_cast<double>(t) * options.momentum_decay));
}

}  // namespace

NAdam::NAdam(std::vector<Tensor> params, NAdamOptions options) : NAdam(detail::one_group(std::move(params)), options) {}

NAdam::NAdam(std::vector<ParamGroup> groups, NAdamOptions options)
    : Optimizer("NAdam", std::move(groups), options.lr, options.weight_decay, {"exp_avg", "exp_avg_sq"}),
      options_(options) {
  check_options(options);
}

std::vector<Optimizer::Option> NAdam::options() const {
  return {{"beta1", options_.betas.first},
          {"beta2", options_.betas.second},
          {"eps", options_.eps},
          {"momentum_decay", options_.momentum_decay}};
}

void NAdam::set_options(const std::vector<double>& values) {
  const NAdamOptions options{.betas = {values[0], values[1]}, .eps = values[2], .momentum_decay = values[3]};
  check_options(options);
  options_ = options;
  products_.clear();
}

double NAdam::momentum_product(Index t) const {
  if (products_.empty()) products_.push_back(1);
  while (static_cast<Index>(products_.size()) <= t) {
    products_.push_back(products_.back() * momentum_at(options_, static_cast<Index>(products_.size())));
  }
  return products_[static_cast<std::size_t>(t)];
}

void NAdam::update(const Slot& slot, const Tensor& grad, double lr) const {
  const auto [beta1, beta2] = options_.betas;
  const double mu = momentum_at(options_, slot.steps), next_mu = momentum_at(options_, slot.steps + 1);
  const double product = momentum_product(slot.steps);
  const double bias_correction2 = 1 - std::pow(beta2, static_cast<double>(slot.steps));
  dispatch(grad.dtype(), [&, beta1 = beta1, beta2 = beta2]<class T>() {
    const auto gradient_rate = static_cast<T>(lr * (1 - mu) / (1 - product));
    const auto mean_rate = static_cast<T>(lr * next_mu / (1 - product * mu * next_mu));
    const auto keep_m = static_cast<T>(beta1), take_m = static_cast<T>(1 - beta1);
    const auto keep_v = static_cast<T>(beta2), take_v = static_cast<T>(1 - beta2);
    const auto correction = static_cast<T>(bias_correction2), eps = static_cast<T>(options_.eps);
    const auto decay = static_cast<T>(slot.weight_decay);
    const auto p = slot.param.data<T>(), m = slot.moments[0].data<T>(), v = slot.moments[1].data<T>();
    const auto g = grad.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) {
      const T slope = g[i] + decay * p[i];
      m[i] = keep_m * m[i] + take_m * slope;
      v[i] = keep_v * v[i] + take_v * slope * slope;
      p[i] -= (gradient_rate * slope + mean_rate * m[i]) / (std::sqrt(v[i] / correction) + eps);
    });
  });
  slot.param.mark_written("NAdam");
}

}  // namespace gradus::optim
