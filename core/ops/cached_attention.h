// Attention for generation: new tokens attend to cached keys and values, so a token costs one pass over the weights
// instead of one over the whole context.
#pragma once

#include <span>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

/// The keys and values of one sequence in one layer: (H, capacity, D) each, of which the first `length` tokens are
/// used. Starts undefined; cached_attention() makes it and doubles its capacity as needed.
struct KeyValues {
  Tensor keys, values;
  Index length = 0;
};

/// packed_attention(.., {.causal = true}) for sequences that continue. The rows of qkv are new tokens, lengths[i] of
/// them for the i-th sequence; they are appended to caches[i], and each attends to those before it and to itself. With
/// empty caches the result equals attention over the whole sequence bit for bit, later up to rounding: for values of
/// about 1, within 1e-12 in f64 and 1e-5 in f32. It has no gradient and throws Error while gradients are recorded. (N,
/// 3 C) -> (N, C)
Tensor cached_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths,
                        std::span<KeyValues* const> caches);

#pragma GCC visibility pop
}  // namespace gradus
