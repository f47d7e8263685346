// Two passes in f64: the mean, then the squares around it. A column whose values are all equal is told by comparing
// them, since its sum of squares need not be exactly 0.
#include <gradus/nn/data/standardizer.h>

#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus::nn {
namespace {

struct Moments {
  double mean = 0, std = 1;
};

template <class T>
Moments moments_of(std::span<const T> values, std::size_t column, std::size_t columns) {
  double sum = 0, count = 0, first = 0;
  bool constant = true;
  for (std::size_t i = column; i < values.size(); i += columns) {
    const double value = values[i];
    if (std::isnan(value)) continue;
    check(std::isfinite(value), "Standardizer: column {} has {} in row {}; take infinities out first", column, value,
          i / columns);
    if (count == 0) first = value;
    constant = constant && value == first;
    sum += value;
    ++count;
  }
  if (constant) return {first, 1};
  const double mean = sum / count;
  double squares = 0;
  for (std::size_t i = column; i < values.size(); i += columns) {
    const double value = values[i];
    if (!std::isnan(value)) squares += (value - mean) * (value - mean);
  }
  check(std::isfinite(squares), "Standardizer: column {} has numbers too large to square in f64; scale it first",
        column);
  return {mean, std::sqrt(squares / count)};
}

void check_columns(const Tensor& x, const Tensor& mean) {
  check_defined("Standardizer", {x});
  check(x.rank() >= 1 && x.shape().back() == mean.numel() && x.dtype() == mean.dtype(),
        "Standardizer: {} in {} came, and it was fitted to {} columns in {}; use the same columns and type", x.shape(),
        x.dtype(), mean.numel(), mean.dtype());
}

}  // namespace

Standardizer::Standardizer(const Tensor& x) {
  check_defined("Standardizer", {x});
  check(x.rank() == 2 && x.size(0) >= 1,
        "Standardizer: {} came; (rows, columns) with at least one row is needed, reshape it first", x.shape());
  mean = Tensor::empty({x.size(1)}, x.dtype());
  std = Tensor::empty_like(mean);
  dispatch(x.dtype(), [&]<class T>() {
    const auto columns = static_cast<std::size_t>(x.size(1));
    for (std::size_t c = 0; c < columns; ++c) {
      const Moments moments = moments_of(std::span<const T>(x.data<T>()), c, columns);
      mean.data<T>()[c] = static_cast<T>(moments.mean);
      // A deviation that T rounds to 0 would make infinities.
      const T deviation = static_cast<T>(moments.std);
      std.data<T>()[c] = deviation > 0 ? deviation : T{1};
    }
  });
}

Tensor Standardizer::transform(const Tensor& x) const {
  check_columns(x, mean);
  return (x - mean) / std;
}

Tensor Standardizer::inverse(const Tensor& x) const {
  check_columns(x, mean);
  return x * std + mean;
}

}  // namespace gradus::nn
