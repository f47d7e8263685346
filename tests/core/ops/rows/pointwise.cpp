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

// An op that is constant between its jumps.
UnaryRow step_row(const char* op, Tensor (*f)(const Tensor&), Exact (*value)(Exact)) {
  return {.op = op,
          .f = f,
          .value = value,
          .slope = [](Exact) { return Exact(0); },
          .edges = {0.5, 1.5, 2.5, -0.5, -1.5, 0, -0.0, 3},
          .limits = {0, 0, 0},
          .value_ulps = 0,
          .slope_ulps = 0};
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
      {.op = "exp2",
       .f = exp2,
       .value = [](Exact x) { return std::exp2(x); },
       .slope = [](Exact x) { return std::exp2(x) * std::log(Exact(2)); }},
      {.op = "expm1",
       .f = expm1,
       .value = [](Exact x) { return std::expm1(x); },
       .slope = [](Exact x) { return std::exp(x); },
       .domains = {Domain::any, Domain::low},
       .edges = {0, -0.0, 0x1p-100, -80},
       .value_ulps = 3},
      {.op = "log2",
       .f = log2,
       .value = [](Exact x) { return std::log2(x); },
       .slope = [](Exact x) { return 1 / (x * std::log(Exact(2))); },
       .domains = {Domain::positive},
       .edges = {0x1p-100, 0x1p100, 1}},
      {.op = "log1p",
       .f = log1p,
       .value = [](Exact x) { return std::log1p(x); },
       .slope = [](Exact x) { return 1 / (1 + x); },
       .domains = {Domain::positive},
       .edges = {0, -0.0, 0x1p-100, 0x1p100, -0.5}},
      {.op = "rsqrt",
       .f = rsqrt,
       .value = [](Exact x) { return 1 / std::sqrt(x); },
       .slope = [](Exact x) { return -0.5L / (x * std::sqrt(x)); },
       .domains = {Domain::positive}},
      {.op = "reciprocal",
       .f = reciprocal,
       .value = [](Exact x) { return 1 / x; },
       .slope = [](Exact x) { return std::isnan(x) ? x : -1 / (x * x); },
       .domains = {Domain::nonzero}},
      {.op = "square", .f = square, .value = [](Exact x) { return x * x; }, .slope = [](Exact x) { return 2 * x; }},
      {.op = "tan",
       .f = tan,
       .value = [](Exact x) { return std::tan(x); },
       .slope = [](Exact x) { return 1 + std::tan(x) * std::tan(x); },
       .domains = {Domain::part},
       .value_ulps = 3},
      {.op = "asin",
       .f = asin,
       .value = [](Exact x) { return std::asin(x); },
       .slope = [](Exact x) { return 1 / std::sqrt((1 - x) * (1 + x)); },
       .domains = {Domain::part},
       .edges = {0, -0.0, 1, -1, 0.5}},
      {.op = "acos",
       .f = acos,
       .value = [](Exact x) { return std::acos(x); },
       .slope = [](Exact x) { return -1 / std::sqrt((1 - x) * (1 + x)); },
       .domains = {Domain::part},
       .edges = {0, 1, -1, 0.5}},
      {.op = "atan",
       .f = atan,
       .value = [](Exact x) { return std::atan(x); },
       .slope = [](Exact x) { return 1 / (1 + x * x); },
       .domains = {Domain::any, Domain::wide}},
      {.op = "sinh",
       .f = sinh,
       .value = [](Exact x) { return std::sinh(x); },
       .slope = [](Exact x) { return std::cosh(x); }},
      {.op = "cosh",
       .f = cosh,
       .value = [](Exact x) { return std::cosh(x); },
       .slope = [](Exact x) { return std::sinh(x); }},
      {.op = "erf",
       .f = erf,
       .value = [](Exact x) { return std::erf(x); },
       .slope = [](Exact x) { return 2 / std::sqrt(pi) * std::exp(-x * x); },
       .domains = {Domain::any, Domain::wide},
       .edges = {0, -0.0, 100, -100},
       .value_ulps = 3},
      step_row("sign", sign, [](Exact x) { return Exact(x > 0   ? 1
                                                        : x < 0 ? -1
                                                                : 0); }),
      step_row("floor", floor, [](Exact x) { return std::floor(x); }),
      step_row("ceil", ceil, [](Exact x) { return std::ceil(x); }),
      step_row("round", round, [](Exact x) { return std::nearbyint(x); }),
      step_row("trunc", trunc, [](Exact x) { return std::trunc(x); }),
      {.op = "logsigmoid",
       .f = logsigmoid,
       .value = [](Exact x) { return -(std::max(-x, Exact(0)) + std::log1p(std::exp(-std::abs(x)))); },
       .slope = [](Exact x) { return sigmoid_of(-x); },
       .domains = {Domain::any, Domain::wide},
       .edges = {-60, 60, 0}},
      {.op = "mish",
       .f = mish,
       .value = [](Exact x) { return limited(x, x, [](Exact z) { return z * std::tanh(std::log1p(std::exp(z))); }); },
       .slope =
           [](Exact x) {
             return limited(x, 1, [](Exact z) {
               const Exact t = std::tanh(std::log1p(std::exp(z)));
               return t + z * sigmoid_of(z) * (1 - t * t);
             });
           },
       .domains = {Domain::any, Domain::wide},
       .far_limits = Limits{4, 40},  // PyTorch rounds 1 - tanh^2
       .value_ulps = 4},
      {.op = "hardswish",
       .f = hardswish,
       .value = [](Exact x) { return x < -3 ? 0 : x * std::min(std::max(x + 3, Exact(0)), Exact(6)) / 6; },
       .slope = [](Exact x) { return x < -3  ? 0
                                     : x > 3 ? 1
                                             : x / 3 + 0.5L; },
       .domains = {Domain::any, Domain::wide},
       .edges = {-3, 3, 0}},
      {.op = "leaky_relu",
       .f = [](const Tensor& x) { return leaky_relu(x, 0.125); },
       .value = [](Exact x) { return x > 0 ? x : Exact(0.125L) * x; },
       .slope = [](Exact x) { return Exact(x > 0 ? 1 : 0.125L); },
       .domains = {Domain::nonzero},
       .torch = "F.leaky_relu(x[0], 0.125)",
       .edges = {0, -0.0},
       .limits = {0, 0, 0},
       .value_ulps = 0.51,
       .slope_ulps = 0},
      {.op = "elu",
       .f = [](const Tensor& x) { return elu(x, 1.5); },
       .value = [](Exact x) { return x > 0 ? x : Exact(1.5L) * std::expm1(x); },
       .slope = [](Exact x) { return x > 0 ? 1 : Exact(1.5L) * std::exp(x); },
       .domains = {Domain::nonzero, Domain::wide},
       .torch = "F.elu(x[0], 1.5)",
       .edges = {0, -0.0, -100, 100}},
      {.op = "hardtanh",
       .f = [](const Tensor& x) { return hardtanh(x, -0.75, 1.25); },
       .value = [](Exact x) { return x < -0.75L  ? -0.75L
                                     : x > 1.25L ? 1.25L
                                                 : x; },
       .slope = [](Exact x) { return Exact(x > -0.75L && x < 1.25L ? 1 : 0); },
       .torch = "F.hardtanh(x[0], -0.75, 1.25)",
       .edges = {-0.75, 1.25, -0.8125, 1.3125},
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
      {.op = "hardshrink",
       .f = [](const Tensor& x) { return hardshrink(x, 0.5); },
       .value = [](Exact x) { return std::abs(x) <= 0.5L ? 0 : x; },
       .slope = [](Exact x) { return Exact(std::abs(x) <= 0.5L ? 0 : 1); },
       .torch = "F.hardshrink(x[0], 0.5)",
       .edges = {-0.5, 0.5, -0.8125, 1.3125},
       .limits = {0, 0, 0},
       .value_ulps = 0,
       .slope_ulps = 0},
  };
  return rows;
}

const std::vector<BinaryRow>& binary_rows() {
  static const Edge ties{"ties", {{{6}, {1, 2, -3, 0, -inf, inf}}, {{6}, {1, 1, -3, -0.0, 4, 4}}}};
  static const Edge signs{"signs", {{{8}, {7, -7, 7, -7, 0, 0, 6, -6}}, {{8}, {3, 3, -3, -3, 2, -2, 3, 3}}}};
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
      {.op = "fmod",
       .f = fmod,
       .value = [](Exact a, Exact b) { return std::fmod(a, b); },
       .slopes = [](Exact a, Exact b, Exact) -> Slopes {
         return {1, -std::trunc(a / b)};
       },
       .domains = {Domain::any, Domain::nonzero},
       .edges = {signs},
       .jumps = true,
       .value_ulps = 0,
       .slope_ulps = 2.1},
      {.op = "remainder",
       .f = remainder,
       .value =
           [](Exact a, Exact b) {
             const Exact rest = std::fmod(a, b);
             return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
           },
       .slopes = [](Exact a, Exact b, Exact) -> Slopes {
         return {1, -std::floor(a / b)};
       },
       .domains = {Domain::any, Domain::nonzero},
       .edges = {signs},
       .jumps = true,
       .value_ulps = 0.51,
       .slope_ulps = 2.1},
      {.op = "atan2",
       .f = atan2,
       .value = [](Exact a, Exact b) { return std::atan2(a, b); },
       .slopes = [](Exact a, Exact b, Exact) -> Slopes {
         return {b / (a * a + b * b), -a / (a * a + b * b)};
       },
       .domains = {Domain::any, Domain::nonzero},
       .edges = {signs},
       .limits = {4, 16}},
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
      const bool is_equal = &form == &forms().front();
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
                      .large = b.jumps && !is_equal ? Shapes{} : form.large,
                      .torch = b.torch,
                      .edges = is_equal ? b.edges : std::vector<Edge>{},
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

// ---- composed of others

void add_composed(std::vector<OpRow>& rows) {
  struct Composed {
    const char* op;
    Tensor (*f)(In);
    double (*value)(double);
    const char* torch = "";
    Domain domain = Domain::any;
  };
  for (const Composed& c : {
           Composed{"relu6", [](In x) { return relu6(x[0]); }, [](double v) { return std::clamp(v, 0.0, 6.0); }, "",
                    Domain::nonzero},
           Composed{"hardsigmoid", [](In x) { return hardsigmoid(x[0]); },
                    [](double v) { return std::clamp(v + 3, 0.0, 6.0) / 6; }, "F.relu6(x[0] + 3) / 6"},
           Composed{
               "selu", [](In x) { return selu(x[0]); },
               [](double v) { return 1.0507009873554804934 * (v > 0 ? v : 1.6732632423543772848 * std::expm1(v)); }, "",
               Domain::nonzero},
           Composed{"celu", [](In x) { return celu(x[0], 1.5); },
                    [](double v) { return v > 0 ? v : 1.5 * std::expm1(v / 1.5); }, "F.celu(x[0], 1.5)",
                    Domain::nonzero},
           Composed{"softsign", [](In x) { return softsign(x[0]); }, [](double v) { return v / (1 + std::abs(v)); }, "",
                    Domain::nonzero},
           Composed{"softshrink", [](In x) { return softshrink(x[0]); },
                    [](double v) { return v - std::clamp(v, -0.5, 0.5); }},
           Composed{"tanhshrink", [](In x) { return tanhshrink(x[0]); }, [](double v) { return v - std::tanh(v); }},
       }) {
    rows.push_back({.op = c.op,
                    .shapes = {{3, 7}},
                    .f = c.f,
                    .reference = [value = c.value](Arrays x) { return ref::map(x[0], value); },
                    .domains = {c.domain},
                    .sized = GRADUS_SIZED({2, n}),
                    .torch = c.torch});
  }
  rows.push_back({.op = "lerp",
                  .shapes = {{3, 7}, {7}, {3, 1}},
                  .f = [](In x) { return lerp(x[0], x[1], x[2]); },
                  .reference =
                      [](Arrays x) {
                        const Array change = ref::binary(x[1], x[0], [](double b, double a) { return b - a; });
                        const Array part = ref::binary(change, x[2], [](double d, double w) { return d * w; });
                        return ref::binary(x[0], part, [](double a, double d) { return a + d; });
                      },
                  .limits = {8, 8}});
}

// ---- comparisons and masks

void add_masks(std::vector<OpRow>& rows) {
  struct Mask {
    const char* op;
    Tensor (*f)(In);
    double (*value)(double, double);
    const char* torch;
  };
  for (const Mask& c : {
           Mask{"eq", [](In x) { return x[0] == x[1]; }, [](double a, double b) { return a == b ? 1.0 : 0.0; },
                "torch.eq(x[0], x[1])"},
           Mask{"ne", [](In x) { return x[0] != x[1]; }, [](double a, double b) { return a != b ? 1.0 : 0.0; },
                "torch.ne(x[0], x[1])"},
           Mask{"lt", [](In x) { return x[0] < x[1]; }, [](double a, double b) { return a < b ? 1.0 : 0.0; },
                "torch.lt(x[0], x[1])"},
           Mask{"le", [](In x) { return x[0] <= x[1]; }, [](double a, double b) { return a <= b ? 1.0 : 0.0; },
                "torch.le(x[0], x[1])"},
           Mask{"gt", [](In x) { return x[0] > x[1]; }, [](double a, double b) { return a > b ? 1.0 : 0.0; },
                "torch.gt(x[0], x[1])"},
           Mask{"ge", [](In x) { return x[0] >= x[1]; }, [](double a, double b) { return a >= b ? 1.0 : 0.0; },
                "torch.ge(x[0], x[1])"},
           Mask{"logical_and", [](In x) { return logical_and(x[0], x[1]); },
                [](double a, double b) { return a != 0 && b != 0 ? 1.0 : 0.0; }, "torch.logical_and(x[0], x[1])"},
           Mask{"logical_or", [](In x) { return logical_or(x[0], x[1]); },
                [](double a, double b) { return a != 0 || b != 0 ? 1.0 : 0.0; }, "torch.logical_or(x[0], x[1])"},
           Mask{"logical_xor", [](In x) { return logical_xor(x[0], x[1]); },
                [](double a, double b) { return (a != 0) != (b != 0) ? 1.0 : 0.0; }, "torch.logical_xor(x[0], x[1])"},
           Mask{"logical_not", [](In x) { return logical_not(x[0] * x[1]); },
                [](double a, double b) { return a * b == 0 ? 1.0 : 0.0; }, "torch.logical_not(x[0] * x[1])"},
           Mask{"isnan", [](In x) { return isnan(x[0] / x[1]); },
                [](double a, double b) { return std::isnan(a / b) ? 1.0 : 0.0; }, "torch.isnan(x[0] / x[1])"},
           Mask{"isinf", [](In x) { return isinf(x[0] / x[1]); },
                [](double a, double b) { return std::isinf(a / b) ? 1.0 : 0.0; }, "torch.isinf(x[0] / x[1])"},
           Mask{"isfinite", [](In x) { return isfinite(x[0] / x[1]); },
                [](double a, double b) { return std::isfinite(a / b) ? 1.0 : 0.0; }, "torch.isfinite(x[0] / x[1])"},
       }) {
    for (const bool broadcast : {false, true}) {
      rows.push_back(
          {.op = c.op,
           .variant = broadcast ? "row" : "equal",
           .shapes = broadcast ? Shapes{{4, 7}, {7}} : Shapes{{4, 7}, {4, 7}},
           .f = c.f,
           .reference = [value = c.value](Arrays x) { return ref::binary(x[0], x[1], value); },
           .domains = {Domain::flags},
           .no_gradient = {0, 1},
           .sized = broadcast ? std::function<Shapes(Index)>(GRADUS_SIZED({3, n}, {n})) : GRADUS_SIZED({2, n}, {2, n}),
           .large = broadcast ? Shapes{{400, 301}, {301}} : Shapes{{3, 50'001}, {3, 50'001}},
           .torch = fmt::format("{}.to(x[0].dtype)", c.torch),
           .edges = broadcast ? std::vector<Edge>{}
                              : std::vector<Edge>{{"ends",
                                                   {{{8}, {0, -0.0, inf, -inf, 1, inf, -1, 0}},
                                                    {{8}, {-0.0, 0, inf, inf, 1, 1, -inf, 0}}}}},
           .limits = {0, 0}});
    }
  }
  rows.push_back(
      {.op = "masked_fill",
       .shapes = {{3, 7}, {7}},
       .f = [](In x) { return masked_fill(x[0], x[1], -2.5); },
       .reference =
           [](Arrays x) { return ref::binary(x[0], x[1], [](double v, double mask) { return mask != 0 ? -2.5 : v; }); },
       .domains = {Domain::any, Domain::flags},
       .no_gradient = {1},
       .sized = GRADUS_SIZED({2, n}, {n}),
       .torch = "x[0].masked_fill(x[1] != 0, -2.5)",
       .limits = {0, 0}});
  for (const Index diagonal : {Index{0}, Index{-1}, Index{2}}) {
    for (const bool below : {true, false}) {
      rows.push_back({.op = below ? "tril" : "triu",
                      .variant = diagonal == 0  ? "main"
                                 : diagonal < 0 ? "lower"
                                                : "upper",
                      .shapes = {{2, 4, 5}},
                      .f = [=](In x) { return below ? tril(x[0], diagonal) : triu(x[0], diagonal); },
                      .reference =
                          [=](Arrays x) {
                            Array y = x[0];
                            const Index rows_of = y.shape[-2], cols = y.shape[-1];
                            for (std::size_t k = 0; k < y.values.size(); ++k) {
                              const Index i = static_cast<Index>(k) / cols % rows_of, j = static_cast<Index>(k) % cols;
                              if (below ? j - i > diagonal : j - i < diagonal) y.values[k] = 0;
                            }
                            return y;
                          },
                      .sized = GRADUS_SIZED({n, n}),
                      .torch = fmt::format("torch.{}(x[0], {})", below ? "tril" : "triu", diagonal),
                      .limits = {0, 0}});
    }
  }
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

// A half of the last dimension that gates the other.
void add_gates(std::vector<OpRow>& rows) {
  const auto gated = [](const Array& x, double (*f)(double a, double b)) {
    const Index half = x.shape[1] / 2;
    return ref::make({x.shape[0], half}, [&](const ref::Indices& i) { return f(x.at(i), x.at({i[0], i[1] + half})); });
  };
  rows.push_back(
      {.op = "glu",
       .shapes = {{3, 6}},
       .f = [](In x) { return glu(x[0]); },
       .reference =
           [gated](Arrays x) { return gated(x[0], [](double a, double b) { return a / (1 + std::exp(-b)); }); },
       .limits = {4, 8}});
  rows.push_back(
      {.op = "swiglu",
       .shapes = {{3, 6}},
       .f = [](In x) { return swiglu(x[0]); },
       .reference =
           [gated](Arrays x) { return gated(x[0], [](double a, double b) { return a / (1 + std::exp(-a)) * b; }); },
       .torch = "F.silu(x[0].chunk(2, -1)[0]) * x[0].chunk(2, -1)[1]",
       .limits = {4, 8}});
  for (const bool per_channel : {false, true}) {
    rows.push_back({.op = "prelu",
                    .variant = per_channel ? "channels" : "one",
                    .shapes = {{2, 3, 4}, {per_channel ? 3 : 1}},
                    .f = [](In x) { return prelu(x[0], x[1]); },
                    .reference =
                        [per_channel](Arrays x) {
                          return ref::make(x[0].shape, [&](const ref::Indices& i) {
                            const double v = x[0].at(i);
                            return v > 0 ? v : v * x[1].at({per_channel ? i[1] : 0});
                          });
                        },
                    .domains = {Domain::nonzero, Domain::any},
                    .limits = {2, 60}});
  }
}

const AddRows pointwise("pointwise", [](std::vector<OpRow>& rows) {
  add_unary(rows);
  add_binary(rows);
  add_composed(rows);
  add_masks(rows);
  add_gates(rows);
  add_where(rows);
  add_broadcast_to(rows);
});

}  // namespace
}  // namespace gradus::testing
