#include "../op_table.h"

#include <cmath>
#include <numbers>

namespace gradus::testing {
namespace {

constexpr double pi = std::numbers::pi;

void add_unary(std::vector<OpRow>& rows) {
  struct Row {
    const char* op;
    Tensor (*f)(const Tensor&);
    double (*value)(double);
    Domain domain = Domain::any;
    const char* torch = "";
  };
  const Row table[] = {
      {"asinh", asinh, [](double x) { return std::asinh(x); }},
      {"acosh", [](const Tensor& x) { return acosh(x + 1); }, [](double x) { return std::acosh(x + 1); },
       Domain::positive, "torch.acosh(x[0] + 1)"},
      {"atanh", atanh, [](double x) { return std::atanh(x); }, Domain::part},
      {"log10", log10, [](double x) { return std::log10(x); }, Domain::positive},
      {"erfc", erfc, [](double x) { return std::erfc(x); }},
      {"sinc", sinc, [](double x) { return std::sin(pi * x) / (pi * x); }, Domain::nonzero},
      {"frac", frac, [](double x) { return x - std::trunc(x); }, Domain::part},
      {"deg2rad", deg2rad, [](double x) { return x * pi / 180; }},
      {"rad2deg", rad2deg, [](double x) { return x * 180 / pi; }},
      {"logit", [](const Tensor& x) { return logit(x / 4 + 0.5); },
       [](double x) { return std::log((x / 4 + 0.5) / (0.5 - x / 4)); }, Domain::part, "torch.logit(x[0] / 4 + 0.5)"},
      {"nan_to_num", [](const Tensor& x) { return nan_to_num(x); }, [](double x) { return x; }},
      {"threshold", [](const Tensor& x) { return threshold(x, 0.1, 20); }, [](double x) { return x > 0.1 ? x : 20; },
       Domain::nonzero, "F.threshold(x[0], 0.1, 20)"},
      {"clamp_min", [](const Tensor& x) { return clamp_min(x, 0.1); }, [](double x) { return std::max(x, 0.1); },
       Domain::nonzero, "torch.clamp_min(x[0], 0.1)"},
      {"clamp_max", [](const Tensor& x) { return clamp_max(x, 0.1); }, [](double x) { return std::min(x, 0.1); },
       Domain::nonzero, "torch.clamp_max(x[0], 0.1)"},
      {"rrelu", [](const Tensor& x) { return rrelu(x); }, [](double x) { return x > 0 ? x : x * 11 / 48; },
       Domain::nonzero, "F.rrelu(x[0])"},
  };
  for (const Row& row : table) {
    rows.push_back({.op = row.op,
                    .shapes = {{3, 17}},
                    .f = [f = row.f](In x) { return f(x[0]); },
                    .reference = [value = row.value](Arrays x) { return ref::map(x[0], value); },
                    .domains = {row.domain},
                    .torch = row.torch,
                    .limits = {64, 64},
                    .f32_tolerance = 1e-5,
                    .f32_grad_tolerance = 4e-5});
  }
}

void add_binary(std::vector<OpRow>& rows) {
  struct Row {
    const char* op;
    Tensor (*f)(const Tensor&, const Tensor&);
    double (*value)(double, double);
    std::vector<Domain> domains = {Domain::any};
    std::set<std::size_t> no_gradient = {};
    const char* torch = "";
  };
  const Row table[] = {
      {"hypot", hypot, [](double a, double b) { return std::hypot(a, b); }, {Domain::nonzero}},
      {"logaddexp", logaddexp, [](double a, double b) { return std::log(std::exp(a) + std::exp(b)); }},
      {"logaddexp2", logaddexp2, [](double a, double b) { return std::log2(std::exp2(a) + std::exp2(b)); }},
      {"xlogy", xlogy, [](double a, double b) { return a * std::log(b); }, {Domain::any, Domain::positive}},
      {"copysign", copysign, [](double a, double b) { return std::copysign(a, b); }, {Domain::nonzero}, {1}},
      {"fmax", fmax, [](double a, double b) { return std::fmax(a, b); }, {Domain::distinct, Domain::whole}},
      {"fmin", fmin, [](double a, double b) { return std::fmin(a, b); }, {Domain::distinct, Domain::whole}},
      {"ldexp", ldexp, [](double a, double b) { return a * std::exp2(b); }},
  };
  for (const Row& row : table) {
    rows.push_back({.op = row.op,
                    .shapes = {{3, 17}, {17}},
                    .f = [f = row.f](In x) { return f(x[0], x[1]); },
                    .reference = [value = row.value](Arrays x) { return ref::binary(x[0], x[1], value); },
                    .domains = row.domains,
                    .no_gradient = row.no_gradient,
                    .torch = row.torch,
                    .limits = {64, 64},
                    .f32_tolerance = 1e-5,
                    .f32_grad_tolerance = 4e-5});
  }
  rows.push_back({.op = "addcmul",
                  .shapes = {{3, 5}, {3, 5}, {5}},
                  .f = [](In x) { return addcmul(x[0], x[1], x[2], 0.5); },
                  .reference =
                      [](Arrays x) {
                        return ref::make(x[0].shape, [&](const ref::Indices& i) {
                          return x[0].at(i) + 0.5 * x[1].at(i) * x[2].at({i[1]});
                        });
                      },
                  .torch = "torch.addcmul(x[0], x[1], x[2], value=0.5)",
                  .limits = {16, 32}});
  rows.push_back({.op = "addcdiv",
                  .shapes = {{3, 5}, {3, 5}, {5}},
                  .f = [](In x) { return addcdiv(x[0], x[1], x[2], 0.5); },
                  .reference =
                      [](Arrays x) {
                        return ref::make(x[0].shape, [&](const ref::Indices& i) {
                          return x[0].at(i) + 0.5 * x[1].at(i) / x[2].at({i[1]});
                        });
                      },
                  .domains = {Domain::any, Domain::any, Domain::nonzero},
                  .torch = "torch.addcdiv(x[0], x[1], x[2], value=0.5)",
                  .limits = {16, 64},
                  .f32_grad_tolerance = 4e-5});
}

// Results without a gradient.
void add_masks(std::vector<OpRow>& rows) {
  struct Row {
    const char* op;
    Tensor (*f)(const Tensor&, const Tensor&);
    double (*value)(double, double);
    const char* torch;
  };
  const Row table[] = {
      {"signbit", [](const Tensor& a, const Tensor& b) { return signbit(a - b); },
       [](double a, double b) { return a - b < 0 ? 1.0 : 0.0; }, "torch.signbit(x[0] - x[1])"},
      {"isposinf", [](const Tensor& a, const Tensor& b) { return isposinf(a / (b * 0)); },
       [](double a, double b) { return (a < 0) == (b < 0) ? 1.0 : 0.0; }, "torch.isposinf(x[0] / (x[1] * 0))"},
      {"isneginf", [](const Tensor& a, const Tensor& b) { return isneginf(a / (b * 0)); },
       [](double a, double b) { return (a < 0) == (b < 0) ? 0.0 : 1.0; }, "torch.isneginf(x[0] / (x[1] * 0))"},
      {"heaviside", [](const Tensor& a, const Tensor& b) { return heaviside(trunc(a), b); },
       [](double a, double b) { return std::trunc(a) == 0 ? b
                                       : a > 0            ? 1.0
                                                          : 0.0; },
       "torch.heaviside(x[0].trunc(), x[1])"},
      {"floor_divide", floor_divide, [](double a, double b) { return std::floor(a / b); },
       "torch.floor_divide(x[0], x[1])"},
      {"isclose", [](const Tensor& a, const Tensor& b) { return isclose(a, b, 0.5, 0.1); },
       [](double a, double b) { return std::abs(a - b) <= 0.1 + 0.5 * std::abs(b) ? 1.0 : 0.0; },
       "torch.isclose(x[0], x[1], 0.5, 0.1)"},
  };
  for (const Row& row : table) {
    rows.push_back({.op = row.op,
                    .shapes = {{3, 17}, {17}},
                    .f = [f = row.f](In x) { return f(x[0], x[1]); },
                    .reference = [value = row.value](Arrays x) { return ref::binary(x[0], x[1], value); },
                    .domains = {Domain::nonzero},
                    .no_gradient = {0, 1},
                    .torch = fmt::format("{}.to(x[0].dtype)", row.torch),
                    .limits = {0, 0}});
  }
  rows.push_back({.op = "isin",
                  .shapes = {{3, 17}, {5}},
                  .f = [](In x) { return isin(trunc(x[0]), trunc(x[1])); },
                  .reference =
                      [](Arrays x) {
                        return ref::map(x[0], [&](double a) {
                          bool found = false;
                          for (const double b : x[1].values) found = found || std::trunc(a) == std::trunc(b);
                          return found ? 1.0 : 0.0;
                        });
                      },
                  .no_gradient = {0, 1},
                  .torch = "torch.isin(x[0].trunc(), x[1].trunc()).to(x[0].dtype)",
                  .limits = {0, 0}});
}

// Numbers that are made from settings alone, times an input.
void add_made(std::vector<OpRow>& rows) {
  struct Row {
    const char* op;
    Tensor (*f)(DType);
    double (*value)(double);
    const char* torch;
  };
  const Row table[] = {
      {"logspace", [](DType dtype) { return logspace(0, 2, 7, 2, dtype); }, [](double i) { return std::exp2(i / 3); },
       "torch.logspace(0, 2, 7, 2, dtype=x[0].dtype)"},
      {"hann_window", [](DType dtype) { return hann_window(7, true, dtype); },
       [](double i) { return 0.5 - 0.5 * std::cos(2 * pi * i / 7); }, "torch.hann_window(7, dtype=x[0].dtype)"},
      {"hamming_window", [](DType dtype) { return hamming_window(7, false, dtype); },
       [](double i) { return 0.54 - 0.46 * std::cos(2 * pi * i / 6); },
       "torch.hamming_window(7, False, dtype=x[0].dtype)"},
      {"blackman_window", [](DType dtype) { return blackman_window(7, true, dtype); },
       [](double i) { return 0.42 - 0.5 * std::cos(2 * pi * i / 7) + 0.08 * std::cos(4 * pi * i / 7); },
       "torch.blackman_window(7, dtype=x[0].dtype)"},
      {"bartlett_window", [](DType dtype) { return bartlett_window(7, true, dtype); },
       [](double i) { return 1 - std::abs(2 * i / 7 - 1); }, "torch.bartlett_window(7, dtype=x[0].dtype)"},
  };
  for (const Row& row : table) {
    rows.push_back({.op = row.op,
                    .shapes = {{2, 7}},
                    .f = [f = row.f](In x) { return x[0] * f(x[0].dtype()); },
                    .reference =
                        [value = row.value](Arrays x) {
                          return ref::make({2, 7}, [&](const ref::Indices& i) {
                            return x[0].at(i) * value(static_cast<double>(i[1]));
                          });
                        },
                    .torch = fmt::format("x[0] * {}", row.torch),
                    .limits = {64, 64}});
  }
  rows.push_back({.op = "normal",
                  .variant = "none",
                  .shapes = {{2, 3, 4}},
                  .f = [](In x) { return normal(x[0], zeros_like(x[0])) * 1; },
                  .reference = [](Arrays x) { return x[0]; },
                  .torch = "x[0] + torch.normal(x[0].detach() * 0, 0)",
                  .limits = {0, 0}});
}

const AddRows unary_formulas("formulas", add_unary);
const AddRows binary_formulas("formulas_of_two", add_binary);
const AddRows masks("formulas_masks", add_masks);
const AddRows made("formulas_made", add_made);

}  // namespace
}  // namespace gradus::testing
