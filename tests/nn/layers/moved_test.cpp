// What was moved away from, and default-made iterators and states: use of them throws, or works; it never crashes. And
// sizes near the ends of what an Index holds, given to modules.
#include <gradus/gradus.h>

#include <limits>

#include "../support.h"

namespace gradus::nn {
namespace {

using gradus::testing::error_if_any;
using gradus::testing::error_of;

// The error of calling what is left of `object` after a move, "" if it works.
template <class Object, class F>
std::string error_after_move(Object object, F call) {
  const Object taken = std::move(object);
  return error_if_any([&] { call(object); });  // NOLINT(bugprone-use-after-move): what is tested
}

template <class Object>
std::string error_after_move(Object object, const Tensor& x) {
  return error_after_move(std::move(object), [&](const auto& left) { left(x); });
}

TEST(MovedFrom, ModulesWithParametersThrow) {
  const Tensor rows = ones({2, 4}), sequence = ones({2, 3, 4}), image = ones({1, 2, 5, 5}), series = ones({1, 2, 5});
  const std::vector<std::int32_t> ids{0, 1};
  EXPECT_NE(error_after_move(Linear(4, 3), rows), "");
  EXPECT_NE(error_after_move(MLP(4), rows), "");
  EXPECT_NE(error_after_move(Embedding(3, 2), [&](const auto& left) { left(ids); }), "");
  EXPECT_NE(error_after_move(Conv1d(2, 3, 2), series), "");
  EXPECT_NE(error_after_move(Conv2d(2, 3, 2), image), "");
  EXPECT_NE(error_after_move(ConvTranspose1d(2, 3, 2), series), "");
  EXPECT_NE(error_after_move(ConvTranspose2d(2, 3, 2), image), "");
  EXPECT_NE(error_after_move(BatchNorm1d(4), rows), "");
  EXPECT_NE(error_after_move(BatchNorm2d(2), image), "");
  EXPECT_NE(error_after_move(CausalSelfAttention(4, 2), sequence), "");
  EXPECT_NE(error_after_move(MultiHeadAttention(4, 2), sequence), "");
  EXPECT_NE(error_after_move(LearnedPositions(3, 4), sequence), "");
  EXPECT_NE(error_after_move(RNNCell(4, 3), rows), "");
  EXPECT_NE(error_after_move(GRUCell(4, 3), rows), "");
  EXPECT_NE(error_after_move(LSTMCell(4, 3), rows), "");
  EXPECT_EQ(error_after_move(RNN(4, 3), sequence), "RNN: its weights were moved to another one; use that one");
  EXPECT_EQ(error_after_move(GRU(4, 3, {.num_layers = 2, .bidirectional = true}), sequence),
            "GRU: its weights were moved to another one; use that one");
  EXPECT_EQ(error_after_move(LSTM(4, 3), sequence), "LSTM: its weights were moved to another one; use that one");
}

TEST(MovedFrom, ModulesCanBeWalkedThrough) {
  const auto walk = [](auto& left) {
    left.train();
    left.zero_grad();
    left.to(DType::f64);
    EXPECT_EQ(left.num_parameters(), 0);
    EXPECT_TRUE(left.named_state().empty());
    summary(left);
  };
  EXPECT_EQ(error_after_move(GRU(4, 3), walk), "");
  EXPECT_EQ(error_after_move(LayerNorm(4), walk), "");
  EXPECT_EQ(error_after_move(Sequential{Linear(4, 3), Tanh()}, walk), "");
  EXPECT_EQ(error_after_move(MultiHeadAttention(4, 2), walk), "");
  EXPECT_EQ(error_after_move(Sequential{Linear(4, 3)}, [](auto& left) { EXPECT_EQ(left.size(), 0); }), "");
}

TEST(MovedFrom, OptimizersAveragesAndLoadersDoNotCrash) {
  const Linear layer(2, 2);
  const auto work = [](auto& left) {
    left.step();
    left.zero_grad();
    left.set_state(left.state());
  };
  EXPECT_EQ(error_after_move(optim::SGD(layer.parameters(), {.momentum = 0.9}), work), "");
  EXPECT_EQ(error_after_move(optim::AdamW(layer.parameters()), work), "");
  EXPECT_EQ(error_after_move(EMA(layer), [](auto& left) { left.update(), left.swap(); }), "");
  const DataLoader loader({ones({5, 2})}, {.batch_size = 2});
  const std::string moved = "DataLoader: its examples were moved to another one; use that one";
  EXPECT_EQ(error_after_move(loader, [](auto& left) { left.begin(); }), moved);
  EXPECT_EQ(error_after_move(loader, [](auto& left) { left.rows({0}); }), moved);
}

TEST(DataLoader, ABatchPastTheEndThrows) {
  DataLoader loader({ones({5, 2})}, {.batch_size = 2});
  EXPECT_EQ(error_of([&] { *loader.end(); }), "DataLoader: batch 3 was asked for, but an epoch has 3; stop at end()");
  EXPECT_NE(error_of([] { *DataLoader::Iterator(); }), "");
  EXPECT_EQ((*loader.begin()).size(), 2);
}

TEST(Sizes, NearTheEndOfAnIndexEndInAnError) {
  constexpr Index most = std::numeric_limits<Index>::max();
  for (const Index n : {Index{1} << 61, Index{1} << 62, most - 1, most}) {
    EXPECT_NE(error_of([&] { Linear(n, n); }), "");
    EXPECT_NE(error_of([&] { MLP{n}; }), "");
    EXPECT_NE(error_of([&] { CausalSelfAttention(n, 1); }), "");
    EXPECT_NE(error_of([&] { RNNCell(1, n); }), "");
    EXPECT_NE(error_of([&] { LSTMCell(1, n); }), "");
    EXPECT_NE(error_of([&] { GRU(1, n, {.bidirectional = true}); }), "");
    EXPECT_NE(error_of([&] { LSTM(n, 1); }), "");
    EXPECT_NE(error_of([&] { Conv2d(n, 1, 3); }), "");
    EXPECT_NE(error_of([&] { Conv2d(1, 1, n); }), "");
    EXPECT_NE(error_of([&] { Conv1d(1, 1, n); }), "");
    EXPECT_NE(error_of([&] { Embedding(n, 2); }), "");
    EXPECT_NE(error_of([&] { LearnedPositions(n, 2); }), "");
    EXPECT_NE(error_of([&] { BatchNorm2d{n}; }), "");
    EXPECT_NE(error_of([&] { Conv2d(1, 1, 2, {.padding = n})(ones({1, 1, 4, 4})); }), "");
    EXPECT_NE(error_of([&] { MaxPool2d{n}(ones({1, 1, 4, 4})); }), "");
    if (n == most) {
      EXPECT_NE(error_of([&] { RotaryPositions{2}(ones({3, 2}), n - 1); }), "");
    }
    EXPECT_EQ(DataLoader({ones({5, 2})}, {.batch_size = n}).size(), 1);
    EXPECT_EQ(DataLoader({ones({5, 2})}, {.batch_size = n, .drop_last = true}).size(), 0);
  }
}

}  // namespace
}  // namespace gradus::nn
