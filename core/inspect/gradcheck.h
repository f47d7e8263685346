// gradcheck: compares the gradients that backward() finds with two things computed from values alone, in f64: central
// differences, entry by entry, and the Taylor remainder along a random direction, which needs no tolerance. Outputs are
// weighted by random numbers, because a plain sum is blind for softmax, norms and whatever else keeps sums constant.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace testing {
class AssertionResult;  // GoogleTest's
}

namespace gradus {
#pragma GCC visibility push(default)

/// What gradcheck compares, and how closely.
struct GradcheckOptions {
  double step = 1e-6;  // central differences move each value x by step * max(1, |x|); where that fails, by other steps
  double rtol = 1e-6;  // allowed |analytic - numeric| relative to the larger of both
  double atol = 1e-8;  // and absolutely
  Index max_entries = 0;   // of each tensor, drawn at random, to be compared; 0: all of them
  bool taylor = true;      // off if f has kinks further from x than `step` but nearer than |x| / 16
  std::uint64_t seed = 1;  // of the output weights, the entries drawn and the Taylor directions
};

/// What was found in one tensor. The gradients are those of f if it returns one number, else of the sum of its outputs
/// with random weights between 0.5 and 1.5.
struct GradcheckEntry {
  std::string name;  // "input 0", or the parameter's path ("h.0.attn.c_attn.weight")
  Shape shape;
  Index checked = 0;                 // entries compared
  Index kinks = 0;                   // entries at which the slopes to the left and to the right differ
  Index failures = 0;                // entries whose gradient is wrong
  double largest_difference = 0;     // |analytic - numeric|
  double largest_gradient = 0;       // |analytic|, among the entries compared
  Index worst_index = 0;             // the entry nearest to the tolerance or furthest beyond it, row-major
  double analytic = 0, numeric = 0;  // backward()'s and the differences' gradient there
  double worst_error = 0;            // their relative error, |analytic - numeric| / max(|analytic|, |numeric|)

  /// "h.0.attn.c_attn.weight[3, 5]"
  std::string worst_place() const;
};

/// What gradcheck found. Converts to true if every gradient is right.
struct GradcheckReport {
  bool passed = false;
  std::string reason;  // why not, in one sentence; empty when passed
  Index checked = 0, kinks = 0;
  double worst_error = 0;       // the relative error of the worst of `entries`,
  std::size_t worst_input = 0;  // which is this one
  std::vector<GradcheckEntry> entries;
  std::vector<std::string> skipped;  // tensors that were not looked at, because they want no gradient
  std::string kink_place;            // one of the kinks: "input 0[3]"
  // The p in |f(x + h v) - f(x) - h <g, v>| ~ h^p as h shrinks: 2 for a right gradient g, 1 for a wrong one. Empty when
  // it could not be judged; the note then says why.
  std::optional<double> taylor_order;
  std::string taylor_note;

  explicit operator bool() const { return passed; }

  /// EXPECT_TRUE(gradcheck(f, inputs)) and EXPECT_TRUE(report): GoogleTest then shows the report.
  template <class Result>
  requires std::is_same_v<Result, ::testing::AssertionResult>
  operator Result() const { return Result(passed) << text(); }
  /// The report as a few lines.
  std::string text() const;
};

/// Checks f at `inputs`: f takes tensors of the inputs' shapes, in f64, and returns a tensor of any shape. Inputs that
/// want a gradient are checked; when none does, all are. The inputs themselves are left as they are.
/// A backward function that overwrites gradients instead of adding to them fails too.
/// At a kink (relu at 0, equal maxima) any gradient between the slopes of both sides is right; the report counts them.
/// Throws Error for options that make no sense and for an f that does not return f64.
GradcheckReport gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

/// Checks f, a function of f64 leaves that it holds itself, for those of `leaves` that want a gradient; a leaf listed
/// twice counts once. Values (to the bit) and gradients of the leaves are left as they were.
GradcheckReport gradcheck(const std::function<Tensor()>& f, const std::vector<std::pair<std::string, Tensor>>& leaves,
                          const GradcheckOptions& options = {});

/// Checks second derivatives: gradcheck() of the gradient of f by its inputs and by the weights of its outputs. It
/// fails where an op's rule for higher derivatives is wrong. Throws Error also for an op without a rule.
GradcheckReport gradgradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                              const std::vector<Tensor>& inputs, const GradcheckOptions& options = {});

inline std::string to_string(const GradcheckReport& report) {
  return report.text();
}
std::ostream& operator<<(std::ostream& out, const GradcheckReport& report);

#pragma GCC visibility pop
}  // namespace gradus

template <>
struct fmt::formatter<gradus::GradcheckReport> : fmt::formatter<std::string_view> {
  auto format(const gradus::GradcheckReport& report, fmt::format_context& context) const {
    return gradus::write_text(*this, report.text(), context);
  }
};
