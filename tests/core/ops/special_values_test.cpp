// Every pointwise formula and its slope where numbers end: zeros of both signs, infinities, NaN, subnormal numbers, the
// smallest and the largest, and many between, for every instruction set and both types, in every lane. References are
// in long double; where a case has no value of its own it is C's (Annex F) or PyTorch's. A new formula gets in by a
// row; one without a row fails a test.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <set>

#include <gradus/core/derivatives.h>
#include <gradus/core/kernels/kernels.h>
#include <gradus/core/ops.h>

#include "../../support.h"
#include "rows/pointwise.h"

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class T>
std::vector<T> special() {
  using N = std::numeric_limits<T>;
  std::vector<T> values;
  for (const T x : {T(0),
                    T(1),
                    N::infinity(),
                    N::denorm_min(),
                    3 * N::denorm_min(),
                    N::min() / 3,
                    N::min(),
                    N::max(),
                    N::max() / 2,
                    N::epsilon(),
                    std::sqrt(N::max()) * T(1.5),
                    std::sqrt(N::min()) / 2,
                    T(0.5),
                    T(2),
                    T(3.1),
                    T(6),
                    T(13),
                    T(20.5),
                    T(38.4),
                    T(41),
                    T(87.5),
                    T(88.7),
                    T(104),
                    T(709.7),
                    T(745.2),
                    T(1001),
                    T(1e5),
                    T(1e19),
                    T(1e30)}) {
    values.push_back(x);
    values.push_back(-x);
  }
  values.push_back(N::quiet_NaN());
  return values;
}

// Three times over, so that each value comes through whole vectors and through the part at the end; and many others.
template <class T>
std::vector<T> arguments() {
  std::vector<T> values;
  std::mt19937 random(1);
  for (const double most : {1.0, 4.0, 12.0, 40.0, 110.0, 750.0}) {
    std::uniform_real_distribution<double> uniform(-most, most);
    for (int i = 0; i < 500; ++i) values.push_back(static_cast<T>(uniform(random)));
  }
  for (int i = 0; i < 1000; ++i) {  // of every size
    const double sign = (random() & 1U) != 0 ? -1 : 1, share = static_cast<double>(random()) * 0x1p-32;
    const double exponent = std::numeric_limits<T>::min_exponent - 20 +
                            share * (std::numeric_limits<T>::max_exponent - std::numeric_limits<T>::min_exponent + 18);
    values.push_back(static_cast<T>(sign * std::exp2(exponent)));
  }
  for (int copy = 0; copy < 3; ++copy) {
    for (const T x : special<T>()) values.push_back(x);
  }
  return values;
}

// The distance of two neighbors of this type at x.
template <class T>
Exact ulp(Exact x) {
  int exponent = 0;
  std::frexp(std::isfinite(x) ? x : Exact(1), &exponent);
  exponent = std::clamp(exponent, std::numeric_limits<T>::min_exponent, std::numeric_limits<T>::max_exponent);
  return std::ldexp(Exact(1), exponent - std::numeric_limits<T>::digits);
}

// How far `got` is from `wanted`; infinite if only one of them is NaN, or infinite in this type.
template <class T>
Exact distance(T got, Exact wanted) {
  if (std::isnan(got) || std::isnan(wanted)) return std::isnan(got) && std::isnan(wanted) ? 0 : HUGE_VALL;
  const T nearest = static_cast<T>(wanted);
  if (std::isinf(got) || std::isinf(nearest)) return got == nearest ? 0 : HUGE_VALL;
  return std::abs(static_cast<Exact>(got) - wanted);
}

template <class T>
void expect_row(const UnaryRow& row) {
  const std::vector<T> values = arguments<T>();
  Tensor x = tensor(values, {static_cast<Index>(values.size())}, dtype_of<T>());
  x.requires_grad(true);
  const Tensor y = row.f(x);
  y.backward(ones_like(y));
  const auto got = y.data<T>(), slope = x.grad().data<T>();
  const double lost = std::is_same_v<T, float> ? row.lost_f32 : row.lost_f64;
  int wrong = 0;
  for (std::size_t i = 0; i < values.size() && wrong < 5; ++i) {
    const Exact at = values[i], wanted = row.value(at), wanted_slope = row.slope(at);
    const Exact ulps = row.value_ulps + row.ulps_per_x * std::min(Exact(50), std::abs(at));
    const bool right = distance(got[i], wanted) <= ulps * ulp<T>(wanted) + lost;
    const bool slope_right =
        distance(slope[i], wanted_slope) <= row.slope_ulps * std::max(ulp<T>(wanted_slope), ulp<T>(1));
    EXPECT_TRUE(right) << row.name() << " of " << values[i] << " is " << got[i] << ", not " << wanted;
    EXPECT_TRUE(slope_right) << row.name() << "'s slope at " << values[i] << " is " << slope[i] << ", not "
                             << wanted_slope;
    wrong += right && slope_right ? 0 : 1;
  }
}

TEST(SpecialValues, OfOneArgument) {
  everywhere([]<class T>() {
    for (const UnaryRow& row : unary_rows()) expect_row<T>(row);
  });
}

TEST(SpecialValues, EveryFormulaHasARow) {
  std::set<std::string> missing{
#define UNARY(name, y, dy, rule) #name,
#include <gradus/core/kernels/unary.def>
#undef UNARY
  };
  for (const UnaryRow& row : unary_rows()) missing.erase(row.op);
  EXPECT_TRUE(missing.empty()) << *missing.begin();
}

template <class T>
bool close(T got, Exact wanted, double ulps) {
  return distance(got, wanted) <= ulps * ulp<T>(wanted);
}

template <class T>
void expect_binary_row(const BinaryRow& row, const std::vector<T>& values) {
  const bool is_pow = row.op == "pow";
  const auto n = static_cast<Index>(values.size());
  std::vector<T> all_a, all_b;
  for (const T a : values) {
    for (const T b : values) {
      all_a.push_back(a);
      all_b.push_back(b);
    }
  }
  Tensor a = tensor(all_a, {n * n}, dtype_of<T>()), b = tensor(all_b, {n * n}, dtype_of<T>());
  a.requires_grad(true);
  b.requires_grad(true);
  const Tensor y = row.f(a, b);
  y.backward(ones_like(y));
  int wrong = 0;
  for (std::size_t i = 0; i < all_a.size() && wrong < 5; ++i) {
    const T got = y.data<T>()[i], da = a.grad().data<T>()[i], db = b.grad().data<T>()[i];
    const Exact wanted = row.value(all_a[i], all_b[i]);
    Slopes slopes = row.slopes(all_a[i], all_b[i], got);
    if (is_pow && slopes.a != 0) slopes.a *= static_cast<T>(std::pow(Exact(all_a[i]), Exact(all_b[i] - T(1))));
    const bool right =
        close(got, wanted, row.value_ulps) && (!is_pow || wanted != 0 || std::signbit(got) == std::signbit(wanted));
    const double lost = is_pow && std::isfinite(all_b[i]) && !std::isnormal(da) ? std::abs(all_b[i]) : 0;
    const bool slopes_right = close(da, slopes.a, row.slope_ulps + lost) && close(db, slopes.b, row.slope_ulps);
    EXPECT_TRUE(right) << row.op << " of " << all_a[i] << " and " << all_b[i] << " is " << got << ", not " << wanted;
    EXPECT_TRUE(slopes_right) << row.op << "'s slopes at " << all_a[i] << " and " << all_b[i] << " are " << da
                              << " and " << db << ", not " << slopes.a << " and " << slopes.b;
    wrong += right && slopes_right ? 0 : 1;
  }
}

// Whole numbers, odd and even, to where a type has only even ones, and numbers whose powers come near its ends.
template <class T>
std::vector<T> for_two() {
  std::vector<T> values = special<T>();
  for (const double x : {3.0, 4.0, 5.0, 7.0, 0.25, 1.5, 0.99, 1.01, 16777215.0, 16777216.0, 16777218.0,
                         4503599627370497.0, 9007199254740991.0, 9007199254740992.0}) {
    values.push_back(static_cast<T>(x));
    values.push_back(static_cast<T>(-x));
  }
  return values;
}

TEST(SpecialValues, OfTwoArguments) {
  everywhere([]<class T>() {
    for (const BinaryRow& row : binary_rows()) expect_binary_row<T>(row, for_two<T>());
  });
}

TEST(SpecialValues, EveryFormulaOfTwoArgumentsHasARow) {
  std::set<std::string> missing{
#define BINARY(name, y, da, db, rule_a, rule_b) #name,
#include <gradus/core/kernels/binary.def>
#undef BINARY
  };
  for (const BinaryRow& row : binary_rows()) missing.erase(row.op);
  EXPECT_TRUE(missing.empty()) << *missing.begin();
}

// The gradient with respect to each of x by the kernels, and by the rules.
void expect_rules_equal_kernels(const std::string& name, const Tensor& y, const std::vector<Tensor>& x, double least) {
  const auto kernels = grad(y, x, {.weight = ones_like(y), .retain_graph = true});
  const auto rules = grad(y, x, {.weight = ones_like(y), .create_graph = true});
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::vector<double> wanted = kernels[i].to_vector(), got = rules[i].to_vector();
    int wrong = 0;
    for (std::size_t j = 0; j < wanted.size() && wrong < 5; ++j) {
      const bool same = got[j] == wanted[j] || (std::isnan(got[j]) && std::isnan(wanted[j])) ||
                        std::abs(got[j] - wanted[j]) <= 1e-12 * std::abs(wanted[j]) + least;
      const double at = x[0].data<double>()[j], other = x.back().data<double>()[j];
      EXPECT_TRUE(same) << name << "'s rule at " << at << ", " << other << ": " << got[j] << ", not " << wanted[j];
      wrong += same ? 0 : 1;
    }
  }
}

TEST(SpecialValues, RulesEqualKernels) {
  const std::vector<double> values = arguments<double>();
  for (const UnaryRow& row : unary_rows()) {
    const Tensor x = tensor(values, DType::f64).requires_grad(true);
    const Tensor y = row.f(x);
    // Differences from 1 lose digits of what is near 0.
    if (y.requires_grad()) expect_rules_equal_kernels(row.name(), y, {x}, 1e-15);
  }
  std::vector<double> all_a, all_b;
  for (const double a : for_two<double>()) {
    for (const double b : for_two<double>()) {
      all_a.push_back(a);
      all_b.push_back(b);
    }
  }
  for (const BinaryRow& row : binary_rows()) {
    const Tensor a = tensor(all_a, DType::f64).requires_grad(true), b = tensor(all_b, DType::f64).requires_grad(true);
    expect_rules_equal_kernels(row.op, row.f(a, b), {a, b}, 1e-300);
  }
}

TEST(SpecialValues, PowByANumberIsPowByATensor) {
  everywhere([]<class T>() {
    const std::vector<T> values = for_two<T>();
    const Tensor x = tensor(values, {static_cast<Index>(values.size())}, dtype_of<T>());
    for (const T exponent : values) {
      EXPECT_EQ(bits(pow(x, exponent)), bits(pow(x, full(x.shape(), exponent, x.dtype())))) << exponent;
    }
  });
}

TEST(SpecialValues, PowKeepsItsDigitsAtLargeExponents) {
  everywhere([]<class T>() {
    std::mt19937 random(2);
    std::uniform_real_distribution<double> uniform(-1, 1);
    std::vector<T> a, b;
    for (int i = 0; i < 4000; ++i) {
      const double log_a = uniform(random) * (i % 2 == 0 ? 0.01 : std::numeric_limits<T>::max_exponent * 0.69);
      a.push_back(static_cast<T>(std::exp(log_a)));
      b.push_back(static_cast<T>(uniform(random) * std::numeric_limits<T>::max_exponent * 0.72 /
                                 std::abs(std::log(static_cast<double>(a.back())))));
    }
    const Tensor y = pow(tensor(a, {4000}, dtype_of<T>()), tensor(b, {4000}, dtype_of<T>()));
    for (std::size_t i = 0; i < a.size(); ++i) {
      const Exact wanted = std::pow(Exact(a[i]), Exact(b[i]));
      ASSERT_TRUE(close(y.data<T>()[i], wanted, 1.3)) << a[i] << " to " << b[i] << ": " << y.data<T>()[i];
    }
  });
}

// What passes no gradient passes none, however large: 0 times infinity would be NaN. The square root of relu, the power
// of a clamped number and the like meet this at every 0.
TEST(SpecialValues, WhatPassesNoGradientPassesNoInfiniteOneEither) {
  struct Case {
    const char* name;
    Tensor (*f)(const Tensor&);
    double at;
  };
  const Case cases[] = {
      {"relu", relu, -1},
      {"relu at 0", relu, 0},
      {"clamp, below", [](const Tensor& x) { return clamp(x, 0, 1); }, -1},
      {"clamp, above", [](const Tensor& x) { return clamp(x, 0, 1); }, 2},
      {"maximum", [](const Tensor& x) { return maximum(x, full({}, 5, x.dtype())); }, 2},
      {"maximum, second", [](const Tensor& x) { return maximum(full({}, 5, x.dtype()), x); }, 2},
      {"minimum", [](const Tensor& x) { return minimum(x, full({}, 1, x.dtype())); }, 2},
      {"pow", [](const Tensor& x) { return pow(x, 0); }, 2},
      {"pow, exponent", [](const Tensor& x) { return pow(full({}, 0, x.dtype()), x); }, 2},
      {"where", [](const Tensor& x) { return where(zeros_like(x), x, ones_like(x)); }, 2},
      {"max",
       [](const Tensor& x) {
         return max(stack({x, x + 1}), {0});
       },
       2},
  };
  everywhere([&]<class T>() {
    for (const Case& c : cases) {
      for (const double weight : {inf, -inf, nan}) {
        Tensor x = full({19}, c.at, dtype_of<T>());
        x.requires_grad(true);
        const Tensor y = c.f(x);
        y.backward(full(y.shape(), weight, y.dtype()));
        const std::vector<double> wanted(19, std::strcmp(c.name, "max") == 0 ? weight : 0);
        EXPECT_EQ(bits(abs(x.grad())), bits(abs(tensor(wanted, {19}, y.dtype())))) << c.name << " " << weight;
      }
    }
  });
}

}  // namespace
}  // namespace gradus::testing
