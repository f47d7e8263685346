// Mixes bits for hash tables.
#pragma once

#include <bit>
#include <cstdint>

namespace gradus::models::detail {

constexpr std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t factor = 0x9E3779B97F4A7C15;  // 2^64 divided by the golden ratio
  a = (a ^ std::rotl(b, 32)) * factor;
  a ^= a >> 32;
  return (a ^ b) * factor;
}

}  // namespace gradus::models::detail
