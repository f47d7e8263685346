#include "../op_table.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

namespace gradus::testing {
namespace {

std::string torch_of(bool layer, bool weight, bool bias) {
  const char* const w = weight ? "x[1]" : "None";
  if (!layer) return fmt::format("rms_norm(x[0], {}, 1e-2)", w);
  return fmt::format("F.layer_norm(x[0], x[0].shape[-1:], {}, {}, 1e-2)", w, bias ? "x[-1]" : "None");
}

// The norm of a row of one number x is 1 but for eps / x^2, and its gradient a difference of nearly equal numbers
// through and through (gradus is 23 roundings from PyTorch's f64 in f32, PyTorch 367).
Limits limits_of(bool layer, std::string_view variant) {
  if (layer) return {5, 10};
  return variant == "one_number" ? Limits{6, 700} : Limits{6, 10};
}

std::vector<Edge> edges_of(bool layer, std::string_view variant) {
  if (variant != "plain") return {};
  if (layer) return {{"constant", {{{3, 4}, {3, 3, 3, 3, 0, 0, 0, 0, -1000, -1000, -1000, -1000}}}}};
  return {{"zero", {{{3, 4}, {3, 3, 3, 3, 0, 0, 0, 0, -1000, 0, 0, 0}}}}};
}

void add_norms(std::vector<OpRow>& rows) {
  struct Norm {
    const char* variant;
    Shape shape;
    bool weight, bias;
    std::function<Shape(Index)> sized = {};
    Shape large = {};
  };
  const Norm norms[] = {
      {"plain",
       {3, 7},
       false,
       false,
       [](Index n) {
         return Shape{3, n};
       },
       {3000, 71}},
      {"weight",
       {3, 7},
       true,
       false,
       [](Index n) {
         return Shape{3, n};
       },
       {3000, 71}},
      {"weight_and_bias",
       {3, 7},
       true,
       true,
       [](Index n) {
         return Shape{3, n};
       },
       {3000, 71}},
      {"bias",
       {3, 7},
       false,
       true,
       [](Index n) {
         return Shape{2, n};
       }},
      {"three_dimensions",
       {2, 3, 5},
       true,
       true,
       [](Index n) {
         return Shape{2, 2, n};
       }},
      {"vector", {7}, true, true, [](Index n) { return Shape{n}; }},
      {"one_number", {1}, true, true, {}},
  };
  for (const bool layer : {true, false}) {
    for (const Norm& norm : norms) {
      if (!layer && std::string(norm.variant) == "bias") continue;
      const bool bias = layer && norm.bias;
      const auto all = [weight = norm.weight, bias](const Shape& x) {
        Shapes shapes{x};
        if (weight) shapes.push_back({x[-1]});
        if (bias) shapes.push_back({x[-1]});
        return shapes;
      };
      std::function<Shapes(Index)> sized;
      if (norm.sized) sized = [=, given = norm.sized](Index n) { return all(given(n)); };
      // eps is larger than usual because a row of two nearly equal numbers would magnify rounding a hundredfold.
      constexpr double eps = 1e-2;
      rows.push_back({.op = layer ? "layer_norm" : "rms_norm",
                      .variant = norm.variant,
                      .shapes = all(norm.shape),
                      .f =
                          [layer, weight = norm.weight, bias](In x) {
                            const Tensor w = weight ? x[1] : Tensor(), b = bias ? x[weight ? 2 : 1] : Tensor();
                            return layer ? layer_norm(x[0], w, b, eps) : rms_norm(x[0], w, eps);
                          },
                      .reference =
                          [layer, weight = norm.weight, bias](Arrays x) {
                            const Array *const w = weight ? &x[1] : nullptr, *const b =
                                                                                 bias ? &x[weight ? 2 : 1] : nullptr;
                            return layer ? ref::layer_norm(x[0], w, b, eps) : ref::rms_norm(x[0], w, eps);
                          },
                      .sized = sized,
                      .large = norm.large.rank() == 0 ? Shapes{} : all(norm.large),
                      .torch = torch_of(layer, norm.weight, bias),
                      .torch_sizes = {17, 33},
                      .edges = edges_of(layer, norm.variant),
                      .limits = limits_of(layer, norm.variant),
                      .f32_tolerance = 5e-6,
                      .f32_grad_tolerance = 3e-5});  // differences of sums, divided by a small deviation
    }
  }
}

Array group_norm_reference(Arrays x, Index groups, double eps) {
  const Shape shape = x[0].shape;
  Array rows = x[0];
  rows.shape = {shape[0] * groups, shape.numel() / std::max<Index>(1, shape[0] * groups)};
  Array y = ref::layer_norm(rows, nullptr, nullptr, eps);
  y.shape = shape;
  return ref::make(shape, [&](const ref::Indices& at) {
    return y.at(at) * (x.size() > 1 ? x[1].at({at[1]}) : 1) + (x.size() > 2 ? x[2].at({at[1]}) : 0);
  });
}

void add_group_norms(std::vector<OpRow>& rows) {
  struct Norm {
    const char* variant;
    Shapes shapes;
    Index groups;
    std::function<Shapes(Index)> sized = {};
  };
  const Norm norms[] = {
      {"plain", {{2, 4, 3, 3}}, 2, GRADUS_SIZED({2, 4, n})},
      {"weight", {{2, 6, 5}, {6}}, 3},
      {"weight_and_bias", {{2, 4, 2, 3}, {4}, {4}}, 2, GRADUS_SIZED({2, 2, n}, {2}, {2})},
      {"one_group", {{3, 3, 4}, {3}, {3}}, 1},
      {"each_channel", {{2, 3, 7}, {3}, {3}}, 3},
      {"no_length", {{3, 6}, {6}, {6}}, 2},
  };
  for (const auto& [variant, shapes, groups, sized] : norms) {
    const char* const rest = shapes.size() == 3 ? "x[1], x[2]" : shapes.size() == 2 ? "x[1], None" : "None, None";
    rows.push_back({.op = "group_norm",
                    .variant = variant,
                    .shapes = shapes,
                    .f =
                        [n = groups](In x) {
                          return group_norm(x[0], n, x.size() > 1 ? x[1] : Tensor(), x.size() > 2 ? x[2] : Tensor(),
                                            1e-2);
                        },
                    .reference = [n = groups](Arrays x) { return group_norm_reference(x, n, 1e-2); },
                    .sized = sized,
                    .torch = fmt::format("F.group_norm(x[0], {}, {}, 1e-2)", groups, rest),
                    .limits = {10, 25},
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 3e-5});
  }
}

void add_local_response_norm(std::vector<OpRow>& rows) {
  rows.push_back({.op = "local_response_norm",
                  .shapes = {{2, 5, 3}},
                  .f = [](In x) { return local_response_norm(x[0], 3, 0.5); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 5, 3}, [&](const ref::Indices& i) {
                          double sum = 0;
                          for (Index c = std::max<Index>(0, i[1] - 1); c < std::min<Index>(5, i[1] + 2); ++c)
                            sum += std::pow(x[0].at({i[0], c, i[2]}), 2);
                          return x[0].at(i) / std::pow(1 + 0.5 * sum / 3, 0.75);
                        });
                      },
                  .torch = "F.local_response_norm(x[0], 3, 0.5)",
                  .limits = {32, 64}});
}

void add_all(std::vector<OpRow>& rows) {
  add_norms(rows);
  add_group_norms(rows);
  add_local_response_norm(rows);
}

const AddRows norm_rows("norm", add_all);

}  // namespace
}  // namespace gradus::testing
