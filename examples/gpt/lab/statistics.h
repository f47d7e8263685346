// What is said of a few numbers: their mean and how sure it is, the difference of pairs, a power law through points.
#pragma once

#include <span>

#include <gradus/core/shape.h>

namespace gpt::lab {

using gradus::Index;

/// Student's t: the value that a variable with `degrees` degrees of freedom stays below with probability `p`, from 0.5
/// to 1 without it.
double t_quantile(double degrees, double p = 0.975);

/// A mean and half the width of its 95 % confidence interval; NaN where there are fewer than two numbers.
struct Mean {
  Index count = 0;
  double value = 0, margin = 0;

  double low() const { return value - margin; }
  double high() const { return value + margin; }
};
Mean mean_of(std::span<const double> values);
/// Of a[i] - b[i]: what pairs have in common, such as their seed, does not widen the interval.
Mean difference_of(std::span<const double> a, std::span<const double> b);

/// y = factor x^exponent, least squares in the logarithms; `margin` is half the width of the exponent's 95 % interval,
/// NaN for fewer than three points.
struct PowerLaw {
  Index count = 0;
  double factor = 0, exponent = 0, margin = 0;
};
PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y);

}  // namespace gpt::lab
