// Convolutions, pooling and batch norm as layers: names, starts, modes. Their values are PyTorch's in tests/reference.
#include <gradus/nn/gradcheck.h>
#include <gradus/nn/layers/batch_norm.h>
#include <gradus/nn/layers/conv.h>
#include <gradus/nn/layers/sequential.h>
#include <gradus/nn/summary.h>

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
