// Ids, and the ops that return them: their numbers go into other ops without a cast.
#include <gradus/core/ids.h>

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include <gradus/core/ops.h>

#include <gmock/gmock.h>

#include "../support.h"

namespace gradus {
namespace {

using List = std::vector<int>;
using testing::error_of;

TEST(Ids, ComeFromAnyWholeNumbers) {
  const std::vector<Index> wide{3, 1};
  const std::array<std::uint8_t, 2> narrow{3, 1};
  const std::int32_t plain[] = {3, 1};
  for (const Ids& ids : {Ids{3, 1}, Ids(wide), Ids(narrow), Ids(plain), Ids(std::vector<std::int32_t>{3, 1})}) {
    EXPECT_EQ(ids, (List{3, 1}));
    EXPECT_EQ(ids.shape(), Shape{2});
  }
  EXPECT_EQ(Ids(), Ids(std::vector<int>{}));
  EXPECT_THAT(error_of([] { Ids(std::vector<std::uint64_t>{1ULL << 63}); }), ::testing::HasSubstr("32 bits"));
}

TEST(Ids, ComeFromTensorsOfWholeNumbers) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    EXPECT_EQ(to_ids(tensor({{2, 0, 1}, {-1, 7, 3}}, dtype)), Ids({2, 0, 1, -1, 7, 3}, {2, 3}));
    for (const double wrong : {0.5, 2147483648.0, std::nan(""), HUGE_VAL}) {
      const Tensor x = tensor({1.0, wrong}, dtype);
      EXPECT_THAT(error_of([&] { to_ids(x); }), ::testing::HasSubstr("is no id")) << wrong;
    }
  }
  EXPECT_THAT(error_of([] { to_ids({}); }), ::testing::HasSubstr("to_ids"));
}

TEST(Ids, BecomeTensorsOfTheirShape) {
  const Ids ids({2, 0, 1, -1, 7, 3}, {2, 3});
  EXPECT_EQ(tensor(ids).shape(), (Shape{2, 3}));
  EXPECT_EQ(tensor(ids, DType::f64).dtype(), DType::f64);
  EXPECT_EQ(to_ids(tensor(ids)), ids);
}

TEST(Ids, HaveAShape) {
  const Ids ids({0, 1, 2, 3, 4, 5}, {2, 3});
  EXPECT_EQ(ids.reshape({3, -1}).shape(), (Shape{3, 2}));
  EXPECT_EQ(ids.unsqueeze(-1).shape(), (Shape{2, 3, 1}));
  EXPECT_NE(ids, ids.reshape(6));
  EXPECT_EQ(ids, (std::vector<Index>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(embedding(ones({6, 4}), ids).shape(), (Shape{2, 3, 4}));
  const std::vector<Index> copy = ids;
  EXPECT_EQ(copy.back(), 5);
}

TEST(Ids, OfOneOpGoIntoAnother) {
  const Tensor x = tensor({{0, 5, 2}, {7, 1, 3}});
  EXPECT_EQ(argmax(x), (List{1, 0}));
  EXPECT_EQ(argmin(x, 0), (List{0, 1, 0}));
  EXPECT_EQ(gather(x, 1, argmax(x).unsqueeze(1)).to_vector(), max(x, 1).to_vector());
  EXPECT_EQ(embedding(x, argmax(x)).shape(), (Shape{2, 3}));
  EXPECT_DOUBLE_EQ(cross_entropy(x, argmax(x)).item(), cross_entropy(x, {1, 0}).item());
  EXPECT_EQ(one_hot(argmax(x), 3).to_vector(), (x == max(x, 1, true)).to_vector());
  EXPECT_EQ(take_along_dim(x, argsort(x), 1).to_vector(), sort(x).values.to_vector());
}

TEST(Ids, OfASingleNumber) {
  const Tensor x = tensor(3.0);
  EXPECT_EQ(argmax(x), (List{0}));
  EXPECT_EQ(argmax(x, 0).shape(), Shape{});
  EXPECT_EQ(sort(x, 0).values.item(), 3);
  EXPECT_EQ(median(x, -1).values.item(), 3);
  for (const Index dim : {0, -1}) {
    EXPECT_EQ(sum(x, dim).item(), 3);
    EXPECT_EQ(max(x, dim, true).shape(), Shape{});
    EXPECT_EQ(softmax(x, dim).item(), 1);
    EXPECT_EQ(cumsum(x, dim).item(), 3);
  }
  EXPECT_NE(error_of([&] { sum(x, 1); }), "");
}

TEST(Order, PutsNaNLastAndKeepsEqualOnes) {
  const double nan = std::nan("");
  const Tensor x = tensor({1.0, nan, 0.0, 1.0, nan, -1.0});
  EXPECT_EQ(argsort(x), (List{5, 2, 0, 3, 1, 4}));
  EXPECT_EQ(argsort(x, 0, true), (List{1, 4, 0, 3, 2, 5}));
  EXPECT_EQ(topk(x, 3).indices, (List{1, 4, 0}));
  EXPECT_EQ(topk(x, 2, 0, false).indices, (List{5, 2}));
  EXPECT_TRUE(std::isnan(median(x).item()));
  EXPECT_EQ(median(tensor({{3, 1, 2, 4}, {0, 0, 5, 6}}), 1).indices, (List{2, 1}));
}

TEST(Random, IdsAndFlags) {
  Generator a(5), b(5);
  const Ids ids = randint(-2, 3, {40, 5}, a);
  EXPECT_EQ(ids, randint(-2, 3, {40, 5}, b));
  EXPECT_EQ(*std::ranges::min_element(ids), -2);
  EXPECT_EQ(*std::ranges::max_element(ids), 2);
  const Tensor flags = bernoulli(full({4000}, 0.25, DType::f64), a);
  EXPECT_NEAR(mean(flags).item(), 0.25, 0.03);
  EXPECT_EQ(sum(bernoulli(tensor({0, 1, 1}), a)).item(), 2);
}

TEST(Random, MultinomialFollowsItsWeights) {
  Generator generator(3);
  const Tensor weights = tensor({{1, 0, 3}, {2, 2, 0}}, DType::f64);
  const Ids many = multinomial(weights, 4000, true, generator);
  EXPECT_EQ(many.shape(), (Shape{2, 4000}));
  const Tensor counts = sum(one_hot(many, 3, DType::f64), 1) / 4000;
  testing::expect_close(counts, {0.25, 0, 0.75, 0.5, 0.5, 0}, 0.03);
  // Without replacement, the first of two: again by weight.
  double first = 0;
  for (int i = 0; i < 2000; ++i) {
    const Ids two = multinomial(tensor({1, 0, 3}), 2, false, generator);
    EXPECT_NE(two[0], two[1]);
    EXPECT_EQ(two[0] + two[1], 2);
    first += two[0] == 2 ? 1 : 0;
  }
  EXPECT_NEAR(first / 2000, 0.75, 0.04);
}

TEST(Creation, LinesAndDiagonals) {
  EXPECT_EQ(linspace(0, 1, 5).to_vector(), (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(linspace(2, 7, 1).to_vector(), std::vector<double>{2});
  EXPECT_EQ(linspace(2, 7, 0).shape(), Shape{0});
  EXPECT_EQ(eye(2, 3).to_vector(), (std::vector<double>{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(eye(3).shape(), (Shape{3, 3}));
  EXPECT_EQ(full_like(eye(2), 7).to_vector(), std::vector<double>(4, 7));
  EXPECT_EQ(rand_like(eye(2)).shape(), (Shape{2, 2}));
  EXPECT_EQ(randn_like(eye(2)).dtype(), DType::f32);
}

TEST(Shapes, InWords) {
  const Tensor x = arange(24).view({2, 3, 4});
  const auto [B, T, C] = x.sizes<3>();
  EXPECT_EQ(B * 100 + T * 10 + C, 234);
  EXPECT_EQ(x.view({-1, C}).shape(), (Shape{6, 4}));
  EXPECT_EQ(x[1][2].to_vector(), (std::vector<double>{20, 21, 22, 23}));
  EXPECT_EQ(x[-1].T().shape(), (Shape{4, 3}));
  EXPECT_EQ(x.flatten(1).shape(), (Shape{2, 12}));
  EXPECT_EQ(x.unsqueeze(0).squeeze(0).shape(), x.shape());
  EXPECT_EQ(split(x, 2, 1)[1].shape(), (Shape{2, 1, 4}));
  EXPECT_EQ(chunk(x, 3, -1).size(), 2U);  // of 2: PyTorch's, as 4 is no multiple of 3
  EXPECT_EQ(unbind(x, 1).size(), 3U);
  EXPECT_EQ(slice(x, 2, -2, 99).shape(), (Shape{2, 3, 2}));
  EXPECT_EQ(slice(x, 1, 2, 1).numel(), 0);
}

template <class T>
constexpr bool takes_itself_as_index = requires(const T& x) {
  x[x];
};

TEST(Ids, StandForTensorsAndTensorsOfWholeNumbersForIds) {
  const Tensor x = tensor({{1, 2}, {3, 4}, {5, 6}});
  const Ids ids = tensor({2, 0});
  EXPECT_EQ(ids, (Ids{2, 0}));
  EXPECT_EQ(x[ids].to_vector(), (std::vector<double>{5, 6, 1, 2}));
  EXPECT_EQ(x[Ids({0, 2}, {2, 1})].shape(), (Shape{2, 1, 2}));
  EXPECT_EQ((ids % 2 == 0).to_vector(), (std::vector<double>{1, 1}));
  EXPECT_EQ(concat({ids, arange(2) + Ids{5, 6}}).to_vector(), (std::vector<double>{2, 0, 5, 7}));
  EXPECT_EQ((argmax(x, 1) == tensor({1, 1, 0})).to_vector(), (std::vector<double>{1, 1, 0}));
  EXPECT_EQ((tensor({1, 1, 0}) != x.argmax(1)).to_vector(), (std::vector<double>{0, 0, 1}));
  EXPECT_EQ(cross_entropy(x, tensor({1, 0, 1})).item(), cross_entropy(x, Ids{1, 0, 1}).item());
  EXPECT_THAT(error_of([&] { x[Ids(tensor({0.5}))]; }), ::testing::HasSubstr("0.5 is no id"));
  static_assert(!takes_itself_as_index<Tensor>);  // a mask would be taken for ids
  static_assert(!std::is_assignable_v<Tensor, Tensor> && std::is_assignable_v<Tensor&, Tensor>);  // x[0] = y
}

TEST(Masks, HaveOperators) {
  const Tensor a = tensor({0, 1, 0, 1}), b = tensor({0, 0, 1, 1});
  EXPECT_EQ((a & b).to_vector(), (std::vector<double>{0, 0, 0, 1}));
  EXPECT_EQ((a | b).to_vector(), (std::vector<double>{0, 1, 1, 1}));
  EXPECT_EQ((!a).to_vector(), (std::vector<double>{1, 0, 1, 0}));
  EXPECT_EQ((~a).to_vector(), (!a).to_vector());
  EXPECT_EQ((tensor({5, -1}) % 3).to_vector(), (std::vector<double>{2, 2}));
  EXPECT_EQ(remainder(tensor({5, -1}), 3).to_vector(), (std::vector<double>{2, 2}));
  EXPECT_EQ(fmod(tensor({5, -1}), 3).to_vector(), (std::vector<double>{2, -1}));
  EXPECT_EQ(where(a, -1, 1).to_vector(), (std::vector<double>{1, -1, 1, -1}));
  EXPECT_TRUE(any(a));
  EXPECT_FALSE(all(a));
  EXPECT_THAT(error_of([&] { static_cast<void>(static_cast<bool>(a)); }), ::testing::HasSubstr("needs one number"));
}

TEST(Shape, OfOneSizeNeedsNoBraces) {
  EXPECT_EQ(zeros(3).shape(), (Shape{3}));
  EXPECT_EQ(randn(std::size_t{2}).shape(), (Shape{2}));
  EXPECT_THAT(error_of([] { zeros(-1); }), ::testing::HasSubstr("size -1"));
}

TEST(Members, AreTheFunctionsOfTheirNames) {
  const Tensor x = tensor({{0.5, -1}, {2, 0.25}});
  const auto same = [](const Tensor& a, const Tensor& b) { return equal(a, b); };
  EXPECT_TRUE(same(x.sin(), sin(x)) && same(x.cos(), cos(x)) && same(x.square(), square(x)));
  EXPECT_TRUE(same(x.clamp(0, 1), clamp(x, 0, 1)) && same(x.min(), min(x)) && same(x.min(1), min(x, 1)));
  EXPECT_TRUE(same(x.var(), var(x)) && same(x.var(0, true, 0), var(x, 0, true, 0)));
  EXPECT_TRUE(same(x.std(), gradus::std(x)) && same(x.std(1), gradus::std(x, 1)));
  EXPECT_TRUE(same(x.norm(), norm(x)) && same(x.norm(1, 0), norm(x, 1, 0)));
  EXPECT_TRUE(same(x.log_softmax(0), log_softmax(x, 0)) && x.argmax(1) == argmax(x, 1) && x.argmin(0) == argmin(x, 0));
  EXPECT_TRUE(same(x.any(), any(x)) && same(x.all(), all(x)) && same(x.permute({1, 0}), permute(x, {1, 0})));
  EXPECT_TRUE(same(x[0].expand({3, 2}), expand(x[0], {3, 2})) && same(x.select(1, 0), select(x, 1, 0)));
  EXPECT_TRUE(same(x.index_select(0, Ids{1}), index_select(x, 0, Ids{1})));
  EXPECT_TRUE(same(x.gather(0, Ids({1, 0}, {1, 2})), gather(x, 0, Ids({1, 0}, {1, 2}))));
  EXPECT_TRUE(same(x.masked_fill(x > 0, 7), masked_fill(x, x > 0, 7)));
  EXPECT_TRUE(same(x.split(1)[1], split(x, 1)[1]) && same(x.chunk(2, 1)[0], chunk(x, 2, 1)[0]));
  EXPECT_TRUE(same(x.unbind(1)[1], unbind(x, 1)[1]));
}

}  // namespace
}  // namespace gradus
