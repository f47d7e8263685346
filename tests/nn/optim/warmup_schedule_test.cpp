// Schedules at their corners.
#include <gradus/nn/optim/warmup_schedule.h>

#include <cmath>
#include <limits>

#include "../support.h"

namespace gradus::optim {
namespace {

using testing::error_of;
using testing::expect_contains;

const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();

TEST(Schedule, ConstantWarmsUpAndStays) {
  const Schedule s{.max_lr = 1, .warmup = 3};
  EXPECT_DOUBLE_EQ(s.at(0), 0.25);
  EXPECT_DOUBLE_EQ(s.at(1), 0.5);
  EXPECT_DOUBLE_EQ(s.at(2), 0.75);
  EXPECT_EQ(s.at(3), 1);
  EXPECT_EQ(s.at(1'000'000'000'000), 1);
  EXPECT_EQ(Schedule{.max_lr = 0.5}.at(0), 0.5);
}

TEST(Schedule, LinearFallsInAStraightLine) {
  const Schedule s{.kind = Schedule::linear, .max_lr = 1, .min_lr = 0.2, .warmup = 4, .total = 12};
  EXPECT_DOUBLE_EQ(s.at(0), 0.2);
  EXPECT_DOUBLE_EQ(s.at(3), 0.8);
  EXPECT_EQ(s.at(4), 1);
  EXPECT_DOUBLE_EQ(s.at(6), 0.8);
  EXPECT_DOUBLE_EQ(s.at(8), 0.6);
  EXPECT_EQ(s.at(12), 0.2);
  EXPECT_EQ(s.at(13), 0.2);
}

TEST(Schedule, LinearWithoutWarmupIsMicrogpts) {
  const Schedule s{.kind = Schedule::linear, .max_lr = 0.01, .total = 1000};
  for (const Index step : {0, 1, 10, 500, 999}) {
    EXPECT_DOUBLE_EQ(s.at(step), 0.01 * (1 - static_cast<double>(step) / 1000)) << step;
  }
  EXPECT_EQ(s.at(1000), 0);
}

TEST(Schedule, CosineIsNanoGpts) {
  const Schedule s{.kind = Schedule::cosine, .max_lr = 1e-3, .min_lr = 1e-4, .warmup = 100, .total = 2000};
  EXPECT_DOUBLE_EQ(s.at(0), 1e-3 / 101);
  EXPECT_DOUBLE_EQ(s.at(99), 1e-3 * 100 / 101);
  EXPECT_EQ(s.at(100), 1e-3);
  EXPECT_DOUBLE_EQ(s.at(1050), 5.5e-4);                                     // half way
  EXPECT_NEAR(s.at(575), 1e-4 + 0.5 * (1 + std::sqrt(0.5)) * 9e-4, 1e-18);  // a quarter: cos(pi / 4)
  EXPECT_GT(s.at(1999), 1e-4);
  EXPECT_EQ(s.at(2000), 1e-4);
  EXPECT_EQ(s.at(5000), 1e-4);
}

TEST(Schedule, WarmupMayFillTheWholeRun) {
  const Schedule s{.kind = Schedule::cosine, .max_lr = 1, .min_lr = 0.1, .warmup = 4, .total = 4};
  EXPECT_DOUBLE_EQ(s.at(3), 0.8);
  EXPECT_EQ(s.at(4), 0.1);
  const Schedule nothing{.kind = Schedule::linear, .max_lr = 1, .total = 0};
  EXPECT_EQ(nothing.at(0), 0);
}

TEST(Schedule, FractionsServeABudgetInSeconds) {
  const Schedule s{.kind = Schedule::cosine, .max_lr = 1, .min_lr = 0.2, .warmup = 1};
  EXPECT_DOUBLE_EQ(s.at_fraction(0, 0), 0.5);
  EXPECT_EQ(s.at_fraction(1, 0), 1);
  // 101 steps in all: the decay goes from step 1 to the end.
  EXPECT_EQ(s.at_fraction(1, 1.0 / 101), 1);
  EXPECT_DOUBLE_EQ(s.at_fraction(51, 51.0 / 101), 0.6);
  EXPECT_EQ(s.at_fraction(7, 1), 0.2);
  EXPECT_EQ(s.at_fraction(7, 1.7), 0.2);
  const Schedule constant{.max_lr = 1};
  EXPECT_EQ(constant.at_fraction(7, 0.9), 1);
  const Schedule linear{.kind = Schedule::linear, .max_lr = 1};
  EXPECT_DOUBLE_EQ(linear.at_fraction(7, 0.75), 0.25);
}

// A budget too small for the warm-up: it ends with the first tenth, at the full rate.
TEST(Schedule, AWarmUpTakesAtMostATenthOfABudget) {
  const Schedule s{.kind = Schedule::linear, .max_lr = 1, .warmup = 199};
  EXPECT_DOUBLE_EQ(s.at_fraction(0, 0), 1.0 / 200);
  EXPECT_DOUBLE_EQ(s.at_fraction(2, 0.05), 0.5);
  EXPECT_DOUBLE_EQ(s.at_fraction(4, 0.1), 1);
  EXPECT_DOUBLE_EQ(s.at_fraction(22, 0.55), 0.5);
  EXPECT_EQ(s.at_fraction(39, 1), 0);
}

TEST(Schedule, BadNumbersAreErrors) {
  for (const double lr : {-1.0, nan, infinity}) {
    error_of([&] { Schedule{.max_lr = lr}.at(0); });
    error_of([&] { Schedule{.kind = Schedule::linear, .max_lr = 1, .min_lr = lr, .total = 9}.at(0); });
  }
  error_of([] { Schedule{.kind = Schedule::linear, .max_lr = 0.1, .min_lr = 0.2, .total = 9}.at(0); });
  error_of([] { Schedule{.warmup = -1}.at(0); });
  error_of([] { Schedule{.total = -1}.at(0); });
  expect_contains(error_of([] { Schedule{.warmup = 10, .total = 9}.validate(); }), "9 steps in total");
  expect_contains(error_of([] { Schedule{.kind = Schedule::cosine}.at(0); }), "set total");
  error_of([] { Schedule{}.at(-1); });
  error_of([] { Schedule{}.at_fraction(-1, 0); });
  for (const double fraction : {-0.1, nan}) error_of([&] { Schedule{}.at_fraction(0, fraction); });
}

}  // namespace
}  // namespace gradus::optim
