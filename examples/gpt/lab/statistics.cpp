// The distribution of t by the continued fraction of the incomplete beta function (Press et al., Numerical Recipes,
// section 6.4), its quantile by halving.
#include "statistics.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gradus/core/check.h>

namespace gpt::lab {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double beta_fraction(double a, double b, double x) {
  constexpr double least = 1e-300;
  const auto away = [](double value) { return std::abs(value) < least ? least : value; };
  double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), h = d;
  for (int m = 1; m < 10'000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d), c = away(1 + even / c), h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d), c = away(1 + odd / c), h *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return h;
}

// The regularized incomplete beta function.
double beta_share(double a, double b, double x) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

}  // namespace

double t_quantile(double degrees, double p) {
  gradus::check(degrees > 0 && p >= 0.5 && p < 1,
                "t_quantile: {} degrees of freedom and p {}; give more than 0, and p "
                "from 0.5 to 1",
                degrees, p);
  const auto below = [&](double t) { return 1 - beta_share(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2; };
  double low = 0, high = 1;
  while (below(high) < p) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (below(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

Mean mean_of(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  if (values.empty()) return {0, unknown, unknown};
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  for (const double value : values) squares += (value - sum / n) * (value - sum / n);
  Mean mean{static_cast<Index>(values.size()), sum / n, unknown};
  if (values.size() > 1) mean.margin = t_quantile(n - 1) * std::sqrt(squares / (n - 1) / n);
  return mean;
}

Mean difference_of(std::span<const double> a, std::span<const double> b) {
  gradus::check(a.size() == b.size(), "difference_of: {} and {} numbers; they must be pairs", a.size(), b.size());
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  return mean_of(differences);
}

PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y) {
  gradus::check(x.size() == y.size(), "fit_power_law: {} and {} numbers; they must be points", x.size(), y.size());
  const auto n = static_cast<double>(x.size());
  double mean_x = 0, mean_y = 0, xx = 0, xxx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    gradus::check(x[i] > 0 && y[i] > 0, "fit_power_law: the point ({}, {}); both must be above 0", x[i], y[i]);
    mean_x += std::log(x[i]) / n, mean_y += std::log(y[i]) / n;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = std::log(x[i]) - mean_x;
    xx += dx * dx, xxx += dx * dx * dx, xy += dx * (std::log(y[i]) - mean_y);
  }
  if (xx == 0) return {unknown, unknown, unknown};
  const double slope = xy / xx;
  // On a parabola that is orthogonal to every line (Forsythe 1957).
  double squares = 0, with_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = std::log(x[i]) - mean_x, bent = dx * dx - xxx / xx * dx - xx / n;
    squares += bent * bent, with_y += bent * (std::log(y[i]) - mean_y);
  }
  constexpr double rounding = 1e-20;
  const double curvature = squares > rounding * xx * xx ? with_y / squares : unknown;
  return {std::exp(mean_y - slope * mean_x), slope, curvature};
}

}  // namespace gpt::lab
