// clone(), and the containers: Sequential with names, ids and a hook, Lambda, ModuleList, ModuleDict.
#include <gradus/nn/layers/module_list.h>

#include <gradus/nn/files/safetensors.h>
#include <gradus/nn/layers/activation.h>
#include <gradus/nn/layers/batch_norm.h>
#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/layers/embedding.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/recurrent.h>
#include <gradus/nn/layers/sequential.h>

#include <memory>
#include <optional>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;
using testing::names_of;
using Names = std::vector<std::string>;

struct Net : Module {  // as a program declares one
  Embedding wte{5, 4};
  std::vector<Linear> layers{Linear(4, 4), Linear(4, 4)};
  std::optional<Sequential> tail{Sequential{BatchNorm1d(4), Dropout(0.5)}};
  ModuleDict<> dict{{"act", PReLU()}};
  Linear head{4, 5, false};
  Tensor scale = parameter(ones({4}));

  Net() { head.weight = wte.weight; }
  void members(Visitor& visit) const override {
    visit("wte", wte);
    visit("layers", layers);
    visit("tail", *tail);
    visit("dict", dict);
    visit("head", head);
    visit("scale", scale);
  }
};

TEST(Clone, HasItsOwnParametersAndBuffersWithTheSameValues) {
  manual_seed(1);
  const Net net;
  const Net copy = clone(net);
  const NamedTensors before = net.named_state(false), after = copy.named_state(false);
  ASSERT_EQ(names_of(after), names_of(before));
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto& [name, tensor] = after[i];
    EXPECT_NE(tensor.node_ptr(), before[i].second.node_ptr()) << name;
    EXPECT_EQ(bits(tensor), bits(before[i].second)) << name;
    EXPECT_EQ(tensor.requires_grad(), before[i].second.requires_grad()) << name;
  }
  for (const auto& [name, tensor] : after) tensor.fill_(7);
  for (const auto& [name, tensor] : before) {
    for (const double value : tensor.to_vector()) EXPECT_NE(value, 7) << name;
  }
}

TEST(Clone, KeepsTiesModesAndFrozenParametersAndLeavesGradientsOut) {
  Net net;
  net.tail->eval();
  net.scale.requires_grad(false);
  sum(net.layers[0](ones({1, 4}))).backward();
  const Net copy = clone(net);
  EXPECT_EQ(copy.head.weight.node_ptr(), copy.wte.weight.node_ptr());
  EXPECT_FALSE(copy.tail->training());
  EXPECT_FALSE((*copy.tail)[1].training());
  EXPECT_TRUE(copy.layers[0].training());
  EXPECT_FALSE(copy.scale.requires_grad());
  EXPECT_FALSE(copy.layers[0].weight.grad().defined());
  EXPECT_TRUE(net.layers[0].weight.grad().defined());

  const auto shared = std::make_shared<Linear>(2, 2);
  Sequential twice;
  twice.push_back(shared);
  twice.push_back(shared);
  const Sequential both = clone(twice);
  EXPECT_EQ(&both[0], &both[1]);
  EXPECT_NE(both[0].parameters()[0].node_ptr(), shared->weight.node_ptr());
}

TEST(Clone, OfARecurrentLayerRunsOnItsOwn) {
  manual_seed(2);
  const LSTM lstm(2, 3, {.num_layers = 2});
  const LSTM copy = clone(lstm);
  const Tensor x = randn({1, 4, 2});
  EXPECT_EQ(bits(copy(x)), bits(lstm(x)));
  for (const Tensor& weight : copy.parameters()) weight.fill_(0);
  EXPECT_NE(bits(copy(x)), bits(lstm(x)));
}

struct Pointing : Module {
  std::shared_ptr<Linear> fc = std::make_shared<Linear>(2, 2);
  void members(Visitor& visit) const override { visit("fc", *fc); }
};

struct Computed : Module {
  Tensor raw = parameter(ones({2}));
  void members(Visitor& visit) const override { visit("raw", raw.detach()); }
};

struct Graph : Module {
  Tensor raw = parameter(ones({2})), twice = raw * 2;
  void members(Visitor& visit) const override { visit("twice", twice); }
};

TEST(Clone, SaysWhatItCannotCopy) {
  const Pointing pointing;
  const NodePtr weight = pointing.fc->weight.node_ptr();
  expect_contains(error_of([&] { clone(pointing); }), "'fc.weight' is not the copy's own");
  EXPECT_EQ(pointing.fc->weight.node_ptr(), weight) << "the original was changed";
  expect_contains(error_of([] { clone(Computed()); }), "'raw' is not the copy's own");
  expect_contains(error_of([] { clone(Graph()); }), "'twice' is the result of 'mul'");
  const RNN rnn(2, 3);
  const Net net;
  struct Wider : Linear {
    Wider() : Linear(1, 1) {}
  };
  const Wider wider;
  const Linear& base = wider;
  expect_contains(error_of([&] { clone(base); }), "was passed as its base");
}

TEST(Sequential, LayersMayHaveNames) {
  manual_seed(3);
  Sequential net{{"fc1", Linear(2, 3)}, {"act", Tanh()}, {"fc2", Linear(3, 1)}};
  EXPECT_EQ(names_of(net.named_parameters()), (Names{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}));
  manual_seed(3);
  const Sequential plain{Linear(2, 3), Tanh(), Linear(3, 1)};
  const Tensor x = randn({4, 2});
  EXPECT_EQ(bits(net(x)), bits(plain(x)));
  EXPECT_EQ(&net["fc2"], &net[-1]);
  net.push_back("last", Sigmoid());
  net.push_back(Tanh());
  EXPECT_EQ(&net["4"], &net[4]);
  const Sequential copy = net;
  EXPECT_EQ(names_of(copy.named_parameters()), names_of(net.named_parameters()));
  expect_contains(error_of([&] { net.push_back("fc1", Tanh()); }), "there is a layer 'fc1' already");
  expect_contains(error_of([&] { net.push_back("a.b", Tanh()); }), "no dot");
  expect_contains(error_of([&] { net["fc3"]; }), "no layer 'fc3'; there are fc1, act, fc2, last, 4");
  expect_contains(error_of([&] { net[5]; }), "no layer 5 among 5; use -5 .. 4");
  expect_contains(error_of([] { Sequential()[0]; }), "empty");
  expect_contains(error_of([&] { net.push_back(std::shared_ptr<Linear>()); }), "is null");
}

TEST(Sequential, MayBeginWithAnEmbedding) {
  manual_seed(4);
  const Embedding table(5, 3);
  const Linear linear(3, 2);
  const Sequential net{table, linear};
  const std::vector<std::int32_t> ids{4, 0, 0, 2};
  const Tensor expected = linear(table(ids));
  EXPECT_EQ(bits(net(ids)), bits(expected));
  EXPECT_EQ(net(gradus::Ids(ids, {2, 2})).shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(bits(net(tensor({{4, 0}, {0, 2}}))), bits(expected));
  EXPECT_EQ(net(tensor({{4, 0}, {0, 2}})).shape(), (Shape{2, 2, 2}));
  sum(net(ids)).backward();
  EXPECT_TRUE(table.weight.grad().defined());
  expect_contains(error_of([&] { table(tensor({1.5})); }), "1.5 came as an id; ids are the whole numbers 0 .. 4");
  error_of([&] { table(tensor({5})); });
  error_of([&] { table(tensor({-1})); });
  error_of([&] { table(tensor({std::nan("")})); });
  expect_contains(error_of([&] { Sequential{linear}(ids); }), "its first layer is a gradus::nn::Linear");
  expect_contains(error_of([&] { Sequential{}(ids); }), "no layers");
}

TEST(Sequential, TellsItsHookOfEachLayer) {
  Sequential net{{"table", Embedding(3, 2)}, {"act", Tanh()}};
  Names seen;
  net.forward_hook([&](std::string_view name, const Layer& layer, const Tensor& x, const Tensor& y) {
    EXPECT_EQ(bits(layer(x)), bits(y));
    seen.emplace_back(name);
  });
  const std::vector<std::int32_t> ids{2, 0};
  net(ids);
  EXPECT_EQ(seen, (Names{"table", "act"}));
  net(tensor({1}));
  EXPECT_EQ(seen, (Names{"table", "act", "table", "act"}));
  net.forward_hook({});
  net(ids);
  EXPECT_EQ(seen.size(), 4U);
}

TEST(Lambda, IsAFunctionAsALayer) {
  const Sequential net{Linear(2, 6), Lambda([](const Tensor& x) { return reshape(x, {x.size(0), 2, 3}); })};
  EXPECT_EQ(net(ones({4, 2})).shape(), (Shape{4, 2, 3}));
  EXPECT_EQ(net.parameters().size(), 2U);
  expect_contains(error_of([] { Lambda(std::function<Tensor(const Tensor&)>()); }), "the function is empty");
  Lambda lambda([](const Tensor& x) { return x; });
  const Lambda taken = std::move(lambda);
  error_of([&] { lambda(ones({1})); });  // NOLINT(bugprone-use-after-move): what is tested
}

struct WithList : Module {
  ModuleList<> layers{Linear(2, 2), ReLU(), Linear(2, 1)};
  ModuleList<RNNCell> cells{RNNCell(2, 3), RNNCell(3, 3)};
  void members(Visitor& visit) const override {
    visit("layers", layers);
    visit("cells", cells);
  }
};

TEST(ModuleList, IsNumberedAndWalkedThrough) {
  WithList net;
  EXPECT_EQ(names_of(net.layers.named_parameters()), (Names{"0.weight", "0.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(names_of(net.named_parameters())[4], "cells.0.weight_ih");
  EXPECT_EQ(net.layers.size(), 3);
  Tensor y = ones({1, 2});
  for (const Layer& layer : net.layers) y = layer(y);
  EXPECT_EQ(bits(y), bits(net.layers[-1](net.layers[1](net.layers[0](ones({1, 2}))))));
  EXPECT_EQ(net.cells[1].hidden_size(), 3);  // of its own type
  net.layers.append(Tanh());
  EXPECT_EQ(net.layers.size(), 4);
  expect_contains(error_of([&] { net.layers[4]; }), "ModuleList: there is no module 4 among 4; use -4 .. 3");
  net.eval();
  EXPECT_FALSE(net.layers[0].training());
}

TEST(ModuleList, ACopyHasItsOwnModules) {
  const WithList net;
  WithList copy = net;
  copy.eval();
  copy.layers.append(Tanh());
  EXPECT_TRUE(net.layers[0].training());
  EXPECT_EQ(net.layers.size(), 3);
  EXPECT_EQ(copy.layers[0].parameters()[0].node_ptr(), net.layers[0].parameters()[0].node_ptr());
  EXPECT_NE(clone(net).layers[0].parameters()[0].node_ptr(), net.layers[0].parameters()[0].node_ptr());
  ModuleList<> abstract;
  abstract.append(std::shared_ptr<Layer>(std::make_shared<Tanh>()));
  expect_contains(error_of([&] { const ModuleList<> other = abstract; }), "ModuleList: module '0', of type");
}

TEST(ModuleDict, IsNamedByItsKeys) {
  ModuleDict<> dict{{"fc", Linear(2, 3)}, {"act", ReLU()}};
  EXPECT_EQ(names_of(dict.named_parameters()), (Names{"fc.weight", "fc.bias"}));
  EXPECT_EQ(dict.keys(), (Names{"fc", "act"}));
  EXPECT_TRUE(dict.contains("act"));
  EXPECT_FALSE(dict.contains("tanh"));
  EXPECT_EQ(dict["fc"](ones({1, 2})).shape(), (Shape{1, 3}));
  dict.set("fc", Linear(2, 5));
  dict.set("out", Linear(5, 1));
  EXPECT_EQ(dict.keys(), (Names{"fc", "act", "out"}));
  EXPECT_EQ(dict["fc"](ones({1, 2})).shape(), (Shape{1, 5}));
  Names seen;
  for (const auto& [key, module, copy] : dict) {
    seen.push_back(key);
    EXPECT_EQ(module.get(), &dict[key]);
  }
  EXPECT_EQ(seen, dict.keys());
  expect_contains(error_of([&] { dict["tanh"]; }), "ModuleDict: there is no module 'tanh'; there are fc, act, out");
  expect_contains(error_of([&] { dict.set("", Tanh()); }), "at least one character");
  expect_contains(error_of([] { ModuleDict<>{{"a", Tanh()}, {"a", Tanh()}}; }), "'a' already");
  const ModuleDict<GRUCell> cells{{"left", GRUCell(2, 3)}};
  EXPECT_EQ(cells["left"].hidden_size(), 3);
}

}  // namespace
}  // namespace gradus::nn
