// Shape: the sizes of a tensor's dimensions, stored inline so that making one never allocates.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <gradus/core/check.h>

namespace gradus {
#pragma GCC visibility push(default)

using Index = std::int64_t;

/// The product of sizes (at least 0), or the largest Index where it does not fit: more than there is memory for.
constexpr Index saturating_product(std::initializer_list<Index> sizes) {
  Index product = 1;
  bool fits = true;
  for (const Index size : sizes) {
    if (size == 0) return 0;
    fits = fits && !__builtin_mul_overflow(product, size, &product);
  }
  return fits ? product : std::numeric_limits<Index>::max();
}

/// The sizes of up to max_rank dimensions: Shape{2, 3}. Throws Error for a negative size and for more dimensions.
class Shape {
 public:
  static constexpr std::size_t max_rank = 8;

  constexpr Shape() = default;  // a single number: rank 0, one element
  Shape(std::initializer_list<Index> sizes) : Shape(std::span<const Index>(sizes.begin(), sizes.size())) {}
  Shape(const std::vector<Index>& sizes) : Shape(std::span<const Index>(sizes)) {}
  /// One dimension: zeros(3).
  template <std::integral T>
  requires(!std::same_as<T, bool>) Shape(T size)  // NOLINT(google-explicit-constructor)
      : Shape({static_cast<Index>(size)}) {}
  explicit Shape(std::span<const Index> sizes) {
    for (const Index size : sizes) push_back(size);
  }

  Index rank() const { return static_cast<Index>(rank_); }
  const Index* begin() const { return sizes_.data(); }
  const Index* end() const { return sizes_.data() + rank_; }
  Index back() const { return (*this)[-1]; }

  /// The size of dimension `dim`; negative counts from the end.
  Index operator[](Index dim) const { return sizes_[static_cast<std::size_t>(normalize(dim, "shape"))]; }

  void set(Index dim, Index size) {
    check(size >= 0, "shape: size {} in dimension {}; sizes must be at least 0", size, dim);
    sizes_[static_cast<std::size_t>(normalize(dim, "shape"))] = size;
  }

  void push_back(Index size) {
    check(rank_ < max_rank, "shape: more than {} dimensions; merge some with reshape", max_rank);
    check(size >= 0,
          "shape: size {} in dimension {}; sizes must be at least 0 (only reshape takes a -1, once: the size to "
          "infer)",
          size, rank_);
    sizes_[rank_++] = size;
  }

  /// The number of elements: the product of the sizes, 1 for rank 0. Throws Error if the product of the sizes other
  /// than 0 does not fit in 63 bits.
  Index numel() const {
    Index product = 1;
    for (const Index size : *this) {
      check(!__builtin_mul_overflow(product, size, &product), "shape: more elements than fit in 63 bits");
    }
    if (product == 0) [[unlikely]]
      check_empty();
    return product;
  }

  /// `dim` as 0 .. rank-1; a negative one counts from the end. `op` names the caller in the error.
  Index normalize(Index dim, const char* op) const {
    check(rank_ > 0, "{}: a single number has no dimension {}; reshape it first", op, dim);
    check(dim >= -rank() && dim < rank(), "{}: there is no dimension {} in a tensor with {} dimension{}; use {} .. {}",
          op, dim, rank_, rank_ == 1 ? "" : "s", -rank(), rank() - 1);
    return dim < 0 ? dim + rank() : dim;
  }
  /// The same for an op that works on lines of numbers: a single number is a line of one, with dimensions 0 and -1.
  Index normalize_line(Index dim, const char* op) const {
    return rank_ == 0 && (dim == 0 || dim == -1) ? 0 : normalize(dim, op);
  }

  /// With a new dimension of size 1 whose index in the result is `dim`; negative counts from the result's end.
  Shape unsqueezed(Index dim, const char* op) const;

  struct Matrix {
    Index rows, cols;
  };
  /// The shape seen as rows of its last dimension: (.., n) -> {numel / n, n}; rank 0 is one row of one.
  Matrix as_matrix() const {
    const Index cols = rank_ == 0 ? 1 : back();
    Index rows = 1;
    for (std::size_t i = 0; i + 1 < rank_; ++i) rows *= sizes_[i];
    return {rows, cols};
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (std::size_t d = 0; d < a.rank_; ++d) {  // std::equal would call memcmp, for a number or two
      if (a.sizes_[d] != b.sizes_[d]) return false;
    }
    return true;
  }

 private:
  void check_empty() const;

  std::array<Index, max_rank> sizes_{};
  std::size_t rank_ = 0;
};

/// The sizes that reshape() and the like give a tensor: one, several, or a Shape. One of them may be -1: it is inferred
/// from the number of elements and the other sizes.
class Sizes {
 public:
  Sizes(Index size) : Sizes({size}) {}
  Sizes(std::initializer_list<Index> sizes) : Sizes(std::span<const Index>(sizes.begin(), sizes.size())) {}
  Sizes(const std::vector<Index>& sizes) : Sizes(std::span<const Index>(sizes)) {}
  Sizes(const Shape& shape) : Sizes(std::span<const Index>(shape.begin(), shape.end())) {}

  const Index* begin() const { return sizes_.data(); }
  const Index* end() const { return sizes_.data() + rank_; }
  std::size_t size() const { return rank_; }

  /// The shape for as many elements as `from` has; `op` names the caller in errors.
  Shape fill(const char* op, const Shape& from) const;

 private:
  explicit Sizes(std::span<const Index> sizes);
  std::array<Index, Shape::max_rank> sizes_{};
  std::size_t rank_ = 0;
};

/// The dimensions that a reduction is over: one, sum(x, 1), or several, sum(x, {0, -1}). Negative ones count from the
/// end.
class Dims {
 public:
  Dims(Index dim) : dims_{dim} {}
  Dims(std::initializer_list<Index> dims) : dims_(dims) {}
  Dims(const std::vector<Index>& dims) : dims_(dims) {}
  /// sum(x, true) would be a sum over dimension 1, and sum(x, 0.5) over dimension 0.
  template <class T>
  requires std::same_as<T, bool> || std::floating_point<T> Dims(T dim)
  = delete;

  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  bool empty() const { return dims_.empty(); }

 private:
  std::vector<Index> dims_;
};

/// (2, 3), like NumPy and PyTorch; one dimension as (3), a single number as ().
std::string to_string(const Shape& shape);
/// Writes to_string(shape).
std::ostream& operator<<(std::ostream& out, const Shape& shape);

#pragma GCC visibility pop
}  // namespace gradus

/// Prints as to_string writes it.
template <>
struct fmt::formatter<gradus::Shape> : fmt::formatter<std::string_view> {
  auto format(const gradus::Shape& shape, fmt::format_context& context) const {
    return gradus::write_text(*this, gradus::to_string(shape), context);
  }
};
