// Recurrent layers: PyTorch's names, state that carries on, directions. Their values are PyTorch's in tests/reference.
#include <cmath>

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

template <class Net>
void expect_padded_equals_single(const Net& net) {
  const Tensor x = randn({3, 5, 2}, DType::f64);
  const std::vector<Index> lengths{2, 5, 1};
  const Index states = net.run(x).h.size(0);
  const Tensor h = randn({states, 3, 3}, DType::f64),
               c = net.run(x).c.defined() ? randn(h.shape(), DType::f64) : Tensor();
  const RecurrentResult all = net.run_padded(x, lengths, h, c);
  for (Index i = 0; i < 3; ++i) {
    const Index length = lengths[static_cast<std::size_t>(i)];
    const auto state = [&](const Tensor& given) { return given.defined() ? slice(given, 1, i, i + 1) : given; };
    const Tensor alone = slice(slice(x, 0, i, i + 1), 1, 0, length);
    const RecurrentResult one = net.run(alone, state(h), state(c));
    const Tensor row = slice(all.output, 0, i, i + 1);
    expect_close(slice(row, 1, 0, length), one.output);
    if (length < 5) expect_close(slice(row, 1, length, 5), zeros({1, 5 - length, row.size(2)}, DType::f64));
    expect_close(state(all.h), one.h);
    if (c.defined()) expect_close(state(all.c), one.c);
  }
}

TEST(Recurrent, APaddedSequenceIsTheSequenceAlone) {
  manual_seed(5);
  expect_padded_equals_single(RNN(2, 3, {.dtype = DType::f64}));
  expect_padded_equals_single(GRU(2, 3, {.num_layers = 2, .bidirectional = true, .dtype = DType::f64}));
  expect_padded_equals_single(LSTM(2, 3, {.num_layers = 2, .bidirectional = true, .dtype = DType::f64}));
}

TEST(Recurrent, PaddingIsNotRead) {
  manual_seed(6);
  const GRU gru(2, 3, {.bidirectional = true});
  const Tensor x = concat({randn({1, 2, 2}), full({1, 1, 2}, std::nan(""))}, 1);
  const std::vector<Index> lengths{2};
  const RecurrentResult result = gru.run_padded(x, lengths);
  sum(result.output).backward();
  EXPECT_TRUE(std::isfinite(sum(result.h).item()));
  for (const Tensor& weight : gru.parameters()) EXPECT_TRUE(std::isfinite(sum(weight.grad()).item()));
}

TEST(Recurrent, FullLengthsAreNoPadding) {
  manual_seed(7);
  const LSTM lstm(2, 3);
  const Tensor x = randn({2, 4, 2});
  EXPECT_EQ(lstm.run_padded(x, std::vector<Index>{4, 4}).output.to_vector(), lstm(x).to_vector());
}

TEST(Recurrent, PaddedGradientsAgreeWithDifferences) {
  manual_seed(8);
  const LSTM lstm(2, 3, {.bidirectional = true});
  const Tensor x = randn({2, 3, 2}, DType::f64);
  EXPECT_TRUE(gradcheck(lstm, [&] {
    const RecurrentResult result = lstm.run_padded(x, std::vector<Index>{3, 1});
    return sum(result.output) + sum(square(result.h)) + sum(result.c);
  }));
}

TEST(Recurrent, WrongLengthsSaySo) {
  const GRU gru(2, 3);
  const Tensor x = ones({2, 4, 2});
  const auto error = [&](const std::vector<Index>& lengths) {
    return testing::error_of([&] { gru.run_padded(x, lengths); });
  };
  testing::expect_contains(error({4}), "GRU: 1 lengths came for x (2, 4, 2); give one for each of the 2 sequences");
  testing::expect_contains(error({4, 5}), "GRU: a length of 5 came for x (2, 4, 2); lengths must be from 1 to 4");
  testing::expect_contains(error({0, 4}), "a length of 0");
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
