#include "pointwise.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
const Exact pi = std::acos(Exact(-1));

Exact sigmoid_of(Exact x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
Exact normal(Exact x) {  // Phi
  return std::erfc(-x / std::sqrt(Exact(2))) / 2;
}
Exact two_u(Exact x) {
  return 2 * std::sqrt(2 / pi) * (x + 0.044715L * x * x * x);
}
// f within +-1000; outside, the value of a function that is 0 on the left and `right` on the right.
template <class F>
Exact limited(Exact x, Exact right, const F& f) {
  return x < -1000 ? 0 : x > 1000 ? right : f(x);
}
Exact share_above(Exact a, Exact b) {  // as in PyTorch, NaN included
  return a < b ? 0 : a == b ? 0.5L : 1;
}

}  // namespace

const std::vector<UnaryRow>& unary_rows() {
  static const std::vector<UnaryRow> rows{
      {.op = "neg",
       .f = neg,
       .value = [](Exact x) { return -x; },
       .slope = [](Exact) { return Exact(-1); },
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "exp",
       .f = exp,
       .value = [](Exact x) { return std::exp(x); },
       .slope = [](Exact x) { return std::exp(x); },
       .domains = {Domain::any, Domain::low},
       .edges = {-inf, 0, -80},
       .limits = {3, 5, 4},
       .value_ulps = 1.1,
       .slope_ulps = 1.1},
      {.op = "log",
       .f = log,
       .value = [](Exact x) { return std::log(x); },
       .slope = [](Exact x) { return 1 / x; },
       .domains = {Domain::positive},
       .edges = {0x1p-100, 0x1p100, 1},
       .limits = {3, 2, 4},
       .value_ulps = 1,
       .slope_ulps = 0.51},
      {.op = "sqrt",
       .f = sqrt,
       .value = [](Exact x) { return std::sqrt(x); },
       .slope = [](Exact x) { return 0.5L / std::sqrt(x); },
       .domains = {Domain::positive},
       .edges = {0x1p-100, 0x1p100},
       .limits = {0, 3, 0},
       .value_ulps = 0.51,
       .slope_ulps = 1.6},
      {.op = "abs",
       .f = abs,
       .value = [](Exact x) { return std::abs(x); },
       .slope = [](Exact x) { return Exact(x > 0   ? 1
                                           : x < 0 ? -1
                                                   : 0); },
       .domains = {Domain::nonzero},
       .edges = {0, -0.0, 1, -1},
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "sin",
       .f = sin,
       .value = [](Exact x) { return std::sin(x); },
       .slope = [](Exact x) { return std::cos(x); },
       .domains = {Domain::any, Domain::wide},
       .limits = {2, 3, 4},
       .value_ulps = 1.6,
       .slope_ulps = 1.6,
       .lost_f32 = 2e-8,
       .lost_f64 = 4e-17},
      {.op = "cos",
       .f = cos,
       .value = [](Exact x) { return std::cos(x); },
       .slope = [](Exact x) { return -std::sin(x); },
       .domains = {Domain::any, Domain::wide},
       .limits = {2, 3, 4},
       .value_ulps = 1.6,
       .slope_ulps = 1.6,
       .lost_f32 = 2e-8,
       .lost_f64 = 4e-17},
      {.op = "tanh",
       .f = tanh,
       .value = [](Exact x) { return std::tanh(x); },
       .slope = [](Exact x) { return 1 / std::cosh(x) / std::cosh(x); },
       .domains = {Domain::any, Domain::wide},
       .edges = {-100, 100, 0},
       .limits = {3, 8, 5},
       .value_ulps = 1.5,
       .slope_ulps = 1},
      {.op = "sigmoid",
       .f = sigmoid,
       .value = sigmoid_of,
       .slope = [](Exact x) { return sigmoid_of(x) * sigmoid_of(-x); },
       .domains = {Domain::any, Domain::wide},
       .edges = {-60, 60, 0},
       .limits = {3, 5, 6},
       .value_ulps = 2.5,
       .slope_ulps = 1},
      {.op = "relu",
       .f = relu,
       .value = [](Exact x) { return x <= 0 ? 0 : x; },
       .slope = [](Exact x) { return x <= 0 ? Exact(0) : 1; },
       .domains = {Domain::nonzero},
       .edges = {0, -0.0, 1, -1},
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "silu",
       .f = silu,
       .value = [](Exact x) { return limited(x, x, [](Exact z) { return z * sigmoid_of(z); }); },
       .slope = [](Exact x) { return limited(x, 1, [](Exact z) { return sigmoid_of(z) * (1 + z * sigmoid_of(-z)); }); },
       .domains = {Domain::any, Domain::wide},
       .edges = {-60, 60, 0},
       .limits = {4, 4, 8},
       .far_limits = Limits{4, 20},  // PyTorch's 1 - s(x) has few digits right of 6
       .value_ulps = 3.5,
       .slope_ulps = 2},
      {.op = "softplus",
       .f = softplus,
       .value = [](Exact x) { return std::max(x, Exact(0)) + std::log1p(std::exp(-std::abs(x))); },
       .slope = sigmoid_of,
       .domains = {Domain::any, Domain::wide},
       .torch = "F.softplus(x[0], threshold=1e6)",
       .edges = {-60, 60, 0},
       .limits = {4, 4},
       .value_ulps = 1.7,
       .slope_ulps = 1},
      // The slope for large x multiplies 1 - Phi, a difference of nearly equal numbers, by x. xsimd's erf is some 10
      // ulp off in f64 (mpmath agrees with PyTorch there), and PyTorch's x/2 (1 + erf) has no digits left of -6.
      {.op = "gelu_erf",
       .f = [](const Tensor& x) { return gelu(x); },
       .value = [](Exact x) { return limited(x, x, [](Exact z) { return z * normal(z); }); },
       .slope =
           [](Exact x) {
             return limited(x, 1, [](Exact z) { return normal(z) + z * std::exp(-z * z / 2) / std::sqrt(2 * pi); });
           },
       .domains = {Domain::any, Domain::wide},
       .torch = "F.gelu(x[0])",
       .edges = {-30, 30, 0},
       .limits = {6, 30, 75},
       .far_limits = Limits{6, 30},
       .value_ulps = 8,
       .slope_ulps = 2.5},
      // No limit for each element: far to the left PyTorch rounds 1 + tanh to 0 where the value is -4e-87, and gradus
      // has that. Below -10 the f32 form is 0 (pointwise.h says so), and e^-2u multiplies the roundings of 2u.
      {.op = "gelu_tanh",
       .f = [](const Tensor& x) { return gelu(x, Gelu::tanh); },
       .value = [](Exact x) { return limited(x, x, [](Exact z) { return z / (1 + std::exp(-two_u(z))); }); },
       .slope =
           [](Exact x) {
             return limited(x, 1, [](Exact z) {
               const Exact slope_two_u = 2 * std::sqrt(2 / pi) * (1 + 3 * 0.044715L * z * z);
               return sigmoid_of(two_u(z)) + sigmoid_of(two_u(z)) * sigmoid_of(-two_u(z)) * z * slope_two_u;
             });
           },
       .domains = {Domain::any, Domain::wide},
       .torch = "F.gelu(x[0], approximate='tanh')",
       .edges = {-30, 30, 0},
       .limits = {4, 60},
       .value_ulps = 4,
       .slope_ulps = 16,
       .lost_f32 = 3.2e-38,
       .ulps_per_x = 120},
      // exp(b log a): the error of the logarithm, times the exponent.
      {.op = "pow",
       .variant = "minus_one_and_a_half",
       .f = [](const Tensor& x) { return pow(x, -1.5); },
       .value = [](Exact x) { return std::pow(x, -1.5L); },
       .slope = [](Exact x) { return -1.5L * std::pow(x, -2.5L); },
       .domains = {Domain::positive},
       .torch = "torch.pow(x[0], -1.5)",
       .limits = {4, 7, 6},
       .f32_tolerance = 4e-6,
       .value_ulps = 1.3,
       .slope_ulps = 2},
      {.op = "pow",
       .variant = "one_and_a_half",
       .f = [](const Tensor& x) { return pow(x, 1.5); },
       .value = [](Exact x) { return std::pow(x, 1.5L); },
       .slope = [](Exact x) { return 1.5L * std::pow(x, 0.5L); },
       .domains = {Domain::positive},
       .torch = "torch.pow(x[0], 1.5)",
       .limits = {4, 7, 6},
       .f32_tolerance = 4e-6,
       .value_ulps = 1.3,
       .slope_ulps = 2},
      {.op = "pow",
       .variant = "square",
       .f = [](const Tensor& x) { return pow(x, 2); },
       .value = [](Exact x) { return x * x; },
       .slope = [](Exact x) { return 2 * x; },
       .torch = "torch.pow(x[0], 2)",
       .edges = {0, -0.0, -3},
       .limits = {4, 7, 6},
       .value_ulps = 0.51,
       .slope_ulps = 0},
      {.op = "pow",
       .variant = "cube_of_any_sign",
       .f = [](const Tensor& x) { return pow(x, 3); },
       .value = [](Exact x) { return x * x * x; },
       .slope = [](Exact x) { return 3 * x * x; },
       .domains = {Domain::nonzero},
       .torch = "torch.pow(x[0], 3)",
       .edges = {0, -3},
       .limits = {4, 7, 6},
       .f32_tolerance = 4e-6,
       .value_ulps = 1.3,
       .slope_ulps = 2},
      {.op = "pow",
       .variant = "inverse",
       .f = [](const Tensor& x) { return pow(x, -1); },
       .value = [](Exact x) { return 1 / x; },
       .slope = [](Exact x) { return std::isnan(x) ? x : -1 / (x * x); },
       .domains = {Domain::nonzero},
       .torch = "torch.pow(x[0], -1)",
       .limits = {4, 7, 6},
       .f32_tolerance = 4e-6,
       .value_ulps = 1.3,
       .slope_ulps = 2},
      {.op = "pow",
       .variant = "zero",
       .f = [](const Tensor& x) { return pow(x, 0); },
       .value = [](Exact) { return Exact(1); },
       .slope = [](Exact) { return Exact(0); },
       .torch = "torch.pow(x[0], 0)",
       .edges = {0, -3},
       .limits = {4, 7, 6},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "pow",
       .variant = "one",
       .f = [](const Tensor& x) { return pow(x, 1); },
       .value = [](Exact x) { return x; },
       .slope = [](Exact) { return Exact(1); },
       .torch = "torch.pow(x[0], 1)",
       .edges = {0, 5},
       .limits = {4, 7, 6},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "clamp",
       .f = [](const Tensor& x) { return clamp(x, -0.75, 1.25); },
       .value = [](Exact x) { return x < -0.75L  ? -0.75L
                                     : x > 1.25L ? 1.25L
                                                 : x; },
       .slope = [](Exact x) { return Exact(x >= -0.75L && x <= 1.25L ? 1 : 0); },
       .torch = "torch.clamp(x[0], -0.75, 1.25)",
       .edges = {-0.75, 1.25, -0.8125, 1.3125},
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "clamp",
       .variant = "from_zero",
       .f = [](const Tensor& x) { return clamp(x, 0, inf); },
       .value = [](Exact x) { return x < 0 ? 0 : x; },
       .slope = [](Exact x) { return Exact(x >= 0 ? 1 : 0); },
       .torch = "torch.clamp(x[0], 0, INF)",
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "clamp",
       .variant = "unbounded",
       .f = [](const Tensor& x) { return clamp(x, -inf, inf); },
       .value = [](Exact x) { return x; },
       .slope = [](Exact x) { return Exact(std::isnan(x) ? 0 : 1); },
       .torch = "torch.clamp(x[0], -INF, INF)",
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
  };
  return rows;
}

const std::vector<BinaryRow>& binary_rows() {
  static const Edge ties{"ties", {{{6}, {1, 2, -3, 0, -inf, inf}}, {{6}, {1, 1, -3, -0.0, 4, 4}}}};
  static const std::vector<BinaryRow> rows{
      {.op = "add",
       .f = add,
       .value = [](Exact a, Exact b) { return a + b; },
       .slopes = [](Exact, Exact, Exact) -> Slopes {
         return {1, 1};
       },
       .limits = {0, 0, 0},
       .value_ulps = 0.51,
       .slope_ulps = 0},
      {.op = "sub",
       .f = sub,
       .value = [](Exact a, Exact b) { return a - b; },
       .slopes = [](Exact, Exact, Exact) -> Slopes {
         return {1, -1};
       },
       .limits = {0, 0, 0},
       .value_ulps = 0.51,
       .slope_ulps = 0},
      {.op = "mul",
       .f = mul,
       .value = [](Exact a, Exact b) { return a * b; },
       .slopes = [](Exact a, Exact b, Exact) -> Slopes {
         return {b, a};
       },
       .limits = {0, 4, 0},
       .value_ulps = 0.51,
       .slope_ulps = 0},
      {.op = "div",
       .f = div,
       .value = [](Exact a, Exact b) { return a / b; },
       .slopes = [](Exact, Exact b, Exact y) -> Slopes {
         return {1 / b, -y / b};
       },
       .domains = {Domain::any, Domain::nonzero},
       .limits = {6, 6, 10},  // one case is a chain of four operations
       .value_ulps = 0.51,
       .slope_ulps = 0.51},
      {.op = "maximum",
       .f = maximum,
       .value = [](Exact a, Exact b) { return std::isnan(a) || a > b ? a : b; },
       .slopes = [](Exact a, Exact b, Exact) -> Slopes {
         return {share_above(a, b), share_above(b, a)};
       },
       .edges = {ties},
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "minimum",
       .f = minimum,
       .value = [](Exact a, Exact b) { return std::isnan(a) || a < b ? a : b; },
       .slopes = [](Exact a, Exact b, Exact) -> Slopes {
         return {share_above(b, a), share_above(a, b)};
       },
       .edges = {ties},
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      // b - 1 is rounded in the type, which special_values_test.cpp follows for a's slope.
      {.op = "pow",
       .f = pow,
       .value = [](Exact a, Exact b) { return std::pow(a, b); },
       .slopes = [](Exact a, Exact b, Exact y) -> Slopes {
         return {b == 0 ? 0 : b, a == 0 && b >= 0 ? 0 : y * std::log(a)};
       },
       .domains = {Domain::positive, Domain::any},
       .edges = {{"zero", {{{6}, {0, 0, 0, 3, -2, 1}}, {{6}, {2, 1, 0, 0, 3, -2}}}}},
       .limits = {4, 7, 6},
       .f32_tolerance = 4e-6,
       .value_ulps = 2.6,
       .slope_ulps = 4},
  };
  return rows;
}

namespace {

void add_unary(std::vector<OpRow>& rows) {
  for (const UnaryRow& u : unary_rows()) {
    for (const Domain domain : u.domains) {
      const bool first = domain == u.domains.front(), last = domain == u.domains.back();
      std::vector<Edge> edges;
      if (last && !u.edges.empty()) edges = {{"", {{{static_cast<Index>(u.edges.size())}, u.edges}}}};
      rows.push_back({.op = u.op,
                      .variant = first ? u.variant : "wide",
                      .shapes = {{3, 1, 7}},
                      .f = [f = u.f](In x) { return f(x[0]); },
                      .reference =
                          [value = u.value](Arrays x) {
                            return ref::map(x[0], [&](double v) { return static_cast<double>(value(v)); });
                          },
                      .domains = {domain},
                      .sized = GRADUS_SIZED({2, n}),
                      .large = {{3, 50'001}},
                      .torch = u.torch,
                      .edges = edges,
                      .limits = first ? u.limits : u.far_limits.value_or(u.limits),
                      .f32_tolerance = u.f32_tolerance,
                      .f32_grad_tolerance = 4 * u.f32_tolerance});
    }
  }
  rows.push_back({.op = "tanh",
                  .variant = "of_one_number",
                  .shapes = {Shape{}},
                  .f = [](In x) { return x[0].tanh(); },
                  .reference = [](Arrays x) { return ref::map(x[0], [](double v) { return std::tanh(v); }); },
                  .limits = {3, 5, 5}});
}

struct Form {
  const char* variant;
  Shape a, b;
  std::function<Shapes(Index)> sized = {};
  Shapes large = {};
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all{
      {"equal", {3, 7}, {3, 7}, GRADUS_SIZED({2, n}, {2, n}), {{3, 50'001}, {3, 50'001}}},
      {"one_number_right", {3, 7}, {}, GRADUS_SIZED({n}, {}), {{120'001}, {}}},
      {"one_number_left", {}, {2, 5}, GRADUS_SIZED({1}, {n}), {{}, {120'001}}},
      {"row_right", {4, 7}, {7}, GRADUS_SIZED({3, n}, {n}), {{400, 301}, {301}}},
      {"row_left", {1, 5}, {2, 3, 5}, GRADUS_SIZED({1, n}, {3, n}), {{301}, {400, 301}}},
      {"column_right", {3, 5}, {3, 1}, GRADUS_SIZED({3, n}, {3, 1}), {{400, 301}, {400, 1}}},
      {"column_times_row", {3, 1}, {1, 4}, GRADUS_SIZED({3, 1}, {1, n}), {{400, 1}, {1, 301}}},
      {"row_times_column", {1, 4}, {3, 1}, GRADUS_SIZED({n}, {3, 1}), {{1, 301}, {400, 1}}},
      {"leading_dimension", {3, 4}, {2, 3, 4}, GRADUS_SIZED({2, n}, {2, 2, n}), {{400, 21}, {13, 400, 21}}},
      {"middle_dimension", {2, 3, 4}, {2, 1, 4}, GRADUS_SIZED({2, 3, n}, {2, 1, n}), {{13, 400, 21}, {13, 1, 21}}},
      {"crossed", {2, 1, 3, 1}, {4, 1, 5}, GRADUS_SIZED({2, 1, 3, 1}, {2, 1, n})},
      {"both_repeated", {1, 3}, {1, 3}},
  };
  return all;
}

void add_binary(std::vector<OpRow>& rows) {
  for (const BinaryRow& b : binary_rows()) {
    for (const Form& form : forms()) {
      rows.push_back({.op = b.op,
                      .variant = form.variant,
                      .shapes = {form.a, form.b},
                      .f = [f = b.f](In x) { return f(x[0], x[1]); },
                      .reference =
                          [value = b.value](Arrays x) {
                            return ref::binary(x[0], x[1],
                                               [&](double p, double q) { return static_cast<double>(value(p, q)); });
                          },
                      .domains = b.domains,
                      .sized = form.sized,
                      .large = form.large,
                      .torch = b.torch,
                      .edges = form.variant == forms().front().variant ? b.edges : std::vector<Edge>{},
                      .limits = form.a.rank() == 0 || form.b.rank() == 0 ? b.summed() : b.limits,
                      .f32_tolerance = b.f32_tolerance,
                      // A gradient may sum a few dozen terms here.
                      .f32_grad_tolerance = 2e-5});
    }
  }
  rows.push_back({.op = "mul",
                  .variant = "by_itself",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return x[0] * x[0]; },
                  .reference = [](Arrays x) { return ref::map(x[0], [](double v) { return v * v; }); },
                  .sized = GRADUS_SIZED({2, n}),
                  .torch = "x[0] * x[0]",
                  .limits = {0, 4, 0}});
  rows.push_back({.op = "div",
                  .variant = "plain_numbers_on_both_sides",
                  .shapes = {{2, 5}},
                  .f = [](In x) { return 3.0 / (1.5 - x[0] * 0.5 + 2.0) - 1.0; },
                  .reference = [](Arrays x) { return ref::map(x[0], [](double v) { return 3 / (3.5 - v / 2) - 1; }); },
                  .torch = "3.0 / (1.5 - x[0] * 0.5 + 2.0) - 1.0",
                  .limits = {6, 6, 10}});
}

void add_where(std::vector<OpRow>& rows) {
  struct Where {
    const char* variant;
    Shapes shapes;
    Shapes large = {};
  };
  for (const Where& w : {Where{"equal", {{3, 7}, {3, 7}, {3, 7}}, {{300, 401}, {300, 401}, {300, 401}}},
                         Where{"all_broadcast", {{3, 1}, {7}, {2, 1, 1}}}, Where{"one_number", {{3, 7}, {}, {3, 7}}}}) {
    rows.push_back({.op = "where",
                    .variant = w.variant,
                    .shapes = w.shapes,
                    .f = [](In x) { return where(x[0], x[1], x[2]); },
                    .reference = [](Arrays x) { return ref::where(x[0], x[1], x[2]); },
                    .domains = {Domain::flags, Domain::any},
                    .no_gradient = {0},
                    .sized = GRADUS_SIZED({2, n}, {n}, {2, 1}),
                    .large = w.large,
                    .torch = "torch.where(x[0] != 0, x[1], x[2])",
                    .limits = {0, 0, 0},
                    .f32_grad_tolerance = 2e-5});
  }
}

void add_broadcast_to(std::vector<OpRow>& rows) {
  for (const auto& [variant, from, to] :
       {std::tuple{"rows", Shape{1, 5}, Shape{3, 5}}, std::tuple{"one_number", Shape{}, Shape{2, 3}},
        std::tuple{"same", Shape{2, 3}, Shape{2, 3}}}) {
    rows.push_back({.op = "broadcast_to",
                    .variant = variant,
                    .shapes = {from},
                    .f = [to = to](In x) { return broadcast_to(x[0], to); },
                    .reference =
                        [to = to](Arrays x) {
                          return ref::make(to, [&](const ref::Indices& i) { return ref::broadcast_at(x[0], i); });
                        },
                    .torch = fmt::format("torch.broadcast_to(x[0], {}).clone()", to),
                    .limits = {0, 0}});
  }
}

const AddRows pointwise("pointwise", [](std::vector<OpRow>& rows) {
  add_unary(rows);
  add_binary(rows);
  add_where(rows);
  add_broadcast_to(rows);
});

}  // namespace
}  // namespace gradus::testing
