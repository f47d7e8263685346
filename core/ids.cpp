#include <gradus/core/ids.h>

namespace gradus {

Ids Ids::reshape(const Sizes& sizes) const& {
  return Ids(*this).reshape(sizes);
}

Ids Ids::reshape(const Sizes& sizes) && {
  const Shape shape = sizes.fill("ids", shape_);
  check(shape.numel() == static_cast<Index>(size()), "ids: {} ids do not fill shape {}, which needs {}", size(), shape,
        shape.numel());
  shape_ = shape;
  return std::move(*this);
}

Ids Ids::unsqueeze(Index dim) const {
  return reshape(shape_.unsqueezed(dim, "unsqueeze"));
}

}  // namespace gradus
