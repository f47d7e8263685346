// How far gradus is from PyTorch, and from central differences, in one case.
#pragma once

#include <optional>

#include "cases.h"

namespace gradus::testing {

/// The largest |a - b|, as a part of the largest |b|, or of `least` where that is more, or of 1 where both are 0. NaN
/// and infinities agree with themselves and are infinitely far from everything else.
double error(const std::vector<double>& a, const std::vector<double>& b, double least = 0);

/// The largest |a - b| / |b| of single elements; 0 is infinitely far from all but itself.
double error_of_each(const std::vector<double>& a, const std::vector<double>& b);

struct Errors {
  double forward = 0;
  double each = 0;                      // of the result
  std::optional<double> gradient = {};  // the largest of all inputs; none where there is no gradient

  void widen(const Errors& other);
};

/// Whether PyTorch computed this case in `dtype`.
bool has_results(const Case& c, DType dtype);
/// gradus in `dtype` against PyTorch in `judge`, or nothing if the case was not recorded in both. Throws Error if a
/// shape differs, or if an input has a gradient on one side only.
std::optional<Errors> against_pytorch(const Case& c, DType dtype, DType judge);
/// PyTorch's own f32 against its f64.
std::optional<Errors> pytorch_f32(const Case& c);
/// gradcheck's largest difference as a part of the tensor's largest gradient, for all inputs that have one; nothing
/// where differences cannot judge.
std::optional<double> against_differences(const Case& c);

/// How far the gradients by the ops' rules are from those by their kernels, in f64; nothing where there are none.
std::optional<double> rules_against_kernels(const Case& c);
/// gradus's second derivatives along a direction against PyTorch's, in f64; nothing if PyTorch has none.
std::optional<double> second_against_pytorch(const Case& c);

/// The inputs (by number or name) that PyTorch has a gradient for.
std::vector<std::string> inputs_with_gradient(const Case& c);

}  // namespace gradus::testing
