// The product that linear uses for few rows: the weights are read once, from where they are, so nothing is packed.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// The dot products of x (n) with R rows of w. Every product is summed up in the same order whatever R is.
template <int R, class T>
GRADUS_INLINE void dots(const T* x, const T* w, Index n, T* out, const T* bias) {
  Vec<T> even[R], odd[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) even[r] = odd[r] = Vec<T>(0);
  Index i = 0;
  for (; i + 2 * width<T> <= n; i += 2 * width<T>) {
    const Vec<T> x0 = load(x + i), x1 = load(x + i + width<T>);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const T* const p = w + r * n + i;
      __builtin_prefetch(p + R * n);  // the rows after these
      even[r] = fma(x0, load(p), even[r]);
      odd[r] = fma(x1, load(p + width<T>), odd[r]);
    }
  }
  for (; i < n; i += width<T>) {
    const Index m = n - i < width<T> ? n - i : width<T>;
    const Vec<T> x0 = get(x + i, m);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) even[r] = fma(x0, get(w + r * n + i, m), even[r]);
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) out[r] = total(even[r] + odd[r]) + (bias == nullptr ? T(0) : bias[r]);
}

// Y (rows, n) = X (rows, k) W^T + bias, W (n, k), for a few rows. Rows of Y are y_stride apart, bias may be null.
template <class T>
void matrix_vector(T* y, Index y_stride, const T* x, const T* w, const T* bias, Index rows, Index n, Index k) {
  constexpr Index group = 4;
  Index j = 0;
  for (; j + group <= n; j += group) {
    for (Index r = 0; r < rows; ++r) {
      dots<group>(x + r * k, w + j * k, k, y + r * y_stride + j, bias == nullptr ? nullptr : bias + j);
    }
  }
  for (; j < n; ++j) {
    for (Index r = 0; r < rows; ++r) {
      dots<1>(x + r * k, w + j * k, k, y + r * y_stride + j, bias == nullptr ? nullptr : bias + j);
    }
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
