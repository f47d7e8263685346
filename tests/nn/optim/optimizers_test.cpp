// Adagrad, Adamax, NAdam, RAdam, Lion, Muon and the options amsgrad, maximize and centered, at steps that PyTorch 1.13
// takes (Lion and Muon: tests/graphs/paper_optimizers.py). The gradients are 0.5, -1 and 2; p starts at 1.
#include <gradus/nn/optim/adagrad.h>
#include <gradus/nn/optim/adam.h>
#include <gradus/nn/optim/adamax.h>
#include <gradus/nn/optim/clip.h>
#include <gradus/nn/optim/lion.h>
#include <gradus/nn/optim/muon.h>
#include <gradus/nn/optim/nadam.h>
#include <gradus/nn/optim/radam.h>
#include <gradus/nn/optim/rmsprop.h>
#include <gradus/nn/optim/sgd.h>

#include <cmath>

#include "../support.h"

namespace gradus::optim {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;

Tensor leaf(const Shape& shape = {1}) {
  return nn::parameter(full(shape, 1, DType::f64));
}

void set_grad(const Tensor& param, double value) {
  param.zero_grad();
  sum(param * value).backward();
}

// The first element after each step.
std::vector<double> path(Optimizer& optimizer, const Tensor& p, const std::vector<double>& grads) {
  std::vector<double> values;
  for (const double grad : grads) {
    set_grad(p, grad);
    optimizer.step();
    values.push_back(p.to_vector()[0]);
  }
  return values;
}

template <class Optimizer, class Options>
void expect_steps(const Options& options, const std::vector<double>& expected, const Shape& shape = {1},
                  const std::vector<double>& grads = {0.5, -1, 2}) {
  const Tensor p = leaf(shape);
  Optimizer optimizer(std::vector<Tensor>{p}, options);
  const std::vector<double> values = path(optimizer, p, grads);
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-14) << "step " << i + 1;
}

TEST(Adam, AmsgradDividesByTheLargest) {
  expect_steps<Adam>(AdamOptions{.lr = 0.1, .betas = {0.5, 0.75}, .eps = 0.5, .amsgrad = true},
                     {0.92, 0.8835494466962143, 0.8630872260490641}, {1}, {2, 0.1, 0.1});
}

TEST(SGD, MaximizeStepsUphillAndStillDecays) {
  expect_steps<SGD>(SGDOptions{.lr = 0.1, .weight_decay = 0.1, .maximize = true}, {1.04, 0.9296, 1.120304});
}

TEST(RMSprop, Centered) {
  expect_steps<RMSprop>(RMSpropOptions{.lr = 0.1, .alpha = 0.5, .eps = 0.5, .momentum = 0.5, .centered = true},
                        {0.9333333333333333, 0.9869929034695732, 0.9010336397630985});
}

// After many equal gradients v is the square of their mean, give or take a rounding.
TEST(RMSprop, CenteredStaysFiniteWhereAllGradientsAreEqual) {
  const Tensor p = nn::parameter(full({1}, 1, DType::f32));
  RMSprop optimizer({p}, {.alpha = 0.5, .eps = 1, .centered = true});
  for (const double value : path(optimizer, p, std::vector<double>(200, 0.3))) EXPECT_TRUE(std::isfinite(value));
}

TEST(Adagrad, SumsFromItsInitialValue) {
  expect_steps<Adagrad>(
      AdagradOptions{.lr = 0.1, .lr_decay = 0.5, .weight_decay = 0.1, .initial_accumulator_value = 0.25, .eps = 0.5},
      {0.9531625054015558, 0.9887411978455718, 0.9527437620091657});
}

TEST(Adamax, DividesByTheLargestRecentGradient) {
  expect_steps<Adamax>(AdamaxOptions{.lr = 0.1, .betas = {0.5, 0.75}, .eps = 0.5},
                       {0.95, 0.9833333333333333, 0.9461904761904761});
}

TEST(NAdam, TakesPyTorchsSteps) {
  expect_steps<NAdam>(NAdamOptions{.lr = 0.1, .betas = {0.5, 0.75}, .eps = 0.5},
                      {0.9436486546383114, 1.0111916388815694, 0.9228183716415115});
}

TEST(RAdam, RectifiesFromTheSixthStep) {
  expect_steps<RAdam>(RAdamOptions{.lr = 0.1, .betas = {0.5, 0.9}, .eps = 0.5},
                      {0.95, 1, 0.9071428571428571, 0.8371428571428572, 0.8548847926267281, 0.8436154825521477,
                       0.8315223373710287, 0.8345990701708211},
                      {1}, {0.5, -1, 2, 0.5, -1, 2, 0.5, -1});
}

// 1 * 0.99 - 0.1; m = 0.125, and the sign of 0.0625 - 0.5 is -1; ..
TEST(Lion, StepsHaveOneSize) {
  expect_steps<Lion>(LionOptions{.lr = 0.1, .betas = {0.5, 0.75}, .weight_decay = 0.1}, {0.89, 0.9811, 0.871289});
  // m = 0.25, 0.1875 - 0.05 = 0.1375, so that the third sign is that of 0.06875 - 0.05.
  expect_steps<Lion>(LionOptions{.lr = 0.1, .betas = {0.5, 0.75}}, {0.9, 0.8, 0.7}, {1}, {1, -0.2, -0.1});
  expect_steps<Lion>(LionOptions{.lr = 0.1}, {1, 1}, {1}, {0, 0});
}

TEST(Muon, TakesOrthogonalSteps) {
  const MuonOptions options{.lr = 0.1, .momentum = 0.5};
  expect_steps<Muon>(options, {0.9203563590530248, 0.9807964364094698, 0.9013448310983999}, {1, 1});
  MuonOptions plain = options;
  plain.nesterov = false;
  expect_steps<Muon>(plain, {0.9203563590530248, 0.9807964364094698, 0.9013448310983999}, {2, 1});

  // The singular values of a step are near 1, whatever those of the gradient were.
  const Tensor p = nn::parameter(zeros({2, 3}, DType::f64));
  Muon optimizer({p}, {.lr = 1, .weight_decay = 0});
  sum(p * tensor({3, 0, 0, 0, 0.5, 0}, {2, 3}, DType::f64)).backward();
  optimizer.step();
  EXPECT_NEAR(p.to_vector()[0], -1, 0.35);
  EXPECT_NEAR(p.to_vector()[4], -1, 0.35);
  EXPECT_NEAR(p.to_vector()[1], 0, 1e-12);
}

TEST(Muon, IsForMatrices) {
  expect_contains(error_of([&] { Muon({leaf({2, 2}), leaf({5})}); }), "a parameter is (5)");
  Muon optimizer({leaf({2, 2})});
  expect_contains(error_of([&] { optimizer.add_param_group({.params = {leaf({3})}}); }), "give the others to AdamW");
  EXPECT_EQ(optimizer.group_count(), 1U);
}

template <class Optimizer>
Tensor after_steps(int threads) {
  set_num_threads(threads);
  manual_seed(3);
  const Tensor p = nn::parameter(randn({300, 200}));
  Optimizer optimizer(std::vector<Tensor>{p}, 0.01);
  for (int i = 0; i < 3; ++i) {
    optimizer.zero_grad();
    sum(p * p * p).backward();
    optimizer.step();
  }
  return p;
}

template <class Optimizer>
void expect_same_bits() {
  EXPECT_EQ(bits(after_steps<Optimizer>(1)), bits(after_steps<Optimizer>(3)));
}

TEST(Optimizer, StepsHaveTheSameBitsAtAnyNumberOfThreads) {
  const int before = num_threads();
  expect_same_bits<Adagrad>();
  expect_same_bits<Adamax>();
  expect_same_bits<NAdam>();
  expect_same_bits<RAdam>();
  expect_same_bits<Lion>();
  expect_same_bits<Muon>();
  set_num_threads(before);
}

TEST(Optimizer, OptionsThatConstructorsRefuse) {
  const Tensor p = leaf();
  const double nan = std::nan("");
  expect_contains(error_of([&] { Adagrad({p}, {.lr_decay = -1}); }), "Adagrad: lr_decay is -1");
  expect_contains(error_of([&] { Adagrad({p}, {.initial_accumulator_value = -1}); }),
                  "initial_accumulator_value is -1");
  expect_contains(error_of([&] { Adagrad({p}, {.eps = nan}); }), "Adagrad: eps");
  expect_contains(error_of([&] { Adamax({p}, {.betas = {1, 0.9}}); }), "Adamax: betas.first is 1");
  expect_contains(error_of([&] { Adamax({p}, {.eps = -1}); }), "Adamax: eps");
  expect_contains(error_of([&] { NAdam({p}, {.betas = {0.9, 1}}); }), "NAdam: betas.second is 1");
  expect_contains(error_of([&] { NAdam({p}, {.momentum_decay = -1}); }), "NAdam: momentum_decay is -1");
  expect_contains(error_of([&] { RAdam({p}, {.betas = {0.9, nan}}); }), "RAdam: betas.second");
  expect_contains(error_of([&] { RAdam({p}, {.eps = -1}); }), "RAdam: eps");
  expect_contains(error_of([&] { Lion({p}, {.betas = {-0.1, 0.9}}); }), "Lion: betas.first is -0.1");
  expect_contains(error_of([&] { Lion({p}, {.weight_decay = -1}); }), "Lion: weight_decay is -1");
  expect_contains(error_of([&] { Muon({leaf({1, 1})}, {.momentum = 1}); }), "Muon: momentum is 1");
  expect_contains(error_of([&] { Muon({leaf({1, 1})}, {.eps = 0}); }), "Muon: eps is 0");
  expect_contains(error_of([&] { Muon({leaf({1, 1})}, {.ns_steps = -1}); }), "Muon: ns_steps is -1");
}

TEST(Optimizer, DefaultsOfThePapersAndOfPyTorch) {
  EXPECT_EQ(AdagradOptions{}.lr, 0.01);
  EXPECT_EQ(AdagradOptions{}.eps, 1e-10);
  EXPECT_EQ(AdamaxOptions{}.lr, 2e-3);
  EXPECT_EQ(NAdamOptions{}.lr, 2e-3);
  EXPECT_EQ(NAdamOptions{}.momentum_decay, 4e-3);
  EXPECT_EQ(RAdamOptions{}.lr, 1e-3);
  EXPECT_EQ(LionOptions{}.lr, 1e-4);
  EXPECT_EQ(LionOptions{}.betas, std::pair(0.9, 0.99));
  EXPECT_EQ(MuonOptions{}.weight_decay, 0.1);
}

TEST(Optimizer, GroupsMayChange) {
  const Tensor a = leaf(), b = leaf(), c = leaf();
  SGD optimizer(std::vector<ParamGroup>{{.params = {a}}, {.params = {b}}}, {.lr = 0.1, .weight_decay = 0.1});
  optimizer.set_lr_scale(1, 0.5);
  optimizer.set_weight_decay(0, 0);
  optimizer.add_param_group({.params = {c}, .lr_scale = 2});
  EXPECT_EQ(optimizer.group_count(), 3U);
  for (const Tensor& p : {a, b, c}) set_grad(p, 0.5);
  optimizer.step();
  EXPECT_NEAR(a.item(), 0.95, 1e-15);
  EXPECT_NEAR(b.item(), 0.97, 1e-15);
  EXPECT_NEAR(c.item(), 0.88, 1e-15);  // with the optimizer's own decay
  expect_contains(error_of([&] { optimizer.set_lr_scale(3, 1); }), "SGD: group 3 of 3");
  expect_contains(error_of([&] { optimizer.set_weight_decay(0, -1); }), "weight_decay is -1");
  expect_contains(error_of([&] { optimizer.add_param_group({.params = {a}}); }), "parameter 3 (1) was given twice");
  expect_contains(error_of([&] { optimizer.add_param_group({.params = {leaf()}, .lr_scale = -1}); }), "lr_scale is -1");
  EXPECT_EQ(optimizer.group_count(), 3U);
  SGD other({{.params = {leaf()}}, {.params = {leaf()}}, {.params = {leaf()}}});
  other.set_state(optimizer.state());
  EXPECT_EQ(bits(other.state()[2].second), bits(tensor({1, 0.5, 2}, DType::f64)));
}

// Files of versions without an option have the bytes that they had, and can be read.
TEST(Optimizer, AnUnsetLaterOptionIsNotInTheState) {
  const Tensor p = leaf();
  EXPECT_EQ(Adam({p}).state().size(), 7U);
  const nn::NamedTensors with = Adam({p}, {.amsgrad = true}).state();
  ASSERT_EQ(with.size(), 8U);
  EXPECT_EQ(with[7].first, "options.amsgrad");
  Adam later({p}, {.amsgrad = true, .maximize = true});
  later.set_state(Adam({p}).state());
  EXPECT_EQ(later.state().size(), 7U) << "both are off in that state";
  expect_contains(error_of([&] { AdamW({p}).set_state(RMSprop({p}).state()); }), "it was saved by another");
  nn::NamedTensors unknown = Adam({p}).state();
  unknown.emplace_back("options.fused", ones({}, DType::f64));
  expect_contains(error_of([&] { later.set_state(unknown); }), "1 of the saved state's 8 options are not of this");
}

TEST(ClipGradValue, ClampsEachNumber) {
  const Tensor a = nn::parameter(zeros({4}, DType::f64)), unused = leaf();
  sum(a * tensor({-3, 0.5, 7, std::nan("")}, DType::f64)).backward();
  clip_grad_value({a, unused}, 1.5);
  const std::vector<double> values = a.grad().to_vector();
  EXPECT_EQ(std::vector<double>(values.begin(), values.begin() + 3), (std::vector<double>{-1.5, 0.5, 1.5}));
  EXPECT_TRUE(std::isnan(values[3]));
  EXPECT_FALSE(unused.grad().defined());
  for (const double limit : {-1.0, std::nan("")}) {
    expect_contains(error_of([&] { clip_grad_value({a}, limit); }), "clip_grad_value: clip_value is");
  }
}

}  // namespace
}  // namespace gradus::optim
