// Pointwise kernels: the formulas of unary.def and binary.def, each turned into a forward and a gradient loop.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/math.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

template <class V>
GRADUS_INLINE V sign(V x) {
  return xsimd::select(x > V(0), V(1), xsimd::select(x < V(0), V(-1), V(0)));
}

template <class V>
GRADUS_INLINE V step(V x) {
  return xsimd::select(x > V(0), V(1), V(0));
}

template <class V>
GRADUS_INLINE V rectified(V x) {  // a NaN stays one
  return xsimd::select(x <= V(0), V(0), x);
}

template <class V>
GRADUS_INLINE V logistic(V x) {  // in terms of exp(-|x|), which cannot overflow
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
GRADUS_INLINE V silu(V x) {
  return xsimd::select(x < V(-1000), V(0), x * logistic(x));
}
template <class V>
GRADUS_INLINE V silu_slope(V unbounded) {
  const V x = bounded(unbounded, V(1000)), s = logistic(x);
  return s * (V(1) + x * (V(1) - s));
}

// Hendrycks & Gimpel 2016: x Phi(x) = x/2 (1 + erf(x / sqrt 2)); its slope is Phi(x) + x phi(x).
template <class V>
GRADUS_INLINE V gelu_erf(V x) {
  using T = typename V::value_type;
  const V y = V(T(0.5)) * x * (V(1) + xsimd::erf(x * V(T(0.70710678118654752440))));
  return xsimd::select(x < V(-40), V(0), y);
}
template <class V>
GRADUS_INLINE V gelu_erf_slope(V unbounded) {
  using T = typename V::value_type;
  const V x = bounded(unbounded, V(40));
  const V phi = V(T(0.39894228040143267794)) * exponential_of_negative(V(T(-0.5)) * x * x);
  return V(T(0.5)) * (V(1) + xsimd::erf(x * V(T(0.70710678118654752440)))) + x * phi;
}

// The same paper's approximation x/2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3), written as x / (1 + 2^t) with
// t = -2 u / ln 2: one power, and no digits lost to a difference. In f32 2^t overflows below x = -10.06, where the
// result would be smaller than 3e-38 and is 0.
template <class V>
struct GeluTanh {
  using T = typename V::value_type;
  static constexpr T lowest = std::is_same_v<T, float> ? -11 : -40;  // 1 + 2^t is infinite there, in this type
  static constexpr T two_root = T(1.5957691216057307117), cubic = T(0.044715), log2_e = T(1.4426950408889634074);
  V x, square, divisor;
  explicit GRADUS_INLINE GeluTanh(V at_least_lowest)
      : x(at_least_lowest),
        square(x * x),
        divisor(one_plus_exp2(x * fma(V(-two_root * log2_e * cubic), square, V(-two_root * log2_e)))) {}
};
template <class V>
GRADUS_INLINE V gelu_tanh(V unbounded) {
  const GeluTanh<V> g(xsimd::max(V(GeluTanh<V>::lowest), unbounded));
  return quotient(g.x, g.divisor);
}
template <class V>
GRADUS_INLINE V gelu_tanh_slope(V unbounded) {
  using G = GeluTanh<V>;
  const G g(bounded(unbounded, V(-G::lowest)));
  const V s = quotient(V(1), g.divisor),
          x_slope_two_u = g.x * fma(V(3 * G::two_root * G::cubic), g.square, V(G::two_root));
  return fma(s * x_slope_two_u, V(1) - s, s);
}

// a^b as C's pow has it where a is 0 or 1 or b is 0. Exponents 1 to 4, their negatives and 1/2 multiply, divide or take
// a root: exact to an ulp or two, where exp(b log(a)) gives 1000.0001 for 10^3 in f32.
template <class V>
GRADUS_INLINE V power(V a, V b) {
  using T = typename V::value_type;
  const V n = xsimd::abs(b), square = a * a;
  const V whole = xsimd::select(
      n == V(1), a, xsimd::select(n == V(2), square, xsimd::select(n == V(3), square * a, square * square)));
  const auto is_whole = n == V(1) || n == V(2) || n == V(3) || n == V(4);
  V y = xsimd::select(is_whole, xsimd::select(b < V(0), quotient(V(1), whole), whole), xsimd::pow(a, b));
  y = xsimd::select(b == V(T(0.5)), root(a), y);
  y = xsimd::select(a == V(0) && !is_whole, xsimd::select(b < V(0), V(T(1) / T(0)), xsimd::select(b > V(0), V(0), b)),
                    y);
  return xsimd::select(b == V(0) || a == V(1), V(1), y);
}
template <class V>
GRADUS_INLINE V power_slope(V a, V b) {
  return xsimd::select(b == V(0), V(0), b * power(a, b - V(1)));
}
template <class V>
GRADUS_INLINE V power_exponent_slope(V a, V b, V y) {
  return xsimd::select((a == V(0)) && (b >= V(0)), V(0), y * xsimd::log(a));
}

template <class V>
GRADUS_INLINE V clamped(V x, V low, V high) {
  return xsimd::select(x < low, low, xsimd::select(x > high, high, x));
}
template <class V>
GRADUS_INLINE V within(V x, V low, V high) {
  return xsimd::select((x >= low) && (x <= high), V(1), V(0));
}

template <class V>
GRADUS_INLINE V share_above(V a, V b) {  // of max(a, b), the share of the gradient that a gets
  using T = typename V::value_type;
  return xsimd::select(a > b, V(1), xsimd::select(a == b, V(T(0.5)), V(0)));
}

#define UNARY(name, formula, slope)                                                             \
  struct Unary_##name {                                                                         \
    template <class V, class T = typename V::value_type>                                        \
    GRADUS_INLINE static V f(V x, [[maybe_unused]] V a, [[maybe_unused]] V b) {                 \
      return formula;                                                                           \
    }                                                                                           \
    template <class V, class T = typename V::value_type>                                        \
    GRADUS_INLINE static V df([[maybe_unused]] V x, [[maybe_unused]] V y, [[maybe_unused]] V a, \
                              [[maybe_unused]] V b) {                                           \
      return slope;                                                                             \
    }                                                                                           \
  };
#include <gradus/core/kernels/unary.def>
#undef UNARY

#define BINARY(name, formula, slope_a, slope_b)                                                   \
  struct Binary_##name {                                                                          \
    template <class V>                                                                            \
    GRADUS_INLINE static V f(V a, V b) {                                                          \
      return formula;                                                                             \
    }                                                                                             \
    template <class V>                                                                            \
    GRADUS_INLINE static V da([[maybe_unused]] V a, [[maybe_unused]] V b, [[maybe_unused]] V y) { \
      return slope_a;                                                                             \
    }                                                                                             \
    template <class V>                                                                            \
    GRADUS_INLINE static V db([[maybe_unused]] V a, [[maybe_unused]] V b, [[maybe_unused]] V y) { \
      return slope_b;                                                                             \
    }                                                                                             \
  };
#include <gradus/core/kernels/binary.def>
#undef BINARY

// Inlined, or every vector would be a call that fetches all the formula's constants: the exponential took twice as
// long.
template <class F, class T>
void unary_loop(const T* x, T* y, Index n, T a, T b, bool far) {
  const Output<T> out(y, far);
  each_vector<T>(n, [&](Index i, Index m) GRADUS_INLINED { out.put(i, F::f(get(x + i, m), Vec<T>(a), Vec<T>(b)), m); });
}

template <class F, class T>
void unary_grad_loop(T* dx, bool adds, const T* dy, const T* x, const T* y, Index n, T a, T b, bool far) {
  const Output<T> out(dx, far && !adds);
  with_constant(adds, [&](auto adding) GRADUS_INLINED {
    each_vector<T>(n, [&](Index i, Index m) GRADUS_INLINED {
      out.add_to(i, get(dy + i, m) * F::df(get(x + i, m), get(y + i, m), Vec<T>(a), Vec<T>(b)), m, adding);
    });
  });
}

template <class T>
void unary(UnaryOp op, const T* x, T* y, Index n, T a, T b, bool far) {
  switch (op) {
#define UNARY(name, formula, slope) \
  case UnaryOp::name:               \
    return unary_loop<Unary_##name>(x, y, n, a, b, far);
#include <gradus/core/kernels/unary.def>
#undef UNARY
  }
}

template <class T>
void unary_grad(UnaryOp op, T* dx, bool adds, const T* dy, const T* x, const T* y, Index n, T a, T b, bool far) {
  switch (op) {
#define UNARY(name, formula, slope) \
  case UnaryOp::name:               \
    return unary_grad_loop<Unary_##name>(dx, adds, dy, x, y, n, a, b, far);
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
void binary_grad_loop(T* dx, bool adds, const T* dy, const T* a, Index a_step, const T* b, Index b_step, const T* y,
                      Index n) {
  const Argument<T> from_a(a, a_step), from_b(b, b_step);
  const auto share = [&](Index i, Index m) GRADUS_INLINED {
    const Vec<T> va = from_a.get(i, m), vb = from_b.get(i, m), vy = get(y + i, m);
    if constexpr (first) {
      return get(dy + i, m) * F::da(va, vb, vy);
    } else {
      return get(dy + i, m) * F::db(va, vb, vy);
    }
  };
  if ((first ? a_step : b_step) != 0) {
    with_constant(adds, [&](auto adding) GRADUS_INLINED {
      each_vector<T>(n, [&](Index i, Index m) GRADUS_INLINED { add_to(dx + i, share(i, m), m, adding); });
    });
  } else {
    const T sum = static_cast<T>(sum_in_blocks<T>(n, [&](Index i, Index m) { return keep<T>(share(i, m), m); }));
    *dx = adds ? *dx + sum : sum;
  }
}

template <class T>
void binary(BinaryOp op, const T* a, Index a_step, const T* b, Index b_step, T* y, Index n) {
  switch (op) {
#define BINARY(name, formula, slope_a, slope_b) \
  case BinaryOp::name:                          \
    return binary_loop<Binary_##name>(a, a_step, b, b_step, y, n);
#include <gradus/core/kernels/binary.def>
#undef BINARY
  }
}

template <class T>
void binary_grad(BinaryOp op, bool first, T* dx, bool adds, const T* dy, const T* a, Index a_step, const T* b,
                 Index b_step, const T* y, Index n) {
  switch (op) {
#define BINARY(name, formula, slope_a, slope_b)                                                    \
  case BinaryOp::name:                                                                             \
    return first ? binary_grad_loop<Binary_##name, true>(dx, adds, dy, a, a_step, b, b_step, y, n) \
                 : binary_grad_loop<Binary_##name, false>(dx, adds, dy, a, a_step, b, b_step, y, n);
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

template <class T>
void add(T* y, const T* x, Index n) {
  each_vector<T>(n, [&](Index i, Index m) { add_to(y + i, get(x + i, m), m); });
}

template <class T>
void add_scalar(T* y, T x, Index n) {
  each_vector<T>(n, [&](Index i, Index m) { add_to(y + i, Vec<T>(x), m); });
}

template <class T>
void scale(T* x, T factor, Index n) {
  each_vector<T>(n, [&](Index i, Index m) { put(x + i, get(x + i, m) * Vec<T>(factor), m); });
}

// A random number for a position: the finalizer of MurmurHash3 (Appleby 2011), twice, so that both halves of the seed
// stir it. A function of the position, so it needs no order, no storage, and vectorizes.
GRADUS_INLINE std::uint32_t hash(std::uint32_t x) {
  x = (x ^ x >> 16) * 0x85ebca6bU;
  x = (x ^ x >> 13) * 0xc2b2ae35U;
  return x ^ x >> 16;
}

template <class T>
void dropout(T* y, const T* x, Index n, Index first, std::uint64_t seed, std::uint32_t threshold, T keep, bool adds) {
  const auto low = static_cast<std::uint32_t>(seed), high = static_cast<std::uint32_t>(seed >> 32);
  with_constant(adds, [&](auto adding) {
    for (Index i = 0; i < n; ++i) {
      const std::uint32_t number = hash(hash(static_cast<std::uint32_t>(first + i) + low) ^ high) >> 8;
      const T value = number >= threshold ? x[i] * keep : T(0);
      if constexpr (adding) {
        y[i] += value;
      } else {
        y[i] = value;
      }
    }
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
