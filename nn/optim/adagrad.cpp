// One loop over the numbers; the sum is a moment that starts at the initial value.
#include <gradus/nn/optim/adagrad.h>

#include <cmath>

#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

void check_options(const AdagradOptions& options) {
  detail::check_number("Adagrad", "lr_decay", options.lr_decay);
  detail::check_number("Adagrad", "initial_accumulator_value", options.initial_accumulator_value);
  detail::check_number("Adagrad", "eps", options.eps);
}

}  // namespace

Adagrad::Adagrad(std::vector<Tensor> params, AdagradOptions options)
    : Adagrad(detail::one_group(std::move(params)), options) {}

Adagrad::Adagrad(std::vector<ParamGroup> groups, AdagradOptions options)
    : Optimizer("Adagrad", std::move(groups), options.lr, options.weight_decay, {"sum"}), options_(options) {
  check_options(options);
}

std::vector<Optimizer::Option> Adagrad::options() const {
  return {{"lr_decay", options_.lr_decay},
          {"initial_accumulator_value", options_.initial_accumulator_value},
          {"eps", options_.eps},
          {"maximize", options_.maximize ? 1.0 : 0.0}};
}

void Adagrad::set_options(const std::vector<double>& values) {
  const AdagradOptions options{
      .lr_decay = values[0], .initial_accumulator_value = values[1], .eps = values[2], .maximize = values[3] != 0};
  check_options(options);
  options_ = options;
}

void Adagrad::update(const Slot& slot, const Tensor& grad, double lr) const {
  const double decayed_lr = lr / (1 + static_cast<double>(slot.steps - 1) * options_.lr_decay);
  if (slot.steps == 1) slot.moments[0].fill_(options_.initial_accumulator_value);
  dispatch(grad.dtype(), [&]<class T>() {
    const auto rate = static_cast<T>(decayed_lr), eps = static_cast<T>(options_.eps);
    const auto decay = static_cast<T>(slot.weight_decay);
    const auto p = slot.param.data<T>(), sum = slot.moments[0].data<T>(), g = grad.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) {
      const T slope = g[i] + decay * p[i];
      sum[i] += slope * slope;
      p[i] -= rate * slope / (std::sqrt(sum[i]) + eps);
    });
  });
  slot.param.mark_written("Adagrad");
}

}  // namespace gradus::optim
