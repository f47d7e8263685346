#include <gradus/core/shape.h>

#include <fmt/format.h>

namespace gradus {

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

}  // namespace gradus
