// The exponential in f32, which softmax, attention, cross entropy and the smooth activations wait for: xsimd's is not
// inlined by gcc 12, and gelu took 1.6 times as long with it. Largest error 1.01 ulp, against f64 over every float,
// with AVX2; tests/core/op_edges_test.cpp looks at every 4,099th with each instruction set.
#pragma once

#include <gradus/core/kernels/simd.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

GRADUS_INLINE Vec<double> exponential(Vec<double> x) {
  return xsimd::exp(x);
}

// exp(x) = 2^n exp(r), |r| <= ln 2 / 2; the polynomial is that of expf in Cephes (Moshier 1992). 2^n is multiplied in
// two halves, so that results that are subnormal, or infinite, come out as such.
GRADUS_INLINE Vec<float> exponential(Vec<float> unbounded) {
  using V = Vec<float>;
  const V x = xsimd::min(V(89), xsimd::max(V(-104), unbounded));  // in this order a NaN stays one
  constexpr float to_integer = 0x1.8p23F;                         // adding it leaves no digits after the point
  const V n = fma(x, V(1.44269504088896341F), V(to_integer)) - V(to_integer);
  const V r = fma(n, V(2.12194440e-4F), fma(n, V(-0.693359375F), x));
  V p = fma(V(1.9875691500e-4F), r, V(1.3981999507e-3F));
  p = fma(p, r, V(8.3334519073e-3F));
  p = fma(p, r, V(4.1665795894e-2F));
  p = fma(p, r, V(1.6666665459e-1F));
  p = fma(p, r, V(5.0000001201e-1F));
  const V y = fma(p, r * r, r) + V(1);
  const auto exponent = xsimd::to_int(n), half = exponent >> 1;
  return xsimd::ldexp(xsimd::ldexp(y, half), exponent - half);
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
