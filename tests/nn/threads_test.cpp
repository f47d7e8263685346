// Threads of a program that each train a network of their own at once: the same bits as alone. Under ThreadSanitizer
// this also finds what they share.
#include <thread>

#include <gradus/nn/layers/activation.h>
#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/norm.h>
#include <gradus/nn/layers/sequential.h>
#include <gradus/nn/optim/adam.h>
#include <gradus/nn/optim/clip.h>
#include <gradus/nn/optim/sgd.h>

#include "support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using Bits = std::vector<std::uint64_t>;

// Everything a training leaves behind: its losses and its parameters. Wide enough that its ops ask for several threads.
Bits train(int which) {
  manual_seed(static_cast<std::uint64_t>(which));
  const Index width = 48 + 16 * which;
  const Tensor x = randn({256, 32}), y = sin(x.sum({1}, true));
  const Sequential net{Linear(32, width), LayerNorm(width), GELU(), Dropout(0.1), Linear(width, 1)};
  optim::Adam adam(net.parameters(), {.lr = 0.01});
  std::vector<double> values;
  for (int step = 0; step < 20; ++step) {
    const Tensor loss = mse_loss(net(x), y);
    adam.zero_grad();
    loss.backward();
    optim::clip_grad_norm(net.parameters(), 1);
    adam.step();
    values.push_back(loss.item());
    const NoGrad guard;  // must hold for this thread only
    values.push_back(net(x).mean().item());
  }
  for (const Tensor& param : net.parameters()) std::ranges::copy(param.to_vector(), std::back_inserter(values));
  return bits(values);
}

TEST(Threads, TrainEightNetworksAtOnceWithTheBitsOfEachAlone) {
  const testing::WithThreads guard(2);
  constexpr std::size_t count = 8;
  std::vector<Bits> alone(count), together(count);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) alone[i] = train(static_cast<int>(i));
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&together, i] { together[i] = train(static_cast<int>(i)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(together[i], alone[i]) << "network " << i;
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(alone[i], alone[j]);
  }
}

}  // namespace
}  // namespace gradus::nn
