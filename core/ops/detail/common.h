// What the op families share: checks that read the same everywhere, and how much work is worth a thread.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <initializer_list>

#include <gradus/core/autograd.h>
#include <gradus/core/kernels/kernels.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/parallel.h>

namespace gradus {

/// Elements of simple arithmetic that take some 10 us: less is not worth waking a thread for.
inline constexpr Index pointwise_grain = 16384;

/// Rows of `cols` elements to give a thread at a time.
inline Index row_grain(Index cols) {
  return std::max<Index>(1, pointwise_grain / 4 / std::max<Index>(1, cols));
}

/// A part of an op's rows, as one thread gets them.
struct RowRange {
  Index begin, rows, cols;

  /// The part's first row in an array of (rows, cols), where null stays null; and its first number in one of (rows).
  template <class T>
  T* in(T* matrix) const {
    return matrix == nullptr ? nullptr : matrix + begin * cols;
  }
  template <class T>
  T* of_each(const Buffer& numbers) const {
    return numbers.as<T>() + begin;
  }
};

/// Calls f(RowRange) for all rows of a matrix, on the pool's threads.
template <class F>
void each_rows(Shape::Matrix size, const F& f) {
  parallel_for(size.rows, row_grain(size.cols), [&](Index begin, Index end) {
    f(RowRange{begin, end - begin, size.cols});
  });
}

/// Calls prepare<T>() once for the dtype, then the function that it returns for each RowRange.
template <class F>
void each_rows(DType dtype, Shape::Matrix size, const F& prepare) {
  dispatch(dtype, [&]<class T>() { each_rows(size, prepare.template operator()<T>()); });
}

/// Whether n elements are more than caches hold: 32 MB, the last-level cache of the processors at hand.
template <class T>
bool far(Index n) {
  return n >= (Index{1} << 25) / static_cast<Index>(sizeof(T));
}

inline void check_same_dtype(const char* op, const Tensor& a,
                             std::initializer_list<std::reference_wrapper<const Tensor>> others) {
  if (detail::watcher() != nullptr) [[unlikely]] {  // check_defined() has not seen the optional ones
    detail::for_each_watcher(
        [&](OpWatcher& each) { each.before(op, detail::InputList(others.begin(), others.size())); });
  }
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
  if (node.backward != nullptr && node.within == detail::called(op)) node.op = op;  // else `steps` returned an argument
  return y;
}

/// pow(x, exponent) for x >= 0; its gradient is 0 where x is 0, and not infinite.
inline Tensor pow_flat_at_zero(const Tensor& x, double exponent) {
  const Tensor positive = x != 0;
  const Tensor inside = where(positive, x, 1);
  return (exponent == 0.5 ? sqrt(inside) : pow(inside, exponent)) * positive;
}

/// A shape seen as (outer, n, inner) around one dimension: the products of the sizes before and after it.
struct Blocks {
  Index outer = 1, inner = 1;
  Blocks(const Shape& shape, Index dim) {
    for (Index d = 0; d < shape.rank(); ++d) {
      if (d != dim) (d < dim ? outer : inner) *= shape[d];
    }
  }
};

/// The order in which a NaN is larger than every number.
template <class T>
bool less_with_nan_last(T a, T b) {
  return a < b || (std::isnan(b) && !std::isnan(a));
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

/// How many numbers sum_in_tree() needs to keep for `count` terms: the sums of 2^i blocks that wait for others.
inline Index tree_size(Index size, Index count, Index block) {
  if (count <= block) return 0;
  const auto blocks = static_cast<std::uint64_t>((count - 1) / block + 1);
  return (static_cast<Index>(std::bit_width(blocks)) + 1) * size;
}

/// out[0..size) += the sum of terms begin .. end-1, on one thread: fn(to, first, last) adds some of them to `to`.
/// Blocks of terms are added up as a binary tree, since one after another the rounding error of n terms grows with n.
/// `block` should be so large that merging two sums costs little beside computing one. stack: tree_size() numbers.
template <class T, class F>
void sum_in_tree(T* out, Index size, Index begin, Index end, Index block, T* stack, const F& fn) {
  if (end - begin <= block) {
    if (begin < end) fn(out, begin, end);
    return;
  }
  T* top = stack;
  const auto fold = [&] {
    top -= size;
    kernels::kernels<T>().add(top - size, top, size);
  };
  for (std::uint64_t b = 0; begin < end; ++b, begin += block) {
    std::fill_n(top, size, T(0));
    fn(top, begin, std::min(end, begin + block));
    top += size;
    for (std::uint64_t done = b; (done & 1) != 0; done >>= 1) fold();
  }
  while (top > stack + size) fold();
  kernels::kernels<T>().add(out, stack, size);
}

template <class T, class F>
void sum_in_tree(T* out, Index size, Index count, Index block, const F& fn) {
  Buffer stack;  // most sums are short and need none
  if (count > block) stack = Buffer(tree_size(size, count, block), dtype_of<T>());
  sum_in_tree(out, size, Index{0}, count, block, stack.as<T>(), fn);
}

/// The block of sum_in_tree for rows; merging then costs some 2 %.
inline constexpr Index row_block = 128;

/// Cuts n rows into a fixed number of ranges for sums over rows: fn(range, begin, end) may add into the range's own
/// partial result of `size` zeroed elements; then the partial results are added to `out` in order.
template <class T, class F>
void sum_over_rows(T* out, Index size, Index rows, const F& fn) {
  constexpr Index most = 16;
  const Index grain = std::max(row_grain(size), (rows + most - 1) / most);
  const Index ranges = (rows + grain - 1) / grain;
  if (ranges <= 1) {
    sum_in_tree(out, size, rows, row_block, fn);
    return;
  }
  const Buffer partial(ranges * size, dtype_of<T>());
  partial.fill_zero(static_cast<std::size_t>(ranges * size) * sizeof(T));
  parallel_for_scratch<T>(rows, grain, tree_size(size, grain, row_block), [&](Index begin, Index end, T* stack) {
    sum_in_tree(partial.as<T>() + begin / grain * size, size, begin, end, row_block, stack, fn);
  });
  for (Index r = 0; r < ranges; ++r) kernels::kernels<T>().add(out, partial.as<T>() + r * size, size);
}

}  // namespace gradus
