// A QR decomposition would do; polynomials that are orthogonal on the points (Forsythe 1957) need no matrix at all and
// stay exact at any degree used here.
#include "polynomial.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace gpt::lab {
namespace {

constexpr int points = 2001;

double gelu(double x) {
  return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
}

double value_of(const std::vector<double>& coefficients, double x) {
  double value = 0;
  for (std::size_t i = coefficients.size(); i-- > 0;) value = value * x + coefficients[i];
  return value;
}

std::vector<double> points_within(double reach) {
  std::vector<double> x;
  for (int i = 0; i < points; ++i) x.push_back(reach * (2.0 * i / (points - 1) - 1));
  return x;
}

}  // namespace

GeluPolynomial fit_gelu(int degree, double reach) {
  const std::vector<double> x = points_within(reach);
  const auto count = static_cast<std::size_t>(degree) + 1;
  std::vector<double> fitted(count), before(count), now(count);
  now[0] = 1;
  double norm_before = 1;
  for (std::size_t k = 0; k < count; ++k) {
    double norm = 0, with_gelu = 0, with_x = 0;
    for (const double at : x) {
      const double value = value_of(now, at);
      norm += value * value, with_gelu += value * gelu(at), with_x += value * value * at;
    }
    for (std::size_t i = 0; i < count; ++i) fitted[i] += with_gelu / norm * now[i];
    // p_{k+1} = (x - a) p_k - b p_{k-1}
    const double a = with_x / norm, b = k == 0 ? 0 : norm / norm_before;
    std::vector<double> next(count);
    for (std::size_t i = 0; i < count; ++i) next[i] = (i > 0 ? now[i - 1] : 0) - a * now[i] - b * before[i];
    before = now, now = next, norm_before = norm;
  }
  return {fitted, largest_gelu_error([&](double at) { return value_of(fitted, at); }, reach)};
}

double largest_gelu_error(const std::function<double(double)>& f, double reach) {
  double worst = 0;
  for (const double at : points_within(reach)) worst = std::max(worst, std::abs(f(at) - gelu(at)));
  return worst;
}

}  // namespace gpt::lab
