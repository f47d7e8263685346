// Attention of one new query: the kept keys and values are read once, from where they are, so nothing is packed.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/matmul.h>
#include <gradus/core/kernels/softmax.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// out (D) = softmax(q K^T scale) V for one query: q (D), K and V (n, D), scores (n) for scratch.
template <class T>
void attend(T* out, const T* q, const T* k, const T* v, Index n, Index D, T factor, T* scores) {
  matrix_vector<T>(scores, 0, q, k, nullptr, 1, n, D);
  scale(scores, factor, n);
  const Vec<T> inverse(T(1) / exp_row(scores, scores, row_max(scores, n), n));
  constexpr int block = 4;
  Index d = 0;
  for (; d + block * width<T> <= D; d += block * width<T>) {
    Vec<T> sums[block] = {Vec<T>(0), Vec<T>(0), Vec<T>(0), Vec<T>(0)};
    for (Index t = 0; t < n; ++t) {
      const Vec<T> weight(scores[t]);
#pragma GCC unroll 4
      for (int b = 0; b < block; ++b) sums[b] = fma(weight, load(v + t * D + d + b * width<T>), sums[b]);
    }
    for (int b = 0; b < block; ++b) store(out + d + b * width<T>, sums[b] * inverse);
  }
  for (; d < D; d += width<T>) {
    const Index m = D - d < width<T> ? D - d : width<T>;
    Vec<T> sum(0);
    for (Index t = 0; t < n; ++t) sum = fma(Vec<T>(scores[t]), get(v + t * D + d, m), sum);
    put(out + d, sum * inverse, m);
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
