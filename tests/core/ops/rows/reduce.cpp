#include "../op_table.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string_view>

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

std::string torch_of(std::string_view op, const std::vector<Index>& dims, bool keepdim) {
  const std::string where = fmt::format("({},)", fmt::join(dims, ", "));
  const char* const keeps = keepdim ? "True" : "False";
  if (op == "var") return fmt::format("variance(x[0], {}, {})", where, keeps);
  if (op == "prod") return fmt::format("product(x[0], {}, {})", where, keeps);
  if (op == "norm") return fmt::format("torch.linalg.vector_norm(x[0], 3, {}, {})", where, keeps);
  return fmt::format("x[0].{}({}, keepdim={})", op == "max" ? "amax" : op == "min" ? "amin" : op, where, keeps);
}

std::string torch_of_all(std::string_view op) {
  if (op == "logsumexp") return "x[0].flatten().logsumexp(0)";
  if (op == "norm") return "torch.linalg.vector_norm(x[0], 3)";
  return fmt::format("x[0].{}()", op);
}

std::vector<Index> all_of(const Tensor& x) {
  std::vector<Index> dims(static_cast<std::size_t>(x.rank()));
  std::iota(dims.begin(), dims.end(), Index{0});
  return dims;
}

// Equal maxima, which share the gradient.
std::vector<Edge> ties_of(std::string_view op, std::string_view variant) {
  if (op != "max") return {};
  const std::vector<double> ties{1, 3, 3, 2, 3, -1, -1, -1, -1, -1, 0, -0.0, -4, -inf, 0};
  if (variant == "last" || variant == "all") return {{"ties", {{{3, 5}, ties}}}};
  if (variant != "not_neighbors") return {};
  std::vector<double> twice = ties;
  twice.insert(twice.end(), ties.begin(), ties.end());
  return {{"ties", {{{2, 3, 5}, twice}}}};
}

void add_reductions(std::vector<OpRow>& rows) {
  struct Kind {
    const char* op;
    Tensor (*all)(const Tensor&);
    Tensor (*some)(const Tensor&, std::vector<Index>, bool);
    double (*reference)(const std::vector<double>&);
    Domain domain;
    Limits limits;
  };
  const Kind kinds[] = {
      {"sum",
       [](const Tensor& x) { return sum(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return sum(x, std::move(dims), keepdim); },
       ref::sum_of,
       Domain::any,
       {0, 0}},
      {"mean",
       [](const Tensor& x) { return mean(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return mean(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return ref::sum_of(v) / static_cast<double>(v.size()); },
       Domain::any,
       {4, 4}},
      {"max",
       [](const Tensor& x) { return max(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return max(x, std::move(dims), keepdim); },
       ref::max_of,
       Domain::distinct,
       {0, 0}},
      {"min",
       [](const Tensor& x) { return min(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return min(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return *std::ranges::min_element(v); },
       Domain::distinct,
       {0, 0}},
      {"amax",
       [](const Tensor& x) { return amax(x, all_of(x)); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return amax(x, std::move(dims), keepdim); },
       ref::max_of,
       Domain::distinct,
       {0, 0}},
      {"amin",
       [](const Tensor& x) { return amin(x, all_of(x)); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return amin(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return *std::ranges::min_element(v); },
       Domain::distinct,
       {0, 0}},
      {"prod",
       [](const Tensor& x) { return prod(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return prod(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>()); },
       Domain::nonzero,
       {30, 60}},
      {"logsumexp",
       [](const Tensor& x) { return logsumexp(x, all_of(x)); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return logsumexp(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) {
         double sum = 0;
         for (const double value : v) sum += std::exp(value);
         return std::log(sum);
       },
       Domain::any,
       {8, 16}},
      {"norm",
       [](const Tensor& x) { return norm(x, 3); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return norm(x, 3, std::move(dims), keepdim); },
       [](const std::vector<double>& v) {
         double sum = 0;
         for (const double value : v) sum += std::pow(std::abs(value), 3);
         return std::cbrt(sum);
       },
       Domain::nonzero,
       {8, 16}},
      {"std",
       [](const Tensor& x) { return gradus::std(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return gradus::std(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return std::sqrt(ref::variance_of(v, 1)); },
       Domain::any,
       {15, 8}},
      {"var",
       [](const Tensor& x) { return var(x); },
       [](const Tensor& x, std::vector<Index> dims, bool keepdim) { return var(x, std::move(dims), keepdim); },
       [](const std::vector<double>& v) { return ref::variance_of(v, 1); },
       Domain::any,
       {15, 4}},
  };
  struct Form {
    const char* variant;
    Shape shape;
    std::vector<Index> dims;
    bool keepdim;
    std::function<Shapes(Index)> sized = {};
    Shape large = {};
  };
  const Form forms[] = {
      {"last", {3, 7}, {1}, false, GRADUS_SIZED({3, n}), {3000, 71}},
      {"last_kept", {3, 7}, {-1}, true, {}},
      {"first", {5, 3}, {0}, false, GRADUS_SIZED({4, n}), {3000, 71}},
      {"middle", {2, 5, 3}, {1}, false, GRADUS_SIZED({2, 3, n}), {3, 1000, 71}},
      {"middle_kept", {2, 5, 3}, {-2}, true, {}},
      {"last_two", {2, 3, 4}, {1, 2}, false, {}},
      {"first_two", {2, 3, 4}, {0, 1}, true, {}},
      {"neighbors_inside", {2, 3, 2, 3}, {2, 1}, false, {}},
      {"not_neighbors", {2, 3, 4}, {0, 2}, false, GRADUS_SIZED({2, 3, n}), {50, 60, 51}},
      {"not_neighbors_kept", {2, 3, 4, 2}, {-4, 2}, true, {}},
      {"all_named", {2, 3}, {0, -1}, true, {}},
  };
  for (const Kind& kind : kinds) {
    rows.push_back({.op = kind.op,
                    .variant = "all",
                    .shapes = {{3, 7}},
                    .f = [f = kind.all](In x) { return f(x[0]); },
                    .reference =
                        [f = kind.reference](Arrays x) {
                          return Array{{}, {f(x[0].values)}};
                        },
                    .domains = {kind.domain},
                    .sized = GRADUS_SIZED({2, n}),
                    .large = {{3, 70'001}},
                    .torch = torch_of_all(kind.op),
                    .torch_sizes = {17, 257},
                    .edges = ties_of(kind.op, "all"),
                    .limits = kind.limits,
                    .f32_tolerance = 5e-6,  // sums of terms of both signs: the rounding is relative to the terms
                    .f32_grad_tolerance = 1e-5});
    for (const Form& form : forms) {
      auto sized = form.sized;
      if ((std::string(kind.op) == "var" || std::string(kind.op) == "std") && std::string(form.variant) == "last") {
        sized = GRADUS_SIZED({3, n + 1});  // one value has no variance
      }
      rows.push_back(
          {.op = kind.op,
           .variant = form.variant,
           .shapes = {form.shape},
           .f = [f = kind.some, dims = form.dims, keepdim = form.keepdim](In x) { return f(x[0], dims, keepdim); },
           .reference =
               [f = kind.reference, dims = form.dims, keepdim = form.keepdim](Arrays x) {
                 std::vector<Index> positive;
                 for (const Index d : dims) positive.push_back(d < 0 ? d + x[0].shape.rank() : d);
                 return ref::reduce(x[0], positive, keepdim, f);
               },
           .domains = {kind.domain},
           .sized = sized,
           .large = form.large.rank() == 0 ? Shapes{} : Shapes{form.large},
           .torch = torch_of(kind.op, form.dims, form.keepdim),
           .edges = ties_of(kind.op, form.variant),
           .limits = kind.limits,
           .f32_tolerance = 5e-6,
           .f32_grad_tolerance = 1e-5});
    }
  }
  for (const double correction : {0.0, 0.5}) {
    rows.push_back({.op = "var",
                    .variant = correction == 0 ? "uncorrected" : "half_corrected",
                    .shapes = {{3, 7}},
                    .f = [correction](In x) { return var(x[0], {1}, false, correction); },
                    .reference =
                        [correction](Arrays x) {
                          return ref::reduce(x[0], {1}, false, [&](const std::vector<double>& v) {
                            return ref::variance_of(v, correction);
                          });
                        },
                    .sized = GRADUS_SIZED({3, n}),
                    .torch = fmt::format("variance(x[0], (1,), False, {})", correction),
                    .limits = {15, 4},
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 1e-5});
  }
  rows.push_back({.op = "sum",
                  .variant = "of_one_number",
                  .shapes = {Shape{}},
                  .f = [](In x) { return sum(x[0]); },
                  .reference = [](Arrays x) { return x[0]; },
                  .torch = "x[0].sum()",
                  .limits = {0, 0}});
}

// ---- one after another, and counts

Array along_last(const Array& x, double first, double (*step)(double, double)) {
  Array y = x;
  const auto n = static_cast<std::size_t>(x.shape[-1]);
  double total = first;
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    if (i % n == 0) total = first;
    y.values[i] = total = step(total, y.values[i]);
  }
  return y;
}

void add_scans(std::vector<OpRow>& rows) {
  for (const bool product : {false, true}) {
    const auto reference = [product](Arrays x) {
      return product ? along_last(x[0], 1, [](double a, double b) { return a * b; })
                     : along_last(x[0], 0, [](double a, double b) { return a + b; });
    };
    rows.push_back({.op = product ? "cumprod" : "cumsum",
                    .variant = "last",
                    .shapes = {{3, 7}},
                    .f = [product](In x) { return product ? cumprod(x[0], -1) : cumsum(x[0], -1); },
                    .reference = reference,
                    .domains = {product ? Domain::nonzero : Domain::any},
                    .sized = product ? std::function<Shapes(Index)>() : GRADUS_SIZED({3, n}),
                    .large = {{5000, 20}},
                    .torch = fmt::format("x[0].{}(-1)", product ? "cumprod" : "cumsum"),
                    .edges = {{"zeros", {{{3, 5}, {1, 0, 2, 3, 4, 0, 2, 0, 3, 1, 2, 3, 4, 5, 0}}}}},
                    .limits = {8, 16},
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 2e-5});
    rows.push_back({.op = product ? "cumprod" : "cumsum",
                    .variant = "first",
                    .shapes = {{3, 5}},
                    .f = [product](In x) { return product ? cumprod(x[0], 0) : cumsum(x[0], 0); },
                    .reference =
                        [reference](Arrays x) {
                          return ref::permute(reference({ref::permute(x[0], {1, 0})}), {1, 0});
                        },
                    .domains = {product ? Domain::nonzero : Domain::any},
                    .sized = GRADUS_SIZED({3, n}),
                    .torch = fmt::format("x[0].{}(0)", product ? "cumprod" : "cumsum"),
                    .limits = {8, 16}});
  }
  struct Count {
    const char* op;
    Tensor (*all)(const Tensor&);
    Tensor (*last)(const Tensor&);
    double (*reference)(const std::vector<double>&);
    const char *torch_all, *torch_last;
  };
  const auto nonzero = [](const std::vector<double>& v) {
    return static_cast<double>(v.size()) - static_cast<double>(std::ranges::count(v, 0.0));
  };
  for (const Count& c :
       {Count{"any", [](const Tensor& x) { return any(x); }, [](const Tensor& x) { return any(x, -1); },
              [](const std::vector<double>& v) { return std::ranges::count(v, 0.0) < std::ssize(v) ? 1.0 : 0.0; },
              "(x[0] != 0).any()", "(x[0] != 0).any(-1)"},
        Count{"all", [](const Tensor& x) { return all(x); }, [](const Tensor& x) { return all(x, -1); },
              [](const std::vector<double>& v) { return std::ranges::count(v, 0.0) == 0 ? 1.0 : 0.0; },
              "(x[0] != 0).all()", "(x[0] != 0).all(-1)"},
        Count{"count_nonzero", [](const Tensor& x) { return count_nonzero(x); },
              [](const Tensor& x) { return count_nonzero(x, -1); }, nonzero, "x[0].count_nonzero()",
              "x[0].count_nonzero(-1)"}}) {
    for (const bool whole : {true, false}) {
      rows.push_back(
          {.op = c.op,
           .variant = whole ? "whole" : "last",
           .shapes = {{4, 3}},
           .f = [f = whole ? c.all : c.last](In x) { return f(x[0]); },
           .reference =
               [f = c.reference, whole](Arrays x) {
                 return ref::reduce(x[0], whole ? std::vector<Index>{0, 1} : std::vector<Index>{1}, false, f);
               },
           .domains = {Domain::flags},
           .no_gradient = {0},
           .sized = GRADUS_SIZED({2, n}),
           .torch = fmt::format("{}.to(x[0].dtype)", whole ? c.torch_all : c.torch_last),
           .limits = {0, 0}});
    }
  }
}

const AddRows reduce_rows("reduce", [](std::vector<OpRow>& rows) {
  add_reductions(rows);
  add_scans(rows);
});

}  // namespace
}  // namespace gradus::testing
