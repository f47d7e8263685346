// Module: names, ties, modes, conversion.
#include <gradus/nn/layers/activation.h>
#include <gradus/nn/layers/attention.h>
#include <gradus/nn/layers/batch_norm.h>
#include <gradus/nn/layers/conv.h>
#include <gradus/nn/layers/embedding.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/norm.h>
#include <gradus/nn/layers/positions.h>
#include <gradus/nn/layers/recurrent.h>
#include <gradus/nn/layers/sequential.h>
#include <gradus/nn/optim/adam.h>
#include <gradus/nn/optim/sgd.h>
#include <gradus/nn/summary.h>

#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>

#include "support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::names_of;
using Names = std::vector<std::string>;

struct Block : Layer {
  explicit Block(Index n) : ln_1(n), attn(n, 2), mlp(n, {.dropout = 0.5}) {}
  Tensor operator()(const Tensor& x) const override {
    const Tensor y = x + attn(ln_1(x));
    return y + mlp(y);
  }
  void members(Visitor& visit) const override {
    visit("ln_1", ln_1);
    visit("attn", attn);
    visit("mlp", mlp);
  }
  LayerNorm ln_1;
  CausalSelfAttention attn;
  MLP mlp;
};

struct TinyModel : Module {
  TinyModel() : wte(5, 4), h{Block(4), Block(4)}, lm_head(4, 5, {.bias = false}), count(zeros({})) {
    lm_head.weight = wte.weight;
  }
  void members(Visitor& visit) const override {
    visit("wte", wte);
    visit("h", h);
    visit("lm_head", lm_head);
    visit("scales", scales);
    visit.buffer("count", count);
  }
  Embedding wte;
  std::vector<Block> h;
  Linear lm_head;
  std::vector<Tensor> scales{parameter(ones({2})), Tensor(), parameter(ones({3}))};
  Tensor count;
};

TEST(Module, NamesAreDottedAndATieAppearsOnceUnderItsFirstName) {
  const TinyModel model;
  Names expected{"wte.weight"};
  for (const std::string block : {"h.0.", "h.1."}) {
    for (const char* name :
         {"ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
          "attn.c_proj.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"}) {
      expected.push_back(block + name);
    }
  }
  expected.insert(expected.end(), {"scales.0", "scales.2"});
  EXPECT_EQ(names_of(model.named_parameters()), expected);
  EXPECT_EQ(model.parameters().size(), expected.size());

  expected.push_back("count");
  EXPECT_EQ(names_of(model.named_state()), expected);
  expected.insert(expected.end() - 3, "lm_head.weight");
  EXPECT_EQ(names_of(model.named_state(false)), expected);
}

TEST(Module, ParametersAreTheModulesOwnAndWantGradients) {
  const Linear layer(2, 3);
  for (const Tensor& param : layer.parameters()) EXPECT_TRUE(param.requires_grad());
  EXPECT_EQ(layer.parameters()[0].node_ptr(), layer.weight.node_ptr());
  EXPECT_EQ(names_of(Linear(2, 3, {.bias = false}).named_parameters()), Names{"weight"});
}

TEST(Module, CountsTiedNumbersOnce) {
  const Index block = 8 + (4 * 12 + 12) + (4 * 4 + 4) + (4 * 16 + 16) + (16 * 4 + 4);
  EXPECT_EQ(TinyModel().num_parameters(), 5 * 4 + 2 * block + 5);
}

struct Untrained : Layer {  // its gain was made without nn::parameter
  Tensor gain = ones({2});
  Linear out{2, 1};
  Tensor operator()(const Tensor& x) const override { return out(x * gain); }
  void members(Visitor& visit) const override {
    visit("gain", gain);
    visit("out", out);
  }
};

TEST(Module, WhatWantsNoGradientIsSavedAndCountedButNotTrained) {
  Untrained net;
  EXPECT_EQ(names_of(net.named_state()), (Names{"gain", "out.weight", "out.bias"}));
  EXPECT_EQ(net.num_parameters(), 5);
  net.out.bias.requires_grad(false);  // frozen on purpose
  EXPECT_EQ(summary(net),
            "module  type       parameters                        count\n"
            "----------------------------------------------------------\n"
            "(all)   Untrained  gain (2) (frozen)                     2\n"
            "  out   Linear     weight (1, 2), bias (1) (frozen)      3\n"
            "----------------------------------------------------------\n"
            "5 parameters, 3 of them frozen; 20 bytes with buffers\n");

  const std::vector<double> weight = net.out.weight.to_vector(), bias = net.out.bias.to_vector();
  optim::AdamW adam(net.parameters(), {.lr = 0.1, .weight_decay = 0.1});
  const auto step = [&] {
    adam.zero_grad();
    sum(net(ones({1, 2}))).backward();
    adam.step();
  };
  step();
  EXPECT_EQ(net.gain.to_vector(), (std::vector<double>{1, 1}));
  EXPECT_EQ(net.out.bias.to_vector(), bias);
  EXPECT_FALSE(net.out.bias.grad().defined());
  EXPECT_NE(net.out.weight.to_vector(), weight);
  net.out.bias.requires_grad(true);  // and on again, in the same optimizer
  step();
  EXPECT_NE(net.out.bias.to_vector(), bias);
}

struct Powers : Layer {
  std::vector<Tensor> w{parameter(ones({3})), parameter(ones({3}))};
  Tensor operator()(const Tensor& x) const override { return w[0] * x + w[1] * x * x; }
  void members(Visitor& visit) const override { visit("w", w); }
};

struct Sums : Module {
  std::vector<Powers> powers{1};
  std::vector<Tensor> own{parameter(ones({1}))};
  void members(Visitor& visit) const override {
    visit("powers", powers);
    visit("own", own);
  }
};

TEST(Summary, ListsOfParametersBelongToTheirModule) {
  EXPECT_EQ(summary(Sums()),
            "module      type    parameters        count\n"
            "-------------------------------------------\n"
            "(all)       Sums    own.0 (1)             1\n"
            "  powers.0  Powers  w.0 (3), w.1 (3)      6\n"
            "-------------------------------------------\n"
            "7 parameters; 28 bytes with buffers\n");
}

struct Twins : Module {
  Linear a{1, 1}, b{1, 1};
  Tensor scale = parameter(ones({1})), shift = parameter(ones({1}));
  bool same_modules = true;
  void members(Visitor& visit) const override {
    visit("a", a);
    visit(same_modules ? "a" : "b", b);
    visit("scale", scale);
    visit.buffer(same_modules ? "shift" : "scale", shift);
  }
};

struct Home : Module {
  std::vector<Twins> twins{2};
  void members(Visitor& visit) const override { visit("twins", twins); }
};

TEST(Module, TwoMembersOfOneNameAreAnError) {
  Twins twins;
  const std::string wrong = testing::error_of([&] { twins.named_parameters(); });
  testing::expect_contains(wrong, "members: gradus::nn::");
  testing::expect_contains(wrong, "Twins calls two members 'a'; give each a name of its own");
  EXPECT_EQ(testing::error_of([&] { twins.parameters(); }), wrong);
  EXPECT_EQ(testing::error_of([&] { twins.named_state(); }), wrong);
  EXPECT_EQ(testing::error_of([&] { summary(twins); }), wrong);

  Home home;
  home.twins[0].same_modules = home.twins[1].same_modules = false;
  testing::expect_contains(testing::error_of([&] { home.parameters(); }), "'scale'");  // a buffer is named twice
  testing::expect_contains(testing::error_of([&] { home.named_state(); }), "Twins 'twins.0' calls two members 'scale'");
}

struct Named : Module {
  std::vector<std::string> names;
  std::vector<int> kinds;  // 0 a module without parameters, 1 an undefined parameter, 2 an empty list
  void members(Visitor& visit) const override {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (kinds[i] == 0) visit(names[i], relu_layer);
      if (kinds[i] == 1) visit(names[i], Tensor());
      if (kinds[i] == 2) visit(names[i], std::vector<Linear>());
    }
  }
  ReLU relu_layer;
};

TEST(Module, TwoMembersOfOneNameAreAnErrorWithoutParametersToo) {
  for (const int first : {0, 1, 2}) {
    for (const int second : {0, 1, 2}) {
      Named module;
      module.names = {"act", "x", "act"};
      module.kinds = {first, 0, second};
      for (const auto& walk :
           std::vector<std::function<void()>>{[&] { module.parameters(); }, [&] { module.named_state(); },
                                              [&] { module.named_modules(); }, [&] { module.eval(); }}) {
        testing::expect_contains(testing::error_of(walk), "Named calls two members 'act'");
      }
    }
  }
}

TEST(Module, NamesAreNotEmptyAndHaveNoDots) {
  for (const char* name : {"", "a.b", "."}) {
    for (const int kind : {0, 1, 2}) {
      Named inner;
      inner.names = {name};
      inner.kinds = {kind};
      const std::string text = testing::error_of([&] { inner.parameters(); });
      testing::expect_contains(text, fmt::format("is called '{}'", name));
      testing::error_of([&] { inner.eval(); });
      testing::error_of([&] { inner.zero_grad(); });
    }
  }
}

// Dropout is on in `training` and off in the others.
double zeros_of(const Layer& layer) {
  double count = 0;
  for (const double value : layer(ones({1, 200})).to_vector()) count += value == 0 ? 1 : 0;
  return count;
}

struct Holder : Layer {
  Sequential body{Dropout(0.5), Sequential{Identity(), Dropout(0.5)}};
  std::vector<Sequential> list{Sequential{Dropout(0.5)}};
  std::optional<Sequential> maybe = Sequential{Dropout(0.5)};
  Tensor operator()(const Tensor& x) const override { return (*maybe)(list[0](body(x))); }
  void members(Visitor& visit) const override {
    visit("body", body);
    visit("list", list);
    visit("maybe", *maybe);
  }
};

template <class M>
void expect_own_modes(M original) {
  M copy = original, assigned = original;
  assigned = copy;
  const auto modes = [](const M& module) {
    int training = 0, all = 0;
    for (const auto& [name, part] : module.named_modules()) training += part->training() ? 1 : 0, ++all;
    return training == all ? 1 : training == 0 ? 0 : -1;
  };
  copy.eval();
  EXPECT_EQ(modes(original), 1) << "eval() on a copy changed the original";
  EXPECT_EQ(modes(copy), 0);
  EXPECT_EQ(modes(assigned), 1);
  original.eval();
  copy.train();
  EXPECT_EQ(modes(original), 0) << "train() on a copy changed the original";
  EXPECT_EQ(modes(assigned), 1);
  const M still = original;
  EXPECT_EQ(modes(still), 0) << "a copy starts in the mode of its original";
  const std::vector<Tensor> one = original.parameters(), other = copy.parameters();
  ASSERT_EQ(one.size(), other.size());
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i].node_ptr(), other[i].node_ptr()) << "not shared";
}

TEST(Module, ACopyHasItsOwnModeAndSharesTheParameters) {
  expect_own_modes(Sequential{Linear(2, 2), Dropout(0.5), Sequential{Linear(2, 2), Sequential{Dropout(0.1)}}});
  expect_own_modes(Holder());
  expect_own_modes(Linear(2, 2));
  expect_own_modes(MLP(4, {.dropout = 0.5}));
  expect_own_modes(LayerNorm(4));
  expect_own_modes(RMSNorm(4));
  expect_own_modes(BatchNorm1d(3));
  expect_own_modes(Embedding(3, 2));
  expect_own_modes(Conv1d(1, 2, 3));
  expect_own_modes(Conv2d(1, 2, 3));
  expect_own_modes(LSTM(2, 3, {.num_layers = 2, .dropout = 0.5}));
  expect_own_modes(GRUCell(2, 3));
  expect_own_modes(CausalSelfAttention(4, 2, {.dropout = 0.5}));
  expect_own_modes(MultiHeadAttention(4, 2, {.dropout = 0.5}));
  expect_own_modes(LearnedPositions(4, 2));
  expect_own_modes(TinyModel());
}

TEST(Module, EvalOnACopyLeavesTheOriginalsDropoutOn) {
  const Holder original;
  Holder copy = original;
  copy.eval();
  EXPECT_EQ(zeros_of(copy), 0);
  EXPECT_GT(zeros_of(original), 0);
}

TEST(Sequential, ACopyHasItsOwnLayers) {
  Sequential net{Linear(2, 2), Tanh()};
  Sequential copy = net;
  copy.push_back(Linear(2, 1));
  EXPECT_EQ(net.size(), 2);
  dynamic_cast<Linear&>(copy[0]).weight = parameter(zeros({2, 2}));
  EXPECT_NE(net[0].parameters()[0].node_ptr(), copy[0].parameters()[0].node_ptr());
  EXPECT_EQ(net[0].parameters()[1].node_ptr(), copy[0].parameters()[1].node_ptr());

  const auto shared = std::make_shared<Linear>(2, 2);  // a layer that stands at two places does so in the copy
  Sequential twice;
  twice.push_back(shared);
  twice.push_back(Tanh());
  twice.push_back(shared);
  const Sequential other = twice;
  EXPECT_EQ(&other[0], &other[2]);
  EXPECT_NE(&other[0], &twice[0]);
  EXPECT_EQ(&twice[0], shared.get());

  Sequential moved = std::move(copy);
  EXPECT_EQ(moved.size(), 3);
}

struct MoveOnly : ActivationLayer {
  std::unique_ptr<int> resource;
  Tensor operator()(const Tensor& x) const override { return x; }
};

TEST(Sequential, WhatCannotBeCopiedSaysSo) {
  Sequential net;
  net.push_back(Tanh());
  net.push_back(MoveOnly());
  EXPECT_EQ(net.size(), 2);
  testing::expect_contains(testing::error_of([&] { const Sequential copy = net; }), "MoveOnly, cannot be copied");
  Sequential abstract;
  abstract.push_back(std::shared_ptr<Layer>(std::make_shared<Linear>(2, 2)));  // runs, but what to copy is not known
  EXPECT_EQ(abstract(ones({1, 2})).shape(), (Shape{1, 2}));
  testing::expect_contains(testing::error_of([&] { const Sequential copy = abstract; }),
                           "std::shared_ptr of its own type");
}

TEST(Module, PrintsAsItsSummary) {
  const Sequential net{Linear(2, 3), Tanh()};
  std::ostringstream text;
  text << net << Linear(1, 1);
  EXPECT_EQ(text.str(), summary(net) + summary(Linear(1, 1)));
  EXPECT_EQ(fmt::format("{}", net), summary(net));
  const Layer& layer = net;
  EXPECT_EQ(fmt::format("{}", layer), summary(net));
}

TEST(Module, NamedModulesListsEachObjectOnce) {
  const auto shared = std::make_shared<Linear>(2, 2);
  Sequential net;
  net.push_back(Sequential(Tanh(), Linear(2, 2)));
  net.push_back(shared);
  net.push_back(shared);
  Names names;
  for (const auto& [name, module] : net.named_modules()) names.push_back(name);
  EXPECT_EQ(names, (Names{"", "0", "0.0", "0.1", "1"}));
  EXPECT_EQ(names_of(net.named_parameters()), (Names{"0.1.weight", "0.1.bias", "1.weight", "1.bias"}));
}

TEST(Module, TrainAndEvalReachEveryDescendant) {
  TinyModel model;
  EXPECT_TRUE(model.h[1].mlp.dropout.training());
  model.eval();
  for (const auto& [name, module] : model.named_modules()) EXPECT_FALSE(module->training()) << name;
  model.train();
  for (const auto& [name, module] : model.named_modules()) EXPECT_TRUE(module->training()) << name;

  Sequential net(Linear(2, 2), Sequential(Dropout(0.5)));
  net.eval();
  const Tensor x = ones({3, 2});
  EXPECT_EQ(bits(net(x)), bits(net[0](x)));
}

TEST(Module, CopiesShareParametersButNotTheMode) {
  Linear a(2, 2);
  Linear b = a;
  b.eval();
  EXPECT_TRUE(a.training());
  b.weight.fill_(3);
  EXPECT_EQ(a.weight.to_vector(), std::vector<double>(4, 3));
}

TEST(Module, ConversionThereAndBackIsExactAndKeepsTies) {
  TinyModel model;
  const std::vector<float> odd{0.1F, -0.0F, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max(),
                               -std::numeric_limits<float>::infinity()};
  std::copy(odd.begin(), odd.end(), model.wte.weight.data<float>().begin());
  std::vector<std::vector<std::uint64_t>> before;
  for (const auto& [name, tensor] : model.named_state()) before.push_back(bits(tensor));
  const std::vector<Tensor> handles = model.parameters();

  sum(model.wte.weight).backward();
  model.to(DType::f64);
  EXPECT_FALSE(model.wte.weight.grad().defined());
  for (const auto& [name, tensor] : model.named_state()) EXPECT_EQ(tensor.dtype(), DType::f64) << name;
  EXPECT_EQ(model.lm_head.weight.node_ptr(), model.wte.weight.node_ptr());
  for (const Tensor& handle : handles) {
    EXPECT_EQ(handle.dtype(), DType::f64);
    EXPECT_TRUE(handle.requires_grad());
  }
  model.to(DType::f32);
  std::size_t i = 0;
  for (const auto& [name, tensor] : model.named_state()) EXPECT_EQ(bits(tensor), before[i++]) << name;
}

TEST(Module, ConvertingToItsOwnTypeKeepsMemoryAndGradients) {
  Linear layer(2, 2);
  sum(layer.weight).backward();
  layer.to(DType::f32);
  EXPECT_TRUE(layer.weight.grad().defined());
}

TEST(Module, ZeroGradForgetsGradientsWithoutTouchingTheSystem) {
  TinyModel model;
  sum(model.wte.weight).backward();
  sum(model.scales[2]).backward();
  model.zero_grad();
  for (const auto& [name, tensor] : model.named_state()) EXPECT_FALSE(tensor.grad().defined()) << name;
  if (!testing::pool_keeps_blocks()) GTEST_SKIP() << "memory goes back to the system at once";
  const std::size_t before = memory_stats().system_allocations;
  model.zero_grad();
  EXPECT_EQ(memory_stats().system_allocations, before);
}

TEST(Module, ATiedWeightCollectsTheGradientOfBothUses) {
  Linear a(2, 2, {.bias = false, .dtype = DType::f64}), b(2, 2, {.bias = false, .dtype = DType::f64});
  b.weight = a.weight;
  a.weight.copy_(tensor({1, 2, 3, 4}, {2, 2}, DType::f64));
  sum(b(a(tensor({1, 0}, {1, 2}, DType::f64)))).backward();
  // y = W (1, 3)' with W = [1 2; 3 4]: as the outer factor each row gets (1, 3); as the inner one, (4, 6)' (1, 0).
  testing::expect_close(a.weight.grad(), {1 + 4, 3, 1 + 6, 3});
}

}  // namespace
}  // namespace gradus::nn
