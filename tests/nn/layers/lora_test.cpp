// LoRA: nothing at first, then a low-rank addition that can be merged.
#include <gradus/nn/layers/lora.h>

#include <gradus/nn/layers/linear.h>

#include <cmath>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;
using testing::expect_gradients;
using testing::names_of;

TEST(LoRA, IsTheScaledProductOfTwoMatrices) {
  const LoRA lora(5, 3, {.rank = 2, .alpha = 6, .dtype = DType::f64});
  EXPECT_EQ(lora.A.shape(), (Shape{2, 5}));
  EXPECT_EQ(lora.B.shape(), (Shape{3, 2}));
  EXPECT_EQ(lora.B.to_vector(), std::vector<double>(6, 0));
  for (const double a : lora.A.to_vector()) EXPECT_LE(std::abs(a), 1 / std::sqrt(5.0));
  testing::randomize(lora);
  const Tensor x = randn({4, 5}, DType::f64);
  expect_close(lora(x), matmul(x, transpose(matmul(lora.B, lora.A), 0, 1)) * 3.0);
  expect_close(lora.delta(), matmul(lora.B, lora.A).detach() * 3.0);
  EXPECT_FALSE(lora.delta().requires_grad());
  expect_gradients(lora, {x}, [&](const std::vector<Tensor>& in) { return lora(in[0]); });
}

TEST(LoRA, OfALinearStartsAsNothingAndIsMerged) {
  Linear linear(4, 3, {.dtype = DType::f64});
  const Tensor x = randn({2, 4}, DType::f64);
  const std::vector<std::uint64_t> before = bits(linear(x)), weight = bits(linear.weight);
  linear.add_lora({.rank = 2});
  EXPECT_EQ(bits(linear(x)), before);
  EXPECT_EQ(names_of(linear.named_parameters()), (std::vector<std::string>{"weight", "bias", "lora.A", "lora.B"}));
  EXPECT_FALSE(linear.weight.requires_grad() || linear.bias.requires_grad());
  EXPECT_TRUE(linear.lora->A.requires_grad() && linear.lora->B.requires_grad());
  EXPECT_EQ(linear.lora->A.dtype(), DType::f64);
  expect_contains(error_of([&] { linear.add_lora(); }), "has a LoRA already");

  sum(linear(x)).backward();
  EXPECT_FALSE(linear.weight.grad().defined());
  EXPECT_TRUE(linear.lora->B.grad().defined());

  testing::randomize(*linear.lora);
  const Tensor y = linear(x);
  EXPECT_NE(bits(y), before);
  EXPECT_EQ(bits(linear.weight), weight);
  linear.merge_lora();
  EXPECT_FALSE(linear.lora.has_value());
  expect_close(linear(x), y);
  linear.merge_lora();
  expect_close(linear(x), y);
}

TEST(LoRA, WhatMakesNoSenseIsAnError) {
  expect_contains(error_of([] { LoRA(4, 3, {.rank = 4}); }), "from 1 to 3");
  expect_contains(error_of([] { LoRA(4, 3, {.rank = 0}); }), "rank 0");
  expect_contains(error_of([] { LoRA(0, 3); }), "sizes 0 -> 3");
  expect_contains(error_of([] { LoRA(4, 3, {.rank = 1, .alpha = 0}); }), "alpha 0");
}

}  // namespace
}  // namespace gradus::nn
