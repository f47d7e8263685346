// One new token a sequence, the usual case, goes through the kernel that packs nothing; several at once (a prompt) take
// the kernel of packed_attention.
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
  const Index width = qkv.size(1) / 3, D = width / heads;
  Index total = 0, longest = 0, most_keys = 0;
  for (const Index length : lengths) {
    check(length >= 1, "cached_attention: a sequence with {} new tokens; it must have at least 1", length);
    check(!__builtin_add_overflow(total, length, &total),
          "cached_attention: the lengths add up to more than fits in 63 bits; qkv {} has {} rows", qkv.shape(),
          qkv.size(0));
  }
  check(total == qkv.size(0), "cached_attention: the lengths add up to {} but qkv {} has {} rows", total, qkv.shape(),
        qkv.size(0));
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    longest = std::max(longest, lengths[i]);
    reserve(*caches[i], heads, caches[i]->length + lengths[i], D, qkv.dtype());
    most_keys = std::max(most_keys, caches[i]->length + lengths[i]);
  }

  Tensor y = Tensor::empty({total, width}, qkv.dtype());
  const double scale = 1 / std::sqrt(static_cast<double>(D));
  dispatch(qkv.dtype(), [&]<class T>() {
    const auto head_of = [&](std::size_t i, Index first_row, Index h) {
      const Index length = lengths[i], before = caches[i]->length, room = caches[i]->keys.size(1);
      const T* const rows = qkv.node().values<T>() + first_row * 3 * width + h * D;
      T* const keys = caches[i]->keys.template data<T>().data() + h * room * D;
      T* const values = caches[i]->values.template data<T>().data() + h * room * D;
      for (Index t = 0; t < length; ++t) {
        std::copy_n(rows + t * 3 * width + width, D, keys + (before + t) * D);
        std::copy_n(rows + t * 3 * width + 2 * width, D, values + (before + t) * D);
      }
      return kernels::Attention<T>{
          rows, keys, values, 3 * width, D, D, width, length, before + length, D, D, static_cast<T>(scale), true};
    };
    const kernels::Kernels<T>& kernel = kernels::kernels<T>();
    kernels::Attention<T> largest{};
    largest.T_ = longest, largest.S = most_keys, largest.D = largest.E = D;
    const Index scores = longest == 1 ? most_keys : kernel.attention_scratch(largest);
    const Index work = saturating_product({2, most_keys, D, longest});
    std::vector<Index, PoolAllocator<Index>> starts{0};
    for (const Index length : lengths) starts.push_back(starts.back() + length);
    // Scratch for the kernel, and behind it for what a row leaves for a gradient.
    constexpr Index line = 16;
    const Index stats = (scores + line - 1) / line * line;
    parallel_for_scratch<T>(static_cast<Index>(lengths.size()) * heads,
                            std::max<Index>(1, 100'000 / std::max<Index>(1, work)), stats + 2 * longest,
                            [&](Index begin, Index end, T* scratch) {
                              for (Index pair = begin; pair < end; ++pair) {
                                const auto i = static_cast<std::size_t>(pair / heads);
                                const Index h = pair % heads;
                                const kernels::Attention<T> in = head_of(i, starts[i], h);
                                T* const out = y.node().values<T>() + starts[i] * width + h * D;
                                if (in.T_ == 1) {
                                  kernel.attend(out, in.q, in.k, in.v, in.S, D, in.scale, scratch);
                                } else {
                                  kernel.attention(in, out, scratch + stats, scratch + stats + longest, scratch);
                                }
                              }
                            });
  });
  for (std::size_t i = 0; i < lengths.size(); ++i) caches[i]->length += lengths[i];
  return y;
}

}  // namespace gradus
