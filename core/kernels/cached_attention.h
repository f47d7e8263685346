// Attention of one new query: the kept keys and values are read once, from where they are, so nothing is packed.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/matmul.h>
#include <gradus/core/kernels/softmax.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// out = softmax(q K^T scale) V
template <class T>
void cached_attention(CachedAttention<T> in) {
  few_rows<T>(
      {.x = in.q, .weight = in.k, .bias = nullptr, .y = in.scores, .y_stride = 0, .rows = 1, .n = in.keys, .k = in.D});
  scale(in.scores, in.scale, in.keys);
  const Vec<T> inverse(T(1) / exp_row(in.scores, in.scores, row_max(in.scores, in.keys), in.keys));
  constexpr int block = 4;
  Index d = 0;
  for (; d + block * width<T> <= in.D; d += block * width<T>) {
    Vec<T> sums[block] = {Vec<T>(0), Vec<T>(0), Vec<T>(0), Vec<T>(0)};
    for (Index t = 0; t < in.keys; ++t) {
      const Vec<T> weight(in.scores[t]);
#pragma GCC unroll 4
      for (int b = 0; b < block; ++b) {
        sums[b] = multiply_add(weight, load(in.v + t * in.D + d + b * width<T>), sums[b]);
      }
    }
    for (int b = 0; b < block; ++b) store(in.out + d + b * width<T>, sums[b] * inverse);
  }
  for (; d < in.D; d += width<T>) {
    const Index m = at_most(in.D - d, width<T>);
    Vec<T> sum(0);
    for (Index t = 0; t < in.keys; ++t) sum = multiply_add(Vec<T>(in.scores[t]), get(in.v + t * in.D + d, m), sum);
    put(in.out + d, sum * inverse, m);
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
