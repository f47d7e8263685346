// Pictures of the graph behind a tensor, without Graphviz: every value and gradient of a small one, as in micrograd,
// and of a large one the modules that it ran through.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

/// Names of leaves, such as a module's named_parameters(); from the dots in them a large graph knows its modules.
using NamesOfTensors = std::vector<std::pair<std::string, Tensor>>;

/// How much a picture shows.
struct DrawOptions {
  Index details = 40;  // graphs of up to so many vertices show each of them; also how many boxes a larger one may have
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
