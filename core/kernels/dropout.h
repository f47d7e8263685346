// dropout: which elements stay is a function of the seed and of their place.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// A random number for a position: the finalizer of MurmurHash3 (Appleby 2011), twice, so that both halves of the seed
// stir it. A function of the position, so it needs no order, no storage, and vectorizes.
GRADUS_INLINE std::uint32_t hash(std::uint32_t x) {
  x = (x ^ x >> 16) * 0x85ebca6bU;
  x = (x ^ x >> 13) * 0xc2b2ae35U;
  return x ^ x >> 16;
}

template <class T>
void dropout(Dropout<T> in) {
  const auto low = static_cast<std::uint32_t>(in.seed), high = static_cast<std::uint32_t>(in.seed >> 32);
  with_constant(in.adds, [&](auto adding) {
    for (Index i = 0; i < in.n; ++i) {
      const std::uint32_t number = hash(hash(static_cast<std::uint32_t>(in.first + i) + low) ^ high) >> 8;
      const T value = number >= in.threshold ? in.x[i] * in.keep : T(0);
      if constexpr (adding) {
        in.y[i] += value;
      } else {
        in.y[i] = value;
      }
    }
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
