// softmax and log_softmax, row by row, and what they share with cross_entropy and attention: a row's maximum and the
// sum of exp(x - max).
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/math.h>
#include <gradus/core/kernels/reduce.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

/// The largest of n > 0 numbers. A NaN may be overlooked: exp(x - max) has one all the same. Four maxima side by side:
/// 0.3 ns per vector, where one that looked for NaNs took 3.5.
template <class T>
GRADUS_INLINE T row_max(const T* x, Index n) {
  constexpr Index w = width<T>;
  if (n < w) {
    T best = x[0];
    for (Index i = 1; i < n; ++i) best = x[i] > best ? x[i] : best;
    return best;
  }
  Vec<T> m0 = load(x + n - w), m1 = m0, m2 = m0, m3 = m0;  // may overlap others: a maximum may count twice
  Index i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    m0 = xsimd::max(m0, load(x + i));
    m1 = xsimd::max(m1, load(x + i + w));
    m2 = xsimd::max(m2, load(x + i + 2 * w));
    m3 = xsimd::max(m3, load(x + i + 3 * w));
  }
  for (; i + w <= n; i += w) m0 = xsimd::max(m0, load(x + i));
  return largest(xsimd::max(xsimd::max(m0, m1), xsimd::max(m2, m3)));
}

/// y = exp(x - max); returns the sum of y.
template <class T>
GRADUS_INLINE T exp_row(const T* x, T* y, T max, Index n) {
  return sum_of<T>(n, [&](Index i, Index m) {
    prefetch(x + i);
    prefetch_for_writing(y + i);
    const Vec<T> e = exponential_of_negative(get(x + i, m) - Vec<T>(max));
    put(y + i, e, m);
    return keep<T>(e, m);
  });
}

/// log(x) by the vectors' routine, so that the bits are theirs.
template <class T>
GRADUS_INLINE T scalar_log(T x) {
  alignas(64) T part[width<T>];
  xsimd::log(Vec<T>(x)).store_aligned(part);
  return part[0];
}

/// log of the sum of exp(x - max)
template <class T>
GRADUS_INLINE T log_sum_exp(const T* x, T max, Index n) {
  return scalar_log(
      sum_of<T>(n, [&](Index i, Index m) { return keep<T>(exponential_of_negative(get(x + i, m) - Vec<T>(max)), m); }));
}

template <class T>
void softmax(const T* x, T* y, Index rows, Index cols) {
  if (cols == 0) return;
  for (; rows > 0; --rows, x += cols, y += cols) scale(y, T(1) / exp_row(x, y, row_max(x, cols), cols), cols);
}

// dx = y (dy - <dy, y>)
template <class T>
void softmax_grad(SoftmaxGrad<T> in) {
  const Output<T> out(in.dx, in.far && !in.adds && in.cols % width<T> == 0);
  with_constant(in.adds, [&](auto adding) {
    for (Index r = 0; r < in.rows; ++r, in.dy += in.cols, in.y += in.cols) {
      const Vec<T> dot(sum_of<T>(in.cols, [&](Index i, Index m) { return get(in.dy + i, m) * get(in.y + i, m); }));
      each_vector<T>(in.cols, [&](Index i, Index m) {
        out.add_to(r * in.cols + i, get(in.y + i, m) * (get(in.dy + i, m) - dot), m, adding);
      });
    }
  });
}

template <class T>
void log_softmax(const T* x, T* y, Index rows, Index cols) {
  if (cols == 0) return;
  for (; rows > 0; --rows, x += cols, y += cols) {
    const T max = row_max(x, cols);
    const Vec<T> first(max), second(log_sum_exp(x, max, cols));  // two subtractions keep the digits of x - max
    each_vector<T>(cols, [&](Index i, Index m) { put(y + i, (get(x + i, m) - first) - second, m); });
  }
}

// dx = dy - softmax sum(dy)
template <class T>
void log_softmax_grad(SoftmaxGrad<T> in) {
  with_constant(in.adds, [&](auto adding) {
    for (; in.rows > 0; --in.rows, in.dx += in.cols, in.dy += in.cols, in.y += in.cols) {
      const Vec<T> s(sum(in.dy, in.cols));
      each_vector<T>(in.cols, [&](Index i, Index m) {
        add_to(in.dx + i, get(in.dy + i, m) - exponential_of_negative(get(in.y + i, m)) * s, m, adding);
      });
    }
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
