#include <gradus/gradus.h>

#include <cstdio>

int main() {
  using namespace gradus;
  manual_seed(1);
  const Tensor x = tensor({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2});
  const Tensor y = tensor({0, 1, 1, 0}, {4, 1});
  const nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1)};
  optim::Adam adam(net.parameters(), {.lr = 0.05});
  for (int step = 0; step < 300; ++step) {
    const Tensor loss = binary_cross_entropy_with_logits(net(x), y);
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  for (const double p : sigmoid(net(x)).to_vector()) std::printf("%.2f ", p);
  std::printf("\n");
}
