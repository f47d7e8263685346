// gradcheck itself: it must pass right gradients, and see each of the mistakes that people make in wrong ones.
#include <gradus/core/gradcheck.h>

#include <cmath>
#include <sstream>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../support.h"

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

Tensor points() {
  return tensor({0.5, -1.25, 2, 3, -0.75}, f64);
}

TEST(Gradcheck, PassesARightGradient) {
  const GradcheckReport report =
      gradcheck([](In x) { return cube_with(x[0], [](double v, Index) { return 3 * v * v; }); }, {points()});
  EXPECT_TRUE(passes(report));
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
  EXPECT_EQ(report.worst_index, 3);
  EXPECT_EQ(report.analytic, 0);
  EXPECT_LT(std::abs(report.numeric), 1.5 * 27 + 1e-6);
  EXPECT_GT(std::abs(report.numeric), 0.5 * 27 - 1e-6);
  const std::string text = to_string(report);
  expect_contains(text, "gradcheck failed: analytic and numeric gradients differ");
  expect_contains(text, "input 0 index 3");
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
  EXPECT_TRUE(passes(gradcheck([](In x) { return softmax(x[0]); }, {points()})));
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
  EXPECT_TRUE(passes(gradcheck(second_wrong, {first, points()})));
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
  EXPECT_TRUE(passes(gradcheck([](In in) { return tanh(in[0]); }, {x})));
  EXPECT_EQ(x.to_vector(), (std::vector<double>{0.5, -1.5, 2}));
  EXPECT_FALSE(x.grad().defined());
  Tensor y = points();
  EXPECT_TRUE(passes(gradcheck([](In in) { return tanh(in[0]); }, {y})));
  EXPECT_EQ(bits(y), bits(points()));
  EXPECT_FALSE(y.requires_grad());
}

TEST(Gradcheck, HasATestMessage) {
  const GradcheckReport report = gradcheck([](In x) { return tanh(x[0]); }, {points()});
  expect_contains(to_string(report), "gradcheck passed; 5 entries");
}

}  // namespace
}  // namespace gradus::testing
