// Pictures of the graph behind a tensor, without Graphviz. A small graph is drawn with every value and gradient, as in
// micrograd; a large one as boxes, one per module, or, without names, one per run of consecutive ops.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

/// Names of leaves, such as a module's named_parameters(). The dots in a name tell the module: the parameter
/// "h.0.attn.weight" is of the module "h.0.attn", which is inside "h.0"; a name without a dot is of no module. An op
/// without a named input is drawn in the module of its newest input: the ops of a loss, except the last, are drawn in
/// the box of the last module.
using NamesOfTensors = std::vector<std::pair<std::string, Tensor>>;

/// How much a picture shows.
struct DrawOptions {
  /// The largest number of boxes. A graph with no more vertices than this is drawn vertex by vertex. A larger one has a
  /// box for each run of ops in the same module, at the deepest level of modules that fits; if none fits, consecutive
  /// ops in boxes of equal length.
  Index details = 40;
};

/// The graph that `y` was computed from, as a complete SVG file. Draw before backward(), or after
/// backward(retain_graph = true) to see gradients. Throws Error when nothing was recorded.
std::string graph_svg(const Tensor& y, const NamesOfTensors& names = {}, DrawOptions options = {});
/// The same in Graphviz's language.
std::string graph_dot(const Tensor& y, const NamesOfTensors& names = {}, DrawOptions options = {});
/// Writes graph_dot() to a path that ends in .dot or .gv, graph_svg() to any other.
void draw_graph(const Tensor& y, const std::string& path, const NamesOfTensors& names = {}, DrawOptions options = {});

#pragma GCC visibility pop
}  // namespace gradus
