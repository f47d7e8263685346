// gradcheck: compares the gradients that backward() finds with central differences, in f64, through a random weight on
// every output, because a plain sum is blind for softmax, norms and whatever else keeps sums constant.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {

struct GradcheckOptions {
  double step = 1e-6;      // central differences move each value x by step * max(1, |x|)
  double rtol = 1e-6;      // allowed |analytic - numeric| relative to the larger of both
  double atol = 1e-8;      // and absolutely
  std::uint64_t seed = 1;  // of the output weights
};

struct GradcheckReport {
  bool passed = false;
  std::string reason;      // why not, in one sentence; empty when passed
  Index checked = 0;       // gradient entries compared
  double worst_error = 0;  // the largest |analytic - numeric| / max(|analytic|, |numeric|, atol / rtol)
  std::size_t worst_input = 0;
  Index worst_index = 0;             // position in that input, row-major
  double analytic = 0, numeric = 0;  // the gradients there

  explicit operator bool() const { return passed; }
};

/// Checks f at `inputs`: f takes tensors of the inputs' shapes, in f64, and returns a tensor of any shape. Inputs that
/// want a gradient are checked; when none does, all are. The inputs themselves are left as they are.
GradcheckReport gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

/// The report as a few lines of text.
std::string to_string(const GradcheckReport& report);

/// For a test's message: const auto report = gradcheck(f, inputs); EXPECT_TRUE(report) << report;
std::ostream& operator<<(std::ostream& out, const GradcheckReport& report);

}  // namespace gradus

template <>
struct fmt::formatter<gradus::GradcheckReport> : fmt::formatter<std::string_view> {
  auto format(const gradus::GradcheckReport& report, fmt::format_context& context) const {
    return gradus::write_text(*this, gradus::to_string(report), context);
  }
};
