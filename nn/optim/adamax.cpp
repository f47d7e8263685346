// One loop over the numbers; the bookkeeping is Optimizer's.
#include <gradus/nn/optim/adamax.h>

#include <cmath>

#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

void check_options(const AdamaxOptions& options) {
  detail::check_number("Adamax", "betas.first", options.betas.first, 1);
  detail::check_number("Adamax", "betas.second", options.betas.second, 1);
  detail::check_number("Adamax", "eps", options.eps);
}

}  // namespace

Adamax::Adamax(std::vector<Tensor> params, AdamaxOptions options)
    : Adamax(detail::one_group(std::move(params)), options) {}

Adamax::Adamax(std::vector<ParamGroup> groups, AdamaxOptions options)
    : Optimizer("Adamax", std::move(groups), options.lr, options.weight_decay, {"exp_avg", "exp_inf"}),
      options_(options) {
  check_options(options);
}

std::vector<Optimizer::Option> Adamax::options() const {
  return {{"beta1", options_.betas.first},
          {"beta2", options_.betas.second},
          {"eps", options_.eps},
          {"maximize", options_.maximize ? 1.0 : 0.0}};
}

void Adamax::set_options(const std::vector<double>& values) {
  const AdamaxOptions options{.betas = {values[0], values[1]}, .eps = values[2], .maximize = values[3] != 0};
  check_options(options);
  options_ = options;
}

void Adamax::update(const Slot& slot, const Tensor& grad, double lr) const {
  const auto [beta1, beta2] = options_.betas;
  const double step_size = lr / (1 - std::pow(beta1, static_cast<double>(slot.steps)));
  dispatch(grad.dtype(), [&, beta1 = beta1, beta2 = beta2]<class T>() {
    const auto rate = static_cast<T>(step_size), keep = static_cast<T>(beta1), take = static_cast<T>(1 - beta1);
    const auto keep_largest = static_cast<T>(beta2), eps = static_cast<T>(options_.eps);
    const auto decay = static_cast<T>(slot.weight_decay);
    const auto p = slot.param.data<T>(), mean = slot.moments[0].data<T>(), largest = slot.moments[1].data<T>();
    const auto g = grad.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) {
      const T slope = g[i] + decay * p[i], size = std::abs(slope) + eps;
      mean[i] = keep * mean[i] + take * slope;
      const T faded = keep_largest * largest[i];
      largest[i] = size < faded ? faded : size;  // a NaN stays
      p[i] -= rate * mean[i] / largest[i];
    });
  });
  slot.param.mark_written("Adamax");
}

}  // namespace gradus::optim
