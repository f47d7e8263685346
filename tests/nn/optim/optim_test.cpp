// Optimizers against steps worked out by hand. The gradients of the three steps are 0.5, -1 and 2; p starts at 1.
#include <gradus/nn/optim/adam.h>
#include <gradus/nn/optim/clip.h>
#include <gradus/nn/optim/sgd.h>

#include <gradus/nn/files/safetensors.h>
#include <gradus/nn/layers/embedding.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/norm.h>
#include <gradus/nn/optim/adagrad.h>
#include <gradus/nn/optim/adamax.h>
#include <gradus/nn/optim/lion.h>
#include <gradus/nn/optim/muon.h>
#include <gradus/nn/optim/nadam.h>
#include <gradus/nn/optim/radam.h>
#include <gradus/nn/optim/rmsprop.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "../support.h"

namespace gradus::optim {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;

Tensor leaf(double value, DType dtype = DType::f64) {
  return nn::parameter(full({1}, value, dtype));
}

void set_grad(const Tensor& param, double value) {
  param.zero_grad();
  sum(param * value).backward();
}

template <class Optimizer, class Options>
std::vector<double> three_steps(const Options& options) {
  const Tensor p = leaf(1);
  Optimizer optimizer(std::vector<Tensor>{p}, options);
  std::vector<double> path;
  for (const double grad : {0.5, -1.0, 2.0}) {
    set_grad(p, grad);
    optimizer.step();
    path.push_back(p.item());
  }
  return path;
}

void expect_path(const std::vector<double>& path, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(path[i], expected[i], 1e-14) << "step " << i + 1;
}

// 1 - 0.1 * 0.5 = 0.95; + 0.1 = 1.05; - 0.2 = 0.85
TEST(SGD, Plain) {
  expect_path(three_steps<SGD>(SGDOptions{.lr = 0.1}), {0.95, 1.05, 0.85});
}

// b = 0.5, 0.45 - 1 = -0.55, -0.495 + 2 = 1.505
TEST(SGD, Momentum) {
  expect_path(three_steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9}), {0.95, 1.005, 0.8545});
}

// b = 0.5 (undamped at first), 0.45 - 0.5 = -0.05, -0.045 + 1 = 0.955
TEST(SGD, Dampening) {
  expect_path(three_steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5}), {0.95, 0.955, 0.8595});
}

// g + 0.9 b = 0.5 + 0.45 = 0.95, -1 - 0.495 = -1.495, 2 + 1.3545 = 3.3545
TEST(SGD, Nesterov) {
  expect_path(three_steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true}), {0.905, 1.0545, 0.71905});
}

// g' = 0.5 + 0.1 = 0.6, -1 + 0.094 = -0.906, 2 + 0.10306 = 2.10306
TEST(SGD, WeightDecay) {
  expect_path(three_steps<SGD>(SGDOptions{.lr = 0.1, .weight_decay = 0.1}), {0.94, 1.0306, 0.820294});
}

// g' = 0.6, -0.906, 2.09766; b = 0.6, 0.54 - 0.906 = -0.366, -0.3294 + 2.09766 = 1.76826
TEST(SGD, MomentumWithWeightDecay) {
  expect_path(three_steps<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1}), {0.94, 0.9766, 0.799774});
}

// b1 = 0.5, b2 = 0.75 and eps = 0.5 keep the numbers short and show where eps stands. Step 1: m / (1 - 0.5) = 0.5,
// v / (1 - 0.75) = 0.25, so 1 - 0.1 * 0.5 / (0.5 + 0.5) = 0.95. Step 2: m = 0.125 - 0.5 = -0.375, over 0.75 is -0.5;
// v = 0.75 * 0.0625 + 0.25 = 0.296875, over 0.4375 is 0.678571..; 0.95 + 0.05 / (0.823754.. + 0.5) = 0.987771..
const AdamOptions short_numbers{.lr = 0.1, .betas = {0.5, 0.75}, .eps = 0.5};

TEST(Adam, WithoutDecay) {
  expect_path(three_steps<Adam>(short_numbers), {0.95, 0.9877713549555899, 0.9402560489920428});
}

// Step 1: g' = 0.6, so 1 - 0.1 * 0.6 / 1.1
TEST(Adam, DecayIsPartOfTheGradient) {
  AdamOptions options = short_numbers;
  options.weight_decay = 0.1;
  expect_path(three_steps<Adam>(options), {1 - 0.06 / 1.1, 0.9767646241011011, 0.9255338903369736});
}

// Step 1: 1 * (1 - 0.1 * 0.1) - 0.05 = 0.94; step 2: 0.94 * 0.99 + 0.0377713..
TEST(AdamW, DecayShrinksTheParameter) {
  const AdamWOptions options{.lr = 0.1, .betas = {0.5, 0.75}, .eps = 0.5, .weight_decay = 0.1};
  expect_path(three_steps<AdamW>(options), {0.94, 0.9683713549555899, 0.911172335442487});
}

TEST(AdamW, WithoutDecayIsAdam) {
  const AdamWOptions options{.lr = 0.1, .betas = {0.5, 0.75}, .eps = 0.5, .weight_decay = 0};
  EXPECT_EQ(three_steps<AdamW>(options), three_steps<Adam>(short_numbers));
}

TEST(AdamW, TheFirstStepIsTheLearningRate) {
  for (const double grad : {1e-3, -7.0, 1e6}) {
    const Tensor p = leaf(1);
    AdamW optimizer({p}, {.lr = 0.01, .weight_decay = 0});
    set_grad(p, grad);
    optimizer.step();
    EXPECT_NEAR(p.item(), grad > 0 ? 0.99 : 1.01, 1e-6);
  }
}

TEST(Optimizer, DefaultsArePyTorchs) {
  EXPECT_EQ(AdamOptions{}.weight_decay, 0);
  EXPECT_EQ(AdamWOptions{}.weight_decay, 0.01);
  EXPECT_EQ(AdamWOptions{}.betas, std::pair(0.9, 0.999));
  EXPECT_EQ(AdamWOptions{}.eps, 1e-8);
  EXPECT_EQ(AdamWOptions{}.lr, 1e-3);
}

TEST(Optimizer, SkipsParametersWithoutGradientAndCountsTheirStepsApart) {
  const Tensor a = leaf(1), b = leaf(1), alone = leaf(1);
  const AdamWOptions options{.lr = 0.1};
  AdamW both({a, b}, options), single({alone}, options);
  set_grad(a, 1);
  both.step();
  EXPECT_EQ(b.item(), 1);  // not even decayed
  set_grad(a, 1);
  set_grad(b, 0.3);
  set_grad(alone, 0.3);
  both.step();
  single.step();
  EXPECT_EQ(b.item(), alone.item());
}

TEST(Optimizer, GroupsHaveTheirOwnRateAndDecay) {
  const Tensor a = leaf(1), b = leaf(1), c = leaf(1);
  SGD optimizer(
      std::vector<ParamGroup>{{.params = {a}}, {.params = {b}, .lr_scale = 0.5}, {.params = {c}, .weight_decay = 0}},
      {.lr = 0.1, .weight_decay = 0.1});
  for (const Tensor& p : {a, b, c}) set_grad(p, 0.5);
  optimizer.step();
  EXPECT_NEAR(a.item(), 0.94, 1e-15);
  EXPECT_NEAR(b.item(), 0.97, 1e-15);
  EXPECT_NEAR(c.item(), 0.95, 1e-15);
  optimizer.set_lr(1);
  EXPECT_EQ(optimizer.lr(), 1);
  optimizer.step();
  EXPECT_NEAR(c.item(), 0.45, 1e-15);
}

struct Net : nn::Module {
  void members(nn::Visitor& visit) const override {
    visit("wte", wte);
    visit("ln", ln);
    visit("head", head);
  }
  nn::Embedding wte{3, 2};
  nn::LayerNorm ln{2};
  nn::Linear head{2, 3};
};

TEST(DecayGroups, OnlyMatricesDecay) {
  const Net net;
  const std::vector<ParamGroup> groups = decay_groups(net, 0.1);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].weight_decay, 0.1);
  ASSERT_EQ(groups[0].params.size(), 2U);
  EXPECT_EQ(groups[0].params[0].node_ptr(), net.wte.weight.node_ptr());
  EXPECT_EQ(groups[0].params[1].node_ptr(), net.head.weight.node_ptr());
  EXPECT_EQ(groups[1].weight_decay, 0);
  ASSERT_EQ(groups[1].params.size(), 3U);  // ln.weight, ln.bias, head.bias
  EXPECT_EQ(decay_groups(nn::Linear(2, 2, {.bias = false}), 0.1).size(), 1U);

  // Zero gradients: only the decay moves anything.
  AdamW optimizer(decay_groups(net, 0.5), {.lr = 0.1});
  nn::NamedTensors before;
  for (const auto& [name, param] : net.named_parameters()) {
    before.emplace_back(name, param.clone());
    sum(param * 0.0).backward();
  }
  optimizer.step();
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto& [name, old] = before[i];
    const Tensor now = net.named_parameters()[i].second;
    SCOPED_TRACE(name);
    if (old.rank() == 2) {
      expect_close(now, old * 0.95, 1e-6);
    } else {
      EXPECT_EQ(bits(now), bits(old));
    }
  }
}

TEST(Optimizer, StateCarriesARunExactlyOn) {
  const auto run = [](auto make, bool interrupted) {
    manual_seed(4);
    nn::Linear layer(3, 2);
    const Tensor x = randn({5, 3}), y = randn({5, 2});
    auto optimizer = make(layer);
    const auto train = [&] {
      for (int i = 0; i < 3; ++i) {
        optimizer->zero_grad();
        mse_loss(layer(x), y).backward();
        optimizer->step();
      }
    };
    train();
    if (interrupted) {
      const testing::TempFolder folder;
      nn::save_tensors(folder / "state", optimizer->state());
      optimizer = make(layer);
      optimizer->set_state(nn::read_tensors(folder / "state").tensors);
    }
    train();
    return bits(layer.weight);
  };
  const auto adam = [](const nn::Linear& layer) {
    return std::make_unique<AdamW>(layer.parameters(), AdamWOptions{.lr = 0.1});
  };
  const auto sgd = [](const nn::Linear& layer) {
    return std::make_unique<SGD>(layer.parameters(), SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true});
  };
  EXPECT_EQ(run(adam, true), run(adam, false));
  EXPECT_EQ(run(sgd, true), run(sgd, false));
}

TEST(Optimizer, StateNamesAndForeignStates) {
  const Tensor a = leaf(1), b = leaf(2);
  Adam optimizer({a, b});
  EXPECT_EQ(testing::names_of(optimizer.state()),
            (std::vector<std::string>{"options.lr", "options.group_sizes", "options.lr_scale", "options.weight_decay",
                                      "options.beta1", "options.beta2", "options.eps"}));
  set_grad(b, 1);
  optimizer.step();
  nn::NamedTensors state = Optimizer::without_options(optimizer.state());
  EXPECT_EQ(testing::names_of(state), (std::vector<std::string>{"1.step", "1.exp_avg", "1.exp_avg_sq"}));
  EXPECT_EQ(state[0].second.item(), 1);

  Adam other({leaf(1), nn::parameter(ones({2}, DType::f64))});
  expect_contains(error_of([&] { other.set_state(state); }), "(1)");
  expect_contains(error_of([&] { Adam({leaf(1)}).set_state(state); }), "3 entries");
  expect_contains(error_of([&] { SGD({leaf(1), leaf(2)}, {.momentum = 0.9}).set_state(state); }), "1.momentum_buffer");
  EXPECT_EQ(other.state().size(), 7U);
  state.pop_back();
  error_of([&] { optimizer.set_state(state); });
  state.erase(state.begin());
  error_of([&] { optimizer.set_state(state); });
  EXPECT_EQ(optimizer.state().size(), 7U + 3U);
  for (const double step : {-1.0, 0.5, std::nan("")}) {
    nn::NamedTensors bad = Optimizer::without_options(optimizer.state());
    bad[0].second = tensor(step, DType::f64);
    error_of([&] { optimizer.set_state(bad); });
  }
}

using Make = std::function<std::unique_ptr<Optimizer>(std::vector<ParamGroup>, bool)>;

template <class Kind, class Options>
Make made(const Options& other) {
  return [other](std::vector<ParamGroup> groups, bool usual) {
    return std::make_unique<Kind>(std::move(groups), usual ? Options{} : other);
  };
}

// Each optimizer with other options than its usual ones.
std::vector<std::pair<const char*, Make>> optimizers_and_options() {
  return {
      {"SGD",
       [](std::vector<ParamGroup> groups, bool usual) {
         return std::make_unique<SGD>(groups,
                                      usual ? SGDOptions{} : SGDOptions{.lr = 0.2, .momentum = 0.8, .nesterov = true});
       }},
      {"SGD with dampening",
       [](std::vector<ParamGroup> groups, bool usual) {
         return std::make_unique<SGD>(
             groups,
             usual ? SGDOptions{} : SGDOptions{.lr = 0.2, .momentum = 0.8, .dampening = 0.3, .weight_decay = 0.1});
       }},
      {"Adam",
       [](std::vector<ParamGroup> groups, bool usual) {
         return std::make_unique<Adam>(
             groups,
             usual ? AdamOptions{} : AdamOptions{.lr = 0.2, .betas = {0.7, 0.8}, .eps = 0.01, .weight_decay = 0.1});
       }},
      {"AdamW",
       [](std::vector<ParamGroup> groups, bool usual) {
         return std::make_unique<AdamW>(
             groups,
             usual ? AdamWOptions{} : AdamWOptions{.lr = 0.2, .betas = {0.7, 0.8}, .eps = 0.01, .weight_decay = 0.1});
       }},
      {"RMSprop",
       [](std::vector<ParamGroup> groups, bool usual) {
         return std::make_unique<RMSprop>(
             groups, usual ? RMSpropOptions{}
                           : RMSpropOptions{.lr = 0.2, .alpha = 0.5, .eps = 0.1, .weight_decay = 0.1, .momentum = 0.6});
       }},
      {"SGD uphill", made<SGD>(SGDOptions{.lr = 0.2, .momentum = 0.8, .maximize = true})},
      {"Adam with amsgrad", made<Adam>(AdamOptions{.lr = 0.2, .amsgrad = true, .maximize = true})},
      {"AdamW with amsgrad", made<AdamW>(AdamWOptions{.lr = 0.2, .amsgrad = true})},
      {"RMSprop, centered", made<RMSprop>(RMSpropOptions{.momentum = 0.6, .centered = true, .maximize = true})},
      {"RMSprop, centered, without momentum", made<RMSprop>(RMSpropOptions{.centered = true})},
      {"Adagrad", made<Adagrad>(AdagradOptions{
                      .lr = 0.2, .lr_decay = 0.1, .initial_accumulator_value = 0.3, .eps = 0.1, .maximize = true})},
      {"Adamax", made<Adamax>(AdamaxOptions{.lr = 0.2, .betas = {0.7, 0.8}, .eps = 0.1, .maximize = true})},
      {"NAdam", made<NAdam>(NAdamOptions{.lr = 0.2, .betas = {0.7, 0.8}, .eps = 0.1, .momentum_decay = 0.5})},
      {"RAdam", made<RAdam>(RAdamOptions{.lr = 0.2, .betas = {0.7, 0.8}, .eps = 0.1, .weight_decay = 0.1})},
      {"Lion", made<Lion>(LionOptions{.lr = 0.2, .betas = {0.7, 0.8}, .weight_decay = 0.1})},
      {"Muon", made<Muon>(MuonOptions{.lr = 0.2, .momentum = 0.6, .nesterov = false, .eps = 0.1, .ns_steps = 3})},
  };
}

TEST(Optimizer, AStateIsACompleteSnapshot) {
  for (const auto& [name, make] : optimizers_and_options()) {
    SCOPED_TRACE(name);
    const auto matrix = [](double value) { return nn::parameter(full({1, 1}, value, DType::f64)); };  // Muon's
    const Tensor a = matrix(1), b = matrix(2), c = matrix(1), d = matrix(2);
    const auto step = [](Optimizer& optimizer, const Tensor& first, const Tensor& second) {
      set_grad(first, 0.5 * first.item());
      set_grad(second, second.item() - 1);
      optimizer.step();
    };
    const auto first = make({{.params = {a}, .lr_scale = 0.5}, {.params = {b}, .weight_decay = 0.05}}, false);
    step(*first, a, b);
    step(*first, a, b);
    first->set_lr(0.125);
    const nn::NamedTensors snapshot = first->state();
    c.copy_(a);
    d.copy_(b);
    step(*first, a, b);                                                  // a snapshot does not change any more
    const auto second = make({{.params = {c}}, {.params = {d}}}, true);  // with other options and scales
    second->set_state(snapshot);
    EXPECT_EQ(second->lr(), 0.125);
    step(*second, c, d);
    EXPECT_EQ(bits(c), bits(a));
    EXPECT_EQ(bits(d), bits(b));
    const nn::NamedTensors one = first->state(), other = second->state();
    EXPECT_EQ(testing::names_of(one), testing::names_of(other));
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(bits(one[i].second), bits(other[i].second)) << one[i].first;
  }
}

TEST(Optimizer, AStateWithoutOptionsLeavesThemAsTheyAre) {
  const Tensor a = leaf(1);
  Adam saved({a}, {.lr = 0.5}), loaded({leaf(1)}, {.lr = 0.25});
  set_grad(a, 1);
  saved.step();
  loaded.set_state(Optimizer::without_options(saved.state()));  // as older files are
  EXPECT_EQ(loaded.lr(), 0.25);
  EXPECT_EQ(loaded.state().size(), saved.state().size());
}

TEST(Optimizer, OptionsThatDoNotFitChangeNothing) {
  const Tensor a = leaf(1), b = leaf(1);
  Adam adam({a, b}, {.lr = 0.5, .betas = {0.7, 0.8}});
  set_grad(a, 1);
  adam.step();
  const nn::NamedTensors before = adam.state();
  const auto refused = [&](const nn::NamedTensors& state, std::string_view text) {
    expect_contains(error_of([&] { adam.set_state(state); }), text);
    const nn::NamedTensors after = adam.state();
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < after.size(); ++i) EXPECT_EQ(bits(after[i].second), bits(before[i].second));
  };
  refused(RMSprop({leaf(1), leaf(2)}).state(), "it was saved by another");
  refused(SGD({leaf(1), leaf(2)}).state(), "it was saved by another");
  refused(Adam({leaf(1)}).state(), "have 1 parameters, this optimizer's 2");
  refused(Adam({{.params = {leaf(1)}}, {.params = {leaf(2)}}}).state(), "it belongs to another model");
  const auto with = [&](const char* name, const Tensor& value) {
    nn::NamedTensors state = before;
    for (auto& [key, tensor] : state) {
      if (key == name) tensor = value;
    }
    return state;
  };
  refused(with("options.lr", tensor(-1, DType::f64)), "lr is -1");
  refused(with("options.beta2", tensor(1, DType::f64)), "betas.second is 1");
  refused(with("options.eps", tensor(std::nan(""), DType::f64)), "eps is nan");
  refused(with("options.weight_decay", tensor({-1}, DType::f64)), "weight_decay is -1");
  refused(with("0.step", tensor(0.5, DType::f64)), "must be a whole number");  // after the options were fine
  SGD plain({leaf(1)}), other({leaf(1)}, {.momentum = 0.5});
  nn::NamedTensors damaged = other.state();
  damaged.emplace_back("7.momentum_buffer", ones({}));
  error_of([&] { plain.set_state(damaged); });
  EXPECT_EQ(plain.state()[4].second.item(), 0) << "the momentum is what it was";
}

TEST(Optimizer, TheRateMayBeAPlainNumber) {
  const Tensor a = leaf(1);
  const std::vector<Tensor> params{a};
  EXPECT_EQ(SGD(params, 0.1).lr(), 0.1);
  EXPECT_EQ(SGD({a}, 1).lr(), 1);
  EXPECT_EQ(Adam(params, 0.1F).lr(), static_cast<double>(0.1F));
  EXPECT_EQ(AdamW(params, 0.1).lr(), 0.1);
  EXPECT_EQ(AdamW(params, 0.1).state()[3].second.item(), 0.01) << "the other options keep their defaults";
  EXPECT_EQ(RMSprop(params, 0.1).lr(), 0.1);
  EXPECT_EQ(SGD(params, {0.1}).lr(), 0.1);
  EXPECT_EQ(SGD(params, {}).lr(), 1e-3);
  static_assert(!std::is_constructible_v<SGD, std::vector<Tensor>, bool>);
}

TEST(Optimizer, TakesACopyOfTheState) {
  const Tensor a = leaf(1), b = leaf(1);
  SGD first({a}, {.lr = 0.1, .momentum = 0.9}), second({b}, {.lr = 0.1, .momentum = 0.9});
  set_grad(a, 1);
  first.step();
  second.set_state(first.state());
  first.step();
  set_grad(b, 0);
  second.step();
  EXPECT_NEAR(b.item(), 1 - 0.1 * 0.9, 1e-15);  // the buffer was 1 and not the 1.9 that it is in `first` by now
}

TEST(Optimizer, FollowsAModuleThatIsConverted) {
  manual_seed(2);
  nn::Linear layer(2, 2);
  AdamW optimizer(layer.parameters());
  const auto step = [&](DType dtype) {
    sum(layer(ones({1, 2}, dtype))).backward();
    optimizer.step();
    optimizer.zero_grad();
  };
  step(DType::f32);
  layer.to(DType::f64);
  step(DType::f64);
  for (const auto& [name, tensor] : optimizer.state()) EXPECT_EQ(tensor.dtype(), DType::f64) << name;
}

TEST(Optimizer, ASteadyStepAsksTheSystemForNothing) {
  if (!testing::pool_keeps_blocks()) GTEST_SKIP() << "memory goes back to the system at once";
  nn::MLP mlp(8);
  AdamW optimizer(decay_groups(mlp, 0.1));
  const auto params = mlp.parameters();
  const auto step = [&] {
    optimizer.zero_grad();
    for (const Tensor& param : params) sum(param).backward();
    clip_grad_norm(params, 0.1);
    optimizer.step();
  };
  for (int i = 0; i < 3; ++i) step();
  const std::size_t before = memory_stats().system_allocations;
  step();
  EXPECT_EQ(memory_stats().system_allocations, before);
}

TEST(Optimizer, TakesAChainOfStepsToTheMinimum) {
  const Tensor p = leaf(5);
  AdamW optimizer({p}, {.lr = 0.1, .weight_decay = 0});
  for (int i = 0; i < 500; ++i) {
    optimizer.zero_grad();
    sum((p - 2.0) * (p - 2.0)).backward();
    optimizer.step();
  }
  EXPECT_NEAR(p.item(), 2, 1e-3);
}

TEST(Optimizer, BadArgumentsAreErrors) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const Tensor p = leaf(1);
  for (const double bad : {-1.0, nan, infinity}) {
    expect_contains(error_of([&] { AdamW({p}, {.lr = bad}); }), "AdamW: lr");
    error_of([&] { AdamW({p}, {.eps = bad}); });
    error_of([&] { AdamW({p}, {.weight_decay = bad}); });
    error_of([&] { SGD({p}, {.momentum = bad}); });
    error_of([&] { SGD(std::vector<ParamGroup>{{.params = {p}, .lr_scale = bad}}); });
    error_of([&] { SGD(std::vector<ParamGroup>{{.params = {p}, .weight_decay = bad}}); });
    error_of([&] { SGD({p}).set_lr(bad); });
    error_of([&] { decay_groups(Net(), bad); });
  }
  for (const double beta : {-0.1, 1.0, nan}) {
    error_of([&] { Adam({p}, {.betas = {beta, 0.999}}); });
    error_of([&] { Adam({p}, {.betas = {0.9, beta}}); });
  }
  error_of([&] { SGD({p}, {.nesterov = true}); });
  error_of([&] { SGD({p}, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}); });
  error_of([&] { SGD(std::vector<Tensor>{}); });
  error_of([&] { SGD({Tensor()}); });
  expect_contains(error_of([&] { SGD({p, p}); }), "twice");
  expect_contains(error_of([&] { SGD({p * 2.0}); }), "result of an op");
}

TEST(ClipGradNorm, ScalesTheJointNorm) {
  const Tensor a = leaf(0), b = leaf(0, DType::f32), unused = leaf(0);
  set_grad(a, 3);
  set_grad(b, -4);
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b, unused}, 10), 5);
  EXPECT_EQ(a.grad().item(), 3);
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b, unused}, 1), 5);
  EXPECT_NEAR(a.grad().item(), 0.6, 1e-6);
  EXPECT_NEAR(b.grad().item(), -0.8, 1e-6);
  EXPECT_FALSE(unused.grad().defined());
  EXPECT_EQ(clip_grad_norm({unused}, 1), 0);
  EXPECT_EQ(clip_grad_norm({}, 1), 0);
}

// Their squares leave f32, and the last ones f64.
TEST(ClipGradNorm, IsRightForHugeAndTinyGradients) {
  struct Case {
    DType dtype;
    double size;
  };
  const Case cases[] = {{DType::f32, 1e19},  {DType::f32, 5e37},  {DType::f32, 1e-23},
                        {DType::f32, 1e-37}, {DType::f64, 1e200}, {DType::f64, 1e-200}};
  for (const Case& c : cases) {
    const Tensor a = leaf(0, c.dtype), b = leaf(0, c.dtype);
    set_grad(a, 3 * c.size);
    set_grad(b, -4 * c.size);
    EXPECT_NEAR(clip_grad_norm({a, b}, 1) / (5 * c.size), 1, 1e-6) << c.size;
    const double scale = c.size > 1 ? 0.2 : c.size;  // small ones stay as they are
    EXPECT_NEAR(a.grad().item() / (3 * scale), 1, 1e-6) << c.size;
    EXPECT_NEAR(b.grad().item() / (-4 * scale), 1, 1e-6) << c.size;
  }
}

TEST(ClipGradNorm, LeavesGradientsThatAreNotFinite) {
  const Tensor a = leaf(0), b = leaf(0);
  set_grad(a, std::numeric_limits<double>::infinity());
  set_grad(b, 7);
  EXPECT_TRUE(std::isinf(clip_grad_norm({a, b}, 1)));
  EXPECT_EQ(b.grad().item(), 7);
  set_grad(a, std::nan(""));
  EXPECT_TRUE(std::isnan(clip_grad_norm({a, b}, 1)));
  EXPECT_EQ(b.grad().item(), 7);
}

TEST(ClipGradNorm, BadLimitsAreErrors) {
  for (const double limit : {0.0, -1.0, std::nan("")}) error_of([&] { clip_grad_norm({leaf(1)}, limit); });
}

}  // namespace
}  // namespace gradus::optim
