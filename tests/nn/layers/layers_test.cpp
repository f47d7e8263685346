// The layers against formulas written out, and their gradients against central differences.
#include <gradus/nn/layers/activation.h>
#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/layers/embedding.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/norm.h>
#include <gradus/nn/layers/recurrent.h>
#include <gradus/nn/layers/sequential.h>

#include <cmath>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;
using testing::expect_gradients;
using testing::randomize;
using In = const std::vector<Tensor>&;

constexpr DType f64 = DType::f64;

TEST(Linear, IsXWTransposedPlusB) {
  Linear layer(2, 3, {.dtype = f64});
  layer.weight.copy_(tensor({1, 2, 3, 4, 5, 6}, {3, 2}, f64));
  layer.bias.copy_(tensor({0.5, -0.5, 1}, f64));
  expect_close(layer(tensor({1, 10, -1, 2}, {2, 2}, f64)), {21.5, 42.5, 66, 3.5, 4.5, 8});
  layer.bias = {};
  expect_close(layer(tensor({1, 10}, f64)), {21, 43, 65});
}

TEST(Linear, TakesBiasAsABoolWherePyTorchDoes) {
  EXPECT_FALSE(Linear(3, 2, false).bias.defined());
  EXPECT_TRUE(Linear(3, 2, true).bias.defined());
  EXPECT_TRUE(Linear(3, 2, {}).bias.defined());
  EXPECT_FALSE(RNNCell(3, 2, false).bias_ih.defined());
  EXPECT_FALSE(GRUCell(3, 2, false).bias_hh.defined());
  EXPECT_TRUE(LSTMCell(3, 2, true).bias_hh.defined());
}

// torch.manual_seed(0); torch.nn.Linear(2, 3)
TEST(Linear, StartsWithPyTorchsNumbers) {
  manual_seed(0);
  const Linear layer(2, 3);
  expect_close(layer.weight, {-0.0053, 0.3793, -0.5820, -0.5204, -0.2723, 0.1896}, 5.1e-5);
  expect_close(layer.bias, {-0.0140, 0.5607, -0.0628}, 5.1e-5);
}

// torch.manual_seed(0); torch.nn.Embedding(2, 2)
TEST(Embedding, StartsWithPyTorchsNumbers) {
  manual_seed(0);
  expect_close(Embedding(2, 2).weight, {1.5410, -0.2934, -2.1788, 0.5684}, 5.1e-5);
}

TEST(Linear, Gradients) {
  Linear layer(3, 4, {.dtype = f64});
  expect_gradients(layer, {randn({2, 3}, f64)}, [&](In in) { return layer(in[0]); });
}

TEST(Embedding, PicksRowsAndAddsRepeatedGradients) {
  Embedding table(3, 2, {.dtype = f64});
  table.weight.copy_(tensor({1, 2, 3, 4, 5, 6}, {3, 2}, f64));
  const std::vector<std::int32_t> ids{2, 0, 2, 2};
  expect_close(table(ids), tensor({5, 6, 1, 2, 5, 6, 5, 6}, {4, 2}, f64));
  EXPECT_EQ(table(ids, {2, 2}).shape(), (Shape{2, 2, 2}));
  sum(table(ids)).backward();
  expect_close(table.weight.grad(), {1, 1, 0, 0, 3, 3});
  expect_gradients(table, {}, [&](In) { return table(ids); });
}

TEST(LayerNorm, NormalizesEachRow) {
  LayerNorm norm(2, {.eps = 0, .dtype = f64});
  norm.weight.copy_(tensor({2, 3}, f64));
  norm.bias.copy_(tensor({10, 20}, f64));
  expect_close(norm(tensor({1, 3, 5, -5}, {1, 2, 2}, f64)), {8, 23, 12, 17});  // each row is (-1, 1) or (1, -1)
}

TEST(LayerNorm, EpsIsInsideTheRoot) {
  const LayerNorm norm(2, {.eps = 3, .weight = false, .bias = false, .dtype = f64});
  EXPECT_TRUE(norm.parameters().empty());
  expect_close(norm(tensor({1, 3}, f64)), {-0.5, 0.5});  // +-1 / sqrt(1 + 3)
}

TEST(LayerNorm, GradientsOnThreeDimensions) {
  for (const bool weight : {true, false}) {
    for (const bool bias : {true, false}) {
      LayerNorm norm(5, {.weight = weight, .bias = bias, .dtype = f64});
      randomize(norm);
      expect_gradients(norm, {randn({2, 3, 5}, f64)}, [&](In in) { return norm(in[0]); });
    }
  }
}

TEST(RMSNorm, DividesByTheRootMeanSquare) {
  RMSNorm norm(2, {.eps = 0, .dtype = f64});
  norm.weight.copy_(tensor({2, 3}, f64));
  expect_close(norm(tensor({1, 7}, f64)), {2.0 / 5, 21.0 / 5});  // (1 + 49) / 2 = 5^2
  const RMSNorm plain(2, {.eps = 11, .weight = false, .dtype = f64});
  EXPECT_TRUE(plain.parameters().empty());
  expect_close(plain(tensor({1, 7}, f64)), {1.0 / 6, 7.0 / 6});  // 25 + 11 = 6^2
}

TEST(RMSNorm, Gradients) {
  for (const bool weight : {true, false}) {
    RMSNorm norm(5, {.weight = weight, .dtype = f64});
    randomize(norm);
    expect_gradients(norm, {randn({2, 3, 5}, f64)}, [&](In in) { return norm(in[0]); });
  }
}

TEST(Norms, AWrongWidthIsAnErrorWithOrWithoutGain) {
  const Tensor x = ones({2, 3});
  expect_contains(error_of([&] { LayerNorm(4, {.weight = false, .bias = false})(x); }), "(2, 3)");
  expect_contains(error_of([&] { RMSNorm(4, {.weight = false})(x); }), "must be 4");
  error_of([] { LayerNorm(4, {.eps = -1}); });
  error_of([] { RMSNorm(0); });
}

TEST(Dropout, ZeroesAboutPAndKeepsTheMean) {
  manual_seed(1);
  Dropout dropout(0.25);
  const std::vector<double> y = dropout(ones({100, 100})).to_vector();
  const auto zeroed = std::count(y.begin(), y.end(), 0.0);
  EXPECT_NEAR(static_cast<double>(zeroed), 2500, 220);  // 5 standard deviations
  for (const double value : y) EXPECT_TRUE(value == 0 || std::abs(value - 1 / 0.75) < 1e-6);
  dropout.eval();
  const Tensor x = randn({10});
  EXPECT_EQ(bits(dropout(x)), bits(x));
}

TEST(Dropout, BadProbabilitiesAreErrors) {
  for (const double p : {-0.1, 1.0, std::nan("")}) error_of([&] { Dropout{p}; });
}

TEST(Activations, AreTheOps) {
  const Tensor x = tensor({-2, -0.5, 0.5, 2}, {2, 2}, f64);
  const double e = std::exp(-2.0);
  expect_close(ReLU()(x), {0, 0, 0.5, 2});
  EXPECT_NEAR(GELU()(x).to_vector()[3], 1.9544997361036416, 1e-9);            // 2 Phi(2)
  EXPECT_NEAR(GELU(Gelu::tanh)(x).to_vector()[3], 1.9545976940877752, 1e-9);  // PyTorch, approximate="tanh"
  EXPECT_NEAR(SiLU()(x).to_vector()[3], 2 / (1 + e), 1e-12);
  EXPECT_NEAR(Tanh()(x).to_vector()[3], (1 - e * e) / (1 + e * e), 1e-12);
  EXPECT_NEAR(Sigmoid()(x).to_vector()[3], 1 / (1 + e), 1e-12);
  expect_close(sum(Softmax(0)(x), {0}), {1, 1});
  expect_close(sum(Softmax()(x), {1}), {1, 1});
  EXPECT_EQ(bits(Identity()(x)), bits(x));
  EXPECT_TRUE(GELU().parameters().empty());
}

TEST(MLP, IsTheComposition) {
  const MLP mlp(3, {.dtype = f64});
  EXPECT_EQ(mlp.c_fc.weight.shape(), (Shape{12, 3}));
  const Tensor x = randn({2, 3}, f64);
  expect_close(mlp(x),
               linear(gelu(linear(x, mlp.c_fc.weight, mlp.c_fc.bias), Gelu::tanh), mlp.c_proj.weight, mlp.c_proj.bias));
  const MLP small(3, {.hidden = 5, .bias = false, .activation = Activation::relu, .dtype = f64});
  EXPECT_EQ(testing::names_of(small.named_parameters()), (std::vector<std::string>{"c_fc.weight", "c_proj.weight"}));
  expect_close(small(x), linear(relu(linear(x, small.c_fc.weight)), small.c_proj.weight));
}

TEST(MLP, GradientsForEveryActivation) {
  for (const Activation activation : {Activation::gelu_erf, Activation::gelu_tanh, Activation::silu, Activation::tanh,
                                      Activation::sigmoid, Activation::relu}) {
    MLP mlp(3, {.hidden = 4, .activation = activation, .dtype = f64});
    expect_gradients(mlp, {randn({2, 3}, f64)}, [&](In in) { return mlp(in[0]); });
  }
}

TEST(MLP, DropoutActsInTrainingOnly) {
  manual_seed(3);
  MLP mlp(8, {.dropout = 0.5});
  const Tensor x = ones({4, 8});
  EXPECT_NE(bits(mlp(x)), bits(mlp(x)));
  mlp.eval();
  EXPECT_EQ(bits(mlp(x)), bits(mlp(x)));
}

TEST(Sequential, ChainsNamesAndGrows) {
  Sequential net(Linear(2, 4, {.dtype = f64}), Tanh());
  net.push_back(Linear(4, 1, {.dtype = f64}));
  ASSERT_EQ(net.size(), 3);
  EXPECT_EQ(testing::names_of(net.named_parameters()),
            (std::vector<std::string>{"0.weight", "0.bias", "2.weight", "2.bias"}));
  const Tensor x = randn({3, 2}, f64);
  EXPECT_EQ(bits(net(x)), bits(net[2](tanh(net[0](x)))));
  EXPECT_EQ(&net[-1], &net[2]);
  expect_gradients(net, {x}, [&](In in) { return net(in[0]); });
  expect_contains(error_of([&] { net[3]; }), "no layer 3 among 3");
  error_of([&] { net.push_back(std::shared_ptr<Layer>()); });
  EXPECT_EQ(bits(Sequential()(x)), bits(x));
}

TEST(Layers, ImpossibleSizesAreErrors) {
  expect_contains(error_of([] { Linear(0, 3); }), "0 -> 3");
  error_of([] { Linear(3, -1); });
  error_of([] { Embedding(0, 3); });
  error_of([] { MLP(4, {.hidden = -4}); });
  expect_contains(error_of([] { Linear(3, 2)(ones({2, 4})); }), "(2, 4)");
  error_of([] { Embedding(3, 2)(std::vector<std::int32_t>{3}); });
}

TEST(PReLU, LearnsTheSlopeBelowZero) {
  PReLU one;
  expect_close(one(tensor({-2, 0, 3})), {-0.5, 0, 3}, 1e-7);
  expect_close(one(tensor(-1.0)), {-0.25}, 1e-7);
  PReLU two(2, 0.5, f64);
  two.weight.copy_(tensor({0.5, 2}, f64));
  expect_close(two(tensor({-1, -1, 4, -4}, {2, 2}, f64)), {-0.5, -2, 4, -8});
  EXPECT_EQ(two(ones({2, 2, 3}, f64)).shape(), (Shape{2, 2, 3}));
  expect_gradients(two, {tensor({-1, -2, 4, -4, 1, -3, 0.5, 2}, {1, 2, 4}, f64)}, [&](In in) { return two(in[0]); });
  EXPECT_EQ(testing::names_of(two.named_parameters()), (std::vector<std::string>{"weight"}));
  expect_contains(error_of([] { PReLU(0); }), "0 weights");
  expect_contains(error_of([&] { two(ones({2, 3}, f64)); }), "prelu: weight (2) for x (2, 3); it must be (1) or (3)");
  error_of([&] { two(ones({2}, f64)); });
}

TEST(GLU, GatesHalfWithTheOther) {
  const Tensor x = tensor({1, -2, 0.5, 3}, f64);
  const auto gate = [](double b) { return 1 / (1 + std::exp(-b)); };
  expect_close(GLU()(x), {gate(0.5), -2 * gate(3)});
  expect_close(SwiGLU()(x), {gate(1) * 0.5, -2 * gate(-2) * 3});
  expect_close(GLU(0)(reshape(x, {2, 2})), {gate(0.5), -2 * gate(3)});
  EXPECT_EQ(SwiGLU(1)(ones({2, 6, 3})).shape(), (Shape{2, 3, 3}));
  expect_contains(error_of([] { GLU()(ones({3})); }), "glu: size 3 of dimension -1 of (3); it must be even");
  expect_contains(error_of([] { SwiGLU(2)(ones({4, 4})); }), "swiglu: there is no dimension 2");
}

}  // namespace
}  // namespace gradus::nn
