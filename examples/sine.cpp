// Regression twice. An MLP learns y = sin(x) as a function of x: it is right between the points it saw, and lost beyond
// them. An LSTM learns what comes next in a series: given the start of a wave it continues from its own predictions,
// far beyond any length that it was trained on.
//
//   build/bin/sine        writes sine.svg
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "svg.h"

using gradus::Index;
using gradus::Tensor;
namespace nn = gradus::nn;

// The MLP: (N, 1) -> (N, 1) from 64 noisy points of -pi .. pi.
nn::Sequential train_mlp(const Tensor& x, const Tensor& y) {
  nn::Sequential net{nn::Linear(1, 32), nn::Tanh(), nn::Linear(32, 32), nn::Tanh(), nn::Linear(32, 1)};
  gradus::optim::Adam adam(net.parameters(), {.lr = 0.01});
  for (int step = 0; step <= 600; ++step) {
    const Tensor loss = mse_loss(net(x), y);
    if (step % 200 == 0) fmt::print("MLP   step {:4}  loss {:.5f}\n", step, loss.item());
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  return net;
}

// The LSTM: a value at each step (B, T, 1) -> the next one at each step (B, T, 1).
struct Forecast : nn::Module {
  nn::LSTM lstm{1, 24};
  nn::Linear head{24, 1};
  void members(nn::Visitor& visit) const override {
    visit("lstm", lstm);
    visit("head", head);
  }
};

constexpr double step_width = 0.3;

// Waves of 30 steps that start anywhere: (B, 31, 1).
Tensor waves(Index count, gradus::Generator& generator) {
  std::vector<double> values;
  for (Index i = 0; i < count; ++i) {
    const double start = 2 * std::numbers::pi * generator.uniform<double>();
    for (int t = 0; t <= 30; ++t) values.push_back(std::sin(start + step_width * t));
  }
  return gradus::tensor(values, {count, 31, 1});
}

void train(const Forecast& net, gradus::Generator& generator) {
  gradus::optim::Adam adam(net.parameters(), {.lr = 0.01});
  for (int step = 0; step <= 400; ++step) {
    const Tensor series = waves(16, generator);
    const Tensor loss = mse_loss(net.head(net.lstm(slice(series, 1, 0, 30))), slice(series, 1, 1, 31));
    if (step % 100 == 0) fmt::print("LSTM  step {:4}  loss {:.5f}\n", step, loss.item());
    adam.set_lr(0.01 * (1 - 0.9 * step / 400));
    adam.zero_grad();
    loss.backward();
    gradus::optim::clip_grad_norm(net.parameters(), 1);
    adam.step();
  }
}

int main() {
  gradus::manual_seed(3);
  gradus::Generator generator(3);
  std::vector<double> xs, ys;
  for (int i = 0; i < 64; ++i) {
    xs.push_back(std::numbers::pi * (2 * generator.uniform<double>() - 1));
    ys.push_back(std::sin(xs.back()) + 0.1 * generator.normal());
  }
  const nn::Sequential mlp = train_mlp(gradus::tensor(xs, {64, 1}), gradus::tensor(ys, {64, 1}));
  const Forecast forecast;
  train(forecast, generator);

  const gradus::NoGrad guard;
  constexpr double left = -std::numbers::pi, right = 5 * std::numbers::pi;
  std::vector<double> grid, truth;
  for (int i = 0; left + 0.05 * i <= right; ++i) {
    grid.push_back(left + 0.05 * i);
    truth.push_back(std::sin(grid.back()));
  }
  std::vector<double> guesses = mlp(gradus::tensor(grid, {static_cast<Index>(grid.size()), 1})).to_vector();

  // The first 20 steps are given, the others are the network's own.
  std::vector<double> times, series;
  for (int t = 0; left + step_width * t <= right; ++t) times.push_back(left + step_width * t);
  nn::RecurrentResult state;
  double missed = 0;
  for (std::size_t t = 0; t < times.size(); ++t) {
    series.push_back(t < 20 ? std::sin(times[t]) : forecast.head(state.output).item());
    state = forecast.lstm.run(gradus::tensor({series.back()}, {1, 1, 1}), state.h, state.c);
    missed = std::max(missed, std::abs(series.back() - std::sin(times[t])));
  }
  fmt::print("the LSTM goes on alone for {} steps and is never further off than {:.3f}\n", times.size() - 20, missed);

  Svg svg({left, right}, {-1.9, 1.9}, 900, 300);
  svg.rect(left, -1.9, 2 * std::numbers::pi, 3.8, "#f2f5fb");
  svg.line(grid, truth, "#bbb", 5);
  for (double& y : guesses) y = std::clamp(y, -1.9, 1.9);
  svg.line(grid, guesses, blue);
  svg.line(times, series, red, 2.5, "6 4");
  for (std::size_t i = 0; i < xs.size(); ++i) svg.dot(xs[i], ys[i], blue, 3);
  svg.text(0, 1.6, "points the MLP saw", "#667");
  svg.text(7, 1.6, "MLP", blue);
  svg.text(11, 1.6, "LSTM, from its own predictions", red);
  svg.save("sine.svg", "sin(x), learned as a function and as a series");
}
