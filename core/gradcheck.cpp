// Runs f on f64 copies of the inputs: once with backward(), then twice for each input value without recording.
#include <gradus/core/gradcheck.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus {
namespace {

double weighted_sum(const Tensor& y, const Tensor& weight) {
  const std::span<const double> a = y.data<double>(), w = weight.data<double>();
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * w[i];
  return sum;
}

GradcheckReport failed(GradcheckReport report, std::string reason) {
  report.passed = false;
  report.reason = std::move(reason);
  return report;
}

}  // namespace

GradcheckReport gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  GradcheckReport report;
  const bool choose = std::ranges::any_of(inputs, [](const Tensor& x) { return x.requires_grad(); });
  std::vector<Tensor> x;
  for (const Tensor& input : inputs) {
    x.push_back(input.dtype() == DType::f64 ? input.clone() : input.detach().to(DType::f64));
    x.back().requires_grad(choose ? input.requires_grad() : true);
  }

  const Tensor y = f(x);
  check(y.dtype() == DType::f64, "gradcheck: f returned {}; it was given f64 tensors and must compute in f64",
        y.dtype());
  Generator generator(options.seed);
  Tensor weight = Tensor::empty(y.shape(), DType::f64);
  generator.fill_uniform(weight.data<double>(), 0.5, 1.5);
  {
    const NoGrad guard;
    const Tensor again = f(x);
    if (!std::ranges::equal(again.data<double>(), y.data<double>(),
                            [](double a, double b) { return a == b || (a != a && b != b); })) {
      return failed(report,
                    "f is not deterministic: two calls with the same inputs gave different values; seed or "
                    "switch off what is random in it");
    }
  }
  if (!y.requires_grad())
    return failed(report, "no gradient: nothing that f computed depends on an input being checked");
  y.backward(weight);

  const NoGrad guard;
  report.passed = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!x[i].requires_grad()) continue;
    const std::span<double> values = x[i].data<double>();
    const std::vector<double> gradient =
        x[i].grad().defined() ? x[i].grad().to_vector() : std::vector<double>(values.size(), 0);
    for (std::size_t j = 0; j < values.size(); ++j) {
      const double kept = values[j], h = options.step * std::max(1.0, std::abs(kept));
      values[j] = kept + h;
      const double above = weighted_sum(f(x), weight), x_above = values[j];
      values[j] = kept - h;
      const double below = weighted_sum(f(x), weight), x_below = values[j];
      values[j] = kept;
      const double numeric = (above - below) / (x_above - x_below), analytic = gradient[j];
      const double difference = std::abs(analytic - numeric), size = std::max(std::abs(analytic), std::abs(numeric));
      const double error = difference / std::max(size, options.atol / options.rtol);
      const bool bad = !(difference <= options.atol + options.rtol * size);
      ++report.checked;
      if (report.checked == 1 || !(error <= report.worst_error)) {
        report.worst_error = error;
        report.worst_input = i;
        report.worst_index = static_cast<Index>(j);
        report.analytic = analytic;
        report.numeric = numeric;
      }
      if (bad) report.passed = false;
    }
  }
  if (report.checked == 0) return failed(report, "nothing was compared: every input checked is empty");
  return report.passed ? report : failed(report, "analytic and numeric gradients differ");
}

std::string to_string(const GradcheckReport& report) {
  std::string text = report.passed ? "gradcheck passed" : "gradcheck failed: " + report.reason;
  if (report.checked > 0) {
    text += fmt::format(
        "; {} entries, worst at input {} index {}: analytic {:.12g}, numeric {:.12g}, relative error {:.2e}",
        report.checked, report.worst_input, report.worst_index, report.analytic, report.numeric, report.worst_error);
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const GradcheckReport& report) {
  return out << to_string(report);
}

}  // namespace gradus
