// Where formulas have corners: zeros, ties, borders, infinities, NaN, ignored targets, repeated ids. Every test runs
// for every instruction set and both types.
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Long enough that a value meets the vector loop as well as its tail.
constexpr Index long_enough = 37;

struct Point {
  double value, slope;
};

// f and its gradient at x, in all lanes.
Point at(double x, DType dtype, const std::function<Tensor(const Tensor&)>& f) {
  Tensor input = full({long_enough}, x, dtype);
  input.requires_grad(true);
  const Tensor y = f(input);
  y.backward(ones_like(y));
  const std::vector<double> values = y.to_vector(), slopes = input.grad().to_vector();
  for (std::size_t i = 1; i < values.size(); ++i) {
    EXPECT_TRUE(values[i] == values[0] || (std::isnan(values[i]) && std::isnan(values[0]))) << "lane " << i;
    EXPECT_TRUE(slopes[i] == slopes[0] || (std::isnan(slopes[i]) && std::isnan(slopes[0]))) << "lane " << i;
  }
  return {values[0], slopes[0]};
}

void expect_point(Point point, double value, double slope) {
  EXPECT_EQ(point.value, value);
  EXPECT_EQ(point.slope, slope);
}

TEST(Pow, AtZeroFollowsCAndHasNoNaNSlope) {
  everywhere([](DType dtype) {
    const auto power = [&](double x, double exponent) {
      return at(x, dtype, [&](const Tensor& t) { return pow(t, exponent); });
    };
    expect_point(power(0, 2), 0, 0);
    expect_point(power(0, 1), 0, 1);
    expect_point(power(0, 0), 1, 0);
    expect_point(power(0, 3), 0, 0);
    expect_point(power(5, 0), 1, 0);
    expect_point(power(0, -1), inf, -inf);
    expect_point(power(0, 0.5), 0, inf);
    expect_point(power(-3, 2), 9, -6);
    EXPECT_NEAR(power(-2, 3).value, -8, 1e-5);
    EXPECT_NEAR(power(-2, 3).slope, 12, 1e-5);
    EXPECT_NEAR(power(-2, -1).value, -0.5, 1e-6);
    EXPECT_TRUE(std::isnan(power(-2, 0.5).value));
    EXPECT_EQ(power(nan, 0).value, 1);
    EXPECT_TRUE(std::isnan(power(nan, 2).value));
    EXPECT_EQ(power(inf, 2).value, inf);
    EXPECT_EQ(power(inf, -1).value, 0);
  });
}

TEST(Pow, OfWholeExponentsMultiplies) {
  everywhere([](DType dtype) {
    const auto power = [&](double x, double exponent) {
      return at(x, dtype, [&](const Tensor& t) { return pow(t, exponent); });
    };
    expect_point(power(10, 3), 1000, 300);
    expect_point(power(-3, 3), -27, 27);
    expect_point(power(-2, 4), 16, -32);
    expect_point(power(4, -1), 0.25, -0.0625);
    expect_point(power(2, -2), 0.25, -0.25);
    expect_point(power(16, 0.5), 4, 0.125);
    EXPECT_EQ(power(-0.0, -1).value, -inf);
    EXPECT_TRUE(std::signbit(power(-0.0, 3).value));
  });
}

TEST(Pow, FollowsCWhereInfinitiesAndNaNMeet) {
  everywhere([](DType dtype) {
    const auto value = [&](double x, double exponent) {
      return at(x, dtype, [&](const Tensor& t) { return pow(t, exponent); }).value;
    };
    EXPECT_TRUE(std::isnan(value(0, nan)));
    EXPECT_TRUE(std::isnan(value(nan, 2)));
    EXPECT_EQ(value(1, inf), 1);
    EXPECT_EQ(value(1, nan), 1);
    EXPECT_EQ(value(nan, 0), 1);
  });
}

TEST(Pow, OfTwoTensorsAtZero) {
  everywhere([](DType dtype) {
    Tensor a = tensor({0, 0, 0, 0, 2, -3}, dtype), b = tensor({0, 1, 2, -1, 3, 2}, dtype);
    a.requires_grad(true);
    b.requires_grad(true);
    const Tensor y = pow(a, b);
    EXPECT_EQ(y.to_vector()[3], inf);
    expect_close(concat({slice(y, 0, 0, 3), slice(y, 0, 4, 6)}), {1, 0, 0, 8, 9}, 1e-5);
    slice(y, 0, 0, 3).backward(ones({3}, dtype));
    expect_close(slice(a.grad(), 0, 0, 3), {0, 1, 0});
    expect_close(slice(b.grad(), 0, 0, 3), {0, 0, 0});
  });
}

TEST(ReluAndAbs, HaveSlopeZeroAtZero) {
  everywhere([](DType dtype) {
    expect_point(at(0, dtype, [](const Tensor& x) { return relu(x); }), 0, 0);
    expect_point(at(-0.0, dtype, [](const Tensor& x) { return relu(x); }), 0, 0);
    expect_point(at(0, dtype, [](const Tensor& x) { return abs(x); }), 0, 0);
    expect_point(at(-2, dtype, [](const Tensor& x) { return abs(x); }), 2, -1);
    expect_point(at(inf, dtype, [](const Tensor& x) { return relu(x); }), inf, 1);
    expect_point(at(-inf, dtype, [](const Tensor& x) { return relu(x); }), 0, 0);
  });
}

TEST(Clamp, PassesTheGradientOnItsBorders) {
  everywhere([](DType dtype) {
    const auto clamped = [](const Tensor& x) { return clamp(x, -1, 2); };
    expect_point(at(-1, dtype, clamped), -1, 1);
    expect_point(at(2, dtype, clamped), 2, 1);
    expect_point(at(0.5, dtype, clamped), 0.5, 1);
    expect_point(at(-1.5, dtype, clamped), -1, 0);
    expect_point(at(inf, dtype, clamped), 2, 0);
    expect_point(at(-inf, dtype, clamped), -1, 0);
  });
}

// PyTorch 1.13's gradients, where a slope inside the formula is infinite.
TEST(ComposedOps, HaveFiniteGradientsWhereAStepHasNone) {
  const auto gradient = [](const std::vector<double>& at, const auto& f) {
    const Tensor x = tensor(at, DType::f64).requires_grad(true);
    sum(f(x)).backward();
    return x.grad().to_vector();
  };
  using Numbers = std::vector<double>;
  const Tensor target = tensor({0, 1, 1, 0, 1}, DType::f64);
  EXPECT_EQ(gradient({0, 1, 0, 1, 0.5},
                     [&](const Tensor& p) { return binary_cross_entropy(p, target, {.reduction = Reduction::sum}); }),
            (Numbers{1, -1, -1e12, 1e12, -2}));  // PyTorch has 0 where the loss is 0
  EXPECT_EQ(gradient({0, 0}, [](const Tensor& x) { return norm(x, 0.5); }), (Numbers{0, 0}));
  EXPECT_EQ(gradient({0, 4}, [](const Tensor& x) { return norm(x, 0.5); }), (Numbers{0, 1}));
  EXPECT_EQ(gradient({0, 0}, [](const Tensor& x) { return norm(x, 3); }), (Numbers{0, 0}));
  EXPECT_EQ(gradient({0, 0}, [](const Tensor& x) { return lp_pool1d(reshape(x, {1, 2}), 2, 2); }), (Numbers{0, 0}));
  const Tensor zero = zeros({1}, DType::f64);
  EXPECT_EQ(gradient({0}, [&](const Tensor& var) { return gaussian_nll_loss(zero, zero, var, {.eps = 0.25}); }),
            (Numbers{2}));
}

// Element o of the result is element floor(o / factor), also where the result happens to be twice or once as long.
TEST(Interpolate, NearestFollowsTheFactor) {
  const auto nearest = [](const std::vector<double>& x, double factor) {
    return interpolate(tensor(x, {1, 1, static_cast<Index>(x.size())}), {.scale_factor = factor}).to_vector();
  };
  EXPECT_EQ(nearest({5, 7}, 2.3), (std::vector<double>{5, 5, 5, 7}));
  EXPECT_EQ(nearest({5, 7, 9}, 1.2), (std::vector<double>{5, 5, 7}));
  EXPECT_EQ(nearest({5, 7}, 2), (std::vector<double>{5, 5, 7, 7}));
}

TEST(MaximumAndMinimum, ShareATieHalfAndHalf) {
  everywhere([](DType dtype) {
    for (const bool larger : {true, false}) {
      Tensor a = tensor({1, 2, 3}, dtype), b = tensor({1, 3, 2}, dtype);
      a.requires_grad(true);
      b.requires_grad(true);
      const Tensor y = larger ? maximum(a, b) : minimum(a, b);
      expect_close(y, larger ? std::vector<double>{1, 3, 3} : std::vector<double>{1, 2, 2});
      y.backward(tensor({4, 1, 1}, dtype));
      const std::vector<double> first{2, 0, 1}, second{2, 1, 0};
      expect_close(a.grad(), larger ? first : second);
      expect_close(b.grad(), larger ? second : first);
    }
  });
}

TEST(Max, SharesTiesEvenly) {
  everywhere([](DType dtype) {
    Tensor x = tensor({3, 1, 3, 3, 0, 2, 2, 1}, {2, 4}, dtype);
    x.requires_grad(true);
    max(x, {1}).backward(tensor({6, 4}, dtype));
    expect_close(x.grad(), {2, 0, 2, 2, 0, 2, 2, 0}, 1e-6);
    x.zero_grad();
    max(x).backward();
    expect_close(x.grad(), {1.0 / 3, 0, 1.0 / 3, 1.0 / 3, 0, 0, 0, 0}, 1e-6);
  });
}

TEST(Max, PassesTheGradientToANaN) {
  everywhere([](DType dtype) {
    Tensor x = tensor({1, nan, 3}, dtype);
    x.requires_grad(true);
    max(x).backward();
    EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{0, 1, 0}));
  });
}

TEST(Argmax, TakesTheFirstOfEquals) {
  const Tensor x = tensor({1, 5, 5, 2, 7, 0, 7, 7}, {2, 4});
  EXPECT_EQ(argmax(x), (std::vector<Index>{1, 0}));
  EXPECT_EQ(argmax(x, 0), (std::vector<Index>{1, 0, 1, 1}));
  EXPECT_EQ(argmax(reshape(x, {2, 2, 2}), 1), (std::vector<Index>{1, 0, 0, 1}));
}

TEST(NaN, PassesThroughWhatComparesNumbers) {
  everywhere([](DType dtype) {
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return relu(x); }).value));
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return abs(x); }).value));
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return clamp(x, -1, 1); }).value));
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return gelu(x); }).value));
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return gelu(x, Gelu::tanh); }).value));
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return silu(x); }).value));
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return tanh(x); }).value));
    EXPECT_TRUE(std::isnan(at(nan, dtype, [](const Tensor& x) { return exp(x); }).value));
    for (const Tensor& y :
         {maximum(tensor(nan, dtype), tensor(1, dtype)), maximum(tensor(1, dtype), tensor(nan, dtype)),
          minimum(tensor(nan, dtype), tensor(1, dtype)), minimum(tensor(1, dtype), tensor(nan, dtype))}) {
      EXPECT_TRUE(std::isnan(y.item()));
    }
    for (Index place = 0; place < long_enough; ++place) {
      std::vector<double> values(static_cast<std::size_t>(long_enough), 1);
      values[static_cast<std::size_t>(place)] = nan;
      const Tensor x = tensor(values, dtype);
      EXPECT_TRUE(std::isnan(max(x).item())) << place;
      for (const double y : softmax(x).to_vector()) EXPECT_TRUE(std::isnan(y)) << place;
      EXPECT_TRUE(std::isnan(cross_entropy(x, std::vector<std::int32_t>{0}).item())) << place;
    }
  });
}

// Outputs of 32 MB and more are stored past the caches.
TEST(LargeOutputs, HaveTheBitsOfSmallOnes) {
  everywhere([](DType dtype) {
    for (const Index cols : {1024, 1025}) {
      const Tensor small = randn({4, cols}, dtype);
      const Tensor large = (zeros({2049, 4, cols}, dtype) + small).detach();
      for (const auto f :
           {+[](const Tensor& x) { return gelu(x, Gelu::tanh); }, +[](const Tensor& x) { return softmax(x); }}) {
        Tensor a = small.detach(), b = large.detach();
        a.requires_grad(true);
        b.requires_grad(true);
        const Tensor from_a = f(a), from_b = f(b);
        from_a.backward(small);
        from_b.backward(large);
        const NoGrad guard;
        EXPECT_EQ(max(abs(from_b - from_a)).item(), 0);
        EXPECT_EQ(max(abs(b.grad() - a.grad())).item(), 0);
      }
    }
  });
}

TEST(ExtremeValues, GiveNoNaNWhereMathHasNone) {
  everywhere([](DType dtype) {
    const double tiny = dtype == DType::f32 ? 1e-40 : 1e-310;  // subnormal
    struct Case {
      const char* name;
      Tensor (*f)(const Tensor&);
      double at_minus_infinity, at_infinity, slope_at_minus_infinity, slope_at_infinity, at_zero;
    };
    const Case cases[] = {
        {"exp", [](const Tensor& x) { return exp(x); }, 0, inf, 0, inf, 1},
        {"tanh", [](const Tensor& x) { return tanh(x); }, -1, 1, 0, 0, 0},
        {"sigmoid", [](const Tensor& x) { return sigmoid(x); }, 0, 1, 0, 0, 0.5},
        {"relu", [](const Tensor& x) { return relu(x); }, 0, inf, 0, 1, 0},
        {"silu", [](const Tensor& x) { return silu(x); }, 0, inf, 0, 1, 0},
        {"gelu_erf", [](const Tensor& x) { return gelu(x); }, 0, inf, 0, 1, 0},
        {"gelu_tanh", [](const Tensor& x) { return gelu(x, Gelu::tanh); }, 0, inf, 0, 1, 0},
    };
    for (const Case& c : cases) {
      SCOPED_TRACE(c.name);
      expect_point(at(-inf, dtype, c.f), c.at_minus_infinity, c.slope_at_minus_infinity);
      expect_point(at(inf, dtype, c.f), c.at_infinity, c.slope_at_infinity);
      for (const double large : {1e4, 1e19, 1e30}) {
        const Point low = at(-large, dtype, c.f), high = at(large, dtype, c.f);
        EXPECT_EQ(low.value, c.at_minus_infinity) << large;
        EXPECT_EQ(low.slope, c.slope_at_minus_infinity) << large;
        EXPECT_EQ(high.slope, c.slope_at_infinity) << large;
        if (std::isfinite(c.at_infinity)) {
          EXPECT_EQ(high.value, c.at_infinity) << large;
        } else {
          EXPECT_GE(high.value, large * (1 - 1e-6));
        }
      }
      for (const double x : {tiny, -tiny, 0.0, -0.0}) {
        EXPECT_NEAR(at(x, dtype, c.f).value, c.at_zero, 1e-30) << x;
        EXPECT_TRUE(std::isfinite(at(x, dtype, c.f).slope)) << x;
      }
    }
    const auto logarithm = [](const Tensor& x) { return log(x); };
    EXPECT_EQ(at(0, dtype, logarithm).value, -inf);
    EXPECT_EQ(at(inf, dtype, logarithm).value, inf);
    EXPECT_TRUE(std::isnan(at(-1, dtype, logarithm).value));
    const double kept = full({}, tiny, dtype).item();  // tiny as this type has it
    if (dtype == DType::f32) {
      EXPECT_NEAR(at(tiny, dtype, logarithm).value, std::log(kept), 1e-4);
    } else {  // xsimd 8.1 is off by 33 below the smallest normal double; finite and in order is what we ask
      EXPECT_NEAR(at(tiny, dtype, logarithm).value, std::log(kept), 40);
    }
    EXPECT_NEAR(at(1e30, dtype, logarithm).value, std::log(1e30), 1e-5);
    const auto root = [](const Tensor& x) { return sqrt(x); };
    expect_point(at(0, dtype, root), 0, inf);
    EXPECT_EQ(at(inf, dtype, root).value, inf);
    EXPECT_TRUE(std::isnan(at(-1, dtype, root).value));
    const auto sine = [](const Tensor& x) { return sin(x); };
    EXPECT_TRUE(std::isnan(at(inf, dtype, sine).value));
    EXPECT_NEAR(at(1e4, dtype, sine).value, std::sin(1e4), 1e-6);
    EXPECT_NEAR(at(1e4, dtype, [](const Tensor& x) { return cos(x); }).value, std::cos(1e4), 1e-6);
  });
}

TEST(Exp, RoundsOverAndUnderTheRange) {
  everywhere([](DType dtype) {
    const auto e = [&](double x) { return exp(full({long_enough}, x, dtype)).to_vector()[20]; };
    const double largest = dtype == DType::f32 ? 88 : 709;
    EXPECT_NEAR(e(largest) / std::exp(largest), 1, 1e-5);
    EXPECT_EQ(e(largest + 5), inf);
    EXPECT_NEAR(e(-87) / std::exp(-87), 1, 1e-5);
    EXPECT_EQ(e(-800), 0);
  });
}

// Floats of every size, the subnormal ones too: every 4,099th of all bit patterns below infinity, of both signs.
TEST(Exp, IsWithinHalfAsMuchAgainAsOneUlp) {
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0x7f80'0000U; bits += 4099) {
    values.push_back(std::bit_cast<float>(bits));
    values.push_back(-std::bit_cast<float>(bits));
  }
  const Tensor x = tensor(values, {static_cast<Index>(values.size())});
  everywhere([&](DType dtype) {
    if (dtype != DType::f32) return;
    const Tensor result = exp(x);
    const auto y = result.data<float>();
    double worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double exact = std::exp(static_cast<double>(values[i]));
      const auto nearest = static_cast<float>(exact);
      if (std::isinf(nearest)) {
        ASSERT_EQ(y[i], nearest) << "exp(" << values[i] << ")";
        continue;
      }
      const float ulp =
          std::max(std::nextafter(nearest, HUGE_VALF) - nearest, std::numeric_limits<float>::denorm_min());
      worst = std::max(worst,
                       std::isinf(ulp) ? 0.0 : std::abs(static_cast<double>(y[i]) - exact) / static_cast<double>(ulp));
    }
    EXPECT_LE(worst, 1.5);
  });
}

// The error relative to the result, however small that is: at most 3 roundings, and 3 |2u| more for those of e^-2u's
// argument. To 9.5 on either side: below -10 the result leaves f32.
TEST(Gelu, KeepsItsDigits) {
  std::vector<float> values;
  for (std::uint32_t bits = std::bit_cast<std::uint32_t>(1e-6F); std::bit_cast<float>(bits) < 9.5F; bits += 499) {
    values.push_back(std::bit_cast<float>(bits));
    values.push_back(-std::bit_cast<float>(bits));
  }
  const Tensor x = tensor(values, {static_cast<Index>(values.size())});
  everywhere([&](DType dtype) {
    if (dtype != DType::f32) return;
    const Tensor result = gelu(x, Gelu::tanh);
    const auto y = result.data<float>();
    double worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double v = values[i], two_u = 2 * std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v);
      const double exact = v / (1 + std::exp(-two_u)), rounding = std::ldexp(std::abs(exact), -24);
      worst = std::max(worst, std::abs(static_cast<double>(y[i]) - exact) / (rounding * (3 + 3 * std::abs(two_u))));
    }
    EXPECT_LE(worst, 1);
  });
}

TEST(Where, DoesNotLeakWhatItDidNotTake) {
  everywhere([](DType dtype) {
    Tensor x = tensor({0, 4, 0, 9}, dtype);
    x.requires_grad(true);
    const Tensor positive = tensor({0, 1, 0, 1}, dtype);
    // The usual guard: choose a harmless input first, then the result.
    const Tensor y = where(positive, sqrt(where(positive, x, ones_like(x))), zeros_like(x));
    expect_close(y, {0, 2, 0, 3}, 1e-6);
    y.backward(ones({4}, dtype));
    expect_close(x.grad(), {0, 0.25, 0, 1.0 / 6}, 1e-6);

    Tensor a = tensor({inf, 1, nan}, dtype), b = tensor({2, -inf, 3}, dtype);
    a.requires_grad(true);
    b.requires_grad(true);
    const Tensor chosen = where(tensor({0, 1, 0}, dtype), a, b);
    expect_close(chosen, {2, 1, 3});
    chosen.backward(ones({3}, dtype));
    expect_close(a.grad(), {0, 1, 0});
    expect_close(b.grad(), {1, 0, 1});
  });
}

TEST(Where, GivesTheConditionNoGradient) {
  Tensor condition = tensor({1, 0});
  condition.requires_grad(true);
  Tensor a = tensor({1, 2});
  a.requires_grad(true);
  sum(where(condition, a, a * 2.0)).backward();
  EXPECT_FALSE(condition.grad().defined());
  expect_close(a.grad(), {1, 2});
}

TEST(Softmax, TakesLargeAndInfiniteLogits) {
  everywhere([](DType dtype) {
    Tensor x = tensor({1e4, 0, -1e4, -inf, 5, 5, -inf, -inf}, {2, 4}, dtype);
    x.requires_grad(true);
    const Tensor y = softmax(x);
    expect_close(y, {1, 0, 0, 0, 0.5, 0.5, 0, 0}, 1e-7);
    y.backward(tensor({1, 2, 3, 4, 1, 2, 3, 4}, {2, 4}, dtype));
    expect_close(x.grad(), {0, 0, 0, 0, -0.25, 0.25, 0, 0}, 1e-7);
    x.zero_grad();
    const Tensor z = log_softmax(x);
    const std::vector<double> values = z.to_vector();
    EXPECT_EQ(values[0], 0);
    EXPECT_EQ(values[1], -1e4);
    EXPECT_EQ(values[2], -2e4);
    EXPECT_EQ(values[3], -inf);
    EXPECT_NEAR(values[4], -std::log(2), 1e-6);
    EXPECT_EQ(values[7], -inf);
    z.backward(tensor({1, 0, 0, 0, 1, 0, 0, 0}, {2, 4}, dtype));
    expect_close(x.grad(), {0, 0, 0, 0, 0.5, -0.5, 0, 0}, 1e-6);
  });
}

TEST(CrossEntropy, TakesLargeAndInfiniteLogits) {
  everywhere([](DType dtype) {
    Tensor x = tensor({1e4, 0, -1e4, 1e4, 0, -1e4, 3, 3, -inf}, {3, 3}, dtype);
    x.requires_grad(true);
    const Tensor loss = cross_entropy(x, std::vector<std::int32_t>{0, 2, 1});
    EXPECT_NEAR(loss.item(), (0 + 2e4 + std::log(2)) / 3, 1e-3);
    loss.backward();
    expect_close(x.grad(), {0, 0, 0, 1.0 / 3, 0, -1.0 / 3, 0.5 / 3, -0.5 / 3, 0}, 1e-6);
    // Two equally likely classes far from zero: the large number must not swallow the small loss.
    Tensor far = tensor({1e4, 1e4, 0, 0}, {1, 4}, dtype);
    EXPECT_NEAR(cross_entropy(far, std::vector<std::int32_t>{1}).item(), std::log(2), 1e-3);
  });
}

TEST(CrossEntropy, SmoothingCountsNoIgnoredTarget) {
  everywhere([](DType dtype) {
    Tensor x = tensor({nan, nan, 0, std::log(3)}, {2, 2}, dtype);  // probabilities 1/4 and 3/4
    x.requires_grad(true);
    const Tensor loss = cross_entropy(x, std::vector<std::int32_t>{-1, 1}, -1, 0.2);
    EXPECT_NEAR(loss.item(), -(0.9 * std::log(0.75) + 0.1 * std::log(0.25)), 1e-6);
    loss.backward();
    expect_close(x.grad(), {0, 0, 0.25 - 0.1, 0.75 - 0.9}, 1e-6);
  });
}

TEST(CrossEntropy, KeepsItsDigitsWhenLogitsAreLarge) {
  everywhere([](DType dtype) {
    Tensor x = tensor({10000, 10001, 9999}, {1, 3}, dtype);
    x.requires_grad(true);
    const Tensor loss = cross_entropy(x, std::array{0});
    loss.backward();
    const double sum = 1 + std::exp(1) + std::exp(-1);
    EXPECT_NEAR(loss.item(), std::log(sum), 1e-6);
    expect_close(x.grad(), {1 / sum - 1, std::exp(1) / sum, std::exp(-1) / sum}, 1e-6);
  });
}

TEST(CrossEntropy, WithEveryTargetIgnoredIsZeroAndSoIsItsGradient) {
  everywhere([](DType dtype) {
    for (const double value : {1.0, inf, nan}) {
      Tensor x = full({3, 5}, value, dtype);
      x.requires_grad(true);
      const Tensor loss = cross_entropy(x, std::vector<std::int32_t>{-1, -1, -1});
      EXPECT_EQ(loss.item(), 0);
      loss.backward();
      expect_close(x.grad(), std::vector<double>(15, 0), 0);
    }
  });
}

TEST(CrossEntropy, IgnoresOnlyTheIgnoredAndAveragesOverTheRest) {
  everywhere([](DType dtype) {
    Tensor x = tensor({0, 0, nan, nan, 0, std::log(3)}, {3, 2}, dtype);
    x.requires_grad(true);
    const Tensor loss = cross_entropy(x, std::vector<std::int32_t>{0, 7, 1}, 7);
    EXPECT_NEAR(loss.item(), (std::log(2) + std::log(4.0 / 3)) / 2, 1e-6);
    (loss * 2.0).backward();
    expect_close(x.grad(), {-0.5, 0.5, 0, 0, 0.25, -0.25}, 1e-6);
  });
}

TEST(BinaryCrossEntropy, KeepsSmallLosses) {
  everywhere([](DType dtype) {
    const double small = std::log1p(std::exp(-20));  // 2.06e-9; in f32 it would vanish beside 20
    for (const double target : {0.0, 1.0}) {
      Tensor x = tensor({target == 1 ? 20.0 : -20.0}, dtype);
      x.requires_grad(true);
      const Tensor loss = binary_cross_entropy_with_logits(x, tensor({target}, dtype));
      EXPECT_NEAR(loss.item(), small, 1e-6 * small);
      loss.backward();
      EXPECT_NEAR(std::abs(x.grad().item()), small, 1e-6 * small);
    }
  });
}

TEST(Embedding, AddsUpTheGradientsOfARepeatedId) {
  everywhere([](DType dtype) {
    Tensor table = tensor({1, 2, 3, 4, 5, 6}, {3, 2}, dtype);
    table.requires_grad(true);
    const Tensor y = embedding(table, std::vector<std::int32_t>{2, 0, 2, 2}, {2, 2});
    EXPECT_EQ(y.shape(), (Shape{2, 2, 2}));
    expect_close(y, {5, 6, 1, 2, 5, 6, 5, 6});
    y.backward(tensor({1, 10, 2, 20, 4, 40, 8, 80}, {2, 2, 2}, dtype));
    expect_close(table.grad(), {2, 20, 0, 0, 13, 130});
  });
}

TEST(Dropout, DropsTheGivenShareAndKeepsTheMean) {
  everywhere([](DType dtype) {
    Generator generator(3);
    constexpr Index n = 100'000;
    const std::vector<double> y = dropout(ones({n}, dtype), 0.3, true, generator).to_vector();
    double kept = 0;
    for (const double value : y) {
      EXPECT_TRUE(value == 0 || std::abs(value - 1 / 0.7) < 1e-6) << value;
      kept += value != 0 ? 1 : 0;
    }
    EXPECT_NEAR(kept / n, 0.7, 0.006);  // four standard deviations
  });
}

// A hash that stirred too little would drop neighbors, rows or successive calls together.
TEST(Dropout, DropsEachElementByItself) {
  Generator generator(3);
  constexpr std::size_t n = 100'000;
  const std::vector<double> first = dropout(ones({n}), 0.5, true, generator).to_vector();
  const std::vector<double> second = dropout(ones({n}), 0.5, true, generator).to_vector();
  const auto both = [](const std::vector<double>& a, const std::vector<double>& b, std::size_t lag) {
    double count = 0;
    for (std::size_t i = 0; i + lag < n; ++i) count += a[i] != 0 && b[i + lag] != 0 ? 1 : 0;
    return count / static_cast<double>(n - lag);
  };
  for (const std::size_t lag : {1U, 2U, 3U, 16U, 64U, 384U, 4096U, 65536U}) {
    EXPECT_NEAR(both(first, first, lag), 0.25, 0.01) << lag;
    EXPECT_NEAR(both(first, second, lag), 0.25, 0.01) << lag;
  }
  EXPECT_NEAR(both(first, second, 0), 0.25, 0.006);
}

TEST(Dropout, ItsGradientIsItsMaskAndTheSeedDecides) {
  everywhere([](DType dtype) {
    Tensor x = full({4, 50}, 2, dtype);
    x.requires_grad(true);
    Generator a(11), b(11), c(12);
    const Tensor y = dropout(x, 0.5, true, a);
    y.backward(ones_like(y));
    EXPECT_EQ(bits(x.grad() * 2.0), bits(y));
    EXPECT_EQ(bits(dropout(x, 0.5, true, b)), bits(y));
    EXPECT_NE(bits(dropout(x, 0.5, true, c)), bits(y));
  });
}

TEST(Dropout, OffIsTheIdentityAndDrawsNothing) {
  const Tensor x = ones({5});
  Generator generator(1);
  const std::string before = generator.state();
  EXPECT_EQ(dropout(x, 0.5, false, generator).node_ptr(), x.node_ptr());
  EXPECT_EQ(dropout(x, 0, true, generator).node_ptr(), x.node_ptr());
  EXPECT_EQ(generator.state(), before);
  expect_close(dropout(x, 1, true, generator), {0, 0, 0, 0, 0});
}

// A token must not see what comes after it: changing the future changes nothing, not even a bit.
TEST(Attention, IsBlindToTheFuture) {
  everywhere([](DType dtype) {
    manual_seed(1);
    const Index T = 70, D = 5;
    const Tensor q = randn({1, T, D}, dtype), k = randn({1, T, D}, dtype), v = randn({1, T, D}, dtype);
    const std::vector<double> before = scaled_dot_product_attention(q, k, v, {.causal = true}).to_vector();
    const Index cut = 41;
    for (const Tensor& x : {k, v}) {
      for (Index i = cut * D; i < T * D; ++i) {
        dispatch(dtype, [&]<class R>() { x.data<R>()[static_cast<std::size_t>(i)] = static_cast<R>(1000); });
      }
    }
    const std::vector<double> after = scaled_dot_product_attention(q, k, v, {.causal = true}).to_vector();
    for (std::size_t i = 0; i < static_cast<std::size_t>(cut * D); ++i) EXPECT_EQ(after[i], before[i]) << i;
    EXPECT_NE(after.back(), before.back());
  });
}

// Documents packed together see exactly what each would see alone.
TEST(PackedAttention, KeepsDocumentsApart) {
  everywhere([](DType dtype) {
    manual_seed(2);
    const std::vector<Index> lengths{3, 0, 60, 1};
    const Tensor qkv = randn({64, 12}, dtype);
    const Tensor together = packed_attention(qkv, 2, lengths, {.causal = true});
    Index first = 0;
    for (const Index length : lengths) {
      const std::vector<Index> own{length};
      const Tensor alone = packed_attention(slice(qkv, 0, first, first + length), 2, own, {.causal = true});
      EXPECT_EQ(bits(alone), bits(slice(together, 0, first, first + length)));
      first += length;
    }
    EXPECT_EQ(packed_attention(zeros({0, 12}, dtype), 2, std::vector<Index>{}).shape(), (Shape{0, 4}));
  });
}

TEST(Attention, OfQueriesWithoutKeysIsZero) {
  everywhere([](DType dtype) {
    Tensor q = ones({3, 2}, dtype), k = ones({1, 2}, dtype), v = tensor({5, 6}, {1, 2}, dtype);
    for (Tensor* x : {&q, &k, &v}) x->requires_grad(true);
    const Tensor y = scaled_dot_product_attention(q, k, v, {.causal = true});
    expect_close(y, {0, 0, 0, 0, 5, 6}, 1e-6);
    y.backward(ones_like(y));
    expect_close(q.grad(), {0, 0, 0, 0, 0, 0}, 1e-6);
    expect_close(v.grad(), {1, 1}, 1e-6);
  });
}

// Two equal keys far above the others share the weight, however large their scores are; one alone takes all of it, and
// a softmax that cannot move gives no gradient.
TEST(Attention, KeepsItsDigitsWhenScoresAreLarge) {
  everywhere([](DType dtype) {
    for (const Index keys : {2, 3, 40}) {
      for (const double size : {1e3, 1e5, 1e7, 1e8}) {
        SCOPED_TRACE(fmt::format("{} keys, scores of {}", keys, size));
        Tensor q = full({1, 1}, size, dtype), k = zeros({keys, 1}, dtype), v = arange(static_cast<double>(keys), dtype);
        v = reshape(v, {keys, 1});
        k.copy_(concat({ones({2, 1}, dtype), zeros({keys - 2, 1}, dtype)}));
        for (Tensor* const x : {&q, &k, &v}) x->requires_grad(true);
        scaled_dot_product_attention(q, k, v, {.scale = 1}).backward();
        for (Index i = 0; i < keys; ++i) {
          EXPECT_EQ(v.grad().to_vector()[static_cast<std::size_t>(i)], i < 2 ? 0.5 : 0) << "value " << i;
        }
      }
    }
  });
}

TEST(Attention, OfASaturatedRowHasGradientZero) {
  everywhere([](DType dtype) {
    for (const Index keys : {2, 40}) {
      Generator generator(3);
      Tensor q = full({1, 4}, 1e6, dtype), k = rand({keys, 4}, dtype, generator),
             v = randn({keys, 5}, dtype, generator);
      for (Tensor* const x : {&q, &k, &v}) x->requires_grad(true);
      scaled_dot_product_attention(q, k, v).backward(randn({1, 5}, dtype, generator));
      for (const Tensor& x : {q, k}) {
        for (const double slope : x.grad().to_vector()) EXPECT_EQ(slope, 0) << keys << " keys";
      }
    }
  });
}

// All three shares of one gradient, with more keys than a vector has lanes and with fewer.
TEST(Attention, OfOneTensorWithItselfAddsUpItsGradients) {
  everywhere([](DType dtype) {
    for (const Index tokens : {5, 33, 100}) {
      Generator generator(3);
      const Tensor values = randn({tokens, 4}, dtype, generator), weight = randn({tokens, 4}, dtype, generator);
      std::vector<Tensor> apart;
      for (int i = 0; i < 3; ++i) apart.push_back(values.detach().requires_grad(true));
      scaled_dot_product_attention(apart[0], apart[1], apart[2]).backward(weight);
      Tensor x = values.detach();
      x.requires_grad(true);
      scaled_dot_product_attention(x, x, x).backward(weight);
      expect_close(x.grad(), apart[0].grad() + apart[1].grad() + apart[2].grad(), dtype == DType::f32 ? 1e-5 : 1e-13);
    }
  });
}

// A row of one number is its own mean: its gradient is 0, not what a product loses in rounding times 1 / sqrt(eps).
TEST(Norms, OfOneNumberHaveNoGradient) {
  everywhere([](DType dtype) {
    Generator generator(3);
    Tensor x = randn({50, 1}, dtype, generator), weight = full({1}, 19.26, dtype);
    x.requires_grad(true);
    layer_norm(x, weight).backward(randn({50, 1}, dtype, generator));
    EXPECT_EQ(x.grad().to_vector(), std::vector<double>(50, 0));
  });
}

TEST(Norms, SubtractTheMeanOnce) {
  everywhere([](DType dtype) {
    // A constant row has no spread: 0 after layer_norm, and the same sign everywhere after rms_norm.
    expect_close(layer_norm(full({2, 3, 19}, 7, dtype)), std::vector<double>(2 * 3 * 19, 0), 1e-3);
    expect_close(rms_norm(full({2, 3, 19}, 7, dtype)), std::vector<double>(2 * 3 * 19, 1), 1e-5);
    expect_close(layer_norm(tensor({1, 3}, dtype), {}, {}, 0), {-1, 1}, 1e-6);
    // Far from zero the spread survives.
    expect_close(layer_norm(tensor({1001, 1003}, dtype), {}, {}, 0), {-1, 1}, 1e-4);
  });
}

TEST(Reductions, OfNothing) {
  EXPECT_EQ(sum(zeros({0})).item(), 0);
  EXPECT_TRUE(std::isnan(mean(zeros({0})).item()));
  EXPECT_EQ(sum(zeros({3, 0}), {1}).to_vector(), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(sum(zeros({0, 3}), {0}).to_vector(), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(sum(zeros({0, 3}), {1}).shape(), (Shape{0}));
  EXPECT_TRUE(std::isnan(var(ones({1})).item()));
  EXPECT_TRUE(std::isnan(var(ones({})).item()));
}

TEST(EmptyTensors, PassThroughEveryKindOfOp) {
  Tensor x = zeros({0, 3});
  x.requires_grad(true);
  Tensor w = ones({4, 3});
  w.requires_grad(true);
  const Tensor y = linear(softmax(layer_norm(tanh(x + 1.0))), w);
  EXPECT_EQ(y.shape(), (Shape{0, 4}));
  sum(y).backward();
  expect_close(w.grad(), std::vector<double>(12, 0));
  EXPECT_EQ(x.grad().shape(), (Shape{0, 3}));
  EXPECT_EQ(matmul(zeros({2, 0}), zeros({0, 3})).to_vector(), std::vector<double>(6, 0));
  expect_close(linear(zeros({2, 0}), zeros({3, 0}), tensor({1, 2, 3})), {1, 2, 3, 1, 2, 3});
  EXPECT_EQ(embedding(w, std::vector<std::int32_t>{}).shape(), (Shape{0, 3}));
  EXPECT_EQ(cross_entropy(zeros({0, 3}), std::vector<std::int32_t>{}).item(), 0);
  EXPECT_EQ(slice(w, 0, 2, 2).shape(), (Shape{0, 3}));
}

TEST(EmptyTensors, DivideNothingByTheirSizes) {
  EXPECT_EQ((zeros({32, 64, 0}) + ones({1, 64, 1})).shape(), (Shape{32, 64, 0}));
  EXPECT_EQ(var(zeros({40, 2000, 0}), {0, 2}).shape(), (Shape{2000}));
  Tensor b = ones({1, 64, 1}), temperature = ones({});
  b.requires_grad(true);
  temperature.requires_grad(true);
  sum(zeros({32, 64, 0}) + b).backward();
  sum(softmax(zeros({0, 10}) / temperature)).backward();
  EXPECT_EQ(b.grad().to_vector(), std::vector<double>(64, 0));
  EXPECT_EQ(temperature.grad().item(), 0);
}

}  // namespace
}  // namespace gradus::testing
