// A shape as a function: the network u(x, y) learns how far a point is from the border of a star, negative inside,
// from points on the border alone (Gropp et al. 2020, "Implicit Geometric Regularization"). There u is asked to be 0.
// Elsewhere nothing is known but that a distance changes by 1 per unit of length, |grad u| = 1: the eikonal equation.
// The loss contains the gradient of u, so training takes the gradient of a gradient.
//
//   build/bin/sdf [scale]        writes sdf.svg; scale 0.1 trains a tenth as long
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "svg.h"

using namespace gradus;
using std::numbers::pi;

struct Point {
  double x, y;
};

std::vector<Point> star() {
  std::vector<Point> corners;
  for (int i = 0; i < 10; ++i) {
    const double angle = pi / 2 + pi / 5 * i, radius = i % 2 == 0 ? 0.8 : 0.4;
    corners.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  return corners;
}

// Of the border from p, negative inside: the nearest of the sides, and how often a ray to the right crosses them.
double distance(const std::vector<Point>& corners, Point p) {
  double nearest = std::numeric_limits<double>::infinity();
  bool inside = false;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const Point a = corners[i], b = corners[(i + 1) % corners.size()];
    const double dx = b.x - a.x, dy = b.y - a.y;
    const double along = std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
    nearest = std::min(nearest, std::hypot(p.x - a.x - along * dx, p.y - a.y - along * dy));
    if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + (p.y - a.y) / dy * dx) inside = !inside;
  }
  return inside ? -nearest : nearest;
}

// Random points of the border, whose sides are all of one length: (count, 2).
Tensor on_border(const std::vector<Point>& corners, Index count, Generator& generator) {
  std::vector<double> xy;
  for (Index i = 0; i < count; ++i) {
    const auto side = static_cast<std::size_t>(generator.below(static_cast<Index>(corners.size())));
    const Point a = corners[side], b = corners[(side + 1) % corners.size()];
    const double part = generator.uniform<double>();
    xy.insert(xy.end(), {a.x + part * (b.x - a.x), a.y + part * (b.y - a.y)});
  }
  return tensor(xy, {count, 2});
}

// Starts as the distance from a circle, about (Atzmon & Lipman 2020): so it is known what is inside.
struct Field : nn::Module {
  static constexpr Index width = 64;
  nn::Linear in{2, width}, middle{width, width}, deep{width, width}, out{width, 1};
  Field() {
    for (const nn::Linear* const layer : {&in, &middle, &deep}) {
      nn::init::normal_(layer->weight, 0, std::sqrt(2.0 / width));
      nn::init::zeros_(layer->bias);
    }
    nn::init::normal_(out.weight, std::sqrt(pi / width), 1e-4);
    nn::init::constant_(out.bias, -0.5);
  }
  // A relu without corners, which has a second derivative: softplus(100 x) / 100.
  static Tensor smooth(const Tensor& x) { return softplus(100 * x) / 100; }
  Tensor operator()(const Tensor& xy) const { return out(smooth(deep(smooth(middle(smooth(in(xy))))))); }  // (N, 1)
  void members(nn::Visitor& visit) const override {
    visit("in", in);
    visit("middle", middle);
    visit("deep", deep);
    visit("out", out);
  }
};

void train(const Field& field, const std::vector<Point>& corners, int steps) {
  Generator generator(1);
  optim::Adam adam(field.parameters(), {.lr = 2e-3});
  for (int step = 0; step < steps; ++step) {
    const Tensor border = on_border(corners, 256, generator);
    const Tensor anywhere = (2.2 * rand({256, 2}) - 1.1).requires_grad(true);
    const Tensor slope = grad(sum(field(anywhere)), {anywhere}, {.create_graph = true})[0];  // (256, 2)
    const Tensor on_it = mean(abs(field(border)));
    const Tensor eikonal = mean(square(sqrt(sum(square(slope), 1)) - 1));
    const Tensor loss = on_it + 0.1 * eikonal;
    if (step % 500 == 0) fmt::print("step {:4}  border {:.4f}  eikonal {:.4f}\n", step, on_it, eikonal);
    adam.set_lr(2e-3 * (1 - 0.95 * step / steps));
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
}

// Values on a grid of cells + 1 by cells + 1 points over [-1.1, 1.1] x [-1.1, 1.1].
constexpr int cells = 66;
constexpr double edge = 1.1, cell = 2 * edge / cells;

std::vector<Point> grid() {
  std::vector<Point> points;
  for (int row = 0; row <= cells; ++row) {
    for (int column = 0; column <= cells; ++column) points.push_back({cell * column - edge, cell * row - edge});
  }
  return points;
}

// Where a line of the level passes through a triangle it crosses two of the sides, between values above and below.
void draw_level(Svg& svg, const std::vector<Point>& points, const std::vector<double>& values, double level,
                double shift, const std::string& color, double wide) {
  const auto cut = [&](const std::array<std::size_t, 3>& triangle) {
    std::vector<double> x, y;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t a = triangle[i], b = triangle[(i + 1) % 3];
      if ((values[a] < level) == (values[b] < level)) continue;
      const double part = (level - values[a]) / (values[b] - values[a]);
      x.push_back(points[a].x + part * (points[b].x - points[a].x) + shift);
      y.push_back(points[a].y + part * (points[b].y - points[a].y));
    }
    if (!x.empty()) svg.line(x, y, color, wide);
  };
  constexpr std::size_t row = cells + 1;
  for (std::size_t i = 0; i + row + 1 < points.size(); ++i) {
    if (i % row == cells) continue;
    cut({i, i + 1, i + row});
    cut({i + 1, i + row, i + row + 1});
  }
}

void draw(const std::vector<Point>& points, const std::vector<double>& learned, const std::vector<double>& exact) {
  Svg svg({-edge, 3 * edge + 0.1}, {-edge, edge + 0.1}, 900, 460);
  for (const auto& [values, shift] : {std::pair{&learned, 0.0}, {&exact, 2 * edge + 0.1}}) {
    for (int tenth = -3; tenth <= 6; ++tenth) {
      const bool border = tenth == 0;
      draw_level(svg, points, *values, 0.1 * tenth, shift, tenth < 0 ? blue : border ? "#222" : red, border ? 3 : 1);
    }
  }
  svg.text(0, edge, "the network");
  svg.text(2 * edge + 0.1, edge, "the exact distance");
  svg.save("sdf.svg", "lines of the same distance from a star: inside blue, outside red, a tenth apart");
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  const std::vector<Point> corners = star(), points = grid();
  std::vector<double> xy, exact;
  for (const Point& p : points) {
    xy.insert(xy.end(), {p.x, p.y});
    exact.push_back(distance(corners, p));
  }
  const Field field;
  const auto mean_error = [&](const std::vector<double>& learned) {
    double sum = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) sum += std::abs(learned[i] - exact[i]);
    return sum / static_cast<double>(exact.size());
  };
  const auto learned = [&] {
    const NoGrad guard;
    return field(tensor(xy, {static_cast<Index>(points.size()), 2})).to_vector();
  };
  const double before = mean_error(learned());
  train(field, corners, static_cast<int>(3000 * scale));
  const std::vector<double> after = learned();
  fmt::print("mean error of the distance: {:.4f}, and {:.4f} before training\n", mean_error(after), before);
  draw(points, after, exact);
}
