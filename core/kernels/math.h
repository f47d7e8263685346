// The exponential in f32, which softmax, attention, cross entropy and the smooth activations wait for: xsimd's is not
// inlined by gcc 12, and gelu took 1.6 times as long with it. Largest error 1.02 ulp, against f64 over every float,
// with AVX2; tests/core/op_edges_test.cpp looks at every 4,099th with each instruction set.
#pragma once

#include <gradus/core/kernels/simd.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// e^x = 2^n e^rest with |rest| <= ln 2 / 2.
struct PowerOfTwo {
  Vec<float> e_to_rest;
  Vec<std::int32_t> n;  // plus the offset, in the low 9 bits
};

// For -104 <= x <= 89. A float of 2^23 or more has no digits after the point and an integer in its low bits, so adding
// 1.5 2^23 rounds. e^rest = 1 + rest + rest^2 q(rest), where q is the polynomial of degree 4 with the least relative
// error, 3.1e-9 (found by Remez's exchange), summed in pairs so that the multiplications do not wait for one another.
GRADUS_INLINE PowerOfTwo power_of_two(Vec<float> x, float offset) {
  using V = Vec<float>;
  const V to_integer(0x1.8p23F + offset);
  const V shifted = fma(x, V(1.44269504088896341F), to_integer), n = shifted - to_integer;
  const V r = fma(n, V(2.12194440e-4F), fma(n, V(-0.693359375F), x)), square = r * r;  // ln 2 in two parts
  const V low = fma(V(1.6666520690e-1F), r, V(4.9999993452e-1F));
  const V high = fma(V(1.3814613261e-3F), square, fma(V(8.3687098242e-3F), r, V(4.1668387361e-2F)));
  return {fma(square, fma(square, high, low), r) + V(1), __builtin_bit_cast(Vec<std::int32_t>, shifted)};
}

/// exp(x). 2^n is multiplied in two halves, so that results that are subnormal, or infinite, come out as such.
GRADUS_INLINE Vec<float> exponential(Vec<float> unbounded) {
  using V = Vec<float>;
  const V x = xsimd::min(V(89), xsimd::max(V(-104), unbounded));  // in this order a NaN stays one
  constexpr float bias = 127;                                     // of a float's exponent
  const PowerOfTwo p = power_of_two(x, 2 * bias);
  const auto half = p.n >> 1;
  return p.e_to_rest * __builtin_bit_cast(V, half << 23) * __builtin_bit_cast(V, (p.n - half) << 23);
}

/// exp(x) for x <= 0, in fewer steps. (It is right up to 44.)
GRADUS_INLINE Vec<float> exponential_of_negative(Vec<float> unbounded) {
  using V = Vec<float>;
  const PowerOfTwo p = power_of_two(xsimd::max(V(-104), unbounded), 127 + 64);
  return p.e_to_rest * __builtin_bit_cast(V, p.n << 23) * V(0x1p-64F);
}

/// 1 + 2^t for t <= 190, within 1.2 ulp, and infinite where that is past the largest number; a NaN need not stay one.
/// 2^rest = 1 + rest p(rest), where p is the polynomial of degree 5 with the least relative error, 7.5e-9, among those
/// that begin with float's ln 2.
GRADUS_INLINE Vec<float> one_plus_exp2(Vec<float> unbounded) {
  using V = Vec<float>;
  using Bits = Vec<std::int32_t>;
  const V t = xsimd::max(V(-62), unbounded);  // less does not show beside 1
  const V to_integer(0x1.8p23F - 64), shifted = t + to_integer;
  const V r = t - (shifted - to_integer), square = r * r;
  const V low = fma(V(2.4022650377e-1F), r, V(6.9314718246e-1F)),
          middle = fma(V(9.6181509671e-3F), r, V(5.5503670868e-2F)),
          high = fma(V(1.5429504408e-4F), r, V(1.3387403466e-3F));
  const V two_to_r = fma(r, fma(square, fma(square, high, middle), low), V(1));
  const Bits scaled = __builtin_bit_cast(Bits, two_to_r) + (__builtin_bit_cast(Bits, shifted) << 23);  // 2^(t - 64)
  return fma(__builtin_bit_cast(V, scaled), V(0x1p64F), V(1));
}

GRADUS_INLINE Vec<double> one_plus_exp2(Vec<double> t) {
  return Vec<double>(1) + xsimd::exp2(t);
}

GRADUS_INLINE Vec<double> exponential(Vec<double> x) {
  return xsimd::exp(x);
}

GRADUS_INLINE Vec<double> exponential_of_negative(Vec<double> x) {
  return xsimd::exp(x);
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
