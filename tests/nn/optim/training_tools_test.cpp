// What a training loop holds besides a model: batches, metrics, averages, a rate that follows the loss.
#include <gradus/nn/data/data_loader.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/metrics.h>
#include <gradus/nn/optim/ema.h>
#include <gradus/nn/optim/plateau.h>
#include <gradus/nn/optim/rmsprop.h>

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::error_of;
using testing::expect_close;

using Ids = std::vector<std::int32_t>;

TEST(DataLoader, EachEpochHasEachRowOnce) {
  const Tensor x = reshape(arange(14), {7, 2}), y = arange(7, DType::f64);
  DataLoader loader({x, y}, {0, 1, 2, 3, 4, 5, 6}, {.batch_size = 3, .shuffle = true, .seed = 4});
  EXPECT_EQ(loader.size(), 3);
  std::vector<std::vector<Index>> epochs;
  for (int epoch = 0; epoch < 2; ++epoch) {
    epochs.emplace_back();
    for (const Batch& batch : loader) {
      for (std::size_t i = 0; i < batch.rows.size(); ++i) {
        const Index row = batch.rows[i];
        EXPECT_EQ(batch.labels[i], row);
        EXPECT_EQ(batch[0].data<float>()[2 * i + 1], static_cast<float>(2 * row + 1));
        EXPECT_EQ(batch[1].data<double>()[i], static_cast<double>(row));
        epochs.back().push_back(row);
      }
    }
  }
  EXPECT_NE(epochs[0], epochs[1]);
  std::ranges::sort(epochs[0]);
  EXPECT_EQ(epochs[0], (std::vector<Index>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(DataLoader, TheLastBatchIsSmallerOrLeftOut) {
  DataLoader all({arange(7)}, {.batch_size = 3}), whole({arange(7)}, {.batch_size = 3, .drop_last = true});
  std::vector<Index> sizes;
  for (const Batch& batch : all) sizes.push_back(batch.size());
  EXPECT_EQ(sizes, (std::vector<Index>{3, 3, 1}));
  EXPECT_EQ(whole.size(), 2);
}

TEST(DataLoader, ItsIteratorsWorkWithAlgorithms) {
  static_assert(std::input_iterator<DataLoader::Iterator>);
  DataLoader loader({arange(7)}, {.batch_size = 3});
  const auto begin = loader.begin(), end = loader.end();
  EXPECT_EQ(std::distance(begin, end), 3);
  EXPECT_TRUE(std::ranges::any_of(begin, end, [](const Batch& batch) { return batch.size() == 1; }));
}

TEST(DataLoader, OneSeedIsOneOrder) {
  const auto order = [] {
    DataLoader loader({arange(50)}, {.batch_size = 50, .shuffle = true, .seed = 9});
    return (*loader.begin()).rows;
  };
  EXPECT_EQ(order(), order());
}

TEST(Metrics, Accuracy) {
  const Tensor logits = tensor({3, 1, 2, 0, 5, 5, 1, 2, 0, 0, 0, 0}, {4, 3});
  EXPECT_DOUBLE_EQ(accuracy(logits, Ids{0, 2, 1, -1}), 2.0 / 3);  // the second is a tie that index 1 wins
  EXPECT_DOUBLE_EQ(accuracy(logits, Ids{2, 2, 0, -1}, 2), 1);
  EXPECT_TRUE(std::isnan(accuracy(logits, Ids{-1, -1, -1, -1})));
  EXPECT_DOUBLE_EQ(binary_accuracy(tensor({1, -1, 2, -2}), tensor({1, 0, 0, 1})), 0.5);
  const double of_nothing = binary_accuracy(zeros({0}), zeros({0}));
  EXPECT_TRUE(std::isnan(of_nothing) && !std::signbit(of_nothing));
  EXPECT_DOUBLE_EQ(perplexity(0), 1);
}

// A NaN is the largest, as argmax has it, and never the right answer.
TEST(Metrics, OfNaNs) {
  const double nan = std::nan("");
  const Tensor logits = tensor({nan, 1, 2, 0, nan, 3, 4, 5, nan}, {3, 3});
  EXPECT_EQ(accuracy(logits, Ids{2, 2, 1}), 0);
  EXPECT_EQ(accuracy(logits, Ids{2, 2, 1}, 2), 1);
  expect_close(confusion_matrix(logits, Ids{2, 2, 1}), {0, 0, 0, 0, 0, 1, 1, 1, 0});
  EXPECT_EQ(binary_accuracy(tensor({nan, nan, 1}), tensor({0, 1, 1})), 1.0 / 3);
}

// scikit-learn's precision_recall_fscore_support of [0, 0, 1, 1, 2] and [0, 1, 1, 1, 0]
TEST(Metrics, ClassScores) {
  const Tensor logits = tensor({1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0}, {5, 3});
  const Tensor confusion = confusion_matrix(logits, Ids{0, 0, 1, 1, 2});
  expect_close(confusion, {1, 1, 0, 0, 2, 0, 1, 0, 0});
  const ClassScores scores = class_scores(confusion);
  EXPECT_THAT(scores.precision, ::testing::Pointwise(::testing::DoubleEq(), {0.5, 2.0 / 3, 0.0}));
  EXPECT_THAT(scores.recall, ::testing::Pointwise(::testing::DoubleEq(), {0.5, 1.0, 0.0}));
  EXPECT_THAT(scores.f1, ::testing::Pointwise(::testing::DoubleEq(), {0.5, 0.8, 0.0}));
  EXPECT_NEAR(scores.macro_f1, 1.3 / 3, 1e-15);
}

// scikit-learn's r2_score([3, -0.5, 2, 7], [2.5, 0, 2, 8])
TEST(Metrics, R2) {
  const Tensor target = tensor({3, -0.5, 2, 7}, DType::f64);
  EXPECT_NEAR(r2_score(tensor({2.5, 0, 2, 8}, DType::f64), target), 0.9486081370449679, 1e-15);
  EXPECT_EQ(r2_score(ones({2}), ones({2})), 1);
}

TEST(EMA, SwapsInAndBack) {
  const Linear model(1, 1, {.bias = false, .dtype = DType::f64});
  model.weight.fill_(1);
  EMA ema(model, 0.75);
  model.weight.fill_(5);
  ema.update();
  EXPECT_DOUBLE_EQ(ema.averages()[0].second.item(), 2);
  ema.swap();
  EXPECT_DOUBLE_EQ(model.weight.item(), 2);
  ema.swap();
  EXPECT_DOUBLE_EQ(model.weight.item(), 5);
}

TEST(Plateau, StateGoesOn) {
  const Tensor p = parameter(zeros({1}));
  optim::RMSprop a(std::vector<Tensor>{p}), b(std::vector<Tensor>{p});
  optim::ReduceLROnPlateau first(a, {.patience = 2}), second(b, {.patience = 2});
  for (const double loss : {1.0, 2.0, 2.0}) EXPECT_FALSE(first.step(loss));
  second.set_state(first.state());
  EXPECT_TRUE(second.step(2));
  EXPECT_DOUBLE_EQ(b.lr(), 0.001);
  EXPECT_DOUBLE_EQ(a.lr(), 0.01);
}

}  // namespace
}  // namespace gradus::nn
