// What works on rows, where numbers end: infinite and NaN elements, rows that hold nothing else, the largest and the
// smallest. Expected are the limits, or what PyTorch gives where there is none.
#include <cmath>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/ops/update.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

void expect_numbers(const char* name, const std::vector<double>& got, const std::vector<double>& wanted) {
  ASSERT_GE(got.size(), wanted.size()) << name;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool right = std::isnan(wanted[i])   ? std::isnan(got[i])
                       : std::isinf(wanted[i]) ? got[i] == wanted[i]
                                               : std::abs(got[i] - wanted[i]) <= 2e-6 * std::abs(wanted[i]);
    EXPECT_TRUE(right) << name << ": " << got[i] << " at " << i << ", not " << wanted[i];
  }
}

struct Row {
  const char* name;
  Tensor (*f)(const Tensor&);
  std::vector<double> x, y, slopes;  // dy is 1 at the first element and 0 at the others
  double padding;                    // fills the row to several vectors and a part
};

constexpr Index cols = 37;

void expect_row(const Row& row, DType dtype) {
  for (const Index size : {static_cast<Index>(row.x.size()), cols}) {
    std::vector<double> values = row.x;
    values.resize(static_cast<std::size_t>(size), row.padding);
    Tensor x = tensor(values, {1, size}, dtype);
    x.requires_grad(true);
    const Tensor y = row.f(x);
    expect_numbers(row.name, y.to_vector(), row.y);
    std::vector<double> weight(static_cast<std::size_t>(y.numel()), 0);
    weight[0] = 1;
    y.backward(tensor(weight, y.shape(), dtype));
    expect_numbers(row.name, x.grad().to_vector(), row.slopes);
  }
}

Tensor first_is_right(const Tensor& x) {
  return cross_entropy(x, std::vector<std::int32_t>{0});
}
Tensor second_is_right(const Tensor& x) {
  return cross_entropy(x, std::vector<std::int32_t>{1});
}
Tensor softmax_(const Tensor& x) {
  return softmax(x);
}
Tensor log_softmax_(const Tensor& x) {
  return log_softmax(x);
}
Tensor max_(const Tensor& x) {
  return max(x, {1});
}

TEST(SpecialRows, OfSoftmaxAndItsKin) {
  const std::vector<double> nans(3, nan);
  const Row rows[] = {
      {"softmax, one impossible", softmax_, {0, -inf, 0}, {0.5, 0, 0.5}, {0.25, 0, -0.25}, -inf},
      {"softmax, one possible", softmax_, {-inf, 3, -inf}, {0, 1, 0}, {0, 0, 0}, -inf},
      {"softmax, none possible", softmax_, {-inf, -inf, -inf}, nans, nans, -inf},
      {"softmax, infinite", softmax_, {inf, 0, 0}, nans, nans, 0},
      {"softmax, NaN", softmax_, {0, nan, 0}, nans, nans, 0},
      {"softmax, largest", softmax_, {3e38, 3e38, -3e38}, {0.5, 0.5, 0}, {0.25, -0.25, 0}, -3e38},
      {"log_softmax, one impossible",
       log_softmax_,
       {0, -inf, 0},
       {-std::log(2), -inf, -std::log(2)},
       {0.5, 0, -0.5},
       -inf},
      {"log_softmax, none possible", log_softmax_, {-inf, -inf, -inf}, nans, nans, -inf},
      {"log_softmax, infinite", log_softmax_, {inf, 0, 0}, {nan, nan, nan}, nans, 0},
      {"log_softmax, largest", log_softmax_, {3e38, 3e38, -3e38}, {-std::log(2), -std::log(2)}, {0.5, -0.5, 0}, -3e38},
      {"cross_entropy, others impossible", first_is_right, {5, -inf, -inf}, {0}, {0, 0, 0}, -inf},
      {"cross_entropy, impossible", second_is_right, {0, -inf, 0}, {inf}, {0.5, -1, 0.5}, -inf},
      {"cross_entropy, none possible", first_is_right, {-inf, -inf, -inf}, {nan}, nans, -inf},
      {"cross_entropy, infinite", first_is_right, {inf, 0, 0}, {nan}, nans, 0},
      {"cross_entropy, NaN elsewhere", first_is_right, {0, nan, 0}, {nan}, nans, 0},
      {"cross_entropy, largest", first_is_right, {3e38, 3e38, 0}, {std::log(2)}, {-0.5, 0.5, 0}, 0},
      {"cross_entropy, lowest", second_is_right, {3e38, -3e38, 0}, {inf}, {1, -1, 0}, 0},
      {"max, NaN", max_, {1, nan, 3}, {nan}, {0, 1, 0}, 0},
      {"max, infinite", max_, {1, inf, -inf}, {inf}, {0, 1, 0}, 0},
      {"max, lowest", max_, {-inf, -inf, -3e38}, {-3e38}, {0, 0, 1}, -inf},
  };
  everywhere([&](DType dtype) {
    for (const Row& row : rows) {
      if (std::string_view(row.name) == "cross_entropy, lowest" && dtype == DType::f64) continue;  // 6e38 is finite
      expect_row(row, dtype);
    }
  });
}

TEST(SpecialRows, OfNorms) {
  everywhere([](DType dtype) {
    for (const double size : {1e-30, 1e-40, 1e10}) {
      const double kept = full({}, size, dtype).item(), square = dtype == DType::f64 || size > 1 ? kept * kept : 0;
      const double rstd = 1 / std::sqrt(square + 1e-5);
      Tensor x = tensor({size, -size, size, -size}, {1, 4}, dtype);
      x.requires_grad(true);
      const Tensor y = layer_norm(x);
      expect_numbers("layer_norm", y.to_vector(), {kept * rstd, -kept * rstd, kept * rstd, -kept * rstd});
      expect_numbers("rms_norm", rms_norm(x).to_vector(), {kept * rstd, -kept * rstd, kept * rstd, -kept * rstd});
      (y + rms_norm(x)).backward(tensor({1, 0, 0, 0}, {1, 4}, dtype));
      for (const double slope : x.grad().to_vector()) EXPECT_TRUE(std::isfinite(slope)) << size;
    }
    // The mean of squares leaves the type: 0 with a slope of 0, as in PyTorch, and no NaN.
    const double huge = dtype == DType::f32 ? 1e20 : 1e160;
    for (const auto norm :
         {+[](const Tensor& x) { return layer_norm(x); }, +[](const Tensor& x) { return rms_norm(x); }}) {
      Tensor x = tensor({huge, -huge, huge, -huge}, {1, 4}, dtype);
      x.requires_grad(true);
      const Tensor y = norm(x);
      y.backward(tensor({1, 0, 0, 0}, {1, 4}, dtype));
      expect_numbers("huge", y.to_vector(), {0, 0, 0, 0});
      expect_numbers("huge", x.grad().to_vector(), {0, 0, 0, 0});
    }
    for (const double value : {inf, nan}) {
      for (const double y : layer_norm(tensor({value, 1, 2}, {1, 3}, dtype)).to_vector()) EXPECT_TRUE(std::isnan(y));
    }
  });
}

TEST(SpecialRows, OfLosses) {
  struct Loss {
    const char* name;
    Tensor (*f)(const Tensor&, const Tensor&);
    double prediction, target, value, slope;
  };
  const auto huber = +[](const Tensor& x, const Tensor& t) { return huber_loss(x, t, 2); };
  const Loss losses[] = {
      {"l1_loss", l1_loss, inf, 0, inf, 1},
      {"l1_loss", l1_loss, -inf, 0, inf, -1},
      {"l1_loss", l1_loss, inf, inf, nan, 0},
      {"mse_loss", mse_loss, -inf, 0, inf, -inf},
      {"mse_loss", mse_loss, 1e-30, 0, 1e-60, 2e-30},
      {"huber_loss", huber, inf, 0, inf, 2},
      {"huber_loss", huber, -inf, 0, inf, -2},
      {"huber_loss", huber, 0, inf, inf, -2},
      {"huber_loss", huber, 1e30, 0, 2e30, 2},
      {"huber_loss", huber, 1e-30, 0, 5e-61, 1e-30},
      {"huber_loss", huber, nan, 0, nan, nan},
      {"binary_cross_entropy", binary_cross_entropy_with_logits, 1e30, 0, 1e30, 1},
      {"binary_cross_entropy", binary_cross_entropy_with_logits, 1e30, 1, 0, 0},
      {"binary_cross_entropy", binary_cross_entropy_with_logits, -1e30, 1, 1e30, -1},
      {"binary_cross_entropy", binary_cross_entropy_with_logits, -80, 0, std::exp(-80), std::exp(-80)},
      {"binary_cross_entropy", binary_cross_entropy_with_logits, nan, 0, nan, nan},
      {"kl_div", kl_div, -1e30, 0, 0, 0},
      {"kl_div", kl_div, -inf, 0.5, inf, -0.5},
      {"kl_div", kl_div, -1, 1e-45, 0, 0},
  };
  everywhere([&](DType dtype) {
    for (const Loss& loss : losses) {
      Tensor x = full({1}, loss.prediction, dtype);
      x.requires_grad(true);
      const Tensor y = loss.f(x, full({1}, loss.target, dtype));
      y.backward();
      const bool subnormal = dtype == DType::f32 && std::abs(loss.value) < 1e-38;  // below f32, or without its digits
      const bool tiny_target = loss.target > 0 && loss.target < 1e-38;
      if (subnormal || tiny_target) {
        EXPECT_NEAR(y.item(), loss.value, 1e-42) << loss.name;
      } else {
        expect_numbers(loss.name, {y.item()}, {loss.value});
      }
      if (!tiny_target) expect_numbers(loss.name, x.grad().to_vector(), {loss.slope});
    }
  });
}

TEST(Argmax, TakesTheFirstNaNAsMaxDoes) {
  everywhere([](DType dtype) {
    EXPECT_EQ(argmax(tensor({1, nan, 3, nan}, dtype)), std::vector<Index>{1});
    EXPECT_EQ(argmax(tensor({nan, 2, 3}, dtype)), std::vector<Index>{0});
    EXPECT_EQ(argmax(tensor({1, 2, nan, inf, nan, 5}, {3, 2}, dtype), 0), (std::vector<Index>{1, 1}));
    EXPECT_EQ(argmax(tensor({-inf, -inf}, dtype)), std::vector<Index>{0});
    EXPECT_EQ(argmax(tensor({-inf, inf, inf}, dtype)), std::vector<Index>{1});
  });
}

TEST(MaxPool, LetsANaNWin) {
  everywhere([](DType dtype) {
    Tensor x = tensor({1, nan, 3, -inf}, {2, 2}, dtype);
    x.requires_grad(true);
    const Tensor y = max_pool2d(x, 2);
    y.backward(ones_like(y));
    EXPECT_TRUE(std::isnan(y.item()));
    EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{0, 1, 0, 0}));
    EXPECT_EQ(max_pool2d(full({2, 2}, -inf, dtype), 2).item(), -inf);
  });
}

// Squares leave the type, the norm does not.
TEST(JointNorm, HasTheDigitsOfTheLargestAndTheSmallest) {
  everywhere([](DType dtype) {
    const double largest = dtype == DType::f32 ? 3e38 : 1e308, smallest = dtype == DType::f32 ? 1.5e-45 : 5e-324;
    for (const double size : {1.0, 1e10, 1e19, 1e-10, 1e-23, 1e-30, 1e-40, largest, smallest}) {
      const double kept = full({}, size, dtype).item();
      for (const Index n : {1, 16, 64}) {
        const double norm = joint_norm({full({n}, size, dtype), zeros({3}, dtype)});
        if (std::isinf(kept * std::sqrt(static_cast<double>(n)))) continue;  // past f64's own end
        EXPECT_NEAR(norm / kept, std::sqrt(static_cast<double>(n)), 1e-5) << size;
      }
      EXPECT_NEAR(joint_norm({full({}, -size, dtype), zeros({40}, dtype)}) / kept, 1, 1e-6) << size;
    }
    EXPECT_NEAR(joint_norm({tensor({3e-25, 0}, dtype), tensor({4e-25}, dtype)}) / 5e-25, 1, 1e-6);
    EXPECT_NEAR(joint_norm({tensor({1e-30}, DType::f32), tensor({1e200}, DType::f64)}) / 1e200, 1, 1e-12);
    EXPECT_NEAR(joint_norm({tensor({1e-30}, DType::f32), tensor({1e-200}, DType::f64)}) / 1e-30, 1, 1e-6);
    EXPECT_EQ(joint_norm({tensor({1, inf}, dtype)}), inf);
    EXPECT_TRUE(std::isnan(joint_norm({tensor({inf}, dtype), tensor({1, nan}, dtype)})));
    EXPECT_EQ(joint_norm({zeros({5}, dtype)}), 0);
    EXPECT_EQ(joint_norm({}), 0);
  });
}

TEST(Scale, ByLessThanTheSmallestNormalNumberKeepsItsDigits) {
  everywhere([](DType dtype) {
    const bool is_f32 = dtype == DType::f32;
    const double huge = is_f32 ? 0x1.23456p120 : 0x1.23456789p1000,
                 factor = is_f32 ? 0x1.2345p-140 : 0x1.23456789p-1060;
    const Tensor x = full({37}, huge, dtype);
    scale_(x, factor);
    EXPECT_NEAR(x.to_vector()[30] / (huge * 0x1p-60 * (factor * 0x1p60)), 1, 1e-6);
    scale_(x, 0);
    EXPECT_EQ(x.to_vector()[30], 0);
  });
}

// As in PyTorch: a second moment past the type makes steps of 0, one below it leaves eps alone.
TEST(Adam, TakesHugeAndSubnormalGradientsAsPyTorchDoes) {
  everywhere([](DType dtype) {
    const AdamStep step{.lr = 0.1,
                        .beta1 = 0.9,
                        .beta2 = 0.999,
                        .eps = 1e-8,
                        .weight_decay = 0,
                        .decoupled = false,
                        .bias_correction1 = 0.1,
                        .bias_correction2 = 0.001};
    const auto moved = [&](double gradient) {
      const Tensor p = full({37}, 1, dtype), m = zeros({37}, dtype), v = zeros({37}, dtype);
      adam_update(p, m, v, full({37}, gradient, dtype), step);
      return 1 - p.to_vector()[33];
    };
    EXPECT_NEAR(moved(1e10), 0.1, 1e-6);
    EXPECT_NEAR(moved(1e-3), 0.1, 1e-5);
    EXPECT_EQ(moved(dtype == DType::f32 ? 1e22 : 1e160), 0);
    EXPECT_NEAR(moved(1e-30), 0, 1e-20);
    EXPECT_EQ(moved(dtype == DType::f32 ? 1e-44 : 1e-320), 0);
    EXPECT_EQ(moved(0), 0);
    EXPECT_TRUE(std::isnan(moved(nan)));
  });
}

}  // namespace
}  // namespace gradus::testing
