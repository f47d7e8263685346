// What generation needs beside the differentiable ops: attention of new tokens over keys and values that are kept, so
// that a token costs one pass over the weights instead of one over the whole context.
#pragma once

#include <span>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

/// The keys and values of one sequence in one layer: (H, capacity, D) each, of which `length` tokens are there. Starts
/// undefined; cached_attention() makes it, and grows it twofold as needed.
struct KeyValues {
  Tensor keys, values;
  Index length = 0;
};

/// packed_attention(.., {.causal = true}) for sequences that go on: rows of qkv are new tokens, lengths[i] of the i-th
/// sequence; they are added to caches[i] and attend to all that is there. Equal to attention over the whole sequence
/// bit for bit while the caches are empty, then to rounding: for values of about 1, within 1e-12 in f64 and 1e-5 in
/// f32. Throws Error while gradients are recorded, as it has none. (N, 3 C) -> (N, C)
Tensor cached_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths,
                        std::span<KeyValues* const> caches);

#pragma GCC visibility pop
}  // namespace gradus
