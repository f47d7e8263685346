// Making tensors, reading them, converting and printing them.
#include <gradus/core/tensor.h>

#include <array>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../support.h"

namespace gradus::testing {
namespace {

TEST(Tensor, IsMadeFromValues) {
  EXPECT_EQ(tensor({1, 2, 3}).shape(), Shape{3});
  EXPECT_EQ(tensor(2.5).shape(), Shape{});
  EXPECT_EQ(tensor(2.5).item(), 2.5);
  EXPECT_EQ(tensor({1, 2, 3, 4}, {2, 2}).to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(tensor(std::vector<float>{1.5F, 2.5F}, {2, 1}, DType::f64).to_vector(), (std::vector<double>{1.5, 2.5}));
  EXPECT_EQ(tensor(std::vector<double>{1, 2}).dtype(), DType::f32);
  EXPECT_EQ(tensor({1, 2}, DType::f64).dtype(), DType::f64);
  EXPECT_EQ(tensor(std::vector<double>{}).shape(), Shape{0});
}

TEST(Tensor, IsMadeFilled) {
  EXPECT_EQ(zeros({2}).to_vector(), (std::vector<double>{0, 0}));
  EXPECT_EQ(ones({2}, DType::f64).to_vector(), (std::vector<double>{1, 1}));
  EXPECT_EQ(full({1, 2}, -3).to_vector(), (std::vector<double>{-3, -3}));
  EXPECT_EQ(ones_like(zeros({2, 3}, DType::f64)).dtype(), DType::f64);
  EXPECT_EQ(zeros_like(ones({2, 3})).shape(), (Shape{2, 3}));
  EXPECT_EQ(arange(4).to_vector(), (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(arange(ones({2, 3}).size(1), DType::f64).to_vector(), (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(arange(1, 2, 0.25, DType::f64).to_vector(), (std::vector<double>{1, 1.25, 1.5, 1.75}));
  EXPECT_EQ(arange(3, 0, -1).to_vector(), (std::vector<double>{3, 2, 1}));
  EXPECT_EQ(arange(0).numel(), 0);
}

TEST(Tensor, IsAHandle) {
  const Tensor a = zeros({2});
  const Tensor b = a;
  b.data<float>()[0] = 5;
  EXPECT_EQ(a.to_vector()[0], 5);
  const Tensor copy = a.clone();
  copy.fill_(1);
  EXPECT_EQ(a.to_vector()[0], 5);
  EXPECT_FALSE(Tensor().defined());
}

TEST(Tensor, CloneKeepsTheHistoryInMemoryOfItsOwn) {
  Tensor x = ones({2});
  x.requires_grad(true);
  const Tensor y = x * 3.0, copy = y.clone();
  EXPECT_STREQ(copy.node().op, "clone");
  sum(copy).backward();
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{3, 3}));
  copy.fill_(7);
  EXPECT_EQ(y.to_vector()[0], 3);
  EXPECT_FALSE(y.detach().clone().requires_grad());
}

TEST(Tensor, BracesShowTheShape) {
  const auto shape = [](const Tensor& x) { return to_string(x.shape()); };
  EXPECT_EQ(shape(tensor({{1, 2}})), "(1, 2)");
  EXPECT_EQ(shape(tensor({{1}, {2}})), "(2, 1)");
  EXPECT_EQ(shape(tensor({{1}})), "(1, 1)");
  EXPECT_EQ(shape(tensor({{{1, 2}, {3, 4}, {5, 6}}})), "(1, 3, 2)");
  EXPECT_EQ(shape(tensor({{{1}}, {{2}}})), "(2, 1, 1)");
  EXPECT_EQ(shape(tensor({{1.5, 2}, {3, 4}}, DType::f64)), "(2, 2)");
  EXPECT_EQ(shape(tensor({})), "(0)");
  EXPECT_EQ(shape(tensor({{}})), "(1, 0)");
  EXPECT_EQ(shape(tensor({{}, {}})), "(2, 0)");
  EXPECT_EQ(shape(tensor({5})), "(1)");
  EXPECT_EQ(shape(tensor({1.5})), "(1)");
  EXPECT_EQ(shape(tensor({}, {0, 3})), "(0, 3)");
  const int i = 2;
  const float f = 0.5F;
  EXPECT_EQ(tensor({{1, 2.5}, {f, i}}).to_vector(), (std::vector<double>{1, 2.5, 0.5, 2}));
  EXPECT_EQ(shape(tensor({{1, 2}, {3, 4}}, {4})), "(4)") << "a shape that is given goes first";
}

TEST(Tensor, RaggedBracesAreAnError) {
  expect_contains(error_of([] { tensor({{1, 2}, {3}}); }), "element 0 is of shape (2) and element 1 of shape (1)");
  expect_contains(error_of([] { tensor({{1}, 2}); }), "tensor: ragged braces");
  expect_contains(error_of([] { tensor({{{1, 2}, {3, 4}}, {{1, 2}}}); }), "(2, 2) and element 1 of shape (1, 2)");
  expect_contains(error_of([] { tensor({1, 2, 3}, {2, 2}); }), "3 values do not fill shape (2, 2)");
}

TEST(Tensor, IsMadeFromNumbersOfAnyType) {
  const std::vector<double> expected{1, 2, 3};
  const auto check_all = [&](const Tensor& x) {
    EXPECT_EQ(x.shape(), Shape{3});
    EXPECT_EQ(x.dtype(), DType::f32);
    EXPECT_EQ(x.to_vector(), expected);
  };
  const std::vector<std::int32_t> ids{1, 2, 3};
  check_all(tensor(std::vector<float>{1, 2, 3}));
  check_all(tensor(std::vector<int>{1, 2, 3}));
  check_all(tensor(std::vector<std::int64_t>{1, 2, 3}));
  check_all(tensor(std::vector<unsigned char>{1, 2, 3}));
  check_all(tensor(ids));
  check_all(tensor(std::span(ids)));
  check_all(tensor(std::array{1.0, 2.0, 3.0}));
  EXPECT_EQ(tensor(std::span<const std::int32_t>(ids), {3, 1}, DType::f64).shape(), (Shape{3, 1}));
  EXPECT_EQ(tensor(arange(3).data<float>()).to_vector(), (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(tensor(7).item(), 7);
  EXPECT_EQ(tensor(0.5F, DType::f64).dtype(), DType::f64);
  error_of([&] { tensor(ids, {2}); });
}

TEST(Tensor, UpdatesOfAParameterAreInPlaceUnderNoGradAndElseAnError) {
  Tensor w = tensor({1, 2}, DType::f64), bias = tensor(0.5, DType::f64);
  const std::vector<Tensor> params{w.requires_grad(true), bias.requires_grad(true)};
  sum(w * w + bias).backward();
  for (Tensor p : params) {
    const NoGrad guard;
    p -= 0.25 * p.grad();
  }
  EXPECT_EQ(w.to_vector(), (std::vector<double>{0.5, 1}));
  EXPECT_EQ(bias.item(), 0);
  EXPECT_TRUE(w.requires_grad());
  EXPECT_TRUE(w.is_leaf());
  {
    const NoGrad guard;
    Tensor name = w;
    name *= 4;
    name += w;
    EXPECT_EQ(w.to_vector(), (std::vector<double>{4, 8})) << "also where both sides are one tensor";
    name /= tensor({1, 2}, DType::f64);
    name -= 1;
    EXPECT_EQ(w.to_vector(), (std::vector<double>{3, 3}));
    name -= w;
    EXPECT_EQ(w.to_vector(), (std::vector<double>{0, 0}));
    EXPECT_EQ(name.node_ptr(), w.node_ptr());
    expect_contains(error_of([&] { name += ones({3, 2}, DType::f64); }), "+=: the result (3, 2) does not fit into (2)");
  }
  const std::string text = error_of([&] { w -= 0.1; });
  expect_contains(text, "{ const NoGrad guard; p -= ..; }");
  expect_contains(text, "p = p - ..");
  for (const auto& update :
       std::vector<std::function<void()>>{[&] { w += w; }, [&] { w *= 2; }, [&] { w /= 2; }, [&] { w -= 2 * w; }}) {
    error_of(update);
  }
  EXPECT_EQ(w.to_vector(), (std::vector<double>{0, 0}));
}

TEST(Tensor, UpdatesOfAnythingElseMoveTheNameOn) {
  Tensor x = ones({2}), before = x;
  x += 1;
  EXPECT_EQ(before.to_vector()[0], 1);
  Tensor w = ones({2}).requires_grad(true), y = w * 2.0, old = y;
  y *= 3.0;
  EXPECT_EQ(old.to_vector()[0], 2);
  sum(y).backward();
  EXPECT_EQ(w.grad().to_vector()[0], 6);
  const NoGrad guard;
  y += 1.0;
  EXPECT_EQ(y.to_vector()[0], 7);
}

TEST(Tensor, ReshapeSharesMemory) {
  const Tensor x = arange(6);
  const Tensor y = x.reshape({2, 3});
  y.data<float>()[5] = 9;
  EXPECT_EQ(x.to_vector()[5], 9);
}

TEST(Tensor, HasSizes) {
  const Tensor x = zeros({2, 3, 4});
  EXPECT_EQ(x.rank(), 3);
  EXPECT_EQ(x.size(1), 3);
  EXPECT_EQ(x.size(-1), 4);
  EXPECT_EQ(x.numel(), 24);
}

TEST(Tensor, GivesItsDataOnlyAsItsOwnType) {
  EXPECT_EQ(zeros({3}).data<float>().size(), 3U);
  expect_contains(error_of([] { zeros({3}, DType::f64).data<float>(); }), "f64");
}

TEST(Tensor, DataIsAligned) {
  for (const Index n : {0, 1, 3, 17, 1000}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Tensor::empty({n}).node().values<float>()) % 64, 0U);
  }
}

TEST(Tensor, MembersAreTheFreeFunctions) {
  const Tensor x = tensor({0.25, 0.5, 0.75, 1}, {2, 2}, DType::f64);
  const auto same = [](const Tensor& a, const Tensor& b) {
    EXPECT_EQ(a.shape(), b.shape());
    EXPECT_EQ(bits(a), bits(b));
  };
  same(x.exp(), exp(x));
  same(x.log(), log(x));
  same(x.sqrt(), sqrt(x));
  same((-x).abs(), abs(-x));
  same(x.tanh(), tanh(x));
  same(x.sigmoid(), sigmoid(x));
  same(x.relu(), relu(x));
  same(x.pow(1.5), pow(x, 1.5));
  same(x.matmul(x), matmul(x, x));
  same(x.transpose(), transpose(x));
  same(x.sum(), sum(x));
  same(x.sum({0}, true), sum(x, {0}, true));
  same(x.mean(), mean(x));
  same(x.mean({1}), mean(x, {1}));
  same(x.max(), max(x));
  same(x.max({1}, true), max(x, {1}, true));
  same(x.sum(1), sum(x, {1}));
  same(x.mean(-1, true), mean(x, {1}, true));
  same(x.max(0), max(x, {0}));
  same(x.softmax(0), softmax(x, 0));
}

TEST(Dims, AreOneNumberOrAList) {
  const Tensor x = arange(24).reshape({2, 3, 4});
  const auto same = [](const Tensor& a, const Tensor& b) {
    EXPECT_EQ(a.shape(), b.shape());
    EXPECT_EQ(bits(a), bits(b));
  };
  same(sum(x, 1), sum(x, {1}));
  same(sum(x, 0), sum(x, {0}));
  same(mean(x, -1, true), mean(x, {2}, true));
  same(max(x, 2), max(x, {-1}));
  same(var(x, 1, false, 0), var(x, {1}, false, 0));
  same(mean(x, {0, 2}, true), mean(x, std::vector<Index>{0, 2}, true));
  EXPECT_EQ(sum(x, {0, 2}).shape(), Shape{3});
  expect_contains(error_of([&] { sum(x, {}); }), "empty list");
  expect_contains(error_of([&] { sum(x, 3); }), "sum: there is no dimension 3");
  static_assert(!std::is_constructible_v<Dims, bool> && !std::is_constructible_v<Dims, double>);
}

TEST(To, RoundsOnceAndBringsTheGradientBack) {
  Tensor x = tensor({0.1, 1e-60, -3}, DType::f64);
  x.requires_grad(true);
  const Tensor y = x.to(DType::f32);
  EXPECT_EQ(y.dtype(), DType::f32);
  EXPECT_EQ(y.to_vector(), (std::vector<double>{0.1F, 0, -3}));
  y.backward(tensor({1, 2, 0.1}));
  EXPECT_EQ(x.grad().dtype(), DType::f64);
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{1, 2, 0.1F}));
  y.to(DType::f64);
  EXPECT_EQ(x.to(DType::f64).node_ptr(), x.node_ptr());
}

TEST(To, IsExactUpwards) {
  const Tensor x = tensor({0.1, -0.0, 1e30, INFINITY});
  EXPECT_EQ(bits(x.to(DType::f64)), bits(x)) << "the sign of zero included";
  EXPECT_EQ(bits(x.to(DType::f64).to(DType::f32)), bits(x));
}

TEST(ToString, ShowsValuesShapeAndType) {
  EXPECT_EQ(to_string(tensor({1, -2.5}, {2})), "tensor([ 1. , -2.5], shape (2))");
  EXPECT_EQ(to_string(tensor(3)), "tensor(3.)");
  EXPECT_EQ(to_string(tensor({1, 2, 3, 4}, {2, 2}, DType::f64)),
            "tensor([[1., 2.],\n        [3., 4.]], shape (2, 2), f64)");
  EXPECT_EQ(to_string(Tensor()), "tensor(undefined)");
  EXPECT_EQ(to_string(zeros({0})), "tensor([], shape (0))");
  EXPECT_EQ(fmt::format("{}", tensor(3)), "tensor(3.)");
  EXPECT_EQ(fmt::format("{}", Tensor()), "tensor(undefined)");
}

TEST(ToString, ANumbersFormatGoesForEachElement) {
  const Tensor x = tensor({{1, -0.125}, {10, 2.0 / 3}});
  EXPECT_EQ(fmt::format("{:.2f}", x), "tensor([[ 1.00, -0.12],\n        [10.00,  0.67]], shape (2, 2))");
  EXPECT_EQ(fmt::format("{:.1e}", tensor({1e-9, 3})), "tensor([1.0e-09, 3.0e+00], shape (2))");
  EXPECT_EQ(fmt::format("{:6.1f}|{:+}", tensor(2.5), tensor(2.5)), "   2.5|+2.5");
  EXPECT_EQ(fmt::format("{:.2f}", Tensor()), "tensor(undefined)");
  EXPECT_EQ(fmt::format("{:.2f}", zeros({0})), "tensor([], shape (0))");
  EXPECT_EQ(to_string(tensor({0.5, 1}, DType::f64), ".1f"), "tensor([0.5, 1.0], shape (2), f64)");
  expect_contains(fmt::format("{:.1f}", arange(1001)), "...");
  expect_contains(error_of([&] { EXPECT_EQ(fmt::format(fmt::runtime("{:.{}f}"), x, 2), ""); }), "as digits");
}

TEST(ToString, NaNHasNoSignAnywhere) {
  const double negative = -std::nan("");
  ASSERT_TRUE(std::signbit(negative));
  EXPECT_EQ(to_string(tensor(negative)), "tensor(nan)");
  EXPECT_EQ(to_string(tensor({negative, 1})), "tensor([nan,  1.], shape (2))");
  EXPECT_EQ(fmt::format("{:.1f}", tensor({negative, 1})), "tensor([nan, 1.0], shape (2))");
  EXPECT_FALSE(std::signbit(tensor(negative).item()));
  EXPECT_EQ(error_of([&] { fail("op: {} and {:.1f}, {}", negative, static_cast<float>(negative), "text"); }),
            "op: nan and nan, text");
  EXPECT_EQ(error_of([&] { clamp(ones({1}), negative, 1); }).substr(0, 17), "clamp: low is nan");
}

TEST(ToString, LinesUpAtThePointAndRoundsToFourDigits) {
  EXPECT_EQ(to_string(tensor({1.0 / 3, -20, 100.25, 0}, {2, 2})),
            "tensor([[  0.3333, -20.    ],\n        [100.25  ,   0.    ]], shape (2, 2))");
  EXPECT_EQ(to_string(tensor({1e-7, 3}, {2})), "tensor([1.0000e-07, 3.0000e+00], shape (2))");
  EXPECT_EQ(to_string(tensor({std::nan(""), 1, -INFINITY}, {3})), "tensor([ nan,   1., -inf], shape (3))");
  EXPECT_EQ(to_string(tensor({-std::nan(""), 1}, {2})), "tensor([nan,  1.], shape (2))");  // no "-nan"
}

TEST(ToString, LeavesOutTheMiddleOfLargeTensors) {
  EXPECT_EQ(to_string(arange(1000)).find("..."), std::string::npos);  // NumPy's limit
  EXPECT_EQ(to_string(arange(1001)), "tensor([   0.,    1.,    2., ...,  998.,  999., 1000.], shape (1001))");
  EXPECT_EQ(to_string(reshape(arange(1008), {126, 8})),
            "tensor([[   0.,    1.,    2., ...,    5.,    6.,    7.],\n"
            "        [   8.,    9.,   10., ...,   13.,   14.,   15.],\n"
            "        [  16.,   17.,   18., ...,   21.,   22.,   23.],\n"
            "        ...,\n"
            "        [ 984.,  985.,  986., ...,  989.,  990.,  991.],\n"
            "        [ 992.,  993.,  994., ...,  997.,  998.,  999.],\n"
            "        [1000., 1001., 1002., ..., 1005., 1006., 1007.]], shape (126, 8))");
}

TEST(ToString, BreaksLongLinesAndSeparatesMatrices) {
  EXPECT_EQ(to_string(arange(24)),
            "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13., 14., 15.,\n"
            "        16., 17., 18., 19., 20., 21., 22., 23.], shape (24))");
  EXPECT_EQ(to_string(ones({2, 1, 2})), "tensor([[[1., 1.]],\n\n        [[1., 1.]]], shape (2, 1, 2))");
}

}  // namespace
}  // namespace gradus::testing
