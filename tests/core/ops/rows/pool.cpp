#include "window.h"

#include <algorithm>
#include <limits>
#include <string_view>

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

std::vector<Edge> ties() {
  return {{"ties", {{{4, 4}, {1, 1, -0.0, 0, 1, 1, 0, 0, -inf, -inf, 2, inf, -inf, -inf, inf, 3}}}}};
}

Array pool_reference(const Array& x, Size2 kernel, Pool2dOptions o, bool largest) {
  if (o.stride.height == 0) o.stride = kernel;
  Shape shape = x.shape;
  shape.set(-2, places(x.shape[-2], kernel.height, o.stride.height, o.padding.height, 1));
  shape.set(-1, places(x.shape[-1], kernel.width, o.stride.width, o.padding.width, 1));
  return ref::make(shape, [&](const ref::Indices& at) {
    double sum = 0, most = -std::numeric_limits<double>::infinity();
    for (Index i = 0; i < kernel.height; ++i) {
      for (Index j = 0; j < kernel.width; ++j) {
        ref::Indices from = at;
        Index& row = from[from.size() - 2] = from[from.size() - 2] * o.stride.height - o.padding.height + i;
        Index& col = from.back() = from.back() * o.stride.width - o.padding.width + j;
        if (row < 0 || row >= x.shape[-2] || col < 0 || col >= x.shape[-1]) continue;
        sum += x.at(from);
        most = std::max(most, x.at(from));
      }
    }
    return largest ? most : sum / static_cast<double>(kernel.height * kernel.width);
  });
}

void add_pools(std::vector<OpRow>& rows) {
  struct Pool {
    const char* variant;
    Shape x;
    Size2 kernel;
    Pool2dOptions options = {};
    std::function<Shapes(Index)> sized = {};
    Shape large = {};
  };
  const Pool cases[] = {
      {"halves", {2, 3, 4, 6}, 2, {}, GRADUS_SIZED({2, 4, 2 * n}), {30, 5, 40, 40}},
      {"rest_is_left_out", {2, 5, 7}, {2, 3}},
      {"overlapping", {2, 3, 5, 5}, 3, {.stride = {1, 2}}, GRADUS_SIZED({2, 3, n + 2})},
      {"padding", {1, 2, 5, 4}, 3, {.stride = 2, .padding = 1}, GRADUS_SIZED({2, 2, n})},
      {"of_one", {3, 4}, 1},
  };
  for (const Pool& c : cases) {
    for (const bool largest : {true, false}) {
      rows.push_back(
          {.op = largest ? "max_pool2d" : "avg_pool2d",
           .variant = c.variant,
           .shapes = {c.x},
           .f =
               [=](In x) {
                 return largest ? max_pool2d(x[0], c.kernel, c.options) : avg_pool2d(x[0], c.kernel, c.options);
               },
           .reference = [=](Arrays x) { return pool_reference(x[0], c.kernel, c.options, largest); },
           .domains = {largest ? Domain::distinct : Domain::any},
           .sized = c.sized,
           .large = c.large.rank() == 0 ? Shapes{} : Shapes{c.large},
           .torch = fmt::format(
               "pool2d(F.{}, x[0], {}, {}, {})", largest ? "max_pool2d" : "avg_pool2d", torch_of(c.kernel),
               torch_of(c.options.stride.height == 0 ? c.kernel : c.options.stride), torch_of(c.options.padding)),
           .edges = largest && std::string_view(c.variant) == "halves" ? ties() : std::vector<Edge>{},
           .limits = largest ? Limits{0, 0} : Limits{4, 4}});
    }
  }
}

const AddRows pool_rows("pool", add_pools);

}  // namespace
}  // namespace gradus::testing
