// a^b as C has it (C11, F.10.4.4), to a few ulp: the logarithm and its product with b are kept in two numbers each,
// since an error in them counts up to 1,075 times in the result. xsimd's pow is exp(b log(a)), off by 90 ulp in f32.
#pragma once

#include <limits>

#include <gradus/core/kernels/math.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// A number stored as high + low: low is the rounding error of high.
template <class T>
struct Exact {
  Vec<T> high, low;
};

/// a + b where |a| >= |b| or a is 0 (Dekker 1971).
template <class T>
GRADUS_INLINE Exact<T> exact_sum(Vec<T> a, Vec<T> b) {
  const Vec<T> sum = a + b;
  return {sum, b - (sum - a)};
}

// a b - product, the rounding error of the product. A fused multiplication gives it at once (xsimd 8.1 has none for
// AVX-512, nor for floats on NEON). Without one, a and b are split into halves of their digits, whose products are
// exact (Dekker 1971).
template <class T>
GRADUS_INLINE Vec<T> error_of_product(Vec<T> a, Vec<T> b, Vec<T> product) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return _mm512_fmsub_ps(a, b, product);
  if constexpr (std::is_same_v<T, double>) return _mm512_fmsub_pd(a, b, product);
#elif defined(__FMA__)
  return xsimd::fms(a, b, product);
#elif XSIMD_WITH_NEON64
  if constexpr (std::is_same_v<T, float>) return vfmaq_f32(-product, a, b);
  if constexpr (std::is_same_v<T, double>) return vfmaq_f64(-product, a, b);
#else
  const auto half = [](Vec<T> x) GRADUS_INLINED {
    const Vec<T> scaled = x * Vec<T>(std::is_same_v<T, float> ? T(0x1p12 + 1) : T(0x1p27 + 1));
    return scaled - (scaled - x);
  };
  const Vec<T> a0 = half(a), b0 = half(b), a1 = a - a0, b1 = b - b0;
  return ((a0 * b0 - product) + a0 * b1 + a1 * b0) + a1 * b1;
#endif
}

/// a b
template <class T>
GRADUS_INLINE Exact<T> exact_product(Vec<T> a, Vec<T> b) {
  const Vec<T> product = rounded(a * b);
  return {product, error_of_product<T>(a, b, product)};
}

// ((2 atanh(s) / s - 2) / z - 2/3) / z with z = s^2 up to 0.0298: relative errors 2e-8 and 7e-17.
GRADUS_INLINE Vec<float> atanh_polynomial(Vec<float> z) {
  using V = Vec<float>;
  return multiply_add(multiply_add(multiply_add(V(0.191300839F), z, V(0.222044066F)), z, V(0.285715342F)), z,
                      V(0.400000006F));
}
GRADUS_INLINE Vec<double> atanh_polynomial(Vec<double> z) {
  using V = Vec<double>;
  constexpr double c[] = {0.11735818855512968, 0.11705021567538627, 0.13334850282547114, 0.15384594120126369,
                          0.18181818343316125, 0.2222222222162076,  0.28571428571429425, 0.40000000000000002};
  V sum(c[0]);
  for (int i = 1; i < 8; ++i) sum = multiply_add(sum, z, V(c[i]));
  return sum;
}

// log(a) for finite a > 0: a = 2^k m with m from sqrt(1/2) to sqrt(2), and log(m) = 2 atanh((m - 1) / (m + 1)).
template <class T>
GRADUS_INLINE Exact<T> exact_logarithm(Vec<T> a) {
  using V = Vec<T>;
  using F = Format<T>;
  using Bits = typename F::Bits;
  constexpr Bits one = Bits{F::bias} << F::digits, root_half = __builtin_bit_cast(Bits, T(0.70710678118654752440));
  constexpr Bits below_point = (Bits{1} << F::digits) - 1;
  constexpr T integers = T(Bits{1} << F::digits);  // k's bits in its low digits make integers + k

  const auto subnormal = a < V(__builtin_bit_cast(T, Bits{1} << F::digits));
  const BitsOf<T> bits = bits_of<T>(xsimd::select(subnormal, a * V(integers * 4), a)) + BitsOf<T>(one - root_half);
  const BitsOf<T> exponent = (bits >> F::digits) | BitsOf<T>(__builtin_bit_cast(Bits, integers));
  const V k =
      __builtin_bit_cast(V, exponent) - (V(integers + F::bias) + xsimd::select(subnormal, V(F::digits + 2), V(0)));
  const V m = __builtin_bit_cast(V, (bits & BitsOf<T>(below_point)) + BitsOf<T>(root_half)), f = m - V(1);

  const Exact<T> divisor = exact_sum(V(2), f);
  const V s = quotient(f, divisor.high);
  const Exact<T> back = exact_product(s, divisor.high);
  const V s_low = quotient(((f - back.high) - back.low) - s * divisor.low, divisor.high);

  const Exact<T> z = exact_product(s, s);
  constexpr T two_thirds_rest =
      std::is_same_v<T, float> ? T(-1.98682151e-8) : T(3.7007434154171883e-17);  // 2/3 - T(2) / T(3)
  Exact<T> v = exact_sum(V(T(2) / T(3)), z.high * atanh_polynomial(z.high));     // 2 atanh(s) = 2 s + s z v
  v.low = v.low + V(two_thirds_rest);
  const Exact<T> zv = exact_product(z.high, v.high);
  const V zv_low = zv.low + (z.high * v.low + (z.low + V(2) * s * s_low) * v.high);
  const Exact<T> szv = exact_product(zv.high, s);
  const V szv_low = szv.low + (zv.high * s_low + zv_low * s);

  const Exact<T> log_m = exact_sum(V(2) * s, szv.high);
  const Exact<T> sum = exact_sum(k * V(F::ln2), log_m.high);
  return exact_sum(sum.high, sum.low + (log_m.low + (V(2) * s_low + szv_low) + k * V(F::ln2_rest)));
}

// a^b for a > 0, finite; b is not NaN.
template <class T>
GRADUS_INLINE Vec<T> power_of_positive(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  constexpr T most = std::is_same_v<T, float> ? T(0x1p40) : T(0x1p72);  // already then the result is 0, 1 or infinite
  const V bounded = xsimd::min(V(most), xsimd::max(V(-most), b));
  const Exact<T> log_a = exact_logarithm<T>(a), product = exact_product(log_a.high, bounded);
  const V low = product.low + log_a.low * bounded;
  const auto ordinary = xsimd::abs(product.high) < V(T(1000));  // the low part counts
  return exponential<T>(product.high, xsimd::select(ordinary, low, V(0)));
}

template <class V>
GRADUS_INLINE auto is_whole(V x) {  // x >= 0
  using T = typename V::value_type;
  constexpr T no_digits = T(1) / std::numeric_limits<T>::epsilon();  // from here on every number is whole
  return x >= V(no_digits) || (x + V(no_digits)) - V(no_digits) == x;
}

// Exponents 1 to 4, their negatives and +-1/2 are computed by products, quotients and roots: exact to an ulp or two,
// where exp(b log(a)) gives 1000.0001 for 10^3 in f32.
template <class V>
GRADUS_INLINE V power(V a, V b) {
  using T = typename V::value_type;
  constexpr T least = std::numeric_limits<T>::min(), infinity = std::numeric_limits<T>::infinity(),
              nan = std::numeric_limits<T>::quiet_NaN();
  const V n = xsimd::abs(b), size = xsimd::abs(a), square = a * a;
  const V positive = xsimd::select(
      n == V(1), a,
      xsimd::select(n == V(2), square,
                    xsimd::select(n == V(3), square * a, xsimd::select(n == V(4), square * square, root(a)))));
  const V easy = xsimd::select(b < V(0), quotient(V(1), positive), positive);
  // 1 / a^n has lost digits, or everything, where a^n is no normal number; roots of -0 and -inf are not C's.
  const auto is_normal = xsimd::abs(positive) >= V(least) && xsimd::abs(positive) < V(infinity);
  const auto is_easy = ((n == V(1) || n == V(2) || n == V(3) || n == V(4)) && (b > V(0) || is_normal)) ||
                       (n == V(T(0.5)) && a > V(0) && is_normal);
  if (xsimd::all(is_easy)) return easy;

  const auto grows = (size > V(1) && b > V(0)) || (size < V(1) && b < V(0));
  const V limit = xsimd::select(grows, V(infinity), V(0));
  V y = xsimd::select(size == V(0) || size == V(infinity), limit, power_of_positive<T>(size, b));
  const auto is_odd = is_whole(n) && !is_whole(n * V(T(0.5)));
  y = y ^ xsimd::select(is_odd, xsimd::bitofsign(a), V(0));
  const auto has_no_value = a < V(0) && size < V(infinity) && !is_whole(n);
  const auto comparable = a == a && b == b && !has_no_value;
  y = xsimd::select(comparable, y, V(nan));
  y = xsimd::select(b == V(0) || a == V(1), V(1), y);
  return xsimd::select(is_easy, easy, y);
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
