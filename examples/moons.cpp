// micrograd's demo: two half moons of points, and a small network that learns to tell them apart.
//
//   build/bin/moons        writes moons.svg
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "svg.h"

using gradus::Index;
using gradus::Tensor;
namespace nn = gradus::nn;

struct Moons {
  Tensor points;  // (N, 2)
  Tensor labels;  // (N, 1): 1 on the lower moon, -1 on the upper
};

// Two half circles that reach into each other, shaken by normal noise (scikit-learn's make_moons).
Moons make_moons(Index count, double noise, gradus::Generator& generator) {
  std::vector<double> points, labels;
  for (Index i = 0; i < count; ++i) {
    const bool lower = i % 2 == 1;
    const Index place = i / 2, last = count / 2 - 1;
    const double angle = std::numbers::pi * static_cast<double>(place) / static_cast<double>(last);
    const double x = std::cos(angle), y = std::sin(angle);
    points.push_back((lower ? 1 - x : x) + noise * generator.normal());
    points.push_back((lower ? 0.5 - y : y) + noise * generator.normal());
    labels.push_back(lower ? 1 : -1);
  }
  return {gradus::tensor(points, {count, 2}), gradus::tensor(labels, {count, 1})};
}

// The share of points whose score has the sign of their label.
double accuracy(const Tensor& scores, const Tensor& labels) {
  double right = 0;
  for (const double product : (scores * labels).to_vector()) right += product > 0 ? 1 : 0;
  return right / static_cast<double>(labels.numel());
}

// What the network says about the plane, -1.5 .. 2.5 wide and -1 .. 1.5 high, with the points on top: '.' and '#' are
// the two regions, 'o' and 'x' the points that belong there.
std::string picture(const nn::Sequential& model, const Moons& moons) {
  constexpr Index width = 64, height = 24;
  std::vector<double> grid;
  for (Index row = 0; row < height; ++row) {
    for (Index col = 0; col < width; ++col) {
      grid.push_back(-1.5 + 4.0 * (static_cast<double>(col) + 0.5) / width);
      grid.push_back(1.5 - 2.5 * (static_cast<double>(row) + 0.5) / height);
    }
  }
  const std::vector<double> scores = model(gradus::tensor(grid, {width * height, 2})).to_vector();
  std::string cells;
  for (const double score : scores) cells += score > 0 ? '#' : '.';
  const std::vector<double> points = moons.points.to_vector(), labels = moons.labels.to_vector();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto col = static_cast<Index>(std::floor((points[2 * i] + 1.5) / 4.0 * width));
    const auto row = static_cast<Index>(std::floor((1.5 - points[2 * i + 1]) / 2.5 * height));
    if (col < 0 || col >= width || row < 0 || row >= height) continue;
    cells[static_cast<std::size_t>(row * width + col)] = labels[i] > 0 ? 'x' : 'o';
  }
  std::string text;
  for (Index row = 0; row < height; ++row) text += cells.substr(static_cast<std::size_t>(row * width), width) + "\n";
  return text;
}

// The same as a drawing: the darker the plane, the surer the network; white is where it cannot tell.
void draw(const nn::Sequential& model, const Moons& moons) {
  constexpr Index columns = 128, rows = 80;
  constexpr double left = -1.5, low = -1.0, cell = 4.0 / columns;
  std::vector<double> grid;
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < columns; ++column) {
      grid.push_back(left + cell * (static_cast<double>(column) + 0.5));
      grid.push_back(low + cell * (static_cast<double>(row) + 0.5));
    }
  }
  const std::vector<double> scores = model(gradus::tensor(grid, {columns * rows, 2})).to_vector();
  Svg svg({left, 2.5}, {low, 1.5});
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double sure = std::min(1.0, std::abs(scores[i]) / 2);  // towards white at the border
    const auto mix = [&](int strong) { return static_cast<int>(255 - sure * (255 - strong)); };
    const std::string color = scores[i] > 0 ? fmt::format("rgb({},{},{})", mix(244), mix(178), mix(166))
                                            : fmt::format("rgb({},{},{})", mix(166), mix(190), mix(236));
    svg.rect(grid[2 * i] - cell / 2, grid[2 * i + 1] - cell / 2, 1.03 * cell, 1.03 * cell, color);
  }
  const std::vector<double> points = moons.points.to_vector(), labels = moons.labels.to_vector();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    svg.dot(points[2 * i], points[2 * i + 1], labels[i] > 0 ? red : blue, 5);
  }
  svg.save("moons.svg", "two moons, and what an MLP makes of the plane");
}

int main() {
  gradus::manual_seed(42);
  gradus::Generator generator(42);
  const Moons moons = make_moons(100, 0.1, generator);

  nn::Sequential model{nn::Linear(2, 16), nn::ReLU(), nn::Linear(16, 16), nn::ReLU(), nn::Linear(16, 1)};
  for (const Tensor& param : model.parameters()) {
    param.rank() == 2 ? nn::init::uniform_(param, -1, 1) : nn::init::zeros_(param);  // micrograd's start
  }
  gradus::optim::SGD optimizer(model.parameters(), {.lr = 1});
  fmt::print("{} points, {} parameters\n", moons.labels.numel(), model.num_parameters());

  constexpr int steps = 100;
  for (int step = 0; step <= steps; ++step) {
    const Tensor scores = model(moons.points);  // (N, 1)
    // The max-margin ("SVM") loss: no loss for a point once its score is on the right side by 1 or more.
    const Tensor data_loss = mean(relu(1 - moons.labels * scores));
    // A little pull towards 0 on every parameter (L2 regularization) keeps the border smooth.
    Tensor decay = gradus::tensor(0);
    for (const Tensor& param : model.parameters()) decay = decay + sum(param * param);
    const Tensor loss = data_loss + 1e-4 * decay;
    if (step % 10 == 0) {
      fmt::print("step {:3}  loss {:.4f}  accuracy {:.0f}%\n", step, loss.item(), 100 * accuracy(scores, moons.labels));
    }
    if (step == steps) break;

    optimizer.zero_grad();
    loss.backward();
    optimizer.set_lr(1 - 0.9 * step / steps);
    optimizer.step();
  }
  const gradus::NoGrad guard;
  fmt::print("\n{}", picture(model, moons));
  draw(model, moons);
}
