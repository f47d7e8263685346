// L-BFGS on Rosenbrock's function against the points that PyTorch 1.13 reaches, with as many evaluations.
#include <gradus/nn/optim/lbfgs.h>

#include <gradus/nn/files/safetensors.h>
#include <gradus/nn/layers/linear.h>

#include <cmath>

#include "../support.h"

namespace gradus::optim {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_contains;

struct Rosenbrock {
  explicit Rosenbrock(LBFGSOptions options, DType dtype = DType::f64)
      : p(nn::parameter(tensor({-1.5, 2}, dtype))), optimizer({p}, options) {}

  // (1 - x)^2 + 100 (y - x^2)^2
  double step() {
    return optimizer
        .step([&] {
          ++calls;
          optimizer.zero_grad();
          const Tensor x = slice(p, 0, 0, 1), y = slice(p, 0, 1, 2), a = 1.0 - x, b = y - x * x;
          Tensor loss = sum(a * a + b * b * 100.0);
          loss.backward();
          return loss;
        })
        .item();
  }

  Tensor p;
  LBFGS optimizer;
  int calls = 0;
};

struct Expected {
  double loss, x, y;
  int calls;
};

void expect_steps(const LBFGSOptions& options, const std::vector<Expected>& all) {
  Rosenbrock run(options);
  for (const Expected& expected : all) {
    EXPECT_NEAR(run.step(), expected.loss, 1e-8);
    EXPECT_NEAR(run.p.to_vector()[0], expected.x, 1e-8);
    EXPECT_NEAR(run.p.to_vector()[1], expected.y, 1e-8);
    EXPECT_EQ(run.calls, expected.calls);
  }
}

TEST(LBFGS, StrongWolfe) {
  expect_steps({.line_search_fn = LineSearch::strong_wolfe},
               {{12.5, -0.08511855589860293, -0.028757058413769698, 25},
                {1.3070983150500495, 0.9995835472529905, 0.9991550319577943, 50},
                {1.884048137837783e-07, 0.9999979943196398, 0.9999973438921637, 53}});
}

TEST(LBFGS, AShortHistoryDropsTheOldestPair) {
  expect_steps({.max_iter = 5, .history_size = 2, .line_search_fn = LineSearch::strong_wolfe},
               {{12.5, -1.4190153667423946, 2.01522942934847, 6},
                {5.851899347985803, -0.9362551599893771, 0.9140051214609944, 12},
                {3.8891949916316007, -0.6036219241637258, 0.3238455815645158, 18},
                {2.73574044553858, -0.21009635270572846, 0.021423141358197697, 24}});
}

TEST(LBFGS, WithoutALineSearch) {
  expect_steps({.lr = 0.1, .max_iter = 5}, {{12.5, -1.422704506882964, 2.0240334188679774, 5},
                                            {5.869497426825734, -1.419900377141577, 2.021170689601138, 10},
                                            {5.85847173127243, -1.4150083583808064, 2.0130458780729557, 15}});
}

// Rounding decides where the search turns, so that the ways differ.
TEST(LBFGS, FindsTheMinimumInF32) {
  for (const LineSearch search : {LineSearch::strong_wolfe, LineSearch::none}) {
    Rosenbrock run({.lr = search == LineSearch::none ? 0.5 : 1, .line_search_fn = search}, DType::f32);
    for (int i = 0; i < 15; ++i) run.step();
    EXPECT_LT(run.step(), 1e-6);
    testing::expect_close(run.p, {1, 1}, 2e-3);
  }
}

TEST(LBFGS, AStateCarriesARunExactlyOn) {
  const LBFGSOptions options{.max_iter = 4, .history_size = 3, .line_search_fn = LineSearch::strong_wolfe};
  Rosenbrock whole(options), first(options);
  for (int i = 0; i < 2; ++i) first.step();
  const testing::TempFolder folder;
  nn::save_tensors(folder / "state", first.optimizer.state());
  Rosenbrock second({});
  second.p.copy_(first.p);
  second.optimizer.set_state(nn::read_tensors(folder / "state").tensors);
  for (int i = 0; i < 2; ++i) second.step();
  for (int i = 0; i < 4; ++i) whole.step();
  EXPECT_EQ(bits(whole.p), bits(second.p));
  const nn::NamedTensors one = whole.optimizer.state(), other = second.optimizer.state();
  ASSERT_EQ(testing::names_of(one), testing::names_of(other));
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(bits(one[i].second), bits(other[i].second)) << one[i].first;
}

TEST(LBFGS, StatesThatDoNotFitChangeNothing) {
  Rosenbrock run({.max_iter = 5, .line_search_fn = LineSearch::strong_wolfe});
  run.step();
  const nn::NamedTensors before = run.optimizer.state();
  const auto refused = [&](const char* name, const Tensor& value, std::string_view text) {
    nn::NamedTensors state = before;
    for (auto& [key, tensor] : state) {
      if (key == name) tensor = value;
    }
    expect_contains(error_of([&] { run.optimizer.set_state(state); }), text);
    const nn::NamedTensors after = run.optimizer.state();
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(bits(after[i].second), bits(before[i].second));
  };
  refused("lbfgs.d", ones({3}, DType::f64), "'lbfgs.d' is (3), this optimizer's is (2)");
  refused("lbfgs.n_iter", tensor(0.5, DType::f64), "n_iter is 0.5; it must be a whole number");
  refused("options.max_iter", tensor(0, DType::f64), "max_iter is 0");
  nn::NamedTensors more = before;
  more.emplace_back("lbfgs.x", ones({}));
  expect_contains(error_of([&] { run.optimizer.set_state(more); }), "1 of the saved state's entries");
  more = before;
  std::erase_if(more, [](const auto& entry) { return entry.first == "lbfgs.old_stps"; });
  expect_contains(error_of([&] { run.optimizer.set_state(more); }), "no 'lbfgs.old_stps'");
}

TEST(LBFGS, FitsALinearLayerAndFollowsItsConversion) {
  manual_seed(1);
  nn::Linear layer(3, 2);
  const Tensor x = randn({20, 3}), y = randn({20, 2});
  LBFGS optimizer(layer.parameters(), {.tolerance_change = 0, .line_search_fn = LineSearch::strong_wolfe});
  const auto step = [&](DType dtype) {
    return optimizer
        .step([&] {
          optimizer.zero_grad();
          Tensor loss = mse_loss(layer(x.to(dtype)), y.to(dtype));
          loss.backward();
          return loss;
        })
        .item();
  };
  step(DType::f32);
  layer.to(DType::f64);
  step(DType::f64);
  step(DType::f64);
  for (const Tensor& param : layer.parameters()) {
    for (const double slope : param.grad().to_vector()) EXPECT_NEAR(slope, 0, 1e-6);
  }
}

TEST(LBFGS, NothingMovesAtAMinimum) {
  Rosenbrock run({});
  run.p.copy_(tensor({1, 1}, DType::f64));
  EXPECT_EQ(run.step(), 0);
  EXPECT_EQ(run.calls, 1);
  EXPECT_EQ(run.p.to_vector(), (std::vector<double>{1, 1}));
}

TEST(LBFGS, BadArgumentsAreErrors) {
  const Tensor p = nn::parameter(ones({1}));
  expect_contains(error_of([&] { LBFGS({p}, {.max_iter = 0}); }), "LBFGS: max_iter is 0");
  expect_contains(error_of([&] { LBFGS({p}, {.history_size = 0}); }), "history_size 0");
  expect_contains(error_of([&] { LBFGS({p}, {.max_eval = 0}); }), "max_eval is 0");
  expect_contains(error_of([&] { LBFGS({p}, {.tolerance_grad = -1}); }), "tolerance_grad is -1");
  expect_contains(error_of([&] { LBFGS({p, nn::parameter(ones({1}, DType::f64))}); }), "all must have one dtype");
  LBFGS optimizer({p});
  expect_contains(error_of([&] { optimizer.add_param_group({.params = {nn::parameter(ones({1}))}}); }),
                  "LBFGS: it has one group of parameters");
  expect_contains(error_of([&] { optimizer.step([] { return Tensor(); }); }), "the closure returned no loss");
  sum(p * p).backward();
  expect_contains(error_of([&] { static_cast<Optimizer&>(optimizer).step(); }), "step() came without a closure");
  optimizer.set_weight_decay(0, 0.1);
  expect_contains(error_of([&] { optimizer.step([] { return ones({}); }); }), "a weight decay of 0.1");
}

}  // namespace
}  // namespace gradus::optim
