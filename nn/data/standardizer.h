// Standardizer: columns of numbers brought to mean 0 and standard deviation 1, by what the training rows say.
#pragma once

#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// As scikit-learn's StandardScaler: the deviation divides by n, NaN stands for a missing value, is passed over and
/// stays NaN, and a column of equal values has std 1, so that it becomes zeros.
class Standardizer {
 public:
  /// Takes mean and std of the columns of x, (rows, columns). Throws Error for another rank, no rows, and infinities.
  explicit Standardizer(const Tensor& x);

  /// (x - mean) / std and back, differentiable: (.., columns) -> (.., columns). Throws Error unless x has as many
  /// columns as the fitted one, and its type.
  Tensor transform(const Tensor& x) const;
  Tensor inverse(const Tensor& x) const;

  Tensor mean, std;  // (columns), in the type of the fitted x
};

#pragma GCC visibility pop
}  // namespace gradus::nn
