// Cuts the flat arrays into fixed chunks and runs the update kernels on them.
#include <gradus/core/update.h>

#include <array>
#include <cmath>

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/parallel.h>

namespace gradus {
namespace {

constexpr Index chunk = 16384;  // some 10 us of streaming

void check_alike(const char* op, const Tensor& param, const Tensor& other) {
  check(other.shape() == param.shape() && other.dtype() == param.dtype(),
        "{}: a parameter of {} {} was given {} {}; both must be alike (make the optimizer after converting the module)",
        op, param.dtype(), param.shape(), other.dtype(), other.shape());
}

}  // namespace

void adam_update(const Tensor& param, const Tensor& m, const Tensor& v, const Tensor& grad, const AdamStep& step) {
  for (const Tensor* other : {&m, &v, &grad}) check_alike("adam", param, *other);
  dispatch(param.dtype(), [&]<class T>() {
    const kernels::AdamCoefficients<T> coefficients{
        .keep_m = static_cast<T>(step.beta1),
        .keep_v = static_cast<T>(step.beta2),
        .take_m = static_cast<T>(1 - step.beta1),
        .take_v = static_cast<T>(1 - step.beta2),
        .step_size = static_cast<T>(step.lr / step.bias_correction1),
        .inv_sqrt_correction = static_cast<T>(1 / std::sqrt(step.bias_correction2)),
        .eps = static_cast<T>(step.eps),
        .decay = static_cast<T>(step.decoupled ? step.lr * step.weight_decay : step.weight_decay),
        .decoupled = step.decoupled};
    T *const p = param.data<T>().data(), *const pm = m.data<T>().data(), *const pv = v.data<T>().data();
    const T* const g = grad.data<T>().data();
    parallel_for(param.numel(), chunk, [&](Index begin, Index end) {
      kernels::kernels<T>().adam(p + begin, pm + begin, pv + begin, g + begin, end - begin, coefficients);
    });
  });
  param.mark_written("Adam");
}

void sgd_update(const Tensor& param, const Tensor& momentum_buffer, const Tensor& grad, const SgdStep& step) {
  check_alike("sgd", param, grad);
  if (momentum_buffer.defined()) check_alike("sgd", param, momentum_buffer);
  dispatch(param.dtype(), [&]<class T>() {
    T* const p = param.data<T>().data();
    T* const buffer = momentum_buffer.defined() ? momentum_buffer.data<T>().data() : nullptr;
    const T* const g = grad.data<T>().data();
    const T lr = static_cast<T>(step.lr), momentum = static_cast<T>(step.momentum);
    const T take = static_cast<T>(1 - step.dampening), decay = static_cast<T>(step.weight_decay);
    parallel_for(param.numel(), chunk, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        T d = g[i] + decay * p[i];
        if (buffer != nullptr) {
          buffer[i] = step.first ? d : momentum * buffer[i] + take * d;
          d = step.nesterov ? d + momentum * buffer[i] : buffer[i];
        }
        p[i] -= lr * d;
      }
    });
  });
  param.mark_written("SGD");
}

double squared_norm(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() {
    const T* const p = x.data<T>().data();
    constexpr Index most = 64;  // partial sums
    const Index n = x.numel(), size = std::max(chunk, (n + most - 1) / most);
    std::array<double, most> partial{};
    parallel_for(n, size, [&](Index begin, Index end) {
      partial[static_cast<std::size_t>(begin / size)] = kernels::kernels<T>().squared_norm(p + begin, end - begin);
    });
    double sum = 0;
    for (const double part : partial) sum += part;
    return sum;
  });
}

void scale_(const Tensor& x, double factor) {
  dispatch(x.dtype(), [&]<class T>() {
    T* const p = x.data<T>().data();
    parallel_for(x.numel(), chunk, [&](Index begin, Index end) {
      kernels::kernels<T>().scale(p + begin, static_cast<T>(factor), end - begin);
    });
  });
  x.mark_written("scale_");
}

}  // namespace gradus
