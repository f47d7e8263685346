#include <gradus/nn/optim/clip.h>

#include <cmath>

#include <gradus/core/ops/update.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {

double clip_factor(double norm, double max_norm) {
  check(max_norm > 0, "clip_grad_norm: max_norm is {}; it must be above 0", max_norm);
  const double factor = max_norm / (norm + 1e-6);
  return std::isfinite(norm) && factor < 1 ? factor : 1;
}

double clip_grad_norm(const std::vector<Tensor>& params, double max_norm) {
  std::vector<Tensor> grads;
  for (const Tensor& param : params) {
    if (const Tensor grad = param.grad(); grad.defined()) grads.push_back(grad);
  }
  const double norm = joint_norm(grads);
  const double factor = clip_factor(norm, max_norm);
  if (factor < 1) {
    for (const Tensor& grad : grads) scale_(grad, factor);
  }
  return norm;
}

void clip_grad_value(const std::vector<Tensor>& params, double clip_value) {
  check(clip_value >= 0, "clip_grad_value: clip_value is {}; it must be at least 0", clip_value);
  for (const Tensor& param : params) {
    const Tensor grad = param.grad();
    if (!grad.defined()) continue;
    dispatch(grad.dtype(), [&]<class T>() {
      const auto most = static_cast<T>(clip_value);
      const auto g = grad.data<T>();
      detail::each_element(grad.numel(), [&](std::size_t i) {
        if (g[i] > most) g[i] = most;
        if (g[i] < -most) g[i] = -most;
      });
    });
    grad.mark_written("clip_grad_value");
  }
}

}  // namespace gradus::optim
