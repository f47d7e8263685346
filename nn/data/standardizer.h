// Standardizer: columns of numbers brought to mean 0 and standard deviation 1, by what the training rows say.
#pragma once

#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// As scikit-learn's StandardScaler: the deviation divides by n, NaN stands for a missing value and is passed over, and
/// a column of one value, or of none, becomes zeros: its std is 1.
class Standardizer {
 public:
  /// Takes mean and std of the columns of x, (rows, columns). Throws Error for another rank, no rows, and infinities.
  explicit Standardizer(const Tensor& x);

  /// (x - mean) / std and back, differentiable: (.., columns) -> (.., columns). Throws Error for another count of
  /// columns and another type than the fitted x's.
  Tensor transform(const Tensor& x) const;
  Tensor inverse(const Tensor& x) const;

  Tensor mean, std;  // (columns), in the type of the fitted x
};

#pragma GCC visibility pop
}  // namespace gradus::nn
