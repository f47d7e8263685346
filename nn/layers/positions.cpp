// The tables of sines are computed in each call, in double: cheap beside the rest of a network, and of any length.
#include <gradus/nn/layers/positions.h>

#include <cmath>
#include <limits>
#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {
namespace {

// The sines and cosines of the angles (start + row) * base^(-i / frequencies), (rows, frequencies) each.
struct Table {
  Tensor sin, cos;
};

Table table(Index start, Index rows, Index frequencies, double base, DType dtype) {
  std::vector<double> turns, sines, cosines;  // turns: the angle from one row to the next
  for (Index i = 0; i < frequencies; ++i) {
    turns.push_back(std::pow(base, -static_cast<double>(i) / static_cast<double>(frequencies)));
  }
  sines.reserve(static_cast<std::size_t>(rows * frequencies));
  cosines.reserve(static_cast<std::size_t>(rows * frequencies));
  for (Index t = start; t < start + rows; ++t) {
    for (const double turn : turns) {
      sines.push_back(std::sin(static_cast<double>(t) * turn));
      cosines.push_back(std::cos(static_cast<double>(t) * turn));
    }
  }
  return {tensor(sines, {rows, frequencies}, dtype), tensor(cosines, {rows, frequencies}, dtype)};
}

void check_place(const char* name, const Tensor& x, Index width) {
  check_defined(name, {x});
  check(x.rank() >= 2 && x.size(-1) == width, "{}: x {} must be (.., time, {}), the width given at construction", name,
        x.shape(), width);
}

void check_options(const char* name, Index width, double base) {
  check(width > 0 && width % 2 == 0, "{}: width {}; it must be even, since sines and cosines come in pairs", name,
        width);
  check(std::isfinite(base) && base > 0, "{}: base {}; it must be above 0", name, base);
}

}  // namespace

LearnedPositions::LearnedPositions(Index length, Index width, PositionOptions options) {
  check(length > 0 && width > 0, "LearnedPositions: {} places of width {}; both must be at least 1", length, width);
  weight = parameter(Tensor::empty({length, width}, options.dtype));
  init::normal_(weight, 0, 0.02);
}

Tensor LearnedPositions::operator()(const Tensor& x) const {
  check_place("LearnedPositions", x, weight.size(1));
  check(x.size(-2) <= weight.size(0), "LearnedPositions: x {} has {} places, but only {} were learned; shorten x",
        x.shape(), x.size(-2), weight.size(0));
  return x + slice(weight, 0, 0, x.size(-2));
}

void LearnedPositions::members(Visitor& visit) const {
  visit("weight", weight);
}

SinusoidalPositions::SinusoidalPositions(Index width, double base) : width_(width), base_(base) {
  check_options("SinusoidalPositions", width, base);
}

Tensor SinusoidalPositions::operator()(const Tensor& x) const {
  check_place("SinusoidalPositions", x, width_);
  const Index rows = x.size(-2), half = width_ / 2;
  const auto [sin, cos] = table(0, rows, half, base_, x.dtype());
  const Tensor pairs = stack({sin, cos}, -1);  // (T, C / 2, 2)
  return x + reshape(pairs, {rows, width_});
}

RotaryPositions::RotaryPositions(Index head_size, double base) : size_(head_size), base_(base) {
  check_options("RotaryPositions", head_size, base);
}

Tensor RotaryPositions::operator()(const Tensor& x, Index start) const {
  check_place("RotaryPositions", x, size_);
  check(start >= 0, "RotaryPositions: the first row stands at place {}; places count from 0", start);
  const Index rows = x.size(-2), half = size_ / 2;
  check(start <= std::numeric_limits<Index>::max() - rows, "RotaryPositions: {} rows from place {} on are too many",
        rows, start);
  const auto [sin, cos] = table(start, rows, half, base_, x.dtype());
  const Tensor a = slice(x, -1, 0, half), b = slice(x, -1, half, size_);
  return concat({a * cos - b * sin, b * cos + a * sin}, -1);
}

}  // namespace gradus::nn
