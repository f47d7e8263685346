// The rectification depends on the count of steps alone; one loop over the numbers follows.
#include <gradus/nn/optim/radam.h>

#include <cmath>

#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

void check_options(const RAdamOptions& options) {
  detail::check_number("RAdam", "betas.first", options.betas.first, 1);
  detail::check_number("RAdam", "betas.second", options.betas.second, 1);
  detail::check_number("RAdam", "eps", options.eps);
}

// What m / (sqrt(v) + eps) is multiplied by, besides the rate; 0 while too few steps have been averaged.
double rectification(double beta2, double t) {
  const double correction = 1 - std::pow(beta2, t), most = 2 / (1 - beta2) - 1;
  const double length = most - 2 * t * std::pow(beta2, t) / correction;
  if (!(length > 5)) return 0;
  return std::sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length) * correction);
}

}  // namespace

RAdam::RAdam(std::vector<Tensor> params, RAdamOptions options) : RAdam(detail::one_group(std::move(params)), options) {}

RAdam::RAdam(std::vector<ParamGroup> groups, RAdamOptions options)
    : Optimizer("RAdam", std::move(groups), options.lr, options.weight_decay, {"exp_avg", "exp_avg_sq"}),
      options_(options) {
  check_options(options);
}

std::vector<Optimizer::Option> RAdam::options() const {
  return {{"beta1", options_.betas.first}, {"beta2", options_.betas.second}, {"eps", options_.eps}};
}

void RAdam::set_options(const std::vector<double>& values) {
  const RAdamOptions options{.betas = {values[0], values[1]}, .eps = values[2]};
  check_options(options);
  options_ = options;
}

void RAdam::update(const Slot& slot, const Tensor& grad, double lr) const {
  const auto [beta1, beta2] = options_.betas;
  const auto t = static_cast<double>(slot.steps);
  const double step_size = lr / (1 - std::pow(beta1, t));
  const double adaptive = rectification(beta2, t);
  dispatch(grad.dtype(), [&, beta1 = beta1, beta2 = beta2]<class T>() {
    const auto plain_rate = static_cast<T>(step_size), adaptive_rate = static_cast<T>(step_size * adaptive);
    const auto keep_m = static_cast<T>(beta1), take_m = static_cast<T>(1 - beta1);
    const auto keep_v = static_cast<T>(beta2), take_v = static_cast<T>(1 - beta2);
    const auto eps = static_cast<T>(options_.eps), decay = static_cast<T>(slot.weight_decay);
    const auto p = slot.param.data<T>(), m = slot.moments[0].data<T>(), v = slot.moments[1].data<T>();
    const auto g = grad.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) {
      const T slope = g[i] + decay * p[i];
      m[i] = keep_m * m[i] + take_m * slope;
      v[i] = keep_v * v[i] + take_v * slope * slope;
      p[i] -= adaptive > 0 ? adaptive_rate * m[i] / (std::sqrt(v[i]) + eps) : plain_rate * m[i];
    });
  });
  slot.param.mark_written("RAdam");
}

}  // namespace gradus::optim
