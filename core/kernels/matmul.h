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
      even[r] = multiply_add(x0, load(p), even[r]);
      odd[r] = multiply_add(x1, load(p + width<T>), odd[r]);
    }
  }
  for (; i < n; i += width<T>) {
    const Index m = at_most(n - i, width<T>);
    const Vec<T> x0 = get(x + i, m);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) even[r] = multiply_add(x0, get(w + r * n + i, m), even[r]);
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) out[r] = total(even[r] + odd[r]) + (bias == nullptr ? T(0) : bias[r]);
}

template <class T>
void few_rows(FewRows<T> in) {
  constexpr Index group = 4;
  const auto bias = [&](Index j) { return in.bias == nullptr ? nullptr : in.bias + j; };
  Index j = 0;
  for (; j + group <= in.n; j += group) {
    for (Index r = 0; r < in.rows; ++r) {
      dots<group>(in.x + r * in.k, in.weight + j * in.k, in.k, in.y + r * in.y_stride + j, bias(j));
    }
  }
  for (; j < in.n; ++j) {
    for (Index r = 0; r < in.rows; ++r) {
      dots<1>(in.x + r * in.k, in.weight + j * in.k, in.k, in.y + r * in.y_stride + j, bias(j));
    }
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
