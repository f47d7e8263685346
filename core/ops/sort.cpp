// Order: argsort finds it, and the ops that return values gather them, which gives the gradient.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

// Ids of the first `count` elements in order, along `dim`. NaN is larger than every number; equal ones keep their
// order.
template <class T>
std::vector<std::int32_t> first_places(const Tensor& x, Index dim, Index count, bool descending) {
  const Index n = x.size(dim);
  const Index inner = Blocks(x.shape(), dim).inner, lines = n == 0 ? 0 : x.numel() / n;
  std::vector<std::int32_t> places(static_cast<std::size_t>(lines * count));
  const T* const values = x.node().values<T>();
  parallel_for(lines, row_grain(n), [&](Index begin, Index end) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(n));
    for (Index line = begin; line < end; ++line) {
      const Index outer = line / inner, at = line % inner;
      const T* const p = values + outer * n * inner + at;
      const auto less = [&](std::int32_t i, std::int32_t j) {
        const T a = p[(descending ? j : i) * inner], b = p[(descending ? i : j) * inner];
        return less_with_nan_last(a, b) || (!less_with_nan_last(b, a) && i < j);
      };
      std::iota(order.begin(), order.end(), 0);
      if (count < n) {
        std::partial_sort(order.begin(), order.begin() + count, order.end(), less);
      } else {
        std::sort(order.begin(), order.end(), less);
      }
      for (Index i = 0; i < count; ++i) {
        places[static_cast<std::size_t>((outer * count + i) * inner + at)] = order[static_cast<std::size_t>(i)];
      }
    }
  });
  return places;
}

Ids places_of(const char* op, const Tensor& x, Index dim, Index count, bool descending) {
  const Index d = x.shape().normalize_line(dim, op);
  if (x.rank() == 0) return {Ids{0}, Shape{}};
  check(count >= 0 && count <= x.size(d), "{}: {} elements of dimension {} of {}; there are {}", op, count, dim,
        x.shape(), x.size(d));
  Shape shape = x.shape();
  shape.set(d, count);
  return {dispatch(x.dtype(), [&]<class T>() { return Ids(first_places<T>(x, d, count, descending)); }), shape};
}

// Of each line the lower of the two in the middle, or the first NaN, as in PyTorch. `order` is argsort(x, dim).
template <class T>
std::vector<std::int32_t> middle_places(const Tensor& x, Index dim, const Ids& order) {
  const Index n = x.size(dim), inner = Blocks(x.shape(), dim).inner;
  std::vector<std::int32_t> places;
  const T* const values = x.node().values<T>();
  for (Index first = 0; first < x.numel(); first += n * inner) {
    for (Index j = 0; j < inner; ++j) {
      const auto place = [&](Index i) { return order[static_cast<std::size_t>(first + i * inner + j)]; };
      const auto is_nan = [&](Index i) { return std::isnan(values[first + place(i) * inner + j]); };
      Index i = is_nan(n - 1) ? n - 1 : (n - 1) / 2;
      while (i > 0 && is_nan(i) && is_nan(i - 1)) --i;
      places.push_back(place(i));
    }
  }
  return places;
}

Sorted gathered(const char* op, const Tensor& x, Index dim, Ids places) {
  const Index d = x.shape().normalize_line(dim, op);
  const Tensor values = composed(op, [&] { return gather(x, d, places); });
  return {values, std::move(places)};
}

}  // namespace

Ids argsort(const Tensor& x, Index dim, bool descending) {
  check_defined("argsort", {x});
  return places_of("argsort", x, dim, x.rank() == 0 ? 1 : x.size(dim), descending);
}

Sorted sort(const Tensor& x, Index dim, bool descending) {
  check_defined("sort", {x});
  return gathered("sort", x, dim, places_of("sort", x, dim, x.rank() == 0 ? 1 : x.size(dim), descending));
}

Sorted topk(const Tensor& x, Index k, Index dim, bool largest) {
  check_defined("topk", {x});
  return gathered("topk", x, dim, places_of("topk", x, dim, k, largest));
}

Sorted median(const Tensor& x, Index dim, bool keepdim) {
  check_defined("median", {x});
  const Index d = x.shape().normalize_line(dim, "median");
  if (x.rank() == 0) return gathered("median", x, dim, Ids({0}, Shape{}));
  check(x.size(d) > 0, "median: shape {} has no element to choose from along dimension {}; its size must be at least 1",
        x.shape(), dim);
  const Ids order = argsort(x, d);
  Shape shape = x.shape();
  shape.set(d, 1);
  const auto middle = dispatch(x.dtype(), [&]<class T>() { return middle_places<T>(x, d, order); });
  Sorted result = gathered("median", x, d, Ids(middle, shape));
  if (keepdim) return result;
  result.values = composed("median", [&] { return squeeze(result.values, d); });
  result.indices = std::move(result.indices).reshape(result.values.shape());
  return result;
}

Tensor median(const Tensor& x) {
  check_defined("median", {x});
  return composed("median", [&] { return median(reshape(x, -1), 0).values; });
}

}  // namespace gradus
