// The rows of unary.def and binary.def: what the op table (pointwise.cpp makes its rows of them) and the numbers at the
// ends of the range (special_values_test.cpp) are held against.
#pragma once

#include "../op_table.h"

namespace gradus::testing {

using Exact = long double;

/// An op of one argument, with its parameters put in.
struct UnaryRow {
  std::string op;  // its name in unary.def
  std::string variant = {};
  Tensor (*f)(const Tensor&);
  Exact (*value)(Exact);
  Exact (*slope)(Exact);
  std::vector<Domain> domains = {Domain::any};  // a row of the op table each; the second is called "wide"
  std::string torch = {};                       // as OpRow's
  std::vector<double> edges = {};               // for PyTorch: kinks, bounds, far out on both sides
  Limits limits = {};                           // against PyTorch
  std::optional<Limits> far_limits = {};        // the same for "wide" and for the edges
  double f32_tolerance = 1e-6;

  // Where numbers end: ulps of the value, and of the slope or of 1 where that is smaller, since slopes may come from
  // values near 1.
  double value_ulps = 2, slope_ulps = 4;
  // Apart from that: values of this size may be lost. Of a product of two numbers one of which is subnormal, and of
  // what a formula documents.
  double lost_f32 = 1e-43, lost_f64 = 3e-321;
  double ulps_per_x = 0;  // more of them for larger |x|: of an exponential whose argument has been rounded

  std::string name() const { return variant.empty() ? op : op + "_" + variant; }
};

struct Slopes {
  Exact a, b;
};

/// An op of two arguments.
struct BinaryRow {
  std::string op;  // its name in binary.def
  Tensor (*f)(const Tensor&, const Tensor&);
  Exact (*value)(Exact a, Exact b);
  Slopes (*slopes)(Exact a, Exact b, Exact y);  // y: the value as the type has it
  std::vector<Domain> domains = {Domain::any, Domain::any};
  std::string torch = {};
  std::vector<Edge> edges = {};
  bool jumps = false;  // a difference may meet a jump: only equal shapes are large
  Limits limits = {};
  double f32_tolerance = 1e-6;
  double value_ulps = 2, slope_ulps = 4;

  /// Where an input is one number: its gradient sums a product for each element of the other.
  Limits summed() const { return {limits.forward, 8 * limits.gradient, limits.each}; }
};

const std::vector<UnaryRow>& unary_rows();
const std::vector<BinaryRow>& binary_rows();

}  // namespace gradus::testing
