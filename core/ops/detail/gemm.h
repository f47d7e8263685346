// Matrix product on strided views: blocking for the caches and cutting for the threads, around the kernels' tiles.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/shape.h>

namespace gradus {

/// The view of a row-major matrix with `cols` columns, or of its transpose.
template <class T>
kernels::Factor<T> factor(const T* p, Index cols, bool transposed = false) {
  return transposed ? kernels::Factor<T>{p, 1, cols} : kernels::Factor<T>{p, cols, 1};
}

/// C (m, n) = A (m, k) B (k, n) + bias (n), or C += A B + bias. Bias may be null.
template <class T>
void gemm(T* c, kernels::Factor<T> a, kernels::Factor<T> b, Index m, Index n, Index k, bool accumulate,
          const T* bias = nullptr);

}  // namespace gradus
