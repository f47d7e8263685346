// A mixture density network (Bishop 1994). To one x of this curve belong up to three y, and their mean lies on none of
// the branches. So the network gives a whole density of y: weights, means and widths of five bells. Points drawn from
// it lie on the curve again, which the picture shows.
//
//   build/bin/mdn [scale]        writes mdn.svg; scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <numbers>

#include "../svg.h"

using namespace gradus;
using std::numbers::pi;

struct MDN : nn::Module {
  MDN(Index hidden, Index mixtures)
      : body{nn::Linear(1, hidden), nn::Tanh(), nn::Linear(hidden, hidden), nn::Tanh()}, heads(hidden, 3 * mixtures) {}

  // The logarithms of the weights, the means and the logarithms of the widths, (N, mixtures) each.
  std::vector<Tensor> operator()(const Tensor& x) const {
    std::vector<Tensor> parts = chunk(heads(body(x)), 3, 1);
    parts[0] = log_softmax(parts[0], 1);
    return parts;
  }
  Tensor negative_log_likelihood(const Tensor& x, const Tensor& y) const {
    const std::vector<Tensor> parts = (*this)(x);
    const Tensor distance = (y - parts[1]) / exp(parts[2]);
    const Tensor log_density = -0.5 * square(distance) - parts[2] - 0.5 * std::log(2 * pi);
    return -logsumexp(parts[0] + log_density, 1).mean();
  }
  Tensor sample(const Tensor& x) const {
    const std::vector<Tensor> parts = (*this)(x);
    const Ids chosen = multinomial(exp(parts[0]), 1);
    const Tensor mean = gather(parts[1], 1, chosen), width = exp(gather(parts[2], 1, chosen));
    return mean + width * randn_like(mean);
  }
  void members(nn::Visitor& visit) const override {
    visit("body", body);
    visit("heads", heads);
  }

  nn::Sequential body;
  nn::Linear heads;
};

// Points (x, y) of the curve x = y + 0.3 sin(2 pi y), with noise.
std::pair<Tensor, Tensor> curve(Index count) {
  const Tensor y = rand({count, 1});
  return {y + 0.3 * sin(2 * pi * y) + 0.03 * randn({count, 1}), y};
}

void draw(Svg& svg, const Tensor& x, const Tensor& y, const char* color) {
  for (Index i = 0; i < x.size(0); ++i) svg.dot(x[i].item(), y[i].item(), color, 3);
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  const auto [x, y] = curve(1000);
  const MDN net(32, 5);
  optim::Adam adam(net.parameters(), {.lr = 0.003});
  for (int step = 0; step < 3000 * scale; ++step) {
    const Tensor loss = net.negative_log_likelihood(x, y);
    adam.zero_grad();
    loss.backward();
    optim::clip_grad_norm(net.parameters(), 1);
    adam.step();
    if (step % 500 == 0) fmt::print("step {:4}  negative log likelihood {:.3f}\n", step, loss);
  }

  const NoGrad guard;
  const auto [new_x, new_y] = curve(1000);
  fmt::print("negative log likelihood of new points {:.3f}\n", net.negative_log_likelihood(new_x, new_y));
  Svg svg({-0.2, 1.2}, {-0.1, 1.1}, 640, 480);
  draw(svg, x, y, "#bbb");
  draw(svg, new_x, net.sample(new_x), red);
  svg.save("mdn.svg", "points of the curve, gray, and those that the network draws, red");
}
