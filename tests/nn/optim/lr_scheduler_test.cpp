// Schedules against the rates that PyTorch 1.13 sets, step by step, and the range test of the rate.
#include <gradus/nn/optim/lr_finder.h>
#include <gradus/nn/optim/lr_scheduler.h>
#include <gradus/nn/optim/sgd.h>

#include <cmath>

#include "../support.h"

namespace gradus::optim {
namespace {

using testing::error_of;
using testing::expect_contains;

SGD optimizer_at(double lr) {
  return SGD({nn::parameter(ones({1}))}, {.lr = lr});
}

template <class Scheduler, class... Arguments>
void expect_rates(double lr, const std::vector<double>& rates, const Arguments&... arguments) {
  SGD optimizer = optimizer_at(lr);
  Scheduler scheduler(optimizer, arguments...);
  for (std::size_t i = 0; i < rates.size(); ++i) {
    EXPECT_NEAR(optimizer.lr(), rates[i], 1e-15) << "step " << i;
    EXPECT_EQ(scheduler.at(static_cast<Index>(i)), optimizer.lr());
    if (i + 1 < rates.size()) scheduler.step();
  }
}

TEST(LRScheduler, StepLR) {
  expect_rates<StepLR>(0.8, {0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1}, 3, 0.5);
  expect_rates<StepLR>(1, {1, 0.1, 0.01}, 1);
}

TEST(LRScheduler, MultiStepLR) {
  expect_rates<MultiStepLR>(0.8, {0.8, 0.8, 0.08, 0.08, 0.08, 0.0008, 0.0008, 0.0008}, std::vector<Index>{5, 2, 5});
  expect_rates<MultiStepLR>(0.8, {0.4, 0.4, 0.2, 0.2}, std::vector<Index>{0, 2}, 0.5);
}

TEST(LRScheduler, ExponentialLR) {
  expect_rates<ExponentialLR>(0.8, {0.8, 0.72, 0.648, 0.5832, 0.52488}, 0.9);
}

TEST(LRScheduler, CosineAnnealingWarmRestarts) {
  expect_rates<CosineAnnealingWarmRestarts>(0.8,
                                            {0.8, 0.625, 0.275, 0.8, 0.7531088913245536, 0.625, 0.45, 0.275,
                                             0.14689110867544647, 0.8, 0.7880740392011739, 0.7531088913245536},
                                            3, 2, 0.1);
  expect_rates<CosineAnnealingWarmRestarts>(0.8, {0.8, 0.6, 0.2, 0.8, 0.6, 0.2, 0.8, 0.6}, 3);
}

TEST(LRScheduler, OneCycleLR) {
  expect_rates<OneCycleLR>(0.1,
                           {0.04, 0.52, 1, 0.9504846320134737, 0.8117456539497631, 0.6112620219362893,
                            0.38874197806371075, 0.18825834605023697, 0.049519367986526286, 4e-06, 4e-06},
                           1.0, 10);
  expect_rates<OneCycleLR>(
      0.1, {0.05, 0.2, 0.35, 0.5, 0.41675, 0.3335, 0.25025, 0.167, 0.08375, 0.0005, 0.0005}, 0.5, 10,
      OneCycleOptions{
          .pct_start = 0.4, .anneal_strategy = OneCycleOptions::linear, .div_factor = 10, .final_div_factor = 100});
  expect_rates<OneCycleLR>(0.1,
                           {0.04, 0.52, 1, 0.52, 0.04, 0.038019575420312576, 0.032470549057570956, 0.024451973637258376,
                            0.015552026362741628, 0.0075334509424290486, 0.0019844245796874246, 4e-06},
                           1.0, 12, OneCycleOptions{.pct_start = 0.25, .three_phase = true});
  SGD optimizer = optimizer_at(1);
  EXPECT_EQ(OneCycleLR(optimizer, 1, 10, {.pct_start = 0.1}).at(0), 1) << "a rise of no steps ends at the top";
  expect_contains(error_of([&] { OneCycleLR(optimizer, 1, 10).at(11); }), "step 11 of 10");
}

TEST(LRScheduler, AStateCarriesAScheduleOn) {
  SGD first = optimizer_at(0.8), second = optimizer_at(0.3);
  StepLR one(first, 2, 0.5);
  for (int i = 0; i < 3; ++i) one.step();
  StepLR other(second, 2, 0.5);
  second.set_state(first.state());
  other.set_state(one.state());
  EXPECT_EQ(other.last_epoch(), 3);
  other.step();
  EXPECT_EQ(second.lr(), 0.2);
  nn::NamedTensors bad = one.state();
  bad.pop_back();
  expect_contains(error_of([&] { other.set_state(bad); }), "StepLR: a state of 1 entries");
  bad = one.state();
  bad[1].second = tensor(0.5, DType::f64);
  expect_contains(error_of([&] { other.set_state(bad); }), "last_epoch is 0.5");
}

TEST(LRScheduler, BadArgumentsAreErrors) {
  SGD o = optimizer_at(1);
  expect_contains(error_of([&] { StepLR(o, 0); }), "StepLR: step_size is 0");
  expect_contains(error_of([&] { StepLR(o, 1, -1); }), "StepLR: gamma is -1");
  expect_contains(error_of([&] { StepLR(o, 1).at(-1); }), "StepLR: step -1");
  expect_contains(error_of([&] { MultiStepLR(o, {-1}); }), "MultiStepLR: a milestone is -1");
  expect_contains(error_of([&] { ExponentialLR(o, std::nan("")); }), "ExponentialLR: gamma is nan");
  expect_contains(error_of([&] { CosineAnnealingWarmRestarts(o, 0); }), "T_0 is 0");
  expect_contains(error_of([&] { CosineAnnealingWarmRestarts(o, 1, 0); }), "T_mult 0");
  expect_contains(error_of([&] { OneCycleLR(o, 1, 0); }), "total_steps is 0");
  expect_contains(error_of([&] { OneCycleLR(o, 1, 5, {.pct_start = 2}); }), "pct_start is 2");
  expect_contains(error_of([&] { OneCycleLR(o, 1, 5, {.div_factor = 0}); }), "div_factor is 0");
}

TEST(FindLR, RampsByAFactorAndPutsTheRateBack) {
  SGD optimizer = optimizer_at(0.3);
  std::vector<double> seen;
  const auto found = find_lr(optimizer,
                             [&] {
                               seen.push_back(optimizer.lr());
                               return 1.0;
                             },
                             {.start_lr = 1e-3, .end_lr = 10, .num_iter = 5});
  ASSERT_EQ(found.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(found[i].first / std::pow(10, static_cast<double>(i) - 3), 1, 1e-14);
    EXPECT_EQ(found[i].first, seen[i]);
    EXPECT_EQ(found[i].second, 1);
  }
  EXPECT_EQ(optimizer.lr(), 0.3);
}

TEST(FindLR, EndsWhereTheLossDiverges) {
  SGD optimizer = optimizer_at(0.3);
  const auto count = [&](const std::vector<double>& losses) {
    std::size_t i = 0;
    return find_lr(optimizer, [&] { return losses.at(i++); }, {.num_iter = 4}).size();
  };
  EXPECT_EQ(count({2, 1, 4.1}), 3U);
  EXPECT_EQ(count({2, 1, 3.9, 1}), 4U);
  EXPECT_EQ(count({2, std::nan("")}), 2U);
  EXPECT_EQ(count({-2, -1, -3, 0}), 4U) << "a factor says nothing about losses below 0";
  EXPECT_THROW(find_lr(optimizer, []() -> double { throw std::runtime_error("stop"); }), std::runtime_error);
  EXPECT_EQ(optimizer.lr(), 0.3);
  const auto nothing = [] { return 0.0; };
  expect_contains(error_of([&] { find_lr(optimizer, nothing, {.start_lr = 0}); }), "find_lr: from 0 to 10");
  expect_contains(error_of([&] { find_lr(optimizer, nothing, {.num_iter = 1}); }), "num_iter is 1");
  expect_contains(error_of([&] { find_lr(optimizer, nothing, {.diverged = 1}); }), "diverged is 1");
}

}  // namespace
}  // namespace gradus::optim
