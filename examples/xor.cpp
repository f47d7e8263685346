// XOR, the smallest problem that needs a hidden layer: no straight line separates 00 and 11 from 01 and 10.
//
//   build/bin/xor
#include <fmt/core.h>
#include <gradus/gradus.h>

int main() {
  using namespace gradus;
  manual_seed(1);
  const Tensor x = tensor({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), y = tensor({0, 1, 1, 0}, {4, 1});
  const nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1)};
  optim::Adam adam(net.parameters(), {.lr = 0.05});
  for (int step = 0; step < 200; ++step, adam.step()) {
    adam.zero_grad();
    binary_cross_entropy_with_logits(net(x), y).backward();
  }
  fmt::print("00 01 10 11 -> {:.3f}\n", sigmoid(net(x)).flatten());
}
