#include "../op_table.h"

#include <string_view>

namespace gradus::testing {
namespace {

// Logits so far apart that the loss is their difference.
std::vector<Edge> edges_of(std::string_view variant) {
  if (variant != "wide") return {};
  Array logits{{5, 7}, {}};
  for (int i = 0; i < 35; ++i) logits.values.push_back((i * 37 % 71 - 35) * 36);
  return {{"confident", {logits}}};
}

void add_cross_entropy(std::vector<OpRow>& rows) {
  struct CrossEntropy {
    const char* variant;
    Shape shape;
    std::int32_t ignored;
    Domain domain = Domain::any;
    double smoothing = 0;
  };
  for (const CrossEntropy& c :
       {CrossEntropy{"all_targets", {5, 7}, -1}, CrossEntropy{"ignored_targets", {5, 7}, -100},
        CrossEntropy{"three_dimensions", {2, 3, 4}, -1}, CrossEntropy{"wide", {5, 7}, -1, Domain::wide},
        CrossEntropy{"vector", {7}, -1}, CrossEntropy{"smoothed", {5, 7}, -1, Domain::any, 0.1},
        CrossEntropy{"smoothed_ignored_targets", {5, 7}, -100, Domain::any, 0.3}}) {
    const auto targets = [ignored = c.ignored](const Shape& shape) {
      return picks(shape.as_matrix().rows, shape[-1], ignored == -1 ? 0 : ignored);
    };
    rows.push_back(
        {.op = "cross_entropy",
         .variant = c.variant,
         .shapes = {c.shape},
         .f = [=](In x) { return cross_entropy(x[0], targets(x[0].shape()), c.ignored, c.smoothing); },
         .reference = [=](Arrays x) { return ref::cross_entropy(x[0], targets(x[0].shape), c.ignored, c.smoothing); },
         .domains = {c.domain},
         .sized =
             [rank = c.shape.rank()](Index n) {
               return Shapes{rank == 3 ? Shape{2, 2, n} : Shape{4, n}};
             },
         .large = {{3000, 71}},
         .torch = fmt::format("cross_entropy(x[0], {}, {})", c.ignored, c.smoothing),
         .torch_sizes = {17, 33},
         .edges = edges_of(c.variant),
         .limits = {4, 8},
         .f32_tolerance = 2e-6});
  }
}

const AddRows cross_entropy_rows("cross_entropy", add_cross_entropy);

}  // namespace
}  // namespace gradus::testing
