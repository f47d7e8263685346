// A batch of nothing, as the last one of a filtered dataset may be: every parameter's gradient is zero, not whatever
// its memory held before.
#include <gradus/nn/layers/batch_norm.h>
#include <gradus/nn/layers/conv.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/norm.h>
#include <gradus/nn/layers/positions.h>
#include <gradus/nn/layers/recurrent.h>

#include "../support.h"

namespace gradus::nn {
namespace {

using In = const std::vector<Tensor>&;

void expect_zero_gradients(const Module& module, const Tensor& y) {
  ASSERT_EQ(y.numel(), 0);
  testing::poison_the_pool();
  sum(y).backward();
  for (const auto& [name, parameter] : module.named_parameters()) {
    ASSERT_TRUE(parameter.grad().defined()) << name;
    for (const double value : parameter.grad().to_vector()) EXPECT_EQ(value, 0) << name;
  }
}

TEST(EmptyBatch, GivesZeroGradients) {
  const Linear linear(3, 4);
  expect_zero_gradients(linear, linear(zeros({0, 3})));
  expect_zero_gradients(linear, linear(zeros({2, 0, 3})));
  const LayerNorm layer_norm(3);
  expect_zero_gradients(layer_norm, layer_norm(zeros({0, 3})));
  const RMSNorm rms_norm(3);
  expect_zero_gradients(rms_norm, rms_norm(zeros({0, 3})));
  const LearnedPositions positions(5, 3);
  expect_zero_gradients(positions, positions(zeros({0, 5, 3})));
  expect_zero_gradients(positions, positions(zeros({2, 0, 3})));
  const Conv2d conv(1, 2, 3);
  expect_zero_gradients(conv, conv(zeros({0, 1, 8, 8})));
  BatchNorm1d norm(3);
  norm.eval();
  expect_zero_gradients(norm, norm(zeros({0, 3})));
}

TEST(EmptyBatch, LeavesOtherGradientsAlone) {
  const Linear linear(3, 4);
  sum(linear(ones({2, 3}))).backward();
  const std::vector<double> before = linear.weight.grad().to_vector();
  (sum(linear(zeros({0, 3}))) + 0 * sum(linear(ones({1, 3})))).backward();
  EXPECT_EQ(linear.weight.grad().to_vector(), before);
}

}  // namespace
}  // namespace gradus::nn
