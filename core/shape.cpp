#include <gradus/core/shape.h>

#include <ostream>

#include <fmt/format.h>

namespace gradus {

void Shape::check_empty() const {
  Index product = 1;
  for (const Index size : *this) {
    check(size == 0 || !__builtin_mul_overflow(product, size, &product),
          "shape: {} has a size of 0, but its other sizes multiply to more than fit in 63 bits", *this);
  }
}

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  return out << to_string(shape);
}

Shape Shape::unsqueezed(Index dim, const char* op) const {
  const Index size = rank() + 1;
  check(dim >= -size && dim < size, "{}: there is no place {} among {} dimensions; use {} .. {}", op, dim, size, -size,
        size - 1);
  Shape result;
  for (Index d = 0; d < size; ++d) {
    const Index place = dim < 0 ? dim + size : dim;
    result.push_back(d == place ? 1 : (*this)[d < place ? d : d - 1]);
  }
  return result;
}

Sizes::Sizes(std::span<const Index> sizes) : rank_(sizes.size()) {
  check(rank_ <= Shape::max_rank, "shape: {} dimensions; at most {} are allowed: merge some with reshape", rank_,
        Shape::max_rank);
  std::ranges::copy(sizes, sizes_.begin());
}

Shape Sizes::fill(const char* op, const Shape& from) const {
  const Index* const inferred = std::find(begin(), end(), -1);
  if (inferred == end()) return Shape(std::span<const Index>(begin(), end()));
  check(std::count(begin(), end(), -1) == 1, "{}: -1 stands twice in ({}); it may stand once", op,
        fmt::join(*this, ", "));
  Shape shape;
  for (const Index* size = begin(); size != end(); ++size) shape.push_back(size == inferred ? 1 : *size);
  const Index others = shape.numel(), all = from.numel();
  check(others != 0 && all % others == 0,
        "{}: {} has {} elements; they must be a multiple of {}, the product of the other sizes in ({})", op, from, all,
        others, fmt::join(*this, ", "));
  shape.set(inferred - begin(), all / others);
  return shape;
}

}  // namespace gradus
