// Pointwise ops that are a formula of other ops, and those that the standard library computes number by number.
#include <cmath>
#include <limits>
#include <numbers>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// f of every number; the slope is df of it, and slope(x) on tensors.
template <class F, class DF>
Tensor each_number(const char* op, const Tensor& x, const F& f, const DF& df, Tensor (*slope)(const Tensor&)) {
  check_defined(op, {x});
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().values<T>();
    T* const to = y.node().values<T>();
    parallel_for(x.numel(), pointwise_grain / 8, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) to[i] = f(from[i]);
    });
  });
  const auto backward = [df](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const dy = out.grad_or_null<T>(), *const from = in[0].values<T>();
      T* const dx = in[0].grad_or_null<T>();
      parallel_for(out.numel(), pointwise_grain / 8, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) dx[i] += dy[i] * df(from[i]);
      });
    });
  };
  return record(op, y, {x}, backward,
                [slope](const Tensor&, const Tensor& dy, const RuleInputs& in) { return dy * slope(in[0]); });
}

// a and b broadcast and stacked: a at index 0 of a new first dimension, b at 1.
Tensor paired(const Tensor& a, const Tensor& b) {
  return stack(broadcast_tensors({a, b}));
}

}  // namespace

Tensor asinh(const Tensor& x) {
  return each_number(
      "asinh", x, [](auto v) { return std::asinh(v); }, [](auto v) { return 1 / std::hypot(v, decltype(v)(1)); },
      [](const Tensor& v) { return rsqrt(v * v + 1); });
}
Tensor acosh(const Tensor& x) {
  return each_number(
      "acosh", x, [](auto v) { return std::acosh(v); },
      [](auto v) { return 1 / (std::sqrt(v - 1) * std::sqrt(v + 1)); },
      [](const Tensor& v) { return rsqrt(v - 1) * rsqrt(v + 1); });
}
Tensor atanh(const Tensor& x) {
  return each_number(
      "atanh", x, [](auto v) { return std::atanh(v); }, [](auto v) { return 1 / ((1 - v) * (1 + v)); },
      [](const Tensor& v) { return reciprocal((1 - v) * (v + 1)); });
}
Tensor log10(const Tensor& x) {
  return each_number(
      "log10", x, [](auto v) { return std::log10(v); },
      [](auto v) { return 1 / (v * std::numbers::ln10_v<decltype(v)>); },
      [](const Tensor& v) { return reciprocal(v * std::numbers::ln10); });
}
Tensor erfc(const Tensor& x) {
  return each_number(
      "erfc", x, [](auto v) { return std::erfc(v); },
      [](auto v) { return -2 * std::numbers::inv_sqrtpi_v<decltype(v)> * std::exp(-v * v); },
      [](const Tensor& v) { return exp(-v * v) * (-2 * std::numbers::inv_sqrtpi); });
}
Tensor sinc(const Tensor& x) {
  const auto value = [](auto v) {
    const auto z = v * std::numbers::pi_v<decltype(v)>;
    return v == 0 ? decltype(v)(1) : std::sin(z) / z;
  };
  return each_number(
      "sinc", x, value,
      [value](auto v) {
        return v == 0 ? decltype(v)(0) : (std::cos(v * std::numbers::pi_v<decltype(v)>) - value(v)) / v;
      },
      [](const Tensor& v) {  // at 0 by the first term of the slope's series
        const Tensor divisor = where(v == 0, 1, v), beside = cos(v * std::numbers::pi) - sinc(v);
        return where(v == 0, v * (-std::numbers::pi * std::numbers::pi / 3), beside / divisor);
      });
}

Tensor frac(const Tensor& x) {
  return composed("frac", [&] { return x - trunc(x); });
}
Tensor deg2rad(const Tensor& x) {
  return composed("deg2rad", [&] { return x * (std::numbers::pi / 180); });
}
Tensor rad2deg(const Tensor& x) {
  return composed("rad2deg", [&] { return x * (180 / std::numbers::pi); });
}
Tensor signbit(const Tensor& x) {
  return composed("signbit", [&] { return logical_or(x < 0.0, reciprocal(x) < 0.0); });
}
Tensor isposinf(const Tensor& x) {
  return composed("isposinf", [&] { return x == inf; });
}
Tensor isneginf(const Tensor& x) {
  return composed("isneginf", [&] { return x == -inf; });
}
Tensor logit(const Tensor& x, double eps) {
  return composed("logit", [&] {
    const Tensor p = eps < 0 ? x : clamp(x, eps, 1 - eps);
    return log(p) - log1p(-p);
  });
}
Tensor nan_to_num(const Tensor& x, double nan, double posinf, double neginf) {
  return composed("nan_to_num",
                  [&] { return where(isnan(x), nan, where(isposinf(x), posinf, where(isneginf(x), neginf, x))); });
}
Tensor nan_to_num(const Tensor& x, double nan) {
  check_defined("nan_to_num", {x});
  const double most = dispatch(x.dtype(), []<class T>() { return double{std::numeric_limits<T>::max()}; });
  return nan_to_num(x, nan, most, -most);
}
Tensor threshold(const Tensor& x, double threshold, double value) {
  return composed("threshold", [&] { return where(x > threshold, x, value); });
}
Tensor clamp_min(const Tensor& x, double low) {
  return composed("clamp_min", [&] { return clamp(x, low, inf); });
}
Tensor clamp_max(const Tensor& x, double high) {
  return composed("clamp_max", [&] { return clamp(x, -inf, high); });
}
Tensor rrelu(const Tensor& x, double lower, double upper, bool training) {
  check(lower <= upper, "rrelu: lower is {} and upper {}; lower must not be above upper", lower, upper);
  if (!training) return composed("rrelu", [&] { return leaky_relu(x, (lower + upper) / 2); });
  return composed("rrelu", [&] { return where(x >= 0.0, x, x * (lower + (upper - lower) * rand_like(x))); });
}

Tensor hypot(const Tensor& a, const Tensor& b) {
  return composed("hypot", [&] {  // of numbers up to 1, whose squares do not overflow
    const Tensor larger = maximum(abs(a), abs(b)).detach();
    const Tensor scale = where(logical_and(larger > 0, isfinite(larger)), larger, 1);
    return norm(paired(a / scale, b / scale), 2, 0) * scale;
  });
}
Tensor logaddexp(const Tensor& a, const Tensor& b) {
  return composed("logaddexp", [&] { return logsumexp(paired(a, b), 0); });
}
Tensor logaddexp2(const Tensor& a, const Tensor& b) {
  return composed("logaddexp2", [&] { return logsumexp(paired(a, b) * std::numbers::ln2, 0) / std::numbers::ln2; });
}
Tensor xlogy(const Tensor& x, const Tensor& y) {
  return composed("xlogy", [&] { return x * log(where(logical_and(x == 0.0, y <= 0.0), 1, y)); });
}
Tensor heaviside(const Tensor& x, const Tensor& values) {
  return composed("heaviside", [&] { return where(x == 0.0, values.detach(), x > 0.0); });
}
Tensor copysign(const Tensor& a, const Tensor& b) {
  return composed("copysign", [&] { return where(signbit(b), -abs(a), abs(a)); });
}
Tensor fmax(const Tensor& a, const Tensor& b) {
  return composed("fmax", [&] { return where(logical_or(a >= b, isnan(b)), a, b); });
}
Tensor fmin(const Tensor& a, const Tensor& b) {
  return composed("fmin", [&] { return where(logical_or(a <= b, isnan(b)), a, b); });
}
Tensor floor_divide(const Tensor& a, const Tensor& b) {
  return composed("floor_divide", [&] { return floor(a / b); });
}
Tensor ldexp(const Tensor& x, const Tensor& exponent) {
  return composed("ldexp", [&] { return x * exp2(exponent); });
}
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
  return composed("addcmul", [&] { return x + value * (a * b); });
}
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
  return composed("addcdiv", [&] { return x + value * (a / b); });
}

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  check(rtol >= 0 && atol >= 0, "isclose: rtol is {} and atol {}; both must be at least 0", rtol, atol);
  return composed("isclose", [&] {
    const Tensor near = logical_and(isfinite(b), abs(a - b) <= atol + rtol * abs(b));
    const Tensor close = logical_or(a == b, near);
    return equal_nan ? logical_or(close, logical_and(isnan(a), isnan(b))) : close;
  });
}
bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  return all(isclose(a, b, rtol, atol, equal_nan)).item() != 0;
}
bool equal(const Tensor& a, const Tensor& b) {
  check_defined("equal", {a, b});
  return a.shape() == b.shape() && all(a == b).item() != 0;
}
Tensor isin(const Tensor& elements, const Tensor& test_elements) {
  check_defined("isin", {elements, test_elements});
  return composed("isin", [&] {
    const Tensor found = any(reshape(elements, {elements.numel(), 1}) == flatten(test_elements), 1);
    return reshape(found, elements.shape());
  });
}

Tensor logspace(double start, double end, Index steps, double base, DType dtype) {
  return pow(full({}, base, dtype), linspace(start, end, steps, dtype));
}

namespace {

// cos(2 pi k i / n) for i = 0 .. length - 1 with n = length, or length - 1 of a window that is not periodic.
Tensor wave(const char* op, Index length, bool periodic, DType dtype, double k = 1) {
  check(length >= 0, "{}: the length is {}; it must be at least 0", op, length);
  const Index n = periodic ? length : length - 1;
  return cos(arange(static_cast<double>(length), dtype) * (2 * std::numbers::pi * k / static_cast<double>(n)));
}

}  // namespace

Tensor hann_window(Index length, bool periodic, DType dtype) {
  return length == 1 ? ones({1}, dtype) : 0.5 - 0.5 * wave("hann_window", length, periodic, dtype);
}
Tensor hamming_window(Index length, bool periodic, DType dtype) {
  return length == 1 ? ones({1}, dtype) : 0.54 - 0.46 * wave("hamming_window", length, periodic, dtype);
}
Tensor blackman_window(Index length, bool periodic, DType dtype) {
  if (length == 1) return ones({1}, dtype);
  const auto part = [&](double k) { return wave("blackman_window", length, periodic, dtype, k); };
  return 0.42 - 0.5 * part(1) + 0.08 * part(2);
}
Tensor bartlett_window(Index length, bool periodic, DType dtype) {
  check(length >= 0, "bartlett_window: the length is {}; it must be at least 0", length);
  if (length == 1) return ones({1}, dtype);
  const auto n = static_cast<double>(periodic ? length : length - 1);
  return 1 - abs(arange(static_cast<double>(length), dtype) * (2 / n) - 1);
}

Tensor normal(const Tensor& mean, const Tensor& std) {
  return composed("normal", [&] { return mean + std * randn_like(mean + std); });
}

}  // namespace gradus
