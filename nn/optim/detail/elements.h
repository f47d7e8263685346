// The loop over elements of optimizers and clipping that have no kernel in core.
#pragma once

#include <gradus/core/runtime/parallel.h>

namespace gradus::optim::detail {

/// f(i) for i = 0 .. n-1, on all threads; f writes only to places i.
template <class F>
void each_element(Index n, F&& f) {
  constexpr Index chunk = 16384;
  parallel_for(n, chunk, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) f(static_cast<std::size_t>(i));
  });
}

}  // namespace gradus::optim::detail
