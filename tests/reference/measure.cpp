#include "measure.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gradus/core/derivatives.h>
#include <gradus/core/inspect/gradcheck.h>

#include "reference_file.h"

namespace gradus::testing {
namespace {

const Recorded& recorded(const Case& c) {
  return reference_file(c.file).at(c.name);
}

std::string part(DType dtype, const std::string& name) {
  return fmt::format("{}/{}", name_of(dtype), name);
}

NamedInputs inputs_of(const Case& c, DType dtype) {
  const auto wanted = below(recorded(c), part(DType::f64, "grad/"));
  NamedInputs inputs;
  for (const auto& [key, values] : below(recorded(c), "in/")) {
    inputs.emplace(key, tensor(values.to_vector(), values.shape(), dtype).requires_grad(wanted.contains(key)));
  }
  return inputs;
}

double compare(const Case& c, const std::string& what, const Tensor& ours, const Tensor& theirs, double least = 0) {
  check(ours.shape() == theirs.shape(), "{}: {} is {}, PyTorch's is {}", c.title(), what, ours.shape(), theirs.shape());
  return error(ours.to_vector(), theirs.to_vector(), least);
}

// The direction of second derivatives; store.py has the same.
Tensor direction(const Shape& shape) {
  Tensor u = zeros(shape, DType::f64);
  Index i = 0;
  for (double& value : u.data<double>()) value = static_cast<double>((i++ * 7 + 3) % 11) / 8 - 0.625;
  return u;
}

double largest_of(const Tensor& x) {
  double largest = 0;
  for (const double value : x.to_vector()) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

// The largest error of the gradients of one case. A gradient may be 0 in exact arithmetic and rounding in floating
// point, as that of an attention's key bias, which shifts all scores of a query alike; such rounding counts as a part
// of the case's largest gradient.
std::optional<double> compare_gradients(const Case& c, const std::map<std::string, Tensor>& ours,
                                        const std::map<std::string, Tensor>& theirs) {
  double largest = 0;
  for (const auto& [key, grad] : theirs) largest = std::max(largest, largest_of(grad));
  std::optional<double> worst;
  for (const auto& [key, grad] : theirs) {
    check(ours.contains(key), "{}: {} has a gradient in PyTorch but not here", c.title(), key);
    const bool is_rounding = largest_of(grad) < 1e-5 * largest;
    const double one = compare(c, "the gradient of " + key, ours.at(key), grad, is_rounding ? largest : 0);
    worst = std::max(worst.value_or(0), one);
  }
  return worst;
}

}  // namespace

double error(const std::vector<double>& a, const std::vector<double>& b, double least) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (a.size() != b.size()) return infinity;
  double largest = least, difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i]) && std::isfinite(b[i])) {
      largest = std::max(largest, std::abs(b[i]));
      difference = std::max(difference, std::abs(a[i] - b[i]));
    } else if (a[i] != b[i] && !(std::isnan(a[i]) && std::isnan(b[i]))) {
      return infinity;
    }
  }
  return difference / (largest > 0 ? largest : 1);
}

double error_of_each(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    const double one = same ? 0 : std::abs(a[i] - b[i]) / std::abs(b[i]);
    largest = std::max(largest, std::isnan(one) ? std::numeric_limits<double>::infinity() : one);
  }
  return largest;
}

void Errors::widen(const Errors& other) {
  forward = std::max(forward, other.forward);
  each = std::max(each, other.each);
  if (other.gradient) gradient = std::max(gradient.value_or(0), *other.gradient);
}

bool has_results(const Case& c, DType dtype) {
  return recorded(c).contains(part(dtype, "out"));
}

std::optional<Errors> against_pytorch(const Case& c, DType dtype, DType judge) {
  const Recorded& all = recorded(c);
  if (!has_results(c, dtype) || !has_results(c, judge)) return {};
  const NamedInputs inputs = inputs_of(c, dtype);
  const Tensor y = c.f(inputs);
  check(y.dtype() == dtype, "{}: the result is {}, its inputs are {}", c.title(), y.dtype(), dtype);
  const Tensor& theirs = all.at(part(judge, "out"));
  Errors errors{.forward = compare(c, "the result", y, theirs),
                .each = error_of_each(y.to_vector(), theirs.to_vector())};
  const auto grads = below(all, part(judge, "grad/"));
  check(y.requires_grad() == !grads.empty(), "{}: has gradients {}", c.title(),
        grads.empty() ? "here but not in PyTorch" : "in PyTorch but not here");
  if (grads.empty()) return errors;
  y.backward(all.at("weight").to(dtype));
  std::map<std::string, Tensor> ours;
  for (const auto& [key, x] : inputs) {
    if (x.grad().defined()) ours.emplace(key, x.grad());
  }
  errors.gradient = compare_gradients(c, ours, grads);
  return errors;
}

std::optional<Errors> pytorch_f32(const Case& c) {
  const Recorded& all = recorded(c);
  if (!has_results(c, DType::f32)) return {};
  return Errors{.forward = compare(c, "PyTorch's f32 result", all.at("f32/out"), all.at("f64/out")),
                .gradient = compare_gradients(c, below(all, "f32/grad/"), below(all, "f64/grad/"))};
}

std::optional<double> against_differences(const Case& c) {
  if (!c.differences || inputs_with_gradient(c).empty()) return {};
  std::vector<std::string> keys;
  std::vector<Tensor> x;
  for (const auto& [key, input] : inputs_of(c, DType::f64)) {
    keys.push_back(key);
    x.push_back(input);
  }
  const auto f = [&](const std::vector<Tensor>& in) {
    NamedInputs named;
    for (std::size_t i = 0; i < keys.size(); ++i) named.emplace(keys[i], in[i]);
    return c.f(named);
  };
  const GradcheckReport report = gradcheck(f, x, {.step = c.step});
  if (report.entries.empty()) fail("{}: {}", c.name, report);
  double error = 0;
  for (const GradcheckEntry& entry : report.entries) {
    const double scale = entry.largest_gradient > 0 ? entry.largest_gradient : 1;
    error = std::max(error, entry.largest_difference / scale);
  }
  return error;
}

std::optional<double> rules_against_kernels(const Case& c) {
  if (inputs_with_gradient(c).empty()) return {};
  const Tensor weight = recorded(c).at("weight").to(DType::f64);
  const NamedInputs inputs = inputs_of(c, DType::f64);
  std::map<std::string, Tensor> kernels, rules;
  c.f(inputs).backward(weight);
  for (const auto& [key, x] : inputs) {
    if (x.grad().defined()) kernels.emplace(key, x.grad());
    x.zero_grad();
  }
  c.f(inputs).backward(weight, {.create_graph = true});
  for (const auto& [key, x] : inputs) {
    if (x.grad().defined()) rules.emplace(key, x.grad().detach());
    x.zero_grad();
  }
  return compare_gradients(c, rules, kernels);
}

std::optional<double> second_against_pytorch(const Case& c) {
  const auto theirs = below(recorded(c), part(DType::f64, "second/"));
  if (theirs.empty()) return {};
  std::vector<std::string> keys;
  std::vector<Tensor> wanted;
  const NamedInputs inputs = inputs_of(c, DType::f64);
  for (const auto& [key, x] : inputs) {
    if (!x.requires_grad()) continue;
    keys.push_back(key);
    wanted.push_back(x);
  }
  const Tensor weight = recorded(c).at("weight").to(DType::f64).requires_grad(true);
  const auto first = grad(c.f(inputs), wanted, {.weight = weight, .create_graph = true, .allow_unused = true});
  Tensor along = zeros({}, DType::f64);
  for (const Tensor& gradient : first) {
    if (gradient.defined()) along = along + sum(gradient * direction(gradient.shape()));
  }
  keys.emplace_back("output_weight");
  wanted.push_back(weight);
  std::map<std::string, Tensor> ours;
  if (along.requires_grad()) {
    const auto second = grad(along, wanted, {.allow_unused = true});
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ours.emplace(keys[i], second[i].defined() ? second[i] : zeros_like(wanted[i]));
    }
  } else {
    for (std::size_t i = 0; i < keys.size(); ++i) ours.emplace(keys[i], zeros_like(wanted[i]));
  }
  return compare_gradients(c, ours, theirs);
}

std::vector<std::string> inputs_with_gradient(const Case& c) {
  std::vector<std::string> keys;
  for (const auto& [key, grad] : below(recorded(c), part(DType::f64, "grad/"))) keys.push_back(key);
  return keys;
}

}  // namespace gradus::testing
