// Module: names, ties, modes, conversion.
#include <gradus/nn/attention.h>
#include <gradus/nn/embedding.h>
#include <gradus/nn/mlp.h>
#include <gradus/nn/norm.h>
#include <gradus/nn/optim.h>
#include <gradus/nn/sequential.h>
#include <gradus/nn/summary.h>

#include <limits>
#include <numeric>

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
  EXPECT_EQ(home.parameters().size(), 10U);  // only a buffer is named twice
  testing::expect_contains(testing::error_of([&] { home.named_state(); }), "Twins 'twins.0' calls two members 'scale'");
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
