// A network that solves a differential equation (Raissi et al. 2019). The loss asks for u'' = -u at random points and
// for u(0) = 0 and u(3 pi / 2) = -1 at the ends; nothing else is given, and the network becomes sin(x).
// gradus has no gradients of gradients: u'' is (u(x + h) - 2 u(x) + u(x - h)) / h^2, which is a graph like any other.
// In f64, because the division by h^2 would leave no digits of an f32.
//
//   build/bin/pinn [scale]        scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <numbers>

using namespace gradus;

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  constexpr double right = 1.5 * std::numbers::pi, h = 1e-3;
  nn::Sequential u{nn::Linear(1, 32), nn::Tanh(), nn::Linear(32, 32), nn::Tanh(), nn::Linear(32, 1)};
  u.to(DType::f64);

  const Tensor ends = tensor({{0}, {right}}, DType::f64), values = tensor({{0}, {-1}}, DType::f64);
  optim::Adam adam(u.parameters(), {.lr = 0.01});
  optim::StepLR scheduler(adam, 1000, 0.3);
  for (int step = 0; step < 3000 * scale; ++step) {
    const Tensor x = right * rand({64, 1}, DType::f64);
    const Tensor y = u(x);
    const Tensor residual = (u(x + h) - 2 * y + u(x - h)) / (h * h) + y;
    const Tensor loss = square(residual).mean() + 10 * mse_loss(u(ends), values);
    adam.zero_grad();
    loss.backward();
    adam.step();
    scheduler.step();
    if (step % 500 == 0) fmt::print("step {:4}  loss {:.2e}\n", step, loss);
  }

  const NoGrad guard;
  const Tensor grid = linspace(0, right, 200, DType::f64).unsqueeze(1);
  fmt::print("largest error against sin(x): {:.1e}\n", max(abs(u(grid) - sin(grid))));
}
