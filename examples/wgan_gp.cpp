// A generator that learns to draw two half moons of points from random numbers, and a critic that tells it how: a
// Wasserstein GAN (Arjovsky et al. 2017) whose critic is kept smooth by a gradient penalty (Gulrajani et al. 2017). The
// critic's scores should differ between drawn and true points, but change by no more than 1 per unit of length: (|grad|
// - 1)^2 between the points is part of its loss, so its training takes the gradient of a gradient.
//
//   build/bin/wgan_gp [scale]        writes wgan_gp.svg; scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <numbers>
#include <vector>

#include "svg.h"

using namespace gradus;
using std::numbers::pi;

constexpr Index latent = 4, batch = 256;

// Random points of scikit-learn's make_moons: (count, 2).
Tensor moons(Index count) {
  const Tensor angle = pi * rand({count, 1}), lower = rand({count, 1}) < 0.5;
  const Tensor x = where(lower, 1 - cos(angle), cos(angle)), y = where(lower, 0.5 - sin(angle), sin(angle));
  return concat({x, y}, 1) + 0.05 * randn({count, 2});
}

nn::Sequential network(Index in, Index out) {
  return nn::Sequential{nn::Linear(in, 64), nn::LeakyReLU(0.2), nn::Linear(64, 64), nn::LeakyReLU(0.2),
                        nn::Linear(64, 64), nn::LeakyReLU(0.2), nn::Linear(64, out)};
}

Tensor gradient_penalty(const nn::Sequential& critic, const Tensor& truth, const Tensor& drawn) {
  const Tensor between = lerp(truth, drawn, rand({batch, 1})).requires_grad(true);
  const Tensor slope = grad(sum(critic(between)), {between}, {.create_graph = true})[0];  // (batch, 2)
  return mean(square(sqrt(sum(square(slope), 1)) - 1));
}

// How far two sets of as many points lie apart: the mean distance of their shadows, sorted, on lines in all directions
// (the sliced Wasserstein distance, Bonneel et al. 2015).
double sliced_distance(const Tensor& a, const Tensor& b) {
  constexpr Index directions = 64;
  const Tensor angle = pi * arange(directions) / directions;
  const Tensor lines = stack({cos(angle), sin(angle)});  // (2, directions)
  return mean(abs(msort(matmul(a, lines)) - msort(matmul(b, lines)))).item();
}

void train(const nn::Sequential& generator, const nn::Sequential& critic, double scale) {
  optim::Adam of_generator(generator.parameters(), {.lr = 1e-3, .betas = {0.5, 0.9}});
  optim::Adam of_critic(critic.parameters(), {.lr = 1e-3, .betas = {0.5, 0.9}});
  const auto steps = static_cast<int>(4000 * scale);
  for (int step = 0; step < steps; ++step) {
    double distance = 0;
    for (int i = 0; i < 5; ++i) {
      const Tensor truth = moons(batch), drawn = generator(randn({batch, latent})).detach();
      const Tensor gap = mean(critic(truth)) - mean(critic(drawn));
      const Tensor loss = 0.1 * gradient_penalty(critic, truth, drawn) - gap;
      of_critic.zero_grad();
      loss.backward();
      of_critic.step();
      distance = gap.item();
    }
    if (step % 800 == 0) fmt::print("step {:4}  distance by the critic {:.3f}\n", step, distance);
    const Tensor loss = -mean(critic(generator(randn({batch, latent}))));
    of_generator.zero_grad();
    loss.backward();
    of_generator.step();
    const double rate = 1e-3 * (1 - 0.9 * step / steps);
    of_generator.set_lr(rate);
    of_critic.set_lr(rate);
  }
}

void draw(const Tensor& truth, const Tensor& drawn) {
  Svg svg({-1.4, 6.4}, {-1.1, 1.5}, 960, 320);
  for (Index i = 0; i < truth.size(0); ++i) svg.dot(truth[i][0].item(), truth[i][1].item(), blue, 3);
  for (Index i = 0; i < drawn.size(0); ++i) svg.dot(drawn[i][0].item() + 4, drawn[i][1].item(), red, 3);
  svg.text(0.5, 1.35, "data");
  svg.text(4.5, 1.35, "drawn by the generator");
  svg.save("wgan_gp.svg", "two moons, and what a generator makes of random numbers");
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  const nn::Sequential generator = network(latent, 2), critic = network(2, 1);
  const Tensor noise = randn({2000, latent}), truth = moons(2000);
  const auto drawn = [&] {
    const NoGrad guard;
    return generator(noise);
  };
  const double before = sliced_distance(drawn(), truth);
  train(generator, critic, scale);
  fmt::print("sliced Wasserstein distance {:.3f} before and {:.3f} after; {:.3f} between two sets of the data\n",
             before, sliced_distance(drawn(), truth), sliced_distance(moons(2000), truth));
  draw(moons(600), slice(drawn(), 0, 0, 600));
}
