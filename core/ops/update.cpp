// Cuts the flat arrays into fixed chunks and runs the update kernels on them.
#include <gradus/core/ops/update.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/runtime/parallel.h>

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
      kernels::kernels<T>().adam(
          {.grad = g + begin, .param = p + begin, .m = pm + begin, .v = pv + begin, .n = end - begin}, coefficients);
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
    const auto direction = [&](Index i) {
      const T d = g[i] + decay * p[i];
      if (buffer == nullptr) return d;
      buffer[i] = step.first ? d : momentum * buffer[i] + take * d;
      return step.nesterov ? d + momentum * buffer[i] : buffer[i];
    };
    parallel_for(param.numel(), chunk, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) p[i] -= lr * direction(i);
    });
  });
  param.mark_written("SGD");
}

double squared_norm(const Tensor& x, double factor) {
  return dispatch(x.dtype(), [&]<class T>() {
    const T* const p = x.data<T>().data();
    constexpr Index most = 64;  // partial sums
    const Index n = x.numel(), size = std::max(chunk, (n + most - 1) / most);
    std::array<double, most> partial{};
    parallel_for(n, size, [&](Index begin, Index end) {
      partial[static_cast<std::size_t>(begin / size)] =
          kernels::kernels<T>().squared_norm(p + begin, end - begin, static_cast<T>(factor));
    });
    double sum = 0;
    for (const double part : partial) sum += part;
    return sum;
  });
}

namespace {

// The largest |x|, NaN if there is one.
double largest_size(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() {
    T largest = 0;
    for (const T value : x.data<T>()) {
      if (!(std::abs(value) <= largest)) largest = std::abs(value);
      if (std::isnan(largest)) break;
    }
    return static_cast<double>(largest);
  });
}

// The norm of elements whose squares may leave their type: a power of two brings the largest near 1.
double scaled_norm(const Tensor& x) {
  const double largest = largest_size(x);
  if (!(largest > 0) || std::isinf(largest)) return largest;
  const int most = x.dtype() == DType::f32 ? 120 : 1000;  // the factor is a normal number in this type
  const int exponent = std::clamp(std::ilogb(largest), -most, most);
  return std::ldexp(std::sqrt(squared_norm(x, std::ldexp(1, -exponent))), exponent);
}

}  // namespace

double joint_norm(const std::vector<Tensor>& tensors) {
  double squares = 0, needed = 0;
  for (const Tensor& x : tensors) {
    squares += squared_norm(x);
    // Squares below the smallest normal number, 2^-126 or 2^-1022, have lost digits: too few to count beside this.
    needed += static_cast<double>(x.numel()) * (x.dtype() == DType::f32 ? 0x1p-112 : 0x1p-1000);
  }
  if (std::isfinite(squares) && squares >= needed) return std::sqrt(squares);
  double norm = 0;
  for (const Tensor& x : tensors) {
    const double next = scaled_norm(x);
    norm = std::isnan(norm) || std::isnan(next) ? norm + next : std::hypot(norm, next);  // hypot(inf, NaN) is inf
  }
  return norm;
}

void scale_(const Tensor& x, double factor) {
  dispatch(x.dtype(), [&]<class T>() {
    T* const p = x.data<T>().data();
    const auto scale = [&](T by) {
      parallel_for(x.numel(), chunk,
                   [&](Index begin, Index end) { kernels::kernels<T>().scale(p + begin, by, end - begin); });
    };
    // A factor below the smallest normal number has lost digits, or all: half of its exponent at a time.
    double rest = factor;
    if (std::abs(factor) < static_cast<double>(std::numeric_limits<T>::min()) && factor != 0) {
      const int half = std::ilogb(factor) / 2;
      scale(static_cast<T>(std::ldexp(1, half)));
      rest = std::ldexp(factor, -half);
    }
    scale(static_cast<T>(rest));
  });
  x.mark_written("scale_");
}

}  // namespace gradus
