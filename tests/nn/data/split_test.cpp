// Rows divided into parts, and columns brought to one scale.
#include <gradus/nn/data/split.h>

#include <gradus/nn/data/standardizer.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;
using Rows = std::vector<Index>;

Rows all_rows(Index n) {
  Rows rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

TEST(RandomSplit, PartsHaveEachRowOnce) {
  Generator generator(1), same(1);
  const std::vector<Rows> parts = random_split(103, {0.8, 0.1, 0.1}, generator);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].size(), 83U);  // 82.4, 10.3 and 10.3 rounded down leave one, which the first gets
  EXPECT_EQ(parts[1].size(), 10U);
  EXPECT_EQ(parts[2].size(), 10U);
  Rows rows;
  for (const Rows& part : parts) rows.insert(rows.end(), part.begin(), part.end());
  EXPECT_NE(rows, all_rows(103));
  std::ranges::sort(rows);
  EXPECT_EQ(rows, all_rows(103));
  EXPECT_EQ(random_split(103, {0.8, 0.1, 0.1}, same), parts);
  EXPECT_NE(random_split(103, {0.8, 0.1, 0.1}, same), parts);
  manual_seed(4);
  const std::vector<Rows> first = random_split(9, {1});
  manual_seed(4);
  EXPECT_EQ(random_split(9, {1}), first);
}

// As torch.utils.data.random_split(range(n), fractions) has it.
TEST(RandomSplit, SizesAreThoseOfPyTorch) {
  const auto sizes = [](Index n, const std::vector<double>& fractions) {
    std::vector<std::size_t> all;
    for (const Rows& part : random_split(n, fractions)) all.push_back(part.size());
    return all;
  };
  using Sizes = std::vector<std::size_t>;
  EXPECT_EQ(sizes(10, {0.25, 0.25, 0.25, 0.25}), (Sizes{3, 3, 2, 2}));
  EXPECT_EQ(sizes(3, {0.5, 0.5, 0}), (Sizes{2, 1, 0}));
  EXPECT_EQ(sizes(0, {0.5, 0.5}), (Sizes{0, 0}));
}

TEST(RandomSplit, Errors) {
  expect_contains(error_of([] { random_split(-1, {1}); }), "-1 rows");
  expect_contains(error_of([] { random_split(3, {}); }), "no fractions came");
  expect_contains(error_of([] { random_split(3, {1.5, -0.5}); }), "a fraction is 1.5");
  expect_contains(error_of([] { random_split(3, {std::nan(""), 1}); }), "a fraction is nan");
  expect_contains(error_of([] { random_split(3, {0.8, 0.1}); }), "sum to 0.9");
}

// As sklearn.model_selection.KFold(3).split(range(8)) has it.
TEST(KFold, InTheRowsOrder) {
  const std::vector<Fold> folds = k_fold(8, 3);
  ASSERT_EQ(folds.size(), 3U);
  EXPECT_EQ(folds[0].validation, (Rows{0, 1, 2}));
  EXPECT_EQ(folds[1].validation, (Rows{3, 4, 5}));
  EXPECT_EQ(folds[2].validation, (Rows{6, 7}));
  EXPECT_EQ(folds[0].train, (Rows{3, 4, 5, 6, 7}));
  EXPECT_EQ(folds[1].train, (Rows{0, 1, 2, 6, 7}));
  EXPECT_EQ(folds[2].train, (Rows{0, 1, 2, 3, 4, 5}));
}

TEST(KFold, InRandomOrder) {
  Generator generator(2);
  Rows validated;
  for (const Fold& fold : k_fold(10, 4, generator)) {
    validated.insert(validated.end(), fold.validation.begin(), fold.validation.end());
    Rows rows = fold.train;
    rows.insert(rows.end(), fold.validation.begin(), fold.validation.end());
    std::ranges::sort(rows);
    EXPECT_EQ(rows, all_rows(10));
  }
  EXPECT_NE(validated, all_rows(10));
  std::ranges::sort(validated);
  EXPECT_EQ(validated, all_rows(10));
  expect_contains(error_of([] { k_fold(5, 1); }), "k must be from 2");
  expect_contains(error_of([&] { k_fold(5, 6, generator); }), "6 parts of 5 rows");
}

// sklearn.preprocessing.StandardScaler().fit([[1, 10, 7], [2, 20, 7], [6, nan, 7]])
TEST(Standardizer, MeanAndDeviationOfColumns) {
  const double nan = std::nan("");
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = tensor({{1, 10, 7}, {2, 20, 7}, {6, nan, 7}}, dtype);
    const Standardizer scale(x);
    const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-15;
    expect_close(scale.mean, {3, 15, 7}, tolerance);
    expect_close(scale.std, {2.160246899469287, 5, 1}, tolerance);
    const Tensor y = scale.transform(x);
    EXPECT_EQ(y.dtype(), dtype);
    expect_close(y, {-0.9258200997725514, -1, 0, -0.4629100498862757, 1, 0, 1.3887301496588271, nan, 0}, tolerance);
    expect_close(scale.inverse(y), x, 10 * tolerance);
    EXPECT_EQ(scale.transform(zeros({2, 5, 3}, dtype)).shape(), (Shape{2, 5, 3}));
  }
}

// The mean of such a column is not exactly its value, so its sum of squares is not 0.
TEST(Standardizer, ConstantColumnsBecomeZeros) {
  const Tensor x = full({10, 1}, 0.1, DType::f64);
  const Standardizer scale(x);
  EXPECT_EQ(scale.std.item(), 1);
  expect_close(scale.transform(x), std::vector<double>(10, 0), 0);
  const Standardizer missing(full({2, 1}, std::nan("")));
  EXPECT_EQ(missing.mean.item(), 0);
  EXPECT_EQ(missing.std.item(), 1);
}

TEST(Standardizer, Errors) {
  expect_contains(error_of([] { Standardizer{Tensor()}; }), "Standardizer: tensor 1 is undefined");
  expect_contains(error_of([] { Standardizer{ones({3})}; }), "(3) came; (rows, columns) with at least one row");
  expect_contains(error_of([] { Standardizer{ones({0, 3})}; }), "(0, 3) came");
  const double infinity = std::numeric_limits<double>::infinity();
  expect_contains(error_of([&] { Standardizer{tensor({{1, 2}, {3, infinity}})}; }), "column 1 has inf in row 1");
  expect_contains(error_of([] {
                    Standardizer{tensor({{1e300}, {-1e300}}, DType::f64)};
                  }),
                  "column 0 has numbers too large");
  const Standardizer scale(ones({2, 3}));
  expect_contains(error_of([&] {
                    scale.transform(ones({2, 2}));
                  }),
                  "(2, 2) in f32 came, and it was fitted to 3 columns");
  expect_contains(error_of([&] { scale.inverse(ones({2, 3}, DType::f64)); }), "use the same columns and type");
  expect_contains(error_of([&] { scale.transform(tensor(1)); }), "() in f32 came");
}

}  // namespace
}  // namespace gradus::nn
