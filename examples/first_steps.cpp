#include <fmt/format.h>

#include <gradus/gradus.h>

using namespace gradus;

int main() {
  Tensor a = tensor({1, 2, 3}).requires_grad(true);  // gradients, as in micrograd or PyTorch
  Tensor b = sum(a * a + sin(a));
  b.backward();
  fmt::print("b = {:.4f}, db/da = {:.4f}\n", b.item(), fmt::join(a.grad().to_vector(), " "));

  manual_seed(42);  // a network that learns XOR
  Tensor x = tensor({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), y = tensor({-1, 1, 1, -1}, {4, 1});
  nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1)};
  optim::Adam adam(net.parameters(), {.lr = 0.05});
  for (int step = 0; step < 300; ++step) {
    Tensor loss = mse_loss(net(x), y);
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  fmt::print("xor = {:.2f}\n", fmt::join(net(x).to_vector(), " "));

  GradcheckReport report = gradcheck([&](auto in) { return softmax(in[0]); }, {randn({2, 5})});
  fmt::print("softmax's gradient {} finite differences\n", report ? "agrees with" : "differs from");
}
