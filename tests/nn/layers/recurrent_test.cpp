// Recurrent layers: PyTorch's names, state that carries on, directions. Their values are PyTorch's in tests/reference.
#include <gradus/nn/gradcheck.h>
#include <gradus/nn/layers/positions.h>
#include <gradus/nn/layers/recurrent.h>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::expect_close;
using testing::names_of;

TEST(Recurrent, HasPytorchsNames) {
  const LSTM lstm(3, 4, {.num_layers = 2, .bidirectional = true});
  const std::vector<std::string> names = names_of(lstm.named_parameters());
  ASSERT_EQ(names.size(), 16U);
  EXPECT_EQ(names[0], "weight_ih_l0");
  EXPECT_EQ(names[3], "bias_hh_l0");
  EXPECT_EQ(names[4], "weight_ih_l0_reverse");
  EXPECT_EQ(names[12], "weight_ih_l1_reverse");
  EXPECT_EQ(lstm.named_parameters()[8].second.shape(), (Shape{16, 8}));  // the second layer sees both directions
}

TEST(Recurrent, TwoHalvesEqualTheWhole) {
  manual_seed(2);
  const LSTM lstm(3, 4, {.num_layers = 2, .dtype = DType::f64});
  const Tensor x = randn({2, 6, 3}, DType::f64);
  const RecurrentResult whole = lstm.run(x), first = lstm.run(slice(x, 1, 0, 2));
  const RecurrentResult second = lstm.run(slice(x, 1, 2, 6), first.h, first.c);
  expect_close(concat({first.output, second.output}, 1), whole.output);
  expect_close(second.c, whole.c);
}

TEST(Recurrent, ALayerIsItsCellStepByStep) {
  manual_seed(2);
  const GRU gru(3, 4, {.dtype = DType::f64});
  GRUCell cell(3, 4, {.dtype = DType::f64});
  const NamedTensors weights = gru.named_parameters();
  cell.weight_ih = weights[0].second, cell.weight_hh = weights[1].second;
  cell.bias_ih = weights[2].second, cell.bias_hh = weights[3].second;
  const Tensor x = randn({2, 3, 3}, DType::f64);
  Tensor h = zeros({2, 4}, DType::f64);
  for (Index t = 0; t < 3; ++t) h = cell(reshape(slice(x, 1, t, t + 1), {2, 3}), h);
  expect_close(h, reshape(gru.run(x).h, {2, 4}));
}

TEST(Recurrent, ACellWithoutAStateStartsFromZeros) {
  manual_seed(2);
  const Tensor x = randn({2, 3}), zero = zeros({2, 4});
  const RNNCell rnn(3, 4);
  const GRUCell gru(3, 4);
  const LSTMCell lstm(3, 4);
  EXPECT_EQ(rnn(x).to_vector(), rnn(x, zero).to_vector());
  EXPECT_EQ(gru(x).to_vector(), gru(x, zero).to_vector());
  const LSTMState from_nothing = lstm(x), from_zeros = lstm(x, {zero, zero});
  EXPECT_EQ(from_nothing.h.to_vector(), from_zeros.h.to_vector());
  EXPECT_EQ(from_nothing.c.to_vector(), from_zeros.c.to_vector());
}

TEST(Recurrent, GradientsAgreeWithDifferences) {
  manual_seed(4);
  const Tensor x = randn({2, 3, 2}, DType::f64);
  const RNN rnn(2, 3);
  const GRU gru(2, 3, {.bidirectional = true});
  const LSTM lstm(2, 3, {.num_layers = 2});
  for (const Recurrent* net : std::initializer_list<const Recurrent*>{&rnn, &gru, &lstm}) {
    EXPECT_TRUE(gradcheck(*net, [&] { return (*net)(x); }));
  }
}

TEST(Recurrent, DropsBetweenLayersInTrainingOnly) {
  manual_seed(4);
  RNN rnn(2, 3, {.num_layers = 2, .dropout = 0.5});
  const Tensor x = randn({2, 3, 2});
  EXPECT_NE(rnn(x).to_vector(), rnn(x).to_vector());
  rnn.eval();
  EXPECT_EQ(rnn(x).to_vector(), rnn(x).to_vector());
}

TEST(Positions, ARotationKeepsLengthsAndDependsOnDistance) {
  const RotaryPositions rotary(4);
  const Tensor q = randn({1, 4}, DType::f64), k = randn({1, 4}, DType::f64);
  const auto product = [&](Index i, Index j) { return sum(rotary(q, i) * rotary(k, j)).item(); };
  EXPECT_NEAR(product(3, 1), product(12, 10), 1e-12);
  EXPECT_GT(std::abs(product(3, 1) - product(3, 2)), 1e-6);
  EXPECT_NEAR(sum(rotary(q, 9) * rotary(q, 9)).item(), sum(q * q).item(), 1e-12);
}

}  // namespace
}  // namespace gradus::nn
