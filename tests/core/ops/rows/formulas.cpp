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

const AddRows unary_formulas("formulas", add_unary);
const AddRows binary_formulas("formulas_of_two", add_binary);

}  // namespace
}  // namespace gradus::testing
