// What the ops' rules share: gradients as tensors, made with ops, for higher derivatives.
#pragma once

#include <memory>

#include <gradus/core/ids.h>
#include <gradus/core/ops.h>

namespace gradus {

/// Sums x down to `shape`, over the dimensions that broadcasting expanded: its gradient. Undefined stays so.
Tensor sum_to(const Tensor& x, const Shape& shape);

/// Ids that both forms of an op's derivative hold.
inline std::shared_ptr<const Ids> share(Ids ids) {
  return std::allocate_shared<const Ids>(PoolAllocator<const Ids>{}, std::move(ids));
}

}  // namespace gradus
