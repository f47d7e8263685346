// One new token per sequence, the usual case, goes through the kernel that packs nothing; several at once (a prompt)
// take the kernel of packed_attention.
#include <gradus/core/ops/cached_attention.h>

#include <algorithm>
#include <cmath>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

// Room for `length` tokens, keeping what is there.
void reserve(KeyValues& cache, Index heads, Index length, Index head_size, DType dtype) {
  const Index capacity = cache.keys.defined() ? cache.keys.size(1) : 0;
  check(capacity == 0 || (cache.keys.shape() == Shape{heads, capacity, head_size} && cache.keys.dtype() == dtype),
        "cached_attention: the cache {} in {} is of another model; it must be ({}, any, {}) in {}, so start with an "
        "empty one",
        cache.keys.defined() ? cache.keys.shape() : Shape{}, cache.keys.defined() ? cache.keys.dtype() : dtype, heads,
        head_size, dtype);
  if (length <= capacity) return;
  constexpr Index least = 16;
  const Index room = std::max({length, 2 * capacity, least});
  for (Tensor* const part : {&cache.keys, &cache.values}) {
    const Tensor grown = Tensor::empty({heads, room, head_size}, dtype);
    dispatch(dtype, [&]<class T>() {
      for (Index h = 0; h < heads && cache.length > 0; ++h) {
        const T* const from = part->node().values<T>() + h * capacity * head_size;
        std::copy_n(from, cache.length * head_size, grown.node().values<T>() + h * room * head_size);
      }
    });
    *part = grown;
  }
}

// What comes in: the new tokens of each sequence, as rows of qkv.
struct NewTokens {
  Index heads, width, head_size, rows = 0, longest = 0;
  std::vector<Index, PoolAllocator<Index>> starts{0};

  NewTokens(const Tensor& qkv, Index heads_, std::span<const Index> lengths)
      : heads(heads_), width(qkv.size(1) / 3), head_size(width / heads_) {
    for (const Index length : lengths) {
      check(length >= 1, "cached_attention: a sequence with {} new tokens; it must have at least 1", length);
      check(!__builtin_add_overflow(rows, length, &rows),
            "cached_attention: the lengths add up to more than fits in 63 bits; qkv {} has {} rows", qkv.shape(),
            qkv.size(0));
      longest = std::max(longest, length);
      starts.push_back(rows);
    }
    check(rows == qkv.size(0), "cached_attention: the lengths add up to {} but qkv {} has {} rows", rows, qkv.shape(),
          qkv.size(0));
  }
};

// Appends the keys and values of head h of sequence i to its cache; returns what its queries attend to.
template <class T>
kernels::Attention<T> append(const KeyValues& cache, const T* qkv, const NewTokens& tokens, std::size_t i, Index h) {
  const Index width = tokens.width, D = tokens.head_size, room = cache.keys.size(1), before = cache.length;
  const Index length = tokens.starts[i + 1] - tokens.starts[i];
  const T* const rows = qkv + tokens.starts[i] * 3 * width + h * D;
  T* const keys = cache.keys.data<T>().data() + h * room * D;
  T* const values = cache.values.data<T>().data() + h * room * D;
  for (Index t = 0; t < length; ++t) {
    std::copy_n(rows + t * 3 * width + width, D, keys + (before + t) * D);
    std::copy_n(rows + t * 3 * width + 2 * width, D, values + (before + t) * D);
  }
  return {.q = rows,
          .k = keys,
          .v = values,
          .q_stride = 3 * width,
          .k_stride = D,
          .v_stride = D,
          .out_stride = width,
          .T_ = length,
          .S = before + length,
          .D = D,
          .E = D,
          .scale = static_cast<T>(1 / std::sqrt(static_cast<double>(D))),
          .causal = true};
}

// The kernel for one query, or the one for several. The latter also writes two numbers per row for a gradient: they go
// to `kept`, and nobody reads them.
template <class T>
void attend(const kernels::Attention<T>& in, T* out, T* scratch, T* kept) {
  if (in.T_ > 1) {
    kernels::kernels<T>().attention(in, {.out = out, .max = kept, .share = kept + in.T_}, scratch);
    return;
  }
  kernels::kernels<T>().cached_attention(
      {.q = in.q, .k = in.k, .v = in.v, .out = out, .scores = scratch, .keys = in.S, .D = in.D, .scale = in.scale});
}

}  // namespace

Tensor cached_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths,
                        std::span<KeyValues* const> caches) {
  check(!grad_enabled(), "cached_attention: it has no gradient; call it under NoGrad, or train with packed_attention");
  check_defined("cached_attention", {qkv});
  check(qkv.rank() == 2 && heads >= 1 && qkv.size(1) > 0 && qkv.size(1) % 3 == 0 && qkv.size(1) / 3 % heads == 0,
        "cached_attention: qkv {} must be (tokens, 3 x width) with the width a multiple of {} heads", qkv.shape(),
        heads);
  check(lengths.size() == caches.size(), "cached_attention: {} lengths and {} caches; give one for each sequence",
        lengths.size(), caches.size());
  const NewTokens tokens(qkv, heads, lengths);
  Index most_keys = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const Index keys = caches[i]->length + lengths[i];
    reserve(*caches[i], heads, keys, tokens.head_size, qkv.dtype());
    most_keys = std::max(most_keys, keys);
  }

  Tensor y = Tensor::empty({tokens.rows, tokens.width}, qkv.dtype());
  const Index D = tokens.head_size, longest = tokens.longest;
  dispatch(qkv.dtype(), [&]<class T>() {
    kernels::Attention<T> largest{};
    largest.T_ = longest, largest.S = most_keys, largest.D = largest.E = D;
    const Index scores = longest == 1 ? most_keys : kernels::kernels<T>().attention_scratch(largest);
    constexpr Index line = 16;  // what is kept begins on a cache line
    const Index kept = (scores + line - 1) / line * line;
    const Index work = saturating_product({2, most_keys, D, longest});
    const Index grain = std::max<Index>(1, 100'000 / std::max<Index>(1, work));
    const auto run = [&](Index begin, Index end, T* scratch) {
      for (Index pair = begin; pair < end; ++pair) {
        const auto i = static_cast<std::size_t>(pair / heads);
        const Index h = pair % heads;
        T* const out = y.node().values<T>() + tokens.starts[i] * tokens.width + h * D;
        attend(append(*caches[i], qkv.node().values<T>(), tokens, i, h), out, scratch, scratch + kept);
      }
    };
    parallel_for_scratch<T>(static_cast<Index>(lengths.size()) * heads, grain, kept + 2 * longest, run);
  });
  for (std::size_t i = 0; i < lengths.size(); ++i) caches[i]->length += lengths[i];
  return y;
}

}  // namespace gradus
