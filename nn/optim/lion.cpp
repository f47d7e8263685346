// One loop over the numbers; the bookkeeping is Optimizer's.
#include <gradus/nn/optim/lion.h>

#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

void check_options(const LionOptions& options) {
  detail::check_number("Lion", "betas.first", options.betas.first, 1);
  detail::check_number("Lion", "betas.second", options.betas.second, 1);
}

}  // namespace

Lion::Lion(std::vector<Tensor> params, LionOptions options) : Lion(detail::one_group(std::move(params)), options) {}

Lion::Lion(std::vector<ParamGroup> groups, LionOptions options)
    : Optimizer("Lion", std::move(groups), options.lr, options.weight_decay, {"exp_avg"}), options_(options) {
  check_options(options);
}

std::vector<Optimizer::Option> Lion::options() const {
  return {{"beta1", options_.betas.first}, {"beta2", options_.betas.second}};
}

void Lion::set_options(const std::vector<double>& values) {
  const LionOptions options{.betas = {values[0], values[1]}};
  check_options(options);
  options_ = options;
}

void Lion::update(const Slot& slot, const Tensor& grad, double lr) const {
  const auto [beta1, beta2] = options_.betas;
  dispatch(grad.dtype(), [&, beta1 = beta1, beta2 = beta2]<class T>() {
    const auto rate = static_cast<T>(lr), shrink = static_cast<T>(1 - lr * slot.weight_decay);
    const auto keep_now = static_cast<T>(beta1), take_now = static_cast<T>(1 - beta1);
    const auto keep = static_cast<T>(beta2), take = static_cast<T>(1 - beta2);
    const auto p = slot.param.data<T>(), m = slot.moments[0].data<T>(), g = grad.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) {
      const T direction = keep_now * m[i] + take_now * g[i];
      const T move = direction > 0 ? rate : direction < 0 ? -rate : rate * direction;  // a NaN stays
      p[i] = p[i] * shrink - move;
      m[i] = keep * m[i] + take * g[i];
    });
  });
  slot.param.mark_written("Lion");
}

}  // namespace gradus::optim
