// Numbers of 16 bits as files have them: IEEE 754's half precision (F16: 1 + 5 + 10 bits) and bfloat16 (BF16: the upper
// half of an f32). A float holds each exactly; the way back rounds to the nearest, ties to even.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace gradus::nn::detail {

inline constexpr std::uint32_t f32_infinity = 0x7f800000;

inline float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits >> 15) << 31;
  const std::uint32_t exponent = bits >> 10 & 0x1fU, fraction = bits & 0x3ffU;
  if (exponent == 0) {
    const float value = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
  }
  return std::bit_cast<float>(sign | (exponent == 0x1f ? 0xffU : exponent + 112) << 23 | fraction << 13);
}

/// Infinite from 65520 on.
inline std::uint16_t float_to_half(float value) {
  constexpr std::uint32_t infinity = 0x7c00, overflows = 0x477ff000 /* 65520 */, subnormal = 0x38800000 /* 2^-14 */;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000U, magnitude = bits & 0x7fffffffU;
  std::uint32_t half = infinity;
  if (magnitude > f32_infinity) {
    half |= std::max(magnitude >> 13 & 0x3ffU, 1U);  // a NaN stays one
  } else if (magnitude < subnormal) {
    half = static_cast<std::uint32_t>(std::lrint(std::bit_cast<float>(magnitude) * 0x1p24F));
  } else if (magnitude < overflows) {
    half = (magnitude - (112U << 23) + 0xfffU + (magnitude >> 13 & 1U)) >> 13;
  }
  return static_cast<std::uint16_t>(sign | half);
}

inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

inline std::uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > f32_infinity) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);  // a NaN stays one
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace gradus::nn::detail
