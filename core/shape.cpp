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

}  // namespace gradus
