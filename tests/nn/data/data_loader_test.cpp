// Batches of any dataset: what examples may be, how they are stacked, and workers, which must change nothing.
#include <gradus/nn/data/data_loader.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_contains;
using Ids = std::vector<std::int32_t>;

// get(i) is what `f` makes of i.
template <class F>
struct Made {
  Index count;
  F f;
  Index size() const { return count; }
  auto get(Index i) const { return f(i); }
};
template <class F>
Made(Index, F) -> Made<F>;

Tensor point(Index i) {
  return tensor({static_cast<double>(i), static_cast<double>(i) / 2});
}

struct Sample {
  Tensor image;
  std::int32_t label;
  std::vector<std::int32_t> words;
  double weight;
};

template <class D>
Batch first_batch(D dataset, Index batch_size = 2) {
  DataLoader loader(std::move(dataset), {.batch_size = batch_size});
  return *loader.begin();
}

TEST(Dataset, ExamplesOfEveryKindAreStacked) {
  const Batch one = first_batch(Made{3, point});
  EXPECT_EQ(one[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(bits(one[0]), bits({0, 0, 1, 0.5}));
  EXPECT_TRUE(one.labels.empty());

  const Batch two = first_batch(Made{3, [](Index i) { return std::pair(point(i), i + 5); }});
  EXPECT_EQ(two[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(two.labels, (Ids{5, 6}));

  const Batch many =
      first_batch(Made{3, [](Index i) {
                         return std::tuple(Ids{1, 2, static_cast<std::int32_t>(i)}, point(i), 0.5F, Ids{9});
                       }});
  EXPECT_EQ(many.ids(0), (Ids{1, 2, 0, 1, 2, 1}));
  EXPECT_EQ(many.ids(1), (Ids{9, 9}));
  EXPECT_EQ(many[1].shape(), (Shape{2}));
  EXPECT_EQ(many[1].dtype(), DType::f32);

  const Batch fields = first_batch(Made{3, [](Index i) { return Sample{point(i), 7, {1, 2}, 2.5}; }});
  EXPECT_EQ(fields[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(fields.labels, (Ids{7, 7}));
  EXPECT_EQ(fields.ids(1), (Ids{1, 2, 1, 2}));
  EXPECT_EQ(fields[1].dtype(), DType::f64);

  const Batch list = first_batch(Made{3, [](Index i) { return std::vector{point(i), point(i + 1)}; }});
  EXPECT_EQ(list.tensors.size(), 2U);
  EXPECT_EQ(first_batch(Made{3, [](Index) { return std::vector{1.5, 2.5, 3.5}; }})[0].shape(), (Shape{2, 3}));
  EXPECT_EQ(first_batch(Made{3, [](Index i) { return static_cast<std::size_t>(i); }}).labels, (Ids{0, 1}));
}

TEST(Dataset, ExamplesThatDoNotFitAreAnError) {
  const auto error = [](auto f) { return error_of([&] { first_batch(Made{3, f}); }); };
  expect_contains(error([](Index i) { return ones({i + 1}); }), "tensor 0 is (1) in f32 in example 0, but (2) in f32");
  expect_contains(error([](Index i) { return ones({1}, i == 0 ? DType::f32 : DType::f64); }),
                  "(1) in f64 in example 1");
  expect_contains(error([](Index i) { return std::vector(static_cast<std::size_t>(i), point(i)); }),
                  "example 0 has 0 tensors and 0 ids, and example 1 has 1 and 0");
  expect_contains(error([](Index i) { return Ids(static_cast<std::size_t>(i)); }),
                  "example 0 has 0 ids and example 1 has 1");
  expect_contains(error([](Index) { return Index{1} << 31; }), "2147483648 is no id");
  expect_contains(error([](Index) { return Tensor(); }), "DataLoader: tensor 1 is undefined");
  const auto with = [](DataLoaderOptions options) { return error_of([&] { DataLoader(Made{3, point}, options); }); };
  expect_contains(with({.batch_size = 0}), "batches of 0");
  expect_contains(with({.workers = -1}), "workers is -1");
  expect_contains(with({.prefetch = 0}), "prefetch is 0");
  expect_contains(error_of([] { DataLoader(Made{-1, point}); }), "the dataset's size is -1");
}

TEST(Dataset, TensorsAndSubsets) {
  TensorDataset all({reshape(arange(8), {4, 2})}, {3, 2, 1, 0});
  EXPECT_EQ(all.get(2).tensors[0].shape(), (Shape{2}));
  Subset some(std::ref(all), {3, 1});
  EXPECT_EQ(some.size(), 2);
  const Batch batch = first_batch(some);
  EXPECT_EQ(bits(batch[0]), bits({6, 7, 2, 3}));
  EXPECT_EQ(batch.labels, (Ids{0, 2}));
  EXPECT_EQ(batch.rows, (std::vector<Index>{0, 1}));
  expect_contains(error_of([&] { Subset(std::ref(all), {4}); }), "there is no example 4 among 4");
  expect_contains(error_of([&] { all.get(4); }), "there is no row 4 among 4");
  expect_contains(error_of([] { TensorDataset({ones({2}), ones({3})}); }), "TensorDataset: (2) and (3) must have");
}

TEST(DataLoader, ATransformChangesEachExample) {
  DataLoader loader(TensorDataset({arange(4)}), {.batch_size = 4},
                    [](const Example& x) { return std::pair(x.tensors[0] * 10, 1); });
  const Batch batch = *loader.begin();
  EXPECT_EQ(bits(batch[0]), bits({0, 10, 20, 30}));
  EXPECT_EQ(batch.labels, (Ids{1, 1, 1, 1}));
}

// Everything that a loop sees in two epochs.
std::vector<std::vector<std::uint64_t>> seen(DataLoader loader) {
  std::vector<std::vector<std::uint64_t>> all;
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (const Batch& batch : loader) {
      for (const Tensor& x : batch.tensors) all.push_back(bits(x));
      all.emplace_back(batch.labels.begin(), batch.labels.end());
      all.emplace_back(batch.rows.begin(), batch.rows.end());
    }
  }
  return all;
}

TEST(DataLoader, WorkersChangeNeitherOrderNorBits) {
  const TensorDataset dataset({randn({20, 2}, DType::f64)}, Ids(20, 4));
  const auto with = [&](int workers, Index prefetch, auto... transform) {
    const DataLoaderOptions options{
        .batch_size = 3, .shuffle = true, .seed = 5, .workers = workers, .prefetch = prefetch};
    return seen(DataLoader(dataset, options, transform...));
  };
  const auto noisy = [](Example x, Generator& generator) {
    x.tensors[0] = x.tensors[0] + generator.normal();
    return x;
  };
  const auto plain = with(0, 2), noise = with(0, 2, noisy);
  EXPECT_EQ(plain.size(), 42U);
  EXPECT_NE(plain, noise);
  const auto in_order = seen(DataLoader(dataset, {.batch_size = 20, .seed = 5}, noisy));
  EXPECT_NE(in_order[0], in_order[3]);  // the first batch of each epoch
  for (const int workers : {1, 2, 4}) {
    for (const Index prefetch : {1, 3, 1000}) {
      EXPECT_EQ(with(workers, prefetch), plain);
      EXPECT_EQ(with(workers, prefetch, noisy), noise);
    }
  }
  const DataLoaderOptions options{.batch_size = 3, .shuffle = true, .seed = 5, .workers = 2};
  DataLoaderOptions alone = options;
  alone.workers = 0;
  EXPECT_EQ(seen(DataLoader({arange(9)}, Ids(9, 1), options)), seen(DataLoader({arange(9)}, Ids(9, 1), alone)));
}

TEST(DataLoader, WithoutASeedTheDefaultGeneratorDraws) {
  const auto rows = [](int workers) {
    manual_seed(3);
    DataLoader loader({arange(30)}, {.batch_size = 30, .shuffle = true, .workers = workers});
    return (*loader.begin()).rows;
  };
  manual_seed(3);
  EXPECT_EQ(rows(0), randperm(30));
  EXPECT_EQ(rows(2), rows(0));
}

TEST(DataLoader, WorkersStayWithinTheirBounds) {
  std::atomic<Index> made{0};
  const Made dataset{100, [&](Index i) {
                       ++made;
                       return point(i);
                     }};
  DataLoader loader(dataset, {.workers = 2, .prefetch = 3});
  auto at = loader.begin();
  for (Index taken = 0; taken < 5; ++taken, ++at) EXPECT_EQ(bits((*at)[0]), bits(point(taken)));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(made, 5 + 6);
  for (int i = 0; i < 50; ++i) ++at;  // what the loop skips is not made
  EXPECT_EQ(bits((*at)[0]), bits(point(55)));
  EXPECT_LE(made, 5 + 6 + 1 + 6);
}

TEST(DataLoader, WhatAWorkerThrowsComesOutOfTheLoop) {
  const Made dataset{10, [](Index i) {
                       if (i == 6) throw std::out_of_range("no picture 6");
                       return point(i);
                     }};
  for (const int workers : {0, 1, 3}) {
    DataLoader loader(dataset, {.workers = workers});
    for (int epoch = 0; epoch < 2; ++epoch) {
      Index taken = 0;
      std::string what;
      try {
        for (const Batch& batch : loader) taken += batch.size();
      } catch (const std::out_of_range& error) {
        what = error.what();
      }
      EXPECT_EQ(taken, 6);
      EXPECT_EQ(what, "no picture 6");
    }
    // The batches after it are there.
    auto at = loader.begin();
    for (Index i = 0; i < 7; ++i) ++at;
    EXPECT_EQ(bits((*at)[0]), bits(point(7)));
  }
}

TEST(DataLoader, ALoopMayEndEarlySkipAndLookTwice) {
  const DataLoaderOptions options{.workers = 2, .prefetch = 2};
  DataLoader loader(Made{50, point}, options);
  for (int epoch = 0; epoch < 20; ++epoch) {
    for (const Batch& batch : loader) {
      if (batch.rows[0] == 3) break;
    }
  }
  auto at = loader.begin();
  EXPECT_EQ(bits((*at)[0]), bits((*at)[0]));
  for (int i = 0; i < 30; ++i) ++at;
  EXPECT_EQ(bits((*at)[0]), bits(point(30)));
  EXPECT_EQ(bits((*loader.begin())[0]), bits(point(0)));
  { const DataLoader unused(Made{50, point}, options); }
  DataLoader copy = loader;
  EXPECT_EQ(bits((*copy.begin())[0]), bits((*loader.begin())[0]));
  EXPECT_EQ(seen(DataLoader(Made{0, point}, options)).size(), 0U);
}

TEST(DataLoader, BatchesHaveNoHistory) {
  Tensor x = ones({4, 2});
  x.requires_grad(true);
  for (const int workers : {0, 1}) {
    std::atomic<bool> recorded{false};
    const Made dataset{4, [&](Index i) {
                         Tensor y = x * static_cast<double>(i);
                         if (y.requires_grad()) recorded = true;
                         return y;
                       }};
    DataLoader loader(dataset, {.workers = workers});
    for (const Batch& batch : loader) EXPECT_FALSE(batch[0].requires_grad());
    EXPECT_FALSE(recorded);
  }
}

TEST(DataLoader, SharedDatasetsAreNotCopied) {
  struct Counting {
    int calls = 0;
    Index size() const { return 3; }
    Tensor get(Index i) {
      ++calls;
      return point(i);
    }
  } dataset;
  DataLoader loader(std::ref(dataset));
  for (const Batch& batch : loader) EXPECT_EQ(batch.size(), 1);
  EXPECT_EQ(dataset.calls, 3);
}

}  // namespace
}  // namespace gradus::nn
