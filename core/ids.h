// Ids: whole numbers with a shape, which name rows, classes, tokens and places along a dimension.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include <gradus/core/runtime/buffer.h>
#include <gradus/core/shape.h>

namespace gradus {
#pragma GCC visibility push(default)

class Tensor;

namespace detail {
template <class R>
concept WholeNumbers = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
    std::integral<std::ranges::range_value_t<R>> && !std::same_as<std::ranges::range_value_t<R>, char>;

template <std::integral T>
std::int32_t checked_id(T id) {
  check(std::in_range<std::int32_t>(id), "ids: {} does not fit in 32 bits; ids must be -2147483648 .. 2147483647", id);
  return static_cast<std::int32_t>(id);
}
}  // namespace detail

/// What argmax, topk and multinomial return, and what embedding, gather and cross_entropy take. A list in braces and a
/// vector, array or span of any whole numbers convert to Ids of one dimension.
class Ids {
 public:
  using value_type = std::int32_t;
  using const_iterator = const std::int32_t*;

  Ids() : shape_{0} {}
  Ids(std::initializer_list<std::int32_t> ids) : values_(ids), shape_{static_cast<Index>(ids.size())} {}
  /// Throws Error for a number that does not fit in 32 bits.
  template <detail::WholeNumbers R>
  requires(!std::same_as<std::remove_cvref_t<R>, Ids>) Ids(const R& ids)  // NOLINT(google-explicit-constructor)
      : shape_{static_cast<Index>(std::ranges::size(ids))} {
    if constexpr (std::same_as<std::ranges::range_value_t<R>, std::int32_t>) {
      values_.assign(std::ranges::begin(ids), std::ranges::end(ids));
    } else {
      values_.reserve(std::ranges::size(ids));
      for (const auto id : ids) values_.push_back(detail::checked_id(id));
    }
  }
  /// As to_ids(): throws Error for a number that is not whole.
  Ids(const Tensor& x);  // NOLINT(google-explicit-constructor)
  /// The ids fill `shape` in row-major order. Throws Error for another count.
  Ids(Ids ids, const Shape& shape) : Ids(std::move(ids).reshape(shape)) {}

  const Shape& shape() const { return shape_; }
  std::size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  const std::int32_t* data() const { return values_.data(); }
  const std::int32_t* begin() const { return data(); }
  const std::int32_t* end() const { return data() + size(); }
  std::int32_t operator[](std::size_t i) const { return values_[i]; }

  /// The same ids in another shape; one size may be -1, as in gradus::reshape().
  Ids reshape(const Sizes& sizes) const&;
  Ids reshape(const Sizes& sizes) &&;
  /// With a new dimension of size 1.
  Ids unsqueeze(Index dim) const;

  /// As tensor(ids), in f32: ids can be compared, computed with and sliced as tensors.
  operator Tensor() const;                                                 // NOLINT(google-explicit-constructor)
  operator std::vector<Index>() const { return {begin(), end()}; }         // NOLINT(google-explicit-constructor)
  operator std::vector<std::int32_t>() const { return {begin(), end()}; }  // NOLINT(google-explicit-constructor)

  friend bool operator==(const Ids& a, const Ids& b) { return a.shape_ == b.shape_ && a.values_ == b.values_; }
  /// The same numbers in the same order.
  template <std::integral T>
  friend bool operator==(const Ids& a, const std::vector<T>& b) {
    return std::ranges::equal(a, b, [](auto x, auto y) { return std::cmp_equal(x, y); });
  }

 private:
  std::vector<std::int32_t, PoolAllocator<std::int32_t>> values_;
  Shape shape_;
};

#pragma GCC visibility pop
}  // namespace gradus
