#include <algorithm>
#include <cmath>

#include "window.h"

namespace gradus::testing {
namespace {

// How much element `from` of a dimension of x counts in element `to` of the result.
double share(Index to, Index from, Index in, Index out, double step, const InterpolateOptions& o) {
  if (o.mode == Interpolation::nearest) {
    return std::min(static_cast<Index>(std::floor(static_cast<double>(to) * step)), in - 1) == from ? 1 : 0;
  }
  double place = (static_cast<double>(to) + 0.5) * step - 0.5;
  if (o.align_corners) {
    place = out == 1 ? 0 : static_cast<double>(to) * static_cast<double>(in - 1) / static_cast<double>(out - 1);
  }
  place = std::clamp(place, 0.0, static_cast<double>(in - 1));
  return std::max(0.0, 1 - std::abs(place - static_cast<double>(from)));
}

Array interpolate_reference(Array x, InterpolateOptions o) {
  const bool line = x.shape.rank() == 3;
  if (line) {
    x.shape = {x.shape[0], x.shape[1], 1, x.shape[2]};
    o.size.height = o.size.width == 0 ? 0 : 1;
    o.scale_factor.height = 1;
  }
  const auto length = [](Index in, Index size, double factor) {
    return size > 0 ? size : static_cast<Index>(static_cast<double>(in) * factor);
  };
  const Index H = x.shape[2], W = x.shape[3];
  const Index height = length(H, o.size.height, o.scale_factor.height);
  const Index width = length(W, o.size.width, o.scale_factor.width);
  const bool sized = o.size.width > 0;
  const double down = sized ? static_cast<double>(H) / static_cast<double>(height) : 1 / o.scale_factor.height;
  const double right = sized ? static_cast<double>(W) / static_cast<double>(width) : 1 / o.scale_factor.width;
  Array y = ref::make({x.shape[0], x.shape[1], height, width}, [&](const ref::Indices& at) {
    double sum = 0;
    for (Index i = 0; i < H; ++i) {
      for (Index j = 0; j < W; ++j) {
        sum += share(at[2], i, H, height, down, o) * share(at[3], j, W, width, right, o) * x.at({at[0], at[1], i, j});
      }
    }
    return sum;
  });
  if (line) y.shape = {x.shape[0], x.shape[1], width};
  return y;
}

std::string call_of(const Shape& x, const InterpolateOptions& o) {
  const bool line = x.rank() == 3, by_size = o.size.width > 0;
  std::string text = "F.interpolate(x[0], ";
  if (by_size) {
    text += "size=" + (line ? std::to_string(o.size.width) : torch_of(o.size));
  } else if (line) {
    text += fmt::format("scale_factor={}", o.scale_factor.width);
  } else {
    text += fmt::format("scale_factor=({}, {})", o.scale_factor.height, o.scale_factor.width);
  }
  if (o.mode == Interpolation::nearest) return text + ", mode='nearest')";
  return text + fmt::format(", mode='{}', align_corners={})", line ? "linear" : "bilinear",
                            o.align_corners ? "True" : "False");
}

void add_interpolations(std::vector<OpRow>& rows) {
  struct Case {
    const char* variant;
    Shape x;
    InterpolateOptions options;
    std::function<Shapes(Index)> sized = {};
  };
  using enum Interpolation;
  const Case cases[] = {
      {"nearest_twice", {2, 3, 3, 4}, {.scale_factor = 2}, GRADUS_SIZED({1, 2, 2, n})},
      {"nearest_factors", {2, 2, 5, 4}, {.scale_factor = {0.7, 2.6}}},
      {"nearest_size", {1, 2, 7, 5}, {.size = {3, 8}}},
      {"nearest_line", {2, 3, 5}, {.scale_factor = 1.5}},
      {"bilinear_twice", {2, 3, 3, 4}, {.scale_factor = 2, .mode = bilinear}, GRADUS_SIZED({1, 2, 2, n})},
      {"bilinear_factors", {2, 2, 5, 4}, {.scale_factor = {0.7, 2.6}, .mode = bilinear}},
      {"bilinear_size", {1, 2, 7, 5}, {.size = {3, 8}, .mode = bilinear}},
      {"bilinear_corners", {2, 2, 3, 5}, {.scale_factor = {2, 1.5}, .mode = bilinear, .align_corners = true}},
      {"bilinear_corners_size", {1, 2, 5, 2}, {.size = {3, 7}, .mode = bilinear, .align_corners = true}},
      {"bilinear_corners_to_one", {1, 2, 5, 4}, {.size = 1, .mode = bilinear, .align_corners = true}},
      {"bilinear_of_one", {2, 2, 1, 1}, {.size = {2, 3}, .mode = bilinear}},
      {"linear", {2, 3, 5}, {.size = {0, 8}, .mode = linear}},
  };
  for (const Case& c : cases) {
    rows.push_back({.op = "interpolate",
                    .variant = c.variant,
                    .shapes = {c.x},
                    .f = [o = c.options](In x) { return interpolate(x[0], o); },
                    .reference = [o = c.options](Arrays x) { return interpolate_reference(x[0], o); },
                    .sized = c.sized,
                    .torch = call_of(c.x, c.options),
                    .limits = c.options.mode == nearest ? Limits{0, 4} : Limits{8, 8}});
  }
}

const AddRows interpolate_rows("interpolate", add_interpolations);

}  // namespace
}  // namespace gradus::testing
