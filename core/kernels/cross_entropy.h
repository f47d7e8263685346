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
void cross_entropy(CrossEntropy<T> in) {
  for (Index r = 0; r < in.rows; ++r, in.x += in.cols) {
    in.losses[r] = in.max[r] = in.log_sum[r] = 0;
    if (in.targets[r] == in.ignore) continue;
    const T max = row_max(in.x, in.cols), log_sum = log_sum_exp(in.x, max, in.cols);
    T loss = (max - in.x[in.targets[r]]) + log_sum;
    if (in.smoothing > 0) {
      const T all = (max - sum(in.x, in.cols) / static_cast<T>(in.cols)) + log_sum;
      loss = (1 - in.smoothing) * loss + in.smoothing * all;
    }
    in.losses[r] = loss, in.max[r] = max, in.log_sum[r] = log_sum;
  }
}

// dx = scale (softmax(x) - (1 - smoothing) one_hot(target) - smoothing / cols)
template <class T>
void cross_entropy_grad(CrossEntropyGrad<T> in) {
  const Vec<T> s(in.scale), share(in.smoothing / static_cast<T>(in.cols));
  with_constant(in.adds, [&](auto adding) {
    for (Index r = 0; r < in.rows; ++r, in.x += in.cols, in.dx += in.cols) {
      if (in.targets[r] == in.ignore) {
        if (!in.adds) each_vector<T>(in.cols, [&](Index i, Index m) { put(in.dx + i, Vec<T>(0), m); });
        continue;
      }
      const Vec<T> first(in.max[r]), second(in.log_sum[r]);
      each_vector<T>(in.cols, [&](Index i, Index m) {
        add_to(in.dx + i, s * (exponential_of_negative((get(in.x + i, m) - first) - second) - share), m, adding);
      });
      in.dx[in.targets[r]] -= in.scale * (1 - in.smoothing);
    }
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
