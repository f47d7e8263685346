// What the rows of convolution and pooling share.
#pragma once

#include <string>

#include "../op_table.h"

namespace gradus::testing {

inline std::string torch_of(Size2 size) {
  return fmt::format("({}, {})", size.height, size.width);
}

/// How many places a window of `kernel` has along a dimension of `size`.
inline Index places(Index size, Index kernel, Index stride, Index padding, Index dilation) {
  return (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

}  // namespace gradus::testing
