// A shock wave by a network (Raissi et al. 2019): Burgers' equation u_t + u u_x = (0.01 / pi) u_xx for x in [-1, 1] and
// t in [0, 1], with u(0, x) = -sin(pi x) and u(t, -1) = u(t, 1) = 0. The wave steepens until it nearly breaks at x = 0.
// The network sees no solution, just how far it is from the equation at random points: u_t, u_x and u_xx come from
// grad(). The form -sin(pi x) + t (1 - x^2) net(t, x) has the values at the borders whatever the network says (Lagaris
// et al. 1998). The exact solution beside it is an integral (Cole 1951, Hopf 1950).
//
//   build/bin/burgers [scale]        writes burgers.svg; scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "svg.h"

using namespace gradus;
using std::numbers::pi;

constexpr double viscosity = 0.01 / pi;

// u at each of the times and places (N, 1).
Tensor solution(const nn::Sequential& net, const Tensor& t, const Tensor& x) {
  return -sin(pi * x) + t * (1 - square(x)) * net(concat({2 * t - 1, x}, 1));
}

// By how much the network misses the equation at each of the points (N, 1).
Tensor residual(const nn::Sequential& net, const Tensor& t, const Tensor& x) {
  const Tensor u = solution(net, t, x);
  const std::vector<Tensor> first = grad(sum(u), {t, x}, {.create_graph = true});
  const Tensor u_t = first[0], u_x = first[1];
  const Tensor u_xx = grad(sum(u_x), {x}, {.create_graph = true})[0];
  return u_t + u * u_x - viscosity * u_xx;
}

// Random times and places, (count, 1) each; more of them in the middle, where the wave breaks.
std::pair<Tensor, Tensor> random_points(Index count) {
  Tensor t = rand({count, 1}, DType::f64);
  const Tensor r = 2 * rand({count, 1}, DType::f64) - 1;
  return {t.requires_grad(true), (r * abs(r)).requires_grad(true)};
}

void train(const nn::Sequential& net, double scale) {
  optim::Adam adam(net.parameters(), {.lr = 2e-3});
  const auto steps = static_cast<int>(1000 * scale);
  for (int step = 0; step < steps; ++step) {
    const auto [t, x] = random_points(1000);
    const Tensor loss = mean(square(residual(net, t, x)));
    if (step % 250 == 0) fmt::print("Adam   step {:4}  loss {:.2e}\n", step, loss);
    adam.set_lr(2e-3 * (1 - 0.9 * step / steps));
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  const auto [t, x] = random_points(3000);  // L-BFGS compares losses, so its points stay
  optim::LBFGS lbfgs(net.parameters(), {.tolerance_change = 0, .line_search_fn = optim::LineSearch::strong_wolfe});
  for (int step = 0; step < 80 * scale; ++step) {
    const Tensor loss = lbfgs.step([&, &t = t, &x = x] {
      const Tensor now = mean(square(residual(net, t, x)));
      lbfgs.zero_grad();
      now.backward();
      return now;
    });
    if (step % 10 == 0) fmt::print("L-BFGS step {:4}  loss {:.2e}\n", 20 * step, loss);
  }
}

struct Quadrature {
  std::vector<double> nodes, weights;
};

// Gauss-Hermite quadrature: the integral of e^(-z^2) f(z) is about the sum of weights * f(nodes). The nodes are the
// roots of a Hermite polynomial, here normalized; they lie further apart than the steps in which they are looked for.
Quadrature gauss_hermite(int count) {
  Quadrature rule;
  // Values of the polynomials of degree count and count - 1 at z.
  const auto hermite = [count](double z) {
    double before = 0, value = std::pow(pi, -0.25);
    for (int k = 0; k < count; ++k) {
      before = std::exchange(value, z * std::sqrt(2.0 / (k + 1)) * value - std::sqrt(k / (k + 1.0)) * before);
    }
    return std::pair{value, before};
  };
  const double width = std::sqrt(2.0 * count + 1), step = 0.1 * pi / width;
  for (double z = -width; z < width; z += step) {
    double low = z, high = z + step;
    if (hermite(low).first * hermite(high).first > 0) continue;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (hermite(low).first * hermite(middle).first > 0 ? low : high) = middle;
    }
    rule.nodes.push_back(low);
    rule.weights.push_back(1 / (count * std::pow(hermite(low).second, 2)));
  }
  return rule;
}

// The substitution u = -2 viscosity (log phi)_x turns Burgers' equation into that of heat, whose solution is an
// integral over the start: u = -(integral of sin(pi (x - h)) F) / (integral of F), with weights e^(-z^2), h =
// sqrt(4 viscosity t) z and F = e^(-cos(pi (x - h)) / (2 pi viscosity)).
double exact(double t, double x) {
  static const Quadrature rule = gauss_hermite(100);
  double above = 0, below = 0;
  for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
    const double place = pi * (x - std::sqrt(4 * viscosity * t) * rule.nodes[i]);
    const double f = rule.weights[i] * std::exp(-(std::cos(place) + 1) / (2 * pi * viscosity));
    above -= f * std::sin(place);
    below += f;
  }
  return above / below;
}

void draw(const nn::Sequential& net) {
  Svg svg({-1.2, 8.6}, {-1.1, 1.25}, 960, 300);
  const Tensor x = linspace(-1, 1, 201, DType::f64).unsqueeze(1);
  for (int panel = 0; panel < 4; ++panel) {
    const double t = 0.25 * (panel + 1), middle = 2.45 * panel;
    std::vector<double> truth;
    for (const double place : x.to_vector()) truth.push_back(exact(t, place));
    svg.line((x + middle).to_vector(), truth, "#bbb", 7);
    svg.line((x + middle).to_vector(), solution(net, full({201, 1}, t, DType::f64), x).to_vector(), red, 2);
    svg.text(middle, 1.12, fmt::format("t = {}", t));
  }
  svg.save("burgers.svg", "Burgers' equation: the exact solution, gray, and the network's, red");
}

// The slope of the shock when it is steepest, of which Basdevant et al. 1986 give more digits than anybody needs.
void print_slopes(const nn::Sequential& net) {
  constexpr double steepest = 1.6037 / pi, h = 1e-5;
  const Tensor x = zeros({1, 1}, DType::f64).requires_grad(true);
  const Tensor u_x = grad(sum(solution(net, full({1, 1}, steepest, DType::f64), x)), {x})[0];
  fmt::print("u_x at x = 0, t = {:.4f}: {:.1f}, exactly {:.1f}\n", steepest, u_x.item(),
             (exact(steepest, h) - exact(steepest, -h)) / (2 * h));
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  nn::Sequential net{nn::Linear(2, 32), nn::Tanh(),         nn::Linear(32, 32), nn::Tanh(),       nn::Linear(32, 32),
                     nn::Tanh(),        nn::Linear(32, 32), nn::Tanh(),         nn::Linear(32, 1)};
  net.to(DType::f64);
  train(net, scale);
  print_slopes(net);

  const NoGrad guard;
  double missed = 0, all = 0;
  const Tensor x = linspace(-1, 1, 256, DType::f64).unsqueeze(1);
  for (int i = 0; i <= 100; ++i) {
    const double t = 0.01 * i;
    const std::vector<double> guess = solution(net, full({256, 1}, t, DType::f64), x).to_vector();
    for (std::size_t k = 0; k < guess.size(); ++k) {
      const double truth = exact(t, x[static_cast<Index>(k)].item());
      missed += (guess[k] - truth) * (guess[k] - truth);
      all += truth * truth;
    }
  }
  fmt::print("relative L2 error against the exact solution: {:.1e}\n", std::sqrt(missed / all));
  draw(net);
}
