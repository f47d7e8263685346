// A network that solves a differential equation (Raissi et al. 2019), that of a damped oscillator: u'' + 2 d u' + w^2 u
// = 0 with u(0) = 1 and u'(0) = 0. The loss asks for just that, at 100 times t, and gets u' and u'' from grad(), which
// makes a graph like any other. In f64, because L-BFGS goes on until f32 has no digits left.
//
//   build/bin/pinn [scale]        writes pinn.svg; scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include "../svg.h"

using namespace gradus;

Tensor derivative(const Tensor& y, const Tensor& x) {
  return grad(sum(y), {x}, {.create_graph = true})[0];
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  constexpr double end = 4, d = 0.5, w = 4;
  nn::Sequential net{nn::Linear(1, 32),  nn::Tanh(), nn::Linear(32, 32), nn::Tanh(),
                     nn::Linear(32, 32), nn::Tanh(), nn::Linear(32, 1)};
  net.to(DType::f64);

  const Tensor t = linspace(0, end, 100, DType::f64).unsqueeze(1).requires_grad(true);
  const auto loss = [&] {
    const Tensor u = net(t), u_t = derivative(u, t);
    const Tensor residual = derivative(u_t, t) + 2 * d * u_t + w * w * u;
    return square(residual / w).mean() + square(u[0] - 1).sum() + square(u_t[0] / w).sum();
  };
  optim::Adam adam(net.parameters(), {.lr = 0.005});
  for (int step = 0; step < 2000 * scale; ++step) {
    const Tensor now = loss();
    adam.zero_grad();
    now.backward();
    adam.step();
    if (step % 500 == 0) fmt::print("Adam   step {:4}  loss {:.2e}\n", step, now);
  }
  optim::LBFGS lbfgs(net.parameters(), {.tolerance_change = 0, .line_search_fn = optim::LineSearch::strong_wolfe});
  for (int step = 0; step < 200 * scale; ++step) {
    const Tensor now = lbfgs.step([&] {
      const Tensor l = loss();
      lbfgs.zero_grad();
      l.backward();
      return l;
    });
    if (step % 50 == 0) fmt::print("L-BFGS step {:4}  loss {:.2e}\n", 20 * step, now);
  }

  const NoGrad guard;
  const Tensor grid = linspace(0, end, 400, DType::f64).unsqueeze(1), solved = net(grid);
  const double f = std::sqrt(w * w - d * d);
  const Tensor exact = exp(-d * grid) * (cos(f * grid) + d / f * sin(f * grid));
  fmt::print("largest error against the exact solution: {:.1e}\n", max(abs(solved - exact)));
  Svg svg({0, end}, {-1, 1.1});
  svg.line(grid.to_vector(), exact.to_vector(), "#bbb", 8);
  svg.line(grid.to_vector(), solved.to_vector(), red);
  svg.save("pinn.svg", "a damped oscillator: the exact solution, gray, and the network's, red");
}
