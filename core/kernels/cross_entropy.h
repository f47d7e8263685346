// cross_entropy, row by row: from logits to losses, and the gradient from two numbers per row.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/math.h>
#include <gradus/core/kernels/reduce.h>
#include <gradus/core/kernels/softmax.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// The row's maximum and the logarithm of its sum stay apart: added up, large logits would swallow the logarithm.
template <class T>
void cross_entropy(const T* x, const std::int32_t* targets, std::int32_t ignore, T smoothing, T* losses, T* max,
                   T* log_sum, Index rows, Index cols) {
  for (Index r = 0; r < rows; ++r, x += cols) {
    losses[r] = max[r] = log_sum[r] = 0;
    if (targets[r] == ignore) continue;
    max[r] = row_max(x, cols);
    log_sum[r] = log_sum_exp(x, max[r], cols);
    losses[r] = (max[r] - x[targets[r]]) + log_sum[r];
    if (smoothing > 0) {
      const T all = (max[r] - sum(x, cols) / static_cast<T>(cols)) + log_sum[r];
      losses[r] = (1 - smoothing) * losses[r] + smoothing * all;
    }
  }
}

// dx = scale (softmax(x) - (1 - smoothing) one_hot(target) - smoothing / cols)
template <class T>
void cross_entropy_grad(T* dx, bool adds, T scale, const T* x, const std::int32_t* targets, std::int32_t ignore,
                        T smoothing, const T* max, const T* log_sum, Index rows, Index cols) {
  const Vec<T> s(scale), share(smoothing / static_cast<T>(cols));
  with_constant(adds, [&](auto adding) {
    for (Index r = 0; r < rows; ++r, x += cols, dx += cols) {
      if (targets[r] == ignore) {
        if (!adds) each_vector<T>(cols, [&](Index i, Index m) { put(dx + i, Vec<T>(0), m); });
        continue;
      }
      const Vec<T> first(max[r]), second(log_sum[r]);
      each_vector<T>(cols, [&](Index i, Index m) {
        add_to(dx + i, s * (exponential_of_negative((get(x + i, m) - first) - second) - share), m, adding);
      });
      dx[targets[r]] -= scale * (1 - smoothing);
    }
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
