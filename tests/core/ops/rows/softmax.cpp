#include "../op_table.h"

#include <limits>
#include <string_view>

namespace gradus::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// The gradient where one weight is nearly 1 is a difference of nearly equal numbers; a row of "wide" has a weight of
// 1 - 10^-4.
Limits limits_of(bool logarithm, std::string_view variant) {
  if (logarithm) return {4, 12};
  return variant == "wide" ? Limits{9, 400} : Limits{9, 30};
}

std::vector<Edge> edges_of(bool logarithm, std::string_view variant) {
  if (logarithm) {
    if (variant != "last") return {};
    return {{"large", {{{1, 5}, {640, -640, 640, 0, 632}}}}};
  }
  if (variant == "last") {
    return {{"masked", {{{3, 5}, {1, -inf, 0.5, -inf, -2, -inf, -inf, 3, -inf, -inf, 80, -80, 80, 0, 79}}}}};
  }
  if (variant != "first") return {};
  return {{"masked", {{{5, 3}, {1, -inf, 80, -inf, -inf, -80, 0.5, 3, 80, -inf, -inf, 0, -2, -inf, 79}}}}};
}

void add_softmax(std::vector<OpRow>& rows) {
  struct Softmax {
    const char* variant;
    Shape shape;
    Index dim;
    Domain domain = Domain::any;
    std::function<Shapes(Index)> sized = {};
    Shape large = {};
  };
  const Softmax forms[] = {
      {"last", {3, 7}, -1, Domain::any, GRADUS_SIZED({3, n}), {3000, 71}},
      {"wide", {3, 7}, -1, Domain::wide, GRADUS_SIZED({2, n})},
      {"first", {4, 3}, 0, Domain::any, GRADUS_SIZED({4, n}), {300, 401}},
      {"middle", {2, 4, 3}, 1},
      {"vector", {7}, 0},
  };
  for (const bool logarithm : {false, true}) {
    for (const Softmax& form : forms) {
      rows.push_back(
          {.op = logarithm ? "log_softmax" : "softmax",
           .variant = form.variant,
           .shapes = {form.shape},
           .f = [logarithm, dim = form.dim](In x) { return logarithm ? log_softmax(x[0], dim) : softmax(x[0], dim); },
           .reference =
               [logarithm, dim = form.dim](Arrays x) {
                 return ref::softmax(x[0], dim < 0 ? dim + x[0].shape.rank() : dim, logarithm);
               },
           .domains = {form.domain},
           .sized = form.sized,
           .large = form.large.rank() == 0 ? Shapes{} : Shapes{form.large},
           .torch = fmt::format("torch.{}(x[0], {})", logarithm ? "log_softmax" : "softmax", form.dim),
           .torch_sizes = {1, 17, 33},
           .edges = edges_of(logarithm, form.variant),
           .limits = limits_of(logarithm, form.variant),
           .f32_tolerance = 2e-6,
           .f32_grad_tolerance = 1e-5});
    }
  }
}

void add_softmin(std::vector<OpRow>& rows) {
  rows.push_back(
      {.op = "softmin",
       .shapes = {{3, 5}},
       .f = [](In x) { return softmin(x[0]); },
       .reference = [](Arrays x) { return ref::softmax(ref::map(x[0], [](double v) { return -v; }), 1, false); },
       .torch = "F.softmin(x[0], -1)",
       .limits = {8, 16}});
}

void add_gumbel_softmax(std::vector<OpRow>& rows) {
  rows.push_back({.op = "gumbel_softmax",
                  .variant = "hot",
                  .shapes = {{3, 4}},
                  .f = [](In x) { return gumbel_softmax(x[0], 1e30); },
                  .reference = [](Arrays x) { return ref::map(x[0], [](double) { return 0.25; }); },
                  .no_gradient = {0},
                  .torch = "F.gumbel_softmax(x[0], 1e30)",
                  .limits = {0, 0}});
}

const AddRows softmax_rows("softmax", [](std::vector<OpRow>& rows) {
  add_softmax(rows);
  add_softmin(rows);
  add_gumbel_softmax(rows);
});

}  // namespace
}  // namespace gradus::testing
