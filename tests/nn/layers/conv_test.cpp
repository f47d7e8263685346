// Convolutions, pooling and batch norm as layers: names, starts, modes. Their values are PyTorch's in tests/reference.
#include <gradus/nn/gradcheck.h>
#include <gradus/nn/layers/batch_norm.h>
#include <gradus/nn/layers/conv.h>
#include <gradus/nn/layers/norm.h>
#include <gradus/nn/layers/sequential.h>
#include <gradus/nn/layers/upsample.h>
#include <gradus/nn/summary.h>

#include <limits>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::names_of;

TEST(Conv, StartsWithPytorchsNumbersForTheSeed) {
  manual_seed(3);
  const Conv2d conv(2, 3, {3, 2});
  EXPECT_EQ(conv.weight.shape(), (Shape{3, 2, 3, 2}));
  // torch.manual_seed(3); nn.Conv2d(2, 3, (3, 2))
  expect_close(slice(reshape(conv.weight, {36}), 0, 0, 3), {-0.2862, -0.2277, -0.1236}, 1e-4);
  expect_close(conv.bias, {-0.0758, -0.2862, -0.1352}, 1e-4);
  EXPECT_EQ(names_of(conv.named_parameters()), (std::vector<std::string>{"weight", "bias"}));
}

TEST(Conv, ASmallNetworkPassesGradcheck) {
  manual_seed(1);
  const Sequential net{Conv2d(1, 3, 3, {.padding = 1}), BatchNorm2d(3),    AvgPool2d(2),
                       Conv2d(3, 2, 2, {.stride = 2}),  MaxPool2d({1, 2}), Flatten()};
  const Tensor x = randn({2, 1, 8, 8}, DType::f64);
  EXPECT_EQ(net(x.to(DType::f32)).shape(), (Shape{2, 4}));
  EXPECT_TRUE(gradcheck(net, [&] { return net(x); }));
}

TEST(Conv, ThreadsChangeNothing) {
  const Tensor x = randn({40, 3, 12, 12}), dy = randn({40, 8, 12, 12});
  std::vector<std::vector<std::uint64_t>> seen;
  for (const int threads : {1, 3}) {
    const testing::WithThreads guard(threads);
    manual_seed(5);
    const Conv2d conv(3, 8, 3, {.padding = 1});
    const Tensor y = conv(x);
    y.backward(dy);
    seen.push_back(bits(y));
    seen.push_back(bits(conv.weight.grad()));
  }
  EXPECT_EQ(seen[0], seen[2]);
  EXPECT_EQ(seen[1], seen[3]);
}

TEST(Conv, GroupsAndTransposedOnesStartWithPytorchsNumbers) {
  manual_seed(3);
  const Conv2d depthwise(4, 8, 3, {.groups = 4});
  EXPECT_EQ(depthwise.weight.shape(), (Shape{8, 1, 3, 3}));
  // torch.manual_seed(3); nn.Conv2d(4, 8, 3, groups=4)
  expect_close(slice(reshape(depthwise.weight, {72}), 0, 0, 3), {-0.3305, -0.2630, -0.1428}, 1e-4);
  expect_close(slice(depthwise.bias, 0, 0, 2), {-0.1512, 0.0050}, 1e-4);
  manual_seed(3);
  const ConvTranspose1d transposed(4, 6, 3, {.groups = 2});
  EXPECT_EQ(transposed.weight.shape(), (Shape{4, 3, 3}));
  EXPECT_EQ(transposed.bias.shape(), (Shape{6}));
  // torch.manual_seed(3); nn.ConvTranspose1d(4, 6, 3, groups=2)
  expect_close(slice(reshape(transposed.weight, {36}), 0, 0, 3), {-0.3305, -0.2630, -0.1428}, 1e-4);
  expect_close(slice(transposed.bias, 0, 0, 2), {-0.0876, -0.3305}, 1e-4);
}

TEST(Conv, ATransposedOneHasTheConvolutionAsItsGradient) {
  const Tensor x = randn({2, 4, 9, 7}, DType::f64), weight = randn({6, 2, 3, 2}, DType::f64);
  const Tensor dy = randn({2, 6, 5, 4}, DType::f64);
  Tensor leaf = x.clone().requires_grad(true);
  conv2d(leaf, weight, {}, {.stride = 2, .padding = {1, 0}, .groups = 2}).backward(slice(dy, 3, 0, 3));
  const Tensor back = conv_transpose2d(slice(dy, 3, 0, 3), weight, {},
                                       {.stride = 2, .padding = {1, 0}, .output_padding = {0, 1}, .groups = 2});
  EXPECT_EQ(bits(back), bits(leaf.grad()));
}

TEST(Conv, AnAutoencoderPassesGradcheck) {
  manual_seed(1);
  const Sequential net{Conv2d(2, 4, 3, {.padding = Padding::same, .groups = 2}),
                       GroupNorm(2, 4),
                       MaxPool2d(2, {.ceil_mode = true}),
                       Conv2d(4, 4, 2, {.padding = 1, .groups = 4}),
                       InstanceNorm2d(4, {.affine = true}),
                       ConvTranspose2d(4, 2, 2, {.stride = 2, .groups = 2}),
                       Upsample({.size = {6, 5}, .mode = Interpolation::bilinear}),
                       BatchNorm2d(2, {.track_running_stats = false}),
                       AdaptiveAvgPool2d({4, 3}),
                       GlobalAvgPool()};
  const Tensor x = randn({2, 2, 5, 5}, DType::f64);
  EXPECT_EQ(net(x.to(DType::f32)).shape(), (Shape{2, 2}));
  EXPECT_TRUE(gradcheck(net, [&] { return net(x) * net(x); }));
}

TEST(Conv, ThreadsChangeNothingWithGroups) {
  const Tensor x = randn({4, 6, 40, 40}), dy = randn({4, 6, 80, 80});
  std::vector<std::vector<std::uint64_t>> seen;
  for (const int threads : {1, 3}) {
    const testing::WithThreads guard(threads);
    manual_seed(5);
    const Conv2d depthwise(6, 6, 3, {.padding = Padding::same, .groups = 6});
    const Conv2d grouped(6, 6, 3, {.padding = Padding::same, .groups = 2});
    const ConvTranspose2d up(6, 6, 2, {.stride = 2, .groups = 3});
    const Tensor y = up(grouped(depthwise(x)));
    y.backward(dy);
    for (const Tensor& one : {y, depthwise.weight.grad(), grouped.weight.grad(), up.weight.grad(), up.bias.grad()}) {
      seen.push_back(bits(one));
    }
  }
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(seen[i], seen[i + 5]) << i;
}

TEST(Pool, GlobalAvgPoolIsTheAdaptiveOneFlattened) {
  const Tensor x = randn({2, 3, 5, 4});
  EXPECT_EQ(GlobalAvgPool()(x).shape(), (Shape{2, 3}));
  expect_close(GlobalAvgPool()(x), Flatten()(AdaptiveAvgPool2d(1)(x)).to_vector(), 1e-6);
  expect_close(GlobalAvgPool()(randn({2, 3, 7}) * 0 + 2), {2, 2, 2, 2, 2, 2});
}

TEST(Upsample, ReachesTheEndsOfHugeValues) {
  const double inf = std::numeric_limits<double>::infinity();
  // A nearest element takes nothing from its neighbors.
  expect_close(Upsample({.scale_factor = 2})(tensor({1, inf}, {1, 1, 2})), {1, 1, inf, inf});
}

TEST(BatchNorm, WithoutRunningStatsEvalUsesTheBatch) {
  BatchNorm1d norm(2, {.track_running_stats = false, .dtype = DType::f64});
  EXPECT_EQ(names_of(norm.named_state()), (std::vector<std::string>{"weight", "bias"}));
  EXPECT_FALSE(norm.running_mean.defined());
  const Tensor x = tensor({1, 10, 3, 30}, {2, 2}, DType::f64);
  expect_close(norm(x), {-1, -1, 1, 1}, 1e-5);
  norm.eval();
  expect_close(norm(x), {-1, -1, 1, 1}, 1e-5);
}

TEST(BatchNorm, NormalizesAndRemembers) {
  BatchNorm1d norm(2, {.momentum = 1, .dtype = DType::f64});
  EXPECT_EQ(names_of(norm.named_state()), (std::vector<std::string>{"weight", "bias", "running_mean", "running_var"}));
  EXPECT_EQ(norm.num_parameters(), 4);
  const Tensor x = tensor({1, 10, 3, 30}, {2, 2}, DType::f64);
  expect_close(norm(x), {-1, -1, 1, 1}, 1e-5);
  expect_close(norm.running_mean, {2, 20});
  expect_close(norm.running_var, {2, 200});  // divided by count - 1
  norm.eval();
  expect_close(norm(tensor({2, 20}, {1, 2}, DType::f64)), {0, 0});
  expect_close(norm.running_mean, {2, 20});  // eval moves nothing
}

TEST(BatchNorm, OneValueAChannelHasNoVariance) {
  const BatchNorm1d norm(2);
  EXPECT_EQ(
      error_of([&] {
        norm(ones({1, 2}));
      }),
      "BatchNorm1d: x (1, 2) has 1 values per channel; a variance needs at least 2, so train on more, or call eval()");
}

TEST(Summary, ListsModulesShapesAndCounts) {
  EXPECT_EQ(summary(Sequential{Conv2d(1, 2, 3), BatchNorm2d(2), Flatten()}),
            "module  type         parameters                                                   count\n"
            "---------------------------------------------------------------------------------------\n"
            "(all)   Sequential\n"
            "  0     Conv2d       weight (2, 1, 3, 3), bias (2)                                   20\n"
            "  1     BatchNorm2d  weight (2), bias (2), [running_mean (2)], [running_var (2)]      4\n"
            "  2     Flatten\n"
            "---------------------------------------------------------------------------------------\n"
            "24 parameters; 112 bytes with buffers\n");
}

TEST(MaxPool, NanIsNotHidden) {
  const Tensor y = max_pool2d(tensor({1, std::nan(""), 2, 3}, {2, 2}), 2);
  EXPECT_TRUE(std::isnan(y.item()));
}

}  // namespace
}  // namespace gradus::nn
