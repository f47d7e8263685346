// Pointwise kernels: the formulas of unary.def and binary.def, each turned into a forward and a gradient loop.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/math.h>
#include <gradus/core/kernels/power.h>
#include <gradus/core/kernels/reduce.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

template <class V>
GRADUS_INLINE V sign_of(V x) {  // 0 for a NaN; "sign" alone would be found in xsimd, too
  return xsimd::select(x > V(0), V(1), xsimd::select(x < V(0), V(-1), V(0)));
}

// A slope, and the lanes whose gradient is 0. A slope of 0 would not do there: the incoming gradient may be infinite,
// as that of sqrt(relu(x)) at 0, and 0 times infinity is NaN.
template <class M, class V>
struct SlopeUnless {
  M stops;
  V slope;
};
template <class V, class M>
GRADUS_INLINE SlopeUnless<M, V> one_unless(M stops) {
  return {stops, V(1)};
}
// The slope of an op that is constant between its jumps.
template <class V>
GRADUS_INLINE auto flat() {
  return one_unless<V>(V(0) == V(0));
}
template <class V>
GRADUS_INLINE V relu(V x) {  // a NaN stays one
  return xsimd::select(x <= V(0), V(0), x);
}

// In terms of exp(-|x|), which cannot overflow.
template <class V>
struct SigmoidAndRest {
  V value, rest;  // s(x) and 1 - s(x), each with all its digits
};
template <class V>
GRADUS_INLINE SigmoidAndRest<V> sigmoid_and_rest(V x) {
  const V e = exponential_of_negative(-xsimd::abs(x)), larger_share = quotient(V(1), V(1) + e);
  const auto negative = x < V(0);
  return {xsimd::select(negative, e, V(1)) * larger_share, xsimd::select(negative, V(1), e) * larger_share};
}
template <class V>
GRADUS_INLINE V sigmoid(V x) {
  const V e = exponential_of_negative(-xsimd::abs(x));
  return quotient(xsimd::select(x < V(0), e, V(1)), V(1) + e);
}

// x between -bound and bound; a NaN stays one. Past the bound an activation and its slope have reached their limits,
// and formulas that would meet 0 times infinity do not.
template <class V>
GRADUS_INLINE V bounded(V x, V bound) {
  return xsimd::min(bound, xsimd::max(-bound, x));
}

template <class V>
GRADUS_INLINE V softplus(V x) {
  return relu(x) + xsimd::log1p(exponential_of_negative(-xsimd::abs(x)));
}

// x tanh(softplus(x)) (Misra 2019). With w = e^x and n = w (w + 2): tanh(log(1 + w)) = n / (n + 2).
template <class V>
struct Mish {
  V tanh, rest;  // rest: 1 - tanh^2
  explicit GRADUS_INLINE Mish(V x) {
    using T = typename V::value_type;
    constexpr T most = std::is_same_v<T, float> ? 20 : 40;  // past it the slope is 1
    const V w = exponential(xsimd::min(V(most), x)), n = w * (w + V(2)), below = n + V(2);
    tanh = quotient(n, below);
    rest = quotient(quotient(V(4), below) * (n + V(1)), below);
  }
};
template <class V>
GRADUS_INLINE V mish(V x) {
  return xsimd::select(x < V(-1000), V(0), x * Mish<V>(x).tanh);
}
template <class V>
GRADUS_INLINE V mish_slope(V unbounded) {
  const V x = bounded(unbounded, V(1000));
  const Mish<V> m(x);
  return m.tanh + x * sigmoid(x) * m.rest;
}

template <class V>
GRADUS_INLINE V silu(V x) {
  return xsimd::select(x < V(-1000), V(0), x * sigmoid(x));
}
template <class V>
GRADUS_INLINE V silu_slope(V unbounded) {
  const V x = bounded(unbounded, V(1000));
  const SigmoidAndRest<V> s = sigmoid_and_rest(x);
  return s.value * (V(1) + x * s.rest);
}

// Hendrycks & Gimpel 2016: x Phi(x), whose slope is Phi(x) + x phi(x). From Phi(-|x|), since 1 + erf(x / sqrt 2) loses
// its digits where it nears 0.
template <class T>
inline constexpr T normal_most = std::is_same_v<T, float> ? T(15) : T(40);  // Phi(-|x|) is 0 there

template <class T>
GRADUS_INLINE Vec<T> gelu_erf(Vec<T> x) {
  const Vec<T> a = xsimd::min(Vec<T>(normal_most<T>), xsimd::abs(x));
  return relu(x) - a * normal_tail<T>(a).tail;
}
template <class T>
GRADUS_INLINE Vec<T> gelu_erf_slope(Vec<T> unbounded) {
  using V = Vec<T>;
  const V x = bounded(unbounded, V(normal_most<T>));
  const NormalTail<T> normal = normal_tail<T>(x);
  const V phi = V(T(0.39894228040143267794)) * normal.density;
  return xsimd::select(x > V(0), V(1) - normal.tail, normal.tail) + x * phi;
}

// The same paper's approximation x/2 (1 + tanh(u)) = x s(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3), s the sigmoid.
template <class T>
struct GeluTanh {
  static constexpr T two_root = T(1.5957691216057307117), cubic = T(0.044715), log2_e = T(1.4426950408889634074);
  Vec<T> x, square;
  explicit GRADUS_INLINE GeluTanh(Vec<T> at) : x(at), square(at * at) {}
  GRADUS_INLINE Vec<T> two_u(T factor = 1) const {
    return x * multiply_add(Vec<T>(factor * two_root * cubic), square, Vec<T>(factor * two_root));
  }
  GRADUS_INLINE Vec<T> x_slope_two_u() const {
    return x * multiply_add(Vec<T>(3 * two_root * cubic), square, Vec<T>(two_root));
  }
};

// In f32 as x / (1 + 2^t) with t = -2 u / ln 2: one power, and no digits lost to a difference. 2^t overflows below
// x = -10.06, where the result would be smaller than 3e-38 and is 0.
inline constexpr float gelu_tanh_most = 11;  // 1 + 2^t is infinite at -11

GRADUS_INLINE Vec<float> gelu_tanh(Vec<float> unbounded) {
  const GeluTanh<float> g(xsimd::max(Vec<float>(-gelu_tanh_most), unbounded));
  return quotient(g.x, one_plus_exp2(g.two_u(-g.log2_e)));
}
GRADUS_INLINE Vec<float> gelu_tanh_slope(Vec<float> unbounded) {
  using V = Vec<float>;
  const GeluTanh<float> g(bounded(unbounded, V(gelu_tanh_most)));
  const V s = quotient(V(1), one_plus_exp2(g.two_u(-g.log2_e)));
  return multiply_add(s * g.x_slope_two_u(), V(1) - s, s);
}
GRADUS_INLINE Vec<double> gelu_tanh(Vec<double> unbounded) {
  const GeluTanh<double> g(xsimd::max(Vec<double>(-40), unbounded));
  return g.x * sigmoid(g.two_u());
}
GRADUS_INLINE Vec<double> gelu_tanh_slope(Vec<double> unbounded) {
  const GeluTanh<double> g(bounded(unbounded, Vec<double>(40)));
  const SigmoidAndRest<Vec<double>> s = sigmoid_and_rest(g.two_u());
  return multiply_add(s.value * g.x_slope_two_u(), s.rest, s.value);
}

// As in PyTorch: d a^b / da is 0 where b is 0, and d a^b / db is 0 where a is 0 and b >= 0.
template <class V>
GRADUS_INLINE auto power_slope(V a, V b) {
  const auto stops = b == V(0);
  return SlopeUnless<decltype(stops), V>{stops, b * power(a, b - V(1))};
}
template <class V>
GRADUS_INLINE auto power_exponent_slope(V a, V b, V y) {
  const auto stops = a == V(0) && b >= V(0);
  return SlopeUnless<decltype(stops), V>{stops, y * logarithm(a)};
}

template <class V>
GRADUS_INLINE V clamp(V x, V low, V high) {
  return xsimd::select(x < low, low, xsimd::select(x > high, high, x));
}

template <class V>
GRADUS_INLINE V scaled_below(V x, V factor) {
  return xsimd::select(x > V(0), x, x * factor);
}
template <class V>
GRADUS_INLINE V elu(V x, V alpha) {
  return xsimd::select(x > V(0), x, alpha * exponential_minus_1(xsimd::min(V(0), x)));
}
template <class V>
GRADUS_INLINE V hardshrink(V x, V bound) {
  return xsimd::select(xsimd::abs(x) <= bound, V(0), x);
}

// x clamp(x + 3, 0, 6) / 6 (Howard et al. 2019, section 5.2). Slopes at -3 and 3 are PyTorch's.
template <class V>
GRADUS_INLINE V hardswish(V x) {
  using T = typename V::value_type;
  const V six(T(6)), zero(T(0));
  const V inside = quotient(x * clamp(x + V(T(3)), zero, six), six);
  return xsimd::select(x < V(T(-3)), zero, xsimd::select(x > V(T(3)), x, inside));
}
template <class V>
GRADUS_INLINE V hardswish_slope(V x) {
  using T = typename V::value_type;
  const V inside = quotient(x, V(T(3))) + V(T(0.5));
  return xsimd::select(x < V(T(-3)), V(T(0)), xsimd::select(x > V(T(3)), V(T(1)), inside));
}

// f of each lane by the C library: for functions that are seldom used, or that xsimd rounds too coarsely.
template <class V, class F>
GRADUS_INLINE V lanes(V a, V b, F f) {
  using T = typename V::value_type;
  alignas(64) T in_a[V::size], in_b[V::size];
  a.store_aligned(in_a);
  b.store_aligned(in_b);
  for (std::size_t i = 0; i < V::size; ++i) in_a[i] = f(in_a[i], in_b[i]);
  return V::load_aligned(in_a);
}
struct Fmod {
  float operator()(float a, float b) const { return __builtin_fmodf(a, b); }
  double operator()(double a, double b) const { return __builtin_fmod(a, b); }
};
struct Atan2 {
  float operator()(float a, float b) const { return __builtin_atan2f(a, b); }
  double operator()(double a, double b) const { return __builtin_atan2(a, b); }
};
// The remainder with the sign of b.
template <class V>
GRADUS_INLINE V floored_remainder(V a, V b) {
  const V rest = lanes(a, b, Fmod()), zero(typename V::value_type(0));
  return xsimd::select(((rest < zero) && (b > zero)) || ((rest > zero) && (b < zero)), rest + b, rest);
}
// The integer n in y = a - n b. The integer part of a / b is one too large where a / b rounds up to an integer.
template <class V>
GRADUS_INLINE V whole_quotient(V a, V b, V y, V approximate) {
  return xsimd::select(y - y == V(0), xsimd::nearbyint(quotient(a - y, b)), approximate);
}
// d atan2(a, b) / da = b / (a^2 + b^2), without overflow of the squares.
template <class V>
GRADUS_INLINE V atan2_slope(V a, V b) {
  const V larger_size = xsimd::max(xsimd::abs(a), xsimd::abs(b)), p = quotient(a, larger_size),
          q = quotient(b, larger_size);
  const V inf(std::numeric_limits<typename V::value_type>::infinity());
  return xsimd::select(larger_size == inf, quotient(b, inf), quotient(quotient(q, p * p + q * q), larger_size));
}

// Of max(a, b), the share of the gradient that a gets: half of it in a tie, and as in PyTorch all of it where one is
// NaN, so that the NaN is not hidden.
template <class V>
GRADUS_INLINE auto share_above(V a, V b) {
  using T = typename V::value_type;
  const auto stops = a < b;
  return SlopeUnless<decltype(stops), V>{stops, xsimd::select(a == b, V(T(0.5)), V(1))};
}

#define UNARY(name, formula, slope, rule)                                                          \
  struct Unary_##name {                                                                            \
    template <class V, class T = typename V::value_type>                                           \
    GRADUS_INLINE static V f(V x, [[maybe_unused]] V p, [[maybe_unused]] V q) {                    \
      return formula;                                                                              \
    }                                                                                              \
    template <class V, class T = typename V::value_type>                                           \
    GRADUS_INLINE static auto df([[maybe_unused]] V x, [[maybe_unused]] V y, [[maybe_unused]] V p, \
                                 [[maybe_unused]] V q) {                                           \
      return slope;                                                                                \
    }                                                                                              \
  };
#include <gradus/core/kernels/unary.def>
#undef UNARY

#define BINARY(name, formula, slope_a, slope_b, rule_a, rule_b)                                      \
  struct Binary_##name {                                                                             \
    template <class V, class T = typename V::value_type>                                             \
    GRADUS_INLINE static V f(V a, V b) {                                                             \
      return formula;                                                                                \
    }                                                                                                \
    template <class V, class T = typename V::value_type>                                             \
    GRADUS_INLINE static auto da([[maybe_unused]] V a, [[maybe_unused]] V b, [[maybe_unused]] V y) { \
      return slope_a;                                                                                \
    }                                                                                                \
    template <class V, class T = typename V::value_type>                                             \
    GRADUS_INLINE static auto db([[maybe_unused]] V a, [[maybe_unused]] V b, [[maybe_unused]] V y) { \
      return slope_b;                                                                                \
    }                                                                                                \
  };
#include <gradus/core/kernels/binary.def>
#undef BINARY

#define COMPARE(name, mask)                              \
  struct Compare_##name {                                \
    template <class V, class T = typename V::value_type> \
    GRADUS_INLINE static V f(V a, V b) {                 \
      return xsimd::select(mask, V(1), V(0));            \
    }                                                    \
  };
#include <gradus/core/kernels/compare.def>
#undef COMPARE

template <class V>
GRADUS_INLINE V passed(V dy, V slope) {
  return dy * slope;
}
template <class V, class M>
GRADUS_INLINE V passed(V dy, SlopeUnless<M, V> unless) {
  return xsimd::select(unless.stops, V(0), dy * unless.slope);
}

// Inlined, or every vector would be a call that fetches all the formula's constants: the exponential took twice as
// long.
template <class F, class T>
void unary_loop(const T* x, T* y, Index n, T p, T q, bool far) {
  const Output<T> out(y, far);
  each_vector<T>(n, [&](Index i, Index m) GRADUS_INLINED { out.put(i, F::f(get(x + i, m), Vec<T>(p), Vec<T>(q)), m); });
}

template <class F, class T>
void unary_grad_loop(UnaryGrad<T> args) {
  const Output<T> out(args.dx, args.far && !args.adds);
  with_constant(args.adds, [&](auto adding) GRADUS_INLINED {
    each_vector<T>(args.n, [&](Index i, Index m) GRADUS_INLINED {
      const auto slope = F::df(get(args.x + i, m), get(args.y + i, m), Vec<T>(args.p), Vec<T>(args.q));
      out.add_to(i, passed(get(args.dy + i, m), slope), m, adding);
    });
  });
}

template <class T>
void unary(UnaryOp op, const T* x, T* y, Index n, T p, T q, bool far) {
  switch (op) {
#define UNARY(name, formula, slope, rule) \
  case UnaryOp::name:                     \
    return unary_loop<Unary_##name>(x, y, n, p, q, far);
#include <gradus/core/kernels/unary.def>
#undef UNARY
  }
}

template <class T>
void unary_grad(UnaryOp op, UnaryGrad<T> args) {
  switch (op) {
#define UNARY(name, formula, slope, rule) \
  case UnaryOp::name:                     \
    return unary_grad_loop<Unary_##name>(args);
#include <gradus/core/kernels/unary.def>
#undef UNARY
  }
}

/// An argument that moves on element by element, or one number repeated (step 0), which then stands in every lane of a
/// vector of its own: the loop reads both in the same way.
template <class T>
class Argument {
 public:
  GRADUS_INLINE Argument(const T* p, Index step) : p_(p), step_(step) {
    if (step != 0) return;
    Vec<T>(*p).store_aligned(repeated_);
    p_ = repeated_;
  }
  Argument(const Argument&) = delete;
  Argument& operator=(const Argument&) = delete;
  GRADUS_INLINE Vec<T> get(Index i, Index n) const { return kernels::GRADUS_ISA_NAME::get(p_ + i * step_, n); }

 private:
  alignas(64) T repeated_[width<T>];
  const T* p_;
  Index step_;
};

template <class F, class T>
void binary_loop(const T* a, Index a_step, const T* b, Index b_step, T* y, Index n) {
  const Argument<T> from_a(a, a_step), from_b(b, b_step);
  each_vector<T>(n, [&](Index i, Index m) { put(y + i, F::f(from_a.get(i, m), from_b.get(i, m)), m); });
}

template <class F, bool first, class T>
void binary_grad_loop(BinaryGrad<T> args) {
  const Argument<T> from_a(args.a, args.a_step), from_b(args.b, args.b_step);
  const auto share = [&](Index i, Index m) GRADUS_INLINED {
    const Vec<T> va = from_a.get(i, m), vb = from_b.get(i, m), vy = get(args.y + i, m);
    if constexpr (first) {
      return passed(get(args.dy + i, m), F::da(va, vb, vy));
    } else {
      return passed(get(args.dy + i, m), F::db(va, vb, vy));
    }
  };
  if ((first ? args.a_step : args.b_step) != 0) {
    with_constant(args.adds, [&](auto adding) GRADUS_INLINED {
      each_vector<T>(args.n, [&](Index i, Index m) GRADUS_INLINED { add_to(args.dx + i, share(i, m), m, adding); });
    });
  } else {
    const T sum = static_cast<T>(sum_in_blocks<T>(args.n, [&](Index i, Index m) { return keep<T>(share(i, m), m); }));
    *args.dx = args.adds ? *args.dx + sum : sum;
  }
}

template <class T>
void binary(BinaryOp op, const T* a, Index a_step, const T* b, Index b_step, T* y, Index n) {
  switch (op) {
#define BINARY(name, formula, slope_a, slope_b, rule_a, rule_b) \
  case BinaryOp::name:                                          \
    return binary_loop<Binary_##name>(a, a_step, b, b_step, y, n);
#include <gradus/core/kernels/binary.def>
#undef BINARY
  }
}

template <class T>
void compare(CompareOp op, const T* a, Index a_step, const T* b, Index b_step, T* y, Index n) {
  switch (op) {
#define COMPARE(name, mask) \
  case CompareOp::name:     \
    return binary_loop<Compare_##name>(a, a_step, b, b_step, y, n);
#include <gradus/core/kernels/compare.def>
#undef COMPARE
  }
}

template <class T>
void binary_grad(BinaryOp op, BinaryGrad<T> args) {
  switch (op) {
#define BINARY(name, formula, slope_a, slope_b, rule_a, rule_b) \
  case BinaryOp::name:                                          \
    return args.first ? binary_grad_loop<Binary_##name, true>(args) : binary_grad_loop<Binary_##name, false>(args);
#include <gradus/core/kernels/binary.def>
#undef BINARY
  }
}

template <class T>
void select(const T* condition, const T* a, const T* b, T* y, Index n) {
  for (Index i = 0; i < n; ++i) y[i] = condition[i] != 0 ? a[i] : b[i];
}

template <class T>
void select_grad(const T* condition, T* da, T* db, const T* dy, Index n) {
  for (Index i = 0; i < n; ++i) {
    T* const taken = condition[i] != 0 ? da : db;
    if (taken != nullptr) taken[i] += dy[i];
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
