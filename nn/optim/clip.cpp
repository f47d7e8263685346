#include <gradus/nn/optim/clip.h>

#include <cmath>

#include <gradus/core/ops/update.h>

namespace gradus::optim {

double clip_grad_norm(const std::vector<Tensor>& params, double max_norm) {
  check(max_norm > 0, "clip_grad_norm: max_norm is {}; it must be above 0", max_norm);
  std::vector<Tensor> grads;
  for (const Tensor& param : params) {
    if (const Tensor grad = param.grad(); grad.defined()) grads.push_back(grad);
  }
  const double norm = joint_norm(grads);
  const double factor = max_norm / (norm + 1e-6);
  if (std::isfinite(norm) && factor < 1) {
    for (const Tensor& grad : grads) scale_(grad, factor);
  }
  return norm;
}

}  // namespace gradus::optim
