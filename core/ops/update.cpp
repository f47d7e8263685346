// Cuts the flat arrays into fixed chunks and runs the update kernels on them.
#include <gradus/core/ops/update.h>

#include <algorithm>
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

Index norm_block_size(Index numel) {
  constexpr Index most = 64;  // blocks
  return std::max(chunk, (numel + most - 1) / most);
}

std::vector<double> squared_blocks(const Tensor& x, Index block_size, double factor) {
  check(block_size > 0, "squared_blocks: the block size is {}; it must be above 0", block_size);
  std::vector<double> sums(static_cast<std::size_t>((x.numel() + block_size - 1) / block_size));
  dispatch(x.dtype(), [&]<class T>() {
    const T* const p = x.data<T>().data();
    parallel_for(x.numel(), block_size, [&](Index begin, Index end) {
      sums[static_cast<std::size_t>(begin / block_size)] =
          kernels::kernels<T>().squared_norm(p + begin, end - begin, static_cast<T>(factor));
    });
  });
  return sums;
}

double squared_norm(const Tensor& x, double factor) {
  double sum = 0;
  for (const double block : squared_blocks(x, norm_block_size(x.numel()), factor)) sum += block;
  return sum;
}

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

namespace {

// Squares may leave the type of their elements: then each tensor's are taken times a power of two that brings the
// largest near 1.
double scaled_joint_norm(const NormParts& parts) {
  const std::vector<double> largest = parts.largest_sizes();
  std::vector<double> factors(largest.size(), 1);
  std::vector<int> exponents(largest.size(), 0);
  const auto is_scaled = [&](std::size_t i) { return largest[i] > 0 && !std::isinf(largest[i]); };
  for (std::size_t i = 0; i < largest.size(); ++i) {
    if (!is_scaled(i)) continue;
    const int most = parts.tensors[i].dtype == DType::f32 ? 120 : 1000;  // the factor is a normal number in this type
    exponents[i] = std::clamp(std::ilogb(largest[i]), -most, most);
    factors[i] = std::ldexp(1, -exponents[i]);
  }
  const std::vector<double> squares = parts.squared_norms(factors);
  double norm = 0;
  for (std::size_t i = 0; i < largest.size(); ++i) {
    const double next = is_scaled(i) ? std::ldexp(std::sqrt(squares[i]), exponents[i]) : largest[i];
    norm = std::isnan(norm) || std::isnan(next) ? norm + next : std::hypot(norm, next);  // hypot(inf, NaN) is inf
  }
  return norm;
}

}  // namespace

double joint_norm_of_parts(const NormParts& parts) {
  double squares = 0, needed = 0;
  for (const double square : parts.squared_norms(std::vector<double>(parts.tensors.size(), 1))) squares += square;
  for (const auto& [numel, dtype] : parts.tensors) {
    // Squares below the smallest normal number, 2^-126 or 2^-1022, have lost digits: too few to count beside this.
    needed += static_cast<double>(numel) * (dtype == DType::f32 ? 0x1p-112 : 0x1p-1000);
  }
  if (std::isfinite(squares) && squares >= needed) return std::sqrt(squares);
  return scaled_joint_norm(parts);
}

double joint_norm(const std::vector<Tensor>& tensors) {
  NormParts parts;
  for (const Tensor& x : tensors) parts.tensors.push_back({x.numel(), x.dtype()});
  parts.squared_norms = [&](const std::vector<double>& factors) {
    std::vector<double> squares;
    for (std::size_t i = 0; i < tensors.size(); ++i) squares.push_back(squared_norm(tensors[i], factors[i]));
    return squares;
  };
  parts.largest_sizes = [&] {
    std::vector<double> sizes;
    for (const Tensor& x : tensors) sizes.push_back(largest_size(x));
    return sizes;
  };
  return joint_norm_of_parts(parts);
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
