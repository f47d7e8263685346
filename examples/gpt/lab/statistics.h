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

/// y = factor x^exponent, least squares in the logarithms; `curvature` is the factor of (ln x)^2 when a parabola is
/// fitted in place of the line. NaN where there are too few places: fewer than two for the line, than three for the
/// parabola.
struct PowerLaw {
  double factor = 0, exponent = 0, curvature = 0;
};
PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y);

}  // namespace gpt::lab
