// What the rows of the op table do not show of ops that are composed of others: results without a gradient, ids, values
// at corners, random ones.
#include <cmath>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

using Values = std::vector<double>;

TEST(Composed, MasksOfCorners) {
  const Tensor x = tensor({-inf, -1, -0.0, 0, 2, inf, nan});
  EXPECT_EQ(signbit(x).to_vector(), (Values{1, 1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(isposinf(x).to_vector(), (Values{0, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(isneginf(x).to_vector(), (Values{1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(heaviside(x, full_like(x, 0.5)).to_vector(), (Values{0, 0, 0.5, 0.5, 1, 1, 0}));
  EXPECT_EQ(nan_to_num(x, 3, 9, -9).to_vector(), (Values{-9, -1, 0, 0, 2, 9, 3}));
  EXPECT_EQ(isin(x, tensor({2, -1})).to_vector(), (Values{0, 1, 0, 0, 1, 0, 0}));
}

TEST(Composed, Closeness) {
  const Tensor a = tensor({1, inf, inf, nan, 1}), b = tensor({1.000001, inf, 1, nan, 1.1});
  EXPECT_EQ(isclose(a, b).to_vector(), (Values{1, 1, 0, 0, 0}));
  EXPECT_EQ(isclose(a, b, 1e-5, 1e-8, true).to_vector(), (Values{1, 1, 0, 1, 0}));
  EXPECT_TRUE(allclose(slice(a, 0, 0, 2), slice(b, 0, 0, 2)));
  EXPECT_FALSE(allclose(a, b));
  EXPECT_TRUE(equal(ones({2}), ones({2})));
  EXPECT_FALSE(equal(ones({2}), ones({1, 2})));
  EXPECT_FALSE(equal(ones({2}), zeros({2})));
}

TEST(Composed, NumberWinsOverNaN) {
  const Tensor a = tensor({1, nan, nan}), b = tensor({nan, 2, nan});
  EXPECT_EQ(slice(fmax(a, b), 0, 0, 2).to_vector(), (Values{1, 2}));
  EXPECT_EQ(slice(fmin(a, b), 0, 0, 2).to_vector(), (Values{1, 2}));
  EXPECT_TRUE(std::isnan(fmax(a, b).to_vector()[2]));
  EXPECT_EQ(nansum(tensor({1, nan, 4})).item(), 5);
  EXPECT_EQ(nanmean(tensor({1, nan, 4})).item(), 2.5);
  EXPECT_TRUE(std::isnan(quantile(tensor({1, nan, 4}), 0).item()));
}

TEST(Composed, FloorDivideAndXlogyAtZero) {
  EXPECT_EQ(floor_divide(tensor({-7, 7}), tensor({2, 2})).to_vector(), (Values{-4, 3}));
  Tensor x = tensor({0, 0, 2}), y = tensor({0, -1, 1});
  x.requires_grad(true);
  const Tensor z = xlogy(x, y);
  EXPECT_EQ(z.to_vector(), (Values{0, 0, 0}));
  sum(z).backward();
  EXPECT_EQ(x.grad().to_vector(), (Values{0, 0, 0}));
}

TEST(Composed, PlacesAreIds) {
  const Tensor x = tensor({{3, 1, 3}, {0, 5, 0}});
  EXPECT_EQ(nonzero(x), Ids({0, 0, 0, 1, 0, 2, 1, 1}, {4, 2}));
  EXPECT_EQ(kthvalue(x, 2).indices, (Ids{0, 2}));
  EXPECT_EQ(mode(x).values.to_vector(), (Values{3, 0}));
  EXPECT_EQ(cummax(x, 1).indices, Ids({0, 0, 2, 0, 1, 1}, {2, 3}));
  EXPECT_EQ(cummin(x, 1).indices, Ids({0, 1, 1, 0, 0, 2}, {2, 3}));
  EXPECT_EQ(tril_indices(2, 3), Ids({0, 1, 1, 0, 0, 1}, {2, 3}));
  EXPECT_EQ(triu_indices(2, 3, 1), Ids({0, 0, 1, 1, 2, 2}, {2, 3}));
}

TEST(Composed, CountsAndOrder) {
  const Tensor x = tensor({2, 1, 1, 4, 2, 2});
  EXPECT_EQ(unique(x).to_vector(), (Values{1, 2, 4}));
  EXPECT_EQ(unique_consecutive(x).to_vector(), (Values{2, 1, 4, 2}));
  EXPECT_EQ(bincount({1, 3, 1}, 5), (Ids{0, 2, 0, 1, 0}));
  EXPECT_EQ(searchsorted(tensor({1, 2, 4}), tensor({2, 3})), (Ids{1, 2}));
  EXPECT_EQ(bucketize(tensor({2, 3}), tensor({1, 2, 4}), true), (Ids{2, 2}));
  EXPECT_EQ(histc(x, 3, 1, 4).to_vector(), (Values{2, 3, 1}));
  EXPECT_EQ(histc(x, 3).to_vector(), (Values{2, 3, 1}));
}

TEST(Composed, PairsOfResults) {
  const Tensor x = tensor({{1, 3}, {2, 6}});
  const auto [variance, mean_of] = var_mean(x, 1);
  EXPECT_EQ(variance.to_vector(), (Values{2, 8}));
  EXPECT_EQ(mean_of.to_vector(), (Values{2, 4}));
  EXPECT_NEAR(std_mean(x, 1).first.to_vector()[1], std::sqrt(8.0), 1e-6);
  EXPECT_EQ(aminmax(x, 0).first.to_vector(), (Values{1, 3}));
  EXPECT_EQ(aminmax(x, 0).second.to_vector(), (Values{2, 6}));
}

TEST(Composed, SplitsAndWindows) {
  EXPECT_EQ(vsplit(tensor({{1, 2}, {3, 4}}), 2)[1].to_vector(), (Values{3, 4}));
  EXPECT_EQ(dsplit(ones({1, 2, 4}), 2)[0].shape(), (Shape{1, 2, 2}));
  EXPECT_EQ(bartlett_window(4).to_vector(), (Values{0, 0.5, 1, 0.5}));
  EXPECT_NEAR(hann_window(4).to_vector()[1], 0.5, 1e-6);
  EXPECT_NEAR(hamming_window(4, false).to_vector()[0], 0.08, 1e-6);
  EXPECT_NEAR(blackman_window(4).to_vector()[2], 1, 1e-6);
  EXPECT_NEAR(logspace(0, 2, 3).to_vector()[2], 100, 1e-4);
  EXPECT_EQ(matrix_power(full({2, 2}, 3), 0).to_vector(), (Values{1, 0, 0, 1}));
}

TEST(Composed, NoiseKeepsMeanAndUnits) {
  manual_seed(3);
  const Tensor channels = dropout2d(ones({10, 20, 2, 2}), 0.5);
  for (Index i = 0; i < 200; ++i) {
    const Values own = select(reshape(channels, {200, 4}), 0, i).to_vector();
    EXPECT_TRUE(own[0] == 0 || own[0] == 2);
    for (const double value : own) EXPECT_EQ(value, own[0]);
  }
  EXPECT_TRUE(equal(dropout1d(channels, 0.5, false), channels));
  const Tensor x = randn({100000}), y = alpha_dropout(x, 0.3, true);
  EXPECT_NEAR(mean(y).item(), 0, 0.02);
  EXPECT_NEAR(var(y).item(), 1, 0.03);
  EXPECT_TRUE(equal(alpha_dropout(x, 0.3), x));
  const Tensor channel = select(reshape(feature_alpha_dropout(zeros({10, 20, 4}), 0.5, true), {200, 4}), 0, 0);
  EXPECT_EQ(channel.to_vector()[0], channel.to_vector()[3]);
  const Tensor drawn = rrelu(full({1000}, -1), 0.1, 0.3, true);
  EXPECT_GE(min(drawn).item(), -0.3001);
  EXPECT_LE(max(drawn).item(), -0.0999);
  EXPECT_NEAR(mean(normal(full({10000}, 2), full({10000}, 0.1))).item(), 2, 0.01);
}

TEST(Composed, GumbelSoftmaxDrawsFromTheLogits) {
  manual_seed(5);
  Tensor logits = broadcast_to(log(tensor({0.2, 0.8})), {10000, 2});
  const Tensor soft = gumbel_softmax(logits), hard = gumbel_softmax(logits, 1, true);
  EXPECT_NEAR(sum(soft).item(), 10000, 0.1);
  EXPECT_NEAR(mean(select(hard, 1, 1)).item(), 0.8, 0.02);
  for (const double value : hard.to_vector()) EXPECT_TRUE(std::abs(value) < 1e-6 || std::abs(value - 1) < 1e-6);
}

}  // namespace
}  // namespace gradus::testing
