// What the op families share: checks that read the same everywhere, and how much work is worth a thread.
#pragma once

#include <algorithm>
#include <initializer_list>

#include <gradus/core/autograd.h>
#include <gradus/core/kernels/kernels.h>
#include <gradus/core/ops.h>
#include <gradus/core/parallel.h>

namespace gradus {

/// Elements of simple arithmetic that take some 10 us: less is not worth waking a thread for.
inline constexpr Index pointwise_grain = 16384;

/// Rows of `cols` elements to give a thread at a time.
inline Index row_grain(Index cols) {
  return std::max<Index>(1, pointwise_grain / 4 / std::max<Index>(1, cols));
}

/// Whether n elements are more than caches hold: 32 MB, the last-level cache of the processors at hand.
template <class T>
bool far(Index n) {
  return n >= (Index{1} << 25) / static_cast<Index>(sizeof(T));
}

inline void check_same_dtype(const char* op, const Tensor& a,
                             std::initializer_list<std::reference_wrapper<const Tensor>> others) {
  for (const Tensor& other : others) {
    if (!other.defined()) continue;  // an optional argument that was left out
    if (other.dtype() == a.dtype()) continue;
    fail("{}: got {} and {} tensors; all must have one type, convert with to(DType)", detail::called(op), a.dtype(),
         other.dtype());
  }
}

/// The result of an op that is composed of others. Its last step bears the op's own name, and errors of all steps name
/// what the program called: a user of mean() has not written the "mul" in it.
template <class F>
Tensor composed(const char* op, const F& steps) {
  const detail::Within scope(op);
  Tensor y = steps();
  Node& node = y.node();
  if (node.backward != nullptr && node.within == detail::called(op)) node.op = op;  // else an argument as it came
  return y;
}

/// The first element of a defined tensor, null for an undefined one.
template <class T>
T* values_or_null(const Tensor& x) {
  return x.defined() ? x.node().values<T>() : nullptr;
}

/// to[0..n) = or += from.
template <class T>
void write_or_add(GradShare<T> to, const T* from, Index n) {
  if (to.adds) {
    kernels::kernels<T>().add(to.p, from, n);
  } else {
    std::copy_n(from, n, to.p);
  }
}

/// Cuts n rows into a fixed number of ranges for sums over rows: fn(range, begin, end) may add into the range's own
/// partial result of `size` zeroed elements; then the partial results are added to `out` in order.
template <class T, class F>
void sum_over_rows(T* out, Index size, Index rows, const F& fn) {
  constexpr Index most = 16;
  const Index grain = std::max(row_grain(size), (rows + most - 1) / most);
  const Index ranges = (rows + grain - 1) / grain;
  if (ranges <= 1) {
    if (rows > 0) fn(out, Index{0}, rows);
    return;
  }
  const Buffer partial(ranges * size, dtype_of<T>());
  partial.fill_zero(static_cast<std::size_t>(ranges * size) * sizeof(T));
  parallel_for(rows, grain, [&](Index begin, Index end) { fn(partial.as<T>() + begin / grain * size, begin, end); });
  for (Index r = 0; r < ranges; ++r) kernels::kernels<T>().add(out, partial.as<T>() + r * size, size);
}

}  // namespace gradus
