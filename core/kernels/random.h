// Normal numbers from uniform ones (Box & Muller 1958), with PyTorch's rounding: one rounding where PyTorch's AVX2 code
// multiplies and adds in one instruction, two elsewhere. Plain loops of eight, which compilers vectorize.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// a * b + c in one rounding, even on processors without an instruction for it, so that a seed gives the same numbers on
// all processors.
GRADUS_INLINE float fused(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
GRADUS_INLINE double fused(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}

template <class T>
struct Polar {
  T sin, cos;
};

// PyTorch's f32 logarithm, sine and cosine are those of Cephes (Moshier 1992). With the system's functions every third
// number would differ in its last bit.
GRADUS_INLINE float log_of(float u) {  // u in (0, 1]
  const auto bits = __builtin_bit_cast(std::uint32_t, u);
  const float half = __builtin_bit_cast(float, (bits & 0x007fffffU) | 0x3f000000U);  // 0.5 .. 1
  const bool small = half < 0.707106781F;
  const auto exponent = static_cast<float>(static_cast<int>(bits >> 23) - (small ? 127 : 126));
  const float x = (half - 1) + (small ? half : 0);
  float y = fused(7.0376836292e-2F, x, -1.1514610310e-1F);
  y = fused(y, x, 1.1676998740e-1F);
  y = fused(y, x, -1.2420140846e-1F);
  y = fused(y, x, 1.4249322787e-1F);
  y = fused(y, x, -1.6668057665e-1F);
  y = fused(y, x, 2.0000714765e-1F);
  y = fused(y, x, -2.4999993993e-1F);
  y = fused(y, x, 3.3333331174e-1F);
  y = fused(y * x, x * x, exponent * -2.12194440e-4F) - 0.5F * (x * x);
  return fused(exponent, 0.693359375F, x + y);  // log 2 in two parts
}

GRADUS_INLINE Polar<float> polar(float angle) {  // 0 .. 2 pi
  const int octant = (static_cast<int>(angle * 1.27323954473516F) + 1) & ~1;
  const auto steps = static_cast<float>(octant);
  float x = fused(steps, -0.78515625F, angle);  // pi / 4 in three parts
  x = fused(steps, -2.4187564849853515625e-4F, x);
  x = fused(steps, -3.77489497744594108e-8F, x);
  const float z = x * x;
  float c = fused(2.443315711809948e-5F, z, -1.388731625493765e-3F);
  c = fused(c, z, 4.166664568298827e-2F);
  c = fused(c * z, z, -0.5F * z) + 1;
  float s = fused(-1.9515295891e-4F, z, 8.3321608736e-3F);
  s = fused(s, z, -1.6666654611e-1F);
  s = fused(s * z, x, x);
  const bool swapped = (octant & 2) != 0;
  const float sin = swapped ? c : s, cos = swapped ? s : c;
  return {(octant & 4) != 0 ? -sin : sin, ((octant - 2) & 4) != 0 ? cos : -cos};
}

GRADUS_INLINE double log_of(double u) {
  return __builtin_log(u);
}
GRADUS_INLINE Polar<double> polar(double angle) {
  return {__builtin_sin(angle), __builtin_cos(angle)};
}

template <class T>
void normal(T* x, Index groups, T mean, T std) {
  constexpr Index half = 8;
  constexpr T turn = static_cast<T>(6.28318530717958647692);
  for (; groups > 0; --groups, x += 2 * half) {
    T radius[half];
    for (Index i = 0; i < half; ++i) radius[i] = -2 * log_of(1 - x[i]);
    for (Index i = 0; i < half; ++i) radius[i] = static_cast<T>(__builtin_sqrt(radius[i]));
    for (Index i = 0; i < half; ++i) {
      const Polar<T> p = polar(turn * x[i + half]);
      x[i] = fused(radius[i] * p.cos, std, mean);
      x[i + half] = fused(radius[i] * p.sin, std, mean);
    }
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
