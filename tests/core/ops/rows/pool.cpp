#include "window.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <tuple>

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

std::vector<Edge> ties() {
  return {{"ties", {{{4, 4}, {1, 1, -0.0, 0, 1, 1, 0, 0, -inf, -inf, 2, inf, -inf, -inf, inf, 3}}}}};
}

Array pool_reference(const Array& x, Size2 kernel, Pool2dOptions o, bool largest) {
  if (o.stride.height == 0) o.stride = kernel;
  const auto count = [&](Index size, Index window, Index stride, Index padding) {
    return o.ceil_mode ? places_of_ceil_mode(size, window, stride, padding) : places(size, window, stride, padding, 1);
  };
  Shape shape = x.shape;
  shape.set(-2, count(x.shape[-2], kernel.height, o.stride.height, o.padding.height));
  shape.set(-1, count(x.shape[-1], kernel.width, o.stride.width, o.padding.width));
  return ref::make(shape, [&](const ref::Indices& at) {
    double sum = 0, most = -std::numeric_limits<double>::infinity();
    Index inside = 0, padded = 0;
    for (Index i = 0; i < kernel.height; ++i) {
      for (Index j = 0; j < kernel.width; ++j) {
        ref::Indices from = at;
        Index& row = from[from.size() - 2] = from[from.size() - 2] * o.stride.height - o.padding.height + i;
        Index& col = from.back() = from.back() * o.stride.width - o.padding.width + j;
        if (row < x.shape[-2] + o.padding.height && col < x.shape[-1] + o.padding.width) ++padded;
        if (row < 0 || row >= x.shape[-2] || col < 0 || col >= x.shape[-1]) continue;
        ++inside;
        sum += x.at(from);
        most = std::max(most, x.at(from));
      }
    }
    return largest ? most : sum / static_cast<double>(o.count_include_pad ? padded : inside);
  });
}

Array adaptive_reference(const Array& x, Size2 size, bool largest) {
  Shape shape = x.shape;
  shape.set(-2, size.height);
  shape.set(-1, size.width);
  const auto begin = [](Index i, Index n, Index count) { return i * n / count; };
  const auto end = [](Index i, Index n, Index count) { return ((i + 1) * n + count - 1) / count; };
  return ref::make(shape, [&](const ref::Indices& at) {
    const Index row = at[at.size() - 2], col = at.back(), height = x.shape[-2], width = x.shape[-1];
    std::vector<double> all;
    for (Index i = begin(row, height, size.height); i < end(row, height, size.height); ++i) {
      for (Index j = begin(col, width, size.width); j < end(col, width, size.width); ++j) {
        ref::Indices from = at;
        from[from.size() - 2] = i;
        from.back() = j;
        all.push_back(x.at(from));
      }
    }
    return largest ? ref::max_of(all) : ref::sum_of(all) / static_cast<double>(all.size());
  });
}

std::string python_of(bool flag) {
  return flag ? "True" : "False";
}

// The options of a row as PyTorch's pool2d() takes them; what is as usual stays away.
std::string more_of(const Pool2dOptions& o, bool largest) {
  std::string more;
  if (o.ceil_mode) more += ", ceil_mode=True";
  if (!o.count_include_pad && !largest) more += ", count_include_pad=False";
  return more;
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
      {"ceil_mode", {2, 5, 6}, {2, 4}, {.ceil_mode = true}, GRADUS_SIZED({2, 3, n}), {30, 5, 41, 41}},
      {"ceil_mode_padding", {1, 2, 6, 8}, {3, 4}, {.stride = {2, 3}, .padding = {1, 2}, .ceil_mode = true}},
      {"ceil_mode_larger_than_x", {2, 2, 3}, {3, 4}, {.ceil_mode = true}},
      {"ceil_mode_no_window_behind_x", {2, 3, 4}, 2, {.stride = 3, .padding = {1, 0}, .ceil_mode = true}},
      {"padding_not_counted",
       {1, 2, 5, 6},
       {3, 4},
       {.stride = 2, .padding = {1, 2}, .ceil_mode = true, .count_include_pad = false},
       GRADUS_SIZED({2, 2, n})},
  };
  for (const Pool& c : cases) {
    for (const bool largest : {true, false}) {
      rows.push_back({.op = largest ? "max_pool2d" : "avg_pool2d",
                      .variant = c.variant,
                      .shapes = {c.x},
                      .f =
                          [=](In x) {
                            return largest ? max_pool2d(x[0], c.kernel, c.options)
                                           : avg_pool2d(x[0], c.kernel, c.options);
                          },
                      .reference = [=](Arrays x) { return pool_reference(x[0], c.kernel, c.options, largest); },
                      .domains = {largest ? Domain::distinct : Domain::any},
                      .sized = c.sized,
                      .large = c.large.rank() == 0 ? Shapes{} : Shapes{c.large},
                      .torch = fmt::format("pool2d(F.{}, x[0], {}, {}, {}{})", largest ? "max_pool2d" : "avg_pool2d",
                                           torch_of(c.kernel),
                                           torch_of(c.options.stride.height == 0 ? c.kernel : c.options.stride),
                                           torch_of(c.options.padding), more_of(c.options, largest)),
                      .edges = largest && std::string_view(c.variant) == "halves" ? ties() : std::vector<Edge>{},
                      .limits = largest ? Limits{0, 0} : Limits{4, 4}});
    }
  }
}

void add_lines(std::vector<OpRow>& rows) {
  for (const bool largest : {true, false}) {
    for (const auto& [variant, kernel, o] :
         {std::tuple("plain", Index{3}, Pool1dOptions{}),
          std::tuple("everything", Index{4},
                     Pool1dOptions{.stride = 3, .padding = 2, .ceil_mode = true, .count_include_pad = false})}) {
      const std::string counted = largest ? "" : ", count_include_pad=" + python_of(o.count_include_pad);
      rows.push_back(
          {.op = largest ? "max_pool1d" : "avg_pool1d",
           .variant = variant,
           .shapes = {{2, 3, 10}},
           .f = [=, k = kernel, o = o](In x) { return largest ? max_pool1d(x[0], k, o) : avg_pool1d(x[0], k, o); },
           .reference =
               [=, k = kernel, o = o](Arrays x) {
                 Array plane = x[0];
                 plane.shape = {2, 3, 1, 10};
                 const Index stride = o.stride == 0 ? k : o.stride;
                 Array y = pool_reference(plane, {1, k},
                                          {{1, stride}, {0, o.padding}, o.ceil_mode, o.count_include_pad}, largest);
                 y.shape = {2, 3, y.shape[-1]};
                 return y;
               },
           .domains = {largest ? Domain::distinct : Domain::any},
           .torch = fmt::format("F.{}_pool1d(x[0], {}, {}, {}, ceil_mode={}{})", largest ? "max" : "avg", kernel,
                                o.stride == 0 ? kernel : o.stride, o.padding, python_of(o.ceil_mode), counted),
           .limits = largest ? Limits{0, 0} : Limits{4, 4}});
    }
  }
}

void add_adaptive(std::vector<OpRow>& rows) {
  struct Adaptive {
    const char* variant;
    Shape x;
    Size2 size;
  };
  for (const auto& [variant, x, size] :
       {Adaptive{"even", {2, 3, 4, 6}, {2, 3}}, Adaptive{"uneven", {2, 2, 5, 7}, {3, 4}},
        Adaptive{"one_side_even", {1, 2, 4, 7}, {2, 3}}, Adaptive{"to_one", {2, 3, 4, 5}, 1},
        Adaptive{"larger_than_x", {1, 2, 3, 2}, {4, 5}}}) {
    for (const bool largest : {true, false}) {
      const std::string name = largest ? "adaptive_max_pool2d" : "adaptive_avg_pool2d";
      rows.push_back(
          {.op = name,
           .variant = variant,
           .shapes = {x},
           .f = [=,
                 s = size](In in) { return largest ? adaptive_max_pool2d(in[0], s) : adaptive_avg_pool2d(in[0], s); },
           .reference = [=, s = size](Arrays in) { return adaptive_reference(in[0], s, largest); },
           .domains = {largest ? Domain::distinct : Domain::any},
           .torch = fmt::format("F.{}(x[0], {})", name, torch_of(size)),
           .edges = largest && std::string_view(variant) == "uneven"
                        ? std::vector<Edge>{{"ties", {{{1, 1, 3, 3}, {1, 2, 0, 0, 1, 2, 2, 0, 2}}}}}
                        : std::vector<Edge>{},
           .limits = largest ? Limits{0, 0} : Limits{4, 4}});
    }
  }
  for (const Index size : {3, 4}) {
    rows.push_back({.op = "adaptive_avg_pool1d",
                    .variant = size == 3 ? "even" : "uneven",
                    .shapes = {{2, 3, 9}},
                    .f = [=](In x) { return adaptive_avg_pool1d(x[0], size); },
                    .reference =
                        [=](Arrays x) {
                          Array plane = x[0];
                          plane.shape = {2, 3, 1, 9};
                          Array y = adaptive_reference(plane, {1, size}, false);
                          y.shape = {2, 3, size};
                          return y;
                        },
                    .torch = fmt::format("F.adaptive_avg_pool1d(x[0], {})", size)});
  }
}

void add_powers(std::vector<OpRow>& rows) {
  rows.push_back({.op = "lp_pool1d",
                  .shapes = {{1, 2, 6}},
                  .f = [](In x) { return lp_pool1d(x[0], 3, 2); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({1, 2, 3}, [&](const ref::Indices& i) {
                          return std::cbrt(std::pow(x[0].at({0, i[1], 2 * i[2]}), 3) +
                                           std::pow(x[0].at({0, i[1], 2 * i[2] + 1}), 3));
                        });
                      },
                  .domains = {Domain::positive},
                  .torch = "F.lp_pool1d(x[0], 3, 2)",
                  .limits = {32, 64}});
  rows.push_back({.op = "lp_pool2d",
                  .shapes = {{1, 2, 2, 4}},
                  .f = [](In x) { return lp_pool2d(x[0], 2, 2); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({1, 2, 1, 2}, [&](const ref::Indices& i) {
                          double sum = 0;
                          for (Index k = 0; k < 4; ++k) sum += std::pow(x[0].at({0, i[1], k / 2, 2 * i[3] + k % 2}), 2);
                          return std::sqrt(sum);
                        });
                      },
                  .domains = {Domain::positive},
                  .torch = "F.lp_pool2d(x[0], 2, 2)",
                  .limits = {32, 64}});
}

void add_all(std::vector<OpRow>& rows) {
  add_pools(rows);
  add_lines(rows);
  add_adaptive(rows);
  add_powers(rows);
}

const AddRows pool_rows("pool", add_all);

}  // namespace
}  // namespace gradus::testing
