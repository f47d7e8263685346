// The polynomial that is nearest to the exact GELU on an interval.
#pragma once

#include <functional>
#include <vector>

namespace gpt::lab {

struct GeluPolynomial {
  std::vector<double> coefficients;  // from the constant up
  double largest_error;              // on the interval
};

/// Least squares at 2,001 evenly spaced points of [-reach, reach]. The degree is at most 16.
GeluPolynomial fit_gelu(int degree, double reach);

/// The largest |f(x) - GELU(x)| at these points.
double largest_gelu_error(const std::function<double(double)>& f, double reach);

}  // namespace gpt::lab
