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

/// With ceil_mode the last place may reach beyond the padding, but it must begin on the input or the padding before it.
inline Index places_of_ceil_mode(Index size, Index kernel, Index stride, Index padding) {
  Index count = 0;
  for (Index begin = -padding; begin < size; begin += stride, ++count) {
    if (begin + kernel >= size + padding) return count + 1;
  }
  return count;
}

}  // namespace gradus::testing
