// gradcheck itself: it must pass right gradients, and see each of the mistakes that people make in wrong ones.
#include <gradus/core/inspect/gradcheck.h>

#include <gtest/gtest-spi.h>

#include <cmath>
#include <sstream>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

using In = const std::vector<Tensor>&;

constexpr DType f64 = DType::f64;

// y = x^3 with whatever slope is given, as a function of x and of the position.
template <class Slope>
Tensor cube_with(const Tensor& x, Slope slope) {
  Tensor y = Tensor::empty_like(x);
  for (std::size_t i = 0; i < y.data<double>().size(); ++i) y.data<double>()[i] = std::pow(x.data<double>()[i], 3);
  return record("cube", y, {x}, [slope](const Node& out, Inputs in) {
    for (Index i = 0; i < out.numel(); ++i) {
      in[0].grad_or_null<double>()[i] += out.grad_or_null<double>()[i] * slope(in[0].values<double>()[i], i);
    }
  });
}

// log, with three times its gradient in all but the last place.
Tensor mostly_wrong_log(const Tensor& x) {
  return record("log", log(x.detach()), {x}, [](const Node& out, Inputs in) {
    for (Index i = 0; i < out.numel(); ++i) {
      const double slope = (i + 1 < out.numel() ? 3 : 1) / in[0].values<double>()[i];
      in[0].grad_or_null<double>()[i] += slope * out.grad_or_null<double>()[i];
    }
  });
}

Tensor points() {
  return tensor({0.5, -1.25, 2, 3, -0.75}, f64);
}

TEST(Gradcheck, PassesARightGradient) {
  const GradcheckReport report =
      gradcheck([](In x) { return cube_with(x[0], [](double v, Index) { return 3 * v * v; }); }, {points()});
  EXPECT_TRUE(report);
  EXPECT_TRUE(report.reason.empty());
  EXPECT_EQ(report.checked, 5);
  EXPECT_LT(report.worst_error, 1e-6);
}

TEST(Gradcheck, SeesAWrongSign) {
  const GradcheckReport report =
      gradcheck([](In x) { return cube_with(x[0], [](double v, Index) { return -3 * v * v; }); }, {points()});
  EXPECT_FALSE(report);
  EXPECT_NEAR(report.worst_error, 2, 1e-6);
}

TEST(Gradcheck, SeesAWrongFactor) {
  for (const double factor : {2.0, 0.5, 1.001, 0.99999}) {
    EXPECT_FALSE(
        gradcheck([factor](In x) { return cube_with(x[0], [factor](double v, Index) { return factor * 3 * v * v; }); },
                  {points()}))
        << factor;
  }
}

TEST(Gradcheck, SeesAMissingTermAndSaysWhere) {
  const GradcheckReport report = gradcheck(
      [](In x) { return cube_with(x[0], [](double v, Index i) { return i == 3 ? 0 : 3 * v * v; }); }, {points()});
  EXPECT_FALSE(report);
  EXPECT_EQ(report.worst_input, 0U);
  const GradcheckEntry& worst = report.entries[0];
  EXPECT_EQ(worst.worst_index, 3);
  EXPECT_EQ(worst.failures, 1);
  EXPECT_EQ(worst.analytic, 0);
  EXPECT_LT(std::abs(worst.numeric), 1.5 * 27 + 1e-6);
  EXPECT_GT(std::abs(worst.numeric), 0.5 * 27 - 1e-6);
  const std::string text = to_string(report);
  expect_contains(text, "gradcheck failed: 1 of 5 gradients differ from central differences");
  expect_contains(text, "input 0[3]: analytic 0, numeric ");
  std::ostringstream stream;
  stream << report;
  EXPECT_EQ(stream.str(), text);
  EXPECT_EQ(fmt::format("{}", report), text);
}

TEST(Gradcheck, SeesASoftmaxWhoseGradientIsZero) {
  // The gradient of sum(softmax(x)) is 0: a check through a plain sum would pass this.
  const auto softmax_without_gradient = [](In x) {
    return record("softmax", softmax(x[0].detach()), {x[0]}, [](const Node&, Inputs) {});
  };
  EXPECT_FALSE(gradcheck(softmax_without_gradient, {points()}));
  EXPECT_TRUE(gradcheck([](In x) { return softmax(x[0]); }, {points()}));
}

TEST(Gradcheck, SeesAGradientThatIsWrittenOver) {
  const auto square = [](In x) {
    return record("square", x[0].detach() * x[0].detach(), {x[0]}, [](const Node& out, Inputs in) {
      for (Index i = 0; i < out.numel(); ++i) {
        in[0].grad_or_null<double>()[i] = 2 * in[0].values<double>()[i] * out.grad_or_null<double>()[i];
      }
    });
  };
  expect_contains(gradcheck(square, {points()}).reason, "did not add to the gradient of input 0");
}

TEST(Gradcheck, SeesNaN) {
  EXPECT_FALSE(gradcheck([](In x) { return cube_with(x[0], [](double, Index) { return NAN; }); }, {points()}));
}

TEST(Gradcheck, SeesTheSecondInput) {
  const auto second_wrong = [](In x) { return x[0] * x[1].detach() + x[1]; };
  const GradcheckReport report = gradcheck(second_wrong, {points(), points() + 1});
  EXPECT_FALSE(report);
  EXPECT_EQ(report.worst_input, 1U);
}

TEST(Gradcheck, ChecksOnlyWhatWantsAGradientIfAnyDoes) {
  const auto second_wrong = [](In x) { return x[0] * x[1].detach() + x[1]; };
  Tensor first = points();
  first.requires_grad(true);
  EXPECT_TRUE(gradcheck(second_wrong, {first, points()}));
}

TEST(Gradcheck, ReportsWhatIsRandom) {
  const GradcheckReport report = gradcheck([](In x) { return dropout(x[0], 0.5); }, {ones({50}, f64)});
  EXPECT_FALSE(report);
  expect_contains(report.reason, "not deterministic");
}

TEST(Gradcheck, ReportsAnOutputThatDependsOnNothing) {
  const GradcheckReport report = gradcheck([](In x) { return x[0].detach() * 2; }, {points()});
  EXPECT_FALSE(report);
  expect_contains(report.reason, "no gradient");
}

TEST(Gradcheck, ReportsThatNothingWasCompared) {
  expect_contains(gradcheck([](In x) { return sum(x[0]); }, {zeros({0}, f64)}).reason, "empty");
}

TEST(Gradcheck, TakesF32InputsAndLeavesThemAlone) {
  Tensor x = tensor({0.5, -1.5, 2});
  x.requires_grad(true);
  EXPECT_TRUE(gradcheck([](In in) { return tanh(in[0]); }, {x}));
  EXPECT_EQ(x.to_vector(), (std::vector<double>{0.5, -1.5, 2}));
  EXPECT_FALSE(x.grad().defined());
  Tensor y = points();
  EXPECT_TRUE(gradcheck([](In in) { return tanh(in[0]); }, {y}));
  EXPECT_EQ(bits(y), bits(points()));
  EXPECT_FALSE(y.requires_grad());
}

TEST(Gradcheck, IsALineInAGoogleTest) {
  EXPECT_TRUE(gradcheck([](In x) { return tanh(x[0]); }, {points()}));
  EXPECT_FALSE(gradcheck([](In x) { return x[0].detach() * x[0]; }, {points()}));
  // The macro wants code that names no local variables.
  EXPECT_NONFATAL_FAILURE(EXPECT_TRUE(gradcheck([](In x) { return x[0].detach() * x[0]; }, {points()})),
                          "gradcheck failed: 5 of 5 gradients differ");
}

TEST(Gradcheck, TextNamesWhatWasCompared) {
  const GradcheckReport report =
      gradcheck([](In x) { return x[0] * tanh(x[1]); }, {points().reshape({1, 5}), ones({2, 1}, f64)});
  expect_contains(to_string(report), "gradcheck passed\n  compared  7 entries of 2 tensors\n  worst     input ");
  EXPECT_EQ(report.entries[1].name, "input 1");
  EXPECT_EQ(report.entries[1].shape, (Shape{2, 1}));
}

// The judgement that needs no tolerance.
TEST(Gradcheck, TaylorRemainderOfARightGradientShrinksAsTheSquare) {
  const GradcheckReport report = gradcheck([](In x) { return tanh(x[0]) * exp(x[0]); }, {points()});
  ASSERT_TRUE(report.taylor_order);
  EXPECT_NEAR(*report.taylor_order, 2, 0.05);
}

TEST(Gradcheck, TaylorRemainderSeesWhatLooseTolerancesLetPass) {
  const auto slightly_wrong = [](In x) { return cube_with(x[0], [](double v, Index) { return 3.003 * v * v; }); };
  const GradcheckReport report = gradcheck(slightly_wrong, {points()}, {.rtol = 0.5});
  EXPECT_FALSE(report);
  EXPECT_NEAR(*report.taylor_order, 1, 0.1);
  expect_contains(report.reason, "Taylor remainder");
  EXPECT_TRUE(gradcheck(slightly_wrong, {points()}, {.rtol = 0.5, .taylor = false}));
}

TEST(Gradcheck, TaylorRemainderOfALinearFunctionIsRoundingAlone) {
  const GradcheckReport report = gradcheck([](In x) { return 3 * x[0] + 1; }, {points()});
  EXPECT_TRUE(report);
  EXPECT_FALSE(report.taylor_order);
}

TEST(Gradcheck, TellsKinksAndTakesAnySlopeBetweenTheirSides) {
  const GradcheckReport report = gradcheck([](In x) { return relu(x[0]); }, {tensor({-1, 0, 2, 0}, f64)});
  EXPECT_TRUE(report);
  EXPECT_EQ(report.kinks, 2);
  EXPECT_EQ(report.kink_place, "input 0[1]");
  expect_contains(to_string(report), "kinks     2 entries with different slopes on both sides, such as input 0[1]");
  EXPECT_EQ(gradcheck([](In x) { return abs(x[0]); }, {zeros({3}, f64)}).kinks, 3);
  EXPECT_EQ(gradcheck([](In x) { return max(x[0]); }, {ones({3}, f64)}).kinks, 3);
  EXPECT_EQ(gradcheck([](In x) { return x[0] * x[0]; }, {zeros({3}, f64)}).kinks, 0);
}

TEST(Gradcheck, SeesAWrongSlopeAtAKink) {
  const auto wrong = [](In x) {
    return record("relu", relu(x[0].detach()), {x[0]}, [](const Node& out, Inputs in) {
      for (Index i = 0; i < out.numel(); ++i) in[0].grad_or_null<double>()[i] += 2 * out.grad_or_null<double>()[i];
    });
  };
  EXPECT_FALSE(gradcheck(wrong, {zeros({1}, f64)}));
}

TEST(Gradcheck, TakesASmallerStepNextToAKink) {
  EXPECT_TRUE(gradcheck([](In x) { return relu(x[0]); }, {tensor({3e-7, -3e-7}, f64)}));
}

TEST(Gradcheck, DoesNotTakeKinksForWrongGradients) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Generator generator(seed);
    const Tensor x = randn({100}, f64, generator), y = randn({6, 5}, f64, generator);
    EXPECT_TRUE(gradcheck([](In in) { return relu(in[0]) * in[0]; }, {x}, {.seed = seed})) << seed;
    EXPECT_TRUE(gradcheck([](In in) { return relu(in[0]); }, {x}, {.seed = seed})) << seed;
    EXPECT_TRUE(gradcheck([](In in) { return max(in[0], {1}); }, {y}, {.seed = seed})) << seed;
  }
}

TEST(Gradcheck, LargeResultsDoNotDrownSmallChanges) {
  manual_seed(1);
  EXPECT_TRUE(gradcheck([](In x) { return exp(x[0]); }, {randn({300, 300}, f64)}, {.max_entries = 10}));
  EXPECT_TRUE(gradcheck([](In x) { return x[0] + 1e6; }, {points()}));
  EXPECT_TRUE(gradcheck([](In x) { return x[0] * x[0]; }, {tensor({1e5, 0.5}, f64)}));
  EXPECT_TRUE(gradcheck([](In x) { return sum(x[0] * x[0]); }, {full({1000}, 1e4, f64)}, {.max_entries = 10}));
  EXPECT_TRUE(gradcheck([](In x) { return matmul(x[0], x[1]); }, {randn({64, 64}, f64), randn({64, 64}, f64)},
                        {.max_entries = 20}));
}

TEST(Gradcheck, TakesSmallerStepsWhereTheFunctionBendsFaster) {
  for (const double x : {1e-3, 1e-4, 1e-5}) {
    SCOPED_TRACE(x);
    EXPECT_TRUE(gradcheck([](In in) { return log(in[0]); }, {tensor({x}, f64)}));
    EXPECT_TRUE(gradcheck([](In in) { return sqrt(in[0]); }, {tensor({x}, f64)}));
    EXPECT_TRUE(gradcheck([](In in) { return 1 / in[0]; }, {tensor({x}, f64)}));
  }
  EXPECT_TRUE(gradcheck([](In in) { return sin(1e4 * in[0]); }, {points()}));
  EXPECT_FALSE(gradcheck([](In in) { return log(in[0]) + in[0].detach() * 2 - 2 * in[0]; }, {tensor({1e-3}, f64)}));
}

TEST(Gradcheck, ComparesTheFunctionsOwnGradientWhereItIsOneNumber) {
  const GradcheckReport report = gradcheck([](In x) { return x[0] * x[0]; }, {tensor(2, f64)});
  EXPECT_DOUBLE_EQ(report.entries[0].analytic, 4);
}

TEST(Gradcheck, AKinkDoesNotHideAWrongGradientElsewhere) {
  const auto one_wrong = [](In x) {
    return record("relu", relu(x[0].detach()), {x[0]}, [](const Node& out, Inputs in) {
      for (Index i = 0; i < out.numel(); ++i) {
        const double slope = in[0].values<double>()[i] > 0 ? (i == 700 ? 4 : 1) : 0;
        in[0].grad_or_null<double>()[i] += slope * out.grad_or_null<double>()[i];
      }
    });
  };
  // All of the first input is compared and found on kinks; what is wrong in the second is not among its ten entries.
  const auto f = [&](In x) { return sum(relu(x[0])) + sum(one_wrong({x[1]})); };
  const GradcheckReport report = gradcheck(f, {zeros({5}, f64), full({1000}, 1.5, f64)}, {.max_entries = 10});
  EXPECT_EQ(report.kinks, 5);
  EXPECT_FALSE(report);
}

TEST(Gradcheck, JudgesTheRemainderNextToTheEndOfADomain) {
  const auto thrice = [](In x) { return mostly_wrong_log(x[0]); };
  const GradcheckReport report = gradcheck(thrice, {tensor({0.03, 2, 0.04, 3}, f64)}, {.max_entries = 1});
  EXPECT_FALSE(report);
}

TEST(Gradcheck, RefusesAJump) {
  const auto stairs = [](In x) {
    Tensor y = Tensor::empty_like(x[0]);
    for (std::size_t i = 0; i < y.data<double>().size(); ++i) y.data<double>()[i] = std::floor(x[0].data<double>()[i]);
    return record("floor", y, {x[0]}, [](const Node& out, Inputs in) {
      in[0].grad_or_null<double>()[0] += 5 * out.grad_or_null<double>()[0];
    });
  };
  expect_contains(gradcheck(stairs, {tensor({3}, f64)}).reason, "f jumps");
}

TEST(Gradcheck, SeesAFunctionThatChangesLater) {
  int calls = 0;
  const GradcheckReport report =
      gradcheck([&](In x) { return x[0] * (++calls > 5 ? 2.0 : 1.0); }, {points()}, {.taylor = false});
  EXPECT_FALSE(report);
}

TEST(Gradcheck, NaNIsTheWorstError) {
  const auto one_nan = [](In x) { return cube_with(x[0], [](double v, Index i) { return i == 1 ? NAN : 3 * v * v; }); };
  const GradcheckReport report = gradcheck(one_nan, {points()});
  EXPECT_FALSE(report);
  EXPECT_EQ(report.entries[0].worst_index, 1);
  EXPECT_TRUE(std::isinf(report.entries[0].largest_difference));
}

TEST(Gradcheck, TakesEachLeafOnceAndNothingElse) {
  Tensor x = points();
  x.requires_grad(true);
  EXPECT_TRUE(gradcheck([&] { return tanh(x); }, {{"a", x}, {"b", x}}));
  const Tensor result = x * 2;
  expect_contains(error_of([&] { gradcheck([&] { return tanh(result); }, {{"y", result}}); }), "'y' is the result of");
  const NoGrad guard;
  expect_contains(error_of([&] { gradcheck([&] { return tanh(x); }, {{"x", x}}); }), "NoGrad");
}

TEST(Gradcheck, ComparesAsManyEntriesAsAskedFor) {
  const GradcheckReport report = gradcheck([](In x) { return x[0] * x[1]; }, {points(), points()}, {.max_entries = 2});
  EXPECT_TRUE(report);
  EXPECT_EQ(report.checked, 4);
  // What is not compared entry by entry still counts in the Taylor remainder.
  const auto one_wrong = [](In x) { return cube_with(x[0], [](double v, Index i) { return i == 7 ? 0 : 3 * v * v; }); };
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_FALSE(gradcheck(one_wrong, {full({50}, 1.5, f64)}, {.max_entries = 1, .seed = seed})) << seed;
  }
}

TEST(Gradcheck, SaysThatAValueIsNotFinite) {
  expect_contains(gradcheck([](In x) { return log(x[0]); }, {zeros({2}, f64)}).reason, "f is -inf at these inputs");
}

TEST(Gradcheck, OfLeavesPutsValuesAndGradientsBack) {
  Tensor x = points(), y = points();
  x.requires_grad(true);
  sum(x).backward();
  EXPECT_TRUE(gradcheck([&] { return tanh(x) * y; }, {{"x", x}, {"y", y}}));
  EXPECT_EQ(bits(x), bits(points()));
  EXPECT_EQ(x.grad().to_vector(), std::vector<double>(5, 1));
  EXPECT_FALSE(y.grad().defined());
  const GradcheckReport report = gradcheck([&] { return x.detach() * x; }, {{"wte.weight", x}});
  expect_contains(to_string(report), "wte.weight[");
}

TEST(Gradcheck, RefusesOptionsThatMakeNoSense) {
  const auto with = [](GradcheckOptions options) {
    return error_of([&] { gradcheck([](In x) { return x[0]; }, {points()}, options); });
  };
  expect_contains(with({.step = 0}), "step 0");
  expect_contains(with({.max_entries = -1}), "max_entries -1");
}

}  // namespace
}  // namespace gradus::testing
