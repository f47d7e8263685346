// The exponential and the logarithm that the ops are made of, and the tail of the normal distribution, which gelu
// needs. xsimd has exponentials too, but gcc 12 does not inline its f32 one (gelu took 1.6 times as long with it), and
// its f64 one underflows and overflows too early. Largest errors: 1.02 ulp in f32, over every float with AVX2, and 0.9
// in f64; tests/core/ops/op_edges_test.cpp looks at every 4,099th float and tests/core/ops/special_values_test.cpp at
// f64.
#pragma once

#include <array>

#include <gradus/core/kernels/simd.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// What the exponentials need to know of a type.
template <class T>
struct Format;
template <>
struct Format<float> {
  using Bits = std::uint32_t;
  static constexpr int digits = 23, bias = 127;  // after the point; of the exponent
  static constexpr float to_integer = 0x1.8p23F;
  static constexpr float least = -104, most = 89;                         // e^x is 0 below and infinite above
  static constexpr float ln2 = 0.693359375F, ln2_rest = -2.12194440e-4F;  // n ln2 has no rounding error
};
template <>
struct Format<double> {
  using Bits = std::uint64_t;
  static constexpr int digits = 52, bias = 1023;
  static constexpr double to_integer = 0x1.8p52;
  static constexpr double least = -746, most = 710;
  static constexpr double ln2 = 0x1.62e42feep-1, ln2_rest = 0x1.a39ef35793c76p-33;
};

template <class T>
using BitsOf = Vec<typename Format<T>::Bits>;

template <class T>
GRADUS_INLINE BitsOf<T> bits_of(Vec<T> x) {
  return __builtin_bit_cast(BitsOf<T>, x);
}

/// 2^n. The lowest bits of the argument, one more than an exponent has, hold n + bias.
template <class T>
GRADUS_INLINE Vec<T> from_exponent(BitsOf<T> n) {
  return __builtin_bit_cast(Vec<T>, n << Format<T>::digits);
}

// (e^rest - 1 - rest) / rest^2 for |rest| <= ln 2 / 2, summed in pairs so that the multiplications do not wait for one
// another. Relative errors of e^rest: 3.1e-9 (minimax polynomial of degree 4, by Remez's algorithm) and 1.6e-17.
GRADUS_INLINE Vec<float> exponential_polynomial(Vec<float> r, Vec<float> square) {
  using V = Vec<float>;
  const V low = multiply_add(V(1.6666520690e-1F), r, V(4.9999993452e-1F));
  const V high = multiply_add(V(1.3814613261e-3F), square, multiply_add(V(8.3687098242e-3F), r, V(4.1668387361e-2F)));
  return multiply_add(square, high, low);
}
GRADUS_INLINE Vec<double> exponential_polynomial(Vec<double> r, Vec<double> square) {
  using V = Vec<double>;
  const V fourth = square * square;
  const V p0 = multiply_add(V(0.16666666666666669), r, V(0.50000000000000011)),
          p1 = multiply_add(V(0.008333333333330039), r, V(0.041666666666623824)),
          p2 = multiply_add(V(0.00019841269863171557), r, V(0.0013888888917367081)),
          p3 = multiply_add(V(2.7557268276905696e-6), r, V(2.4801521057868204e-5)),
          p4 = multiply_add(V(2.5100472505694996e-8), r, V(2.7620201591031547e-7));
  return multiply_add(multiply_add(p4, fourth, multiply_add(p3, square, p2)), fourth, multiply_add(p1, square, p0));
}

// e^rest - 1 for |rest| <= ln 2 / 2.
template <class T>
GRADUS_INLINE Vec<T> exponential_of_rest_minus_1(Vec<T> rest) {
  const Vec<T> square = rest * rest;
  return multiply_add(square, exponential_polynomial(rest, square), rest);
}

// e^x = 2^n (e_to_rest_minus_1 + 1).
template <class T>
struct PowerOfTwo {
  Vec<T> e_to_rest_minus_1;
  BitsOf<T> n;  // plus the offset, in the low bits
};

// e^(x + more) for least <= x <= most; `more` is what x was rounded by. Adding 1.5 2^digits rounds to an integer and
// leaves it in the low bits.
template <class T, class... More>
GRADUS_INLINE PowerOfTwo<T> power_of_two(Vec<T> x, T offset, More... more) {
  using V = Vec<T>;
  using F = Format<T>;
  const V to_integer(F::to_integer + offset);
  const V shifted = multiply_add(x, V(T(1.44269504088896340736)), to_integer), n = shifted - to_integer;
  const V rest = (multiply_add(n, V(-F::ln2_rest), multiply_add(n, V(-F::ln2), x)) + ... + more);
  return {exponential_of_rest_minus_1<T>(rest), bits_of<T>(shifted)};
}

// 2^n y for n + 2 bias in the low bits. 2^n is multiplied in two halves, so that results that are subnormal, or
// infinite, come out as such.
template <class T>
GRADUS_INLINE Vec<T> times_power_of_two(Vec<T> y, BitsOf<T> n) {
  const BitsOf<T> half = n >> 1;
  return y * from_exponent<T>(half) * from_exponent<T>(n - half);
}

// x within the range where the exponential is neither 0 nor infinite; a NaN stays one in this order.
template <class T>
GRADUS_INLINE Vec<T> in_range(Vec<T> x) {
  return xsimd::min(Vec<T>(Format<T>::most), xsimd::max(Vec<T>(Format<T>::least), x));
}

/// exp(x + more)
template <class T, class... More>
GRADUS_INLINE Vec<T> exponential(Vec<T> x, More... more) {
  const PowerOfTwo<T> p = power_of_two<T>(in_range<T>(x), 2 * Format<T>::bias, more...);
  return times_power_of_two<T>(p.e_to_rest_minus_1 + Vec<T>(1), p.n);
}

/// exp(x + more) for x <= 0, in fewer steps. (It is right up to x = 44 in f32 and 354 in f64.)
template <class T, class... More>
GRADUS_INLINE Vec<T> exponential_of_negative(Vec<T> unbounded, More... more) {
  constexpr T offset = std::is_same_v<T, float> ? 64 : 512, back = std::is_same_v<T, float> ? T(0x1p-64) : T(0x1p-512);
  const PowerOfTwo<T> p =
      power_of_two<T>(xsimd::max(Vec<T>(Format<T>::least), unbounded), Format<T>::bias + offset, more...);
  return (p.e_to_rest_minus_1 + Vec<T>(1)) * from_exponent<T>(p.n) * Vec<T>(back);
}

/// 2^x. The rest of x is exact, so that one product is rounded before the polynomial.
template <class T>
GRADUS_INLINE Vec<T> exponential_2(Vec<T> unbounded) {
  using V = Vec<T>;
  using F = Format<T>;
  const V x = xsimd::min(V(T(F::bias + 2)), xsimd::max(V(T(-F::bias - F::digits - 1)), unbounded));
  const V to_integer(F::to_integer + T(2 * F::bias)), shifted = x + to_integer;
  const V rest = (x - (shifted - to_integer)) * V(T(0.69314718055994530942));
  return times_power_of_two<T>(exponential_of_rest_minus_1<T>(rest) + V(1), bits_of<T>(shifted));
}

/// e^x - 1 = 2^n (e^rest - 1) + (2^n - 1), halved on the way so that 2^n does not overflow before the result does.
template <class T>
GRADUS_INLINE Vec<T> exponential_minus_1(Vec<T> x) {
  using V = Vec<T>;
  const V bounded = xsimd::min(V(Format<T>::most), xsimd::max(V(T(-50)), x));  // e^-50 is negligible beside 1
  const PowerOfTwo<T> p = power_of_two<T>(bounded, Format<T>::bias - 1);
  const V scale = from_exponent<T>(p.n);  // 2^(n - 1)
  const V half = multiply_add(scale, p.e_to_rest_minus_1, scale - V(T(0.5)));
  return xsimd::select(x == V(0), x, half + half);
}

/// log(x). xsimd 8.1 is off by up to 37 for subnormal doubles: it reads the exponent before it scales them.
GRADUS_INLINE Vec<float> logarithm(Vec<float> x) {
  return xsimd::log(x);
}
GRADUS_INLINE Vec<double> logarithm(Vec<double> x) {
  using V = Vec<double>;
  const auto subnormal = x < V(0x1p-1022);
  const V y = xsimd::log(xsimd::select(subnormal, x * V(0x1p54), x));
  return y - xsimd::select(subnormal, V(37.429947750237047), V(0));  // 54 ln 2
}

/// log2(x), likewise.
GRADUS_INLINE Vec<float> base_2_logarithm(Vec<float> x) {
  return xsimd::log2(x);
}
GRADUS_INLINE Vec<double> base_2_logarithm(Vec<double> x) {
  using V = Vec<double>;
  const auto subnormal = x < V(0x1p-1022);
  return xsimd::log2(xsimd::select(subnormal, x * V(0x1p54), x)) - xsimd::select(subnormal, V(54), V(0));
}

// e^(a^2 / 2) Phi(-a) for a >= 0 as P((a - k) / (a + k)) / (a + k), where P is smooth: relative errors 2e-8 and 6e-17
// (polynomials through Chebyshev's points, for a up to 15 and 40).
GRADUS_INLINE Vec<float> scaled_tail(Vec<float> a) {
  using V = Vec<float>;
  const V inverse = quotient(V(1), a + V(4)), t = (a - V(4)) * inverse, square = t * t;
  const V even = multiply_add(
      multiply_add(multiply_add(multiply_add(V(0.000188996519F), square, V(-0.00352097282F)), square, V(0.0604061855F)),
                   square, V(0.387136683F)),
      square, V(0.755285139F));
  const V odd = multiply_add(multiply_add(multiply_add(multiply_add(V(-0.000125558386F), square, V(0.00156688169F)),
                                                       square, V(-0.00752540242F)),
                                          square, V(-0.186523307F)),
                             square, V(-0.607896594F));
  return multiply_add(odd, t, even) * inverse;
}
GRADUS_INLINE Vec<double> scaled_tail(Vec<double> a) {
  using V = Vec<double>;
  constexpr double even[] = {-1.8073212078146043e-10, 7.6672361072026533e-9,   -6.5848868400797397e-8,
                             4.3298370374156094e-7,   -2.7691457822822779e-6,  1.6681160364586645e-5,
                             -5.9375713816471312e-5,  -0.00079786940073924879, 0.02079506680009146,
                             0.16502036617037503,     0.49530561596997659,     0.76919304975006296};
  constexpr double odd[] = {1.6891057665153781e-9,  -9.1445020812891739e-9, 4.2091833338869146e-8,
                            -3.3651220434990695e-7, 3.9808712856669725e-6,  -4.9762810377903035e-5,
                            0.00054489906503732301, -0.0029933767706492681, -0.06911863870629468,
                            -0.31353315667130517,   -0.66538250289005669};
  const V inverse = quotient(V(1), a + V(5)), t = (a - V(5)) * inverse, square = t * t;
  V sum_even(even[0]), sum_odd(odd[0]);
  for (int i = 1; i < 12; ++i) sum_even = multiply_add(sum_even, square, V(even[i]));
  for (int i = 1; i < 11; ++i) sum_odd = multiply_add(sum_odd, square, V(odd[i]));
  return multiply_add(sum_odd, t, sum_even) * inverse;
}

/// e^(-x^2 / 2) and Phi(-|x|), both to a few ulp of themselves however small they are; |x| <= 15 in f32, 40 in f64.
template <class T>
struct NormalTail {
  Vec<T> density, tail;  // the density without 1 / sqrt(2 pi)
};
template <class T>
GRADUS_INLINE NormalTail<T> normal_tail(Vec<T> x) {
  using V = Vec<T>;
  using Bits = typename Format<T>::Bits;
  // x^2 has twice the digits of x: the square of x's upper half is exact, and the rest is given apart.
  const V a = xsimd::abs(x);
  const V upper = __builtin_bit_cast(V, bits_of<T>(a) & BitsOf<T>(~Bits{0} << (Format<T>::digits / 2 + 1)));
  const V half = V(T(-0.5));
  const V density = exponential_of_negative(half * (upper * upper), half * ((a - upper) * (a + upper)));
  return {density, density * scaled_tail(a)};
}

/// The error function: up to 1/2 by its series, 2 / sqrt(pi) times the sum of (-1)^k x^(2 k + 1) / (k! (2 k + 1)),
/// above by the tail of the normal distribution. xsimd 8.1's is off by 15 roundings in f64.
template <class T>
GRADUS_INLINE Vec<T> error_function(Vec<T> x) {
  using V = Vec<T>;
  constexpr int terms = std::is_same_v<T, float> ? 8 : 14;
  constexpr auto series = [] {
    std::array<double, terms> all{};
    double factor = 1.12837916709551257390;  // 2 / sqrt(pi)
    for (int k = 0; k < terms; factor /= -(++k)) all[static_cast<std::size_t>(k)] = factor / (2 * k + 1);
    return all;
  }();
  const V a = xsimd::abs(x), square = xsimd::min(V(T(0.25)), x * x);
  V sum(static_cast<T>(series[terms - 1]));
  for (int k = terms - 2; k >= 0; --k) {
    sum = multiply_add(sum, square, V(static_cast<T>(series[static_cast<std::size_t>(k)])));
  }
  const V bounded = xsimd::min(V(T(8)), a);  // 1 to the last digit
  const V above = V(1) - V(2) * normal_tail<T>(bounded * V(T(1.41421356237309504880))).tail;
  return xsimd::select(x == x, xsimd::select(a <= V(T(0.5)), x * sum, xsimd::select(x < V(0), -above, above)), x);
}

/// 1 + 2^t for t <= 190, within 1.2 ulp, and infinite where that is past the largest number; a NaN need not stay one.
/// 2^rest = 1 + rest p(rest), where p is the polynomial of degree 5 with the least relative error, 7.5e-9, among those
/// that begin with float's ln 2.
GRADUS_INLINE Vec<float> one_plus_exp2(Vec<float> unbounded) {
  using V = Vec<float>;
  using Bits = Vec<std::int32_t>;
  const V t = xsimd::max(V(-62), unbounded);  // less is negligible beside 1
  const V to_integer(0x1.8p23F - 64), shifted = t + to_integer;
  const V r = t - (shifted - to_integer), square = r * r;
  const V low = multiply_add(V(2.4022650377e-1F), r, V(6.9314718246e-1F)),
          middle = multiply_add(V(9.6181509671e-3F), r, V(5.5503670868e-2F)),
          high = multiply_add(V(1.5429504408e-4F), r, V(1.3387403466e-3F));
  const V two_to_r = multiply_add(r, multiply_add(square, multiply_add(square, high, middle), low), V(1));
  const Bits scaled = __builtin_bit_cast(Bits, two_to_r) + (__builtin_bit_cast(Bits, shifted) << 23);  // 2^(t - 64)
  return multiply_add(__builtin_bit_cast(V, scaled), V(0x1p64F), V(1));
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
