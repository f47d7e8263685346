// Pictures of the graph behind a tensor, without Graphviz: every value and gradient of a small one, as in micrograd,
// and of a large one the modules that it ran through, or where no names tell them its ops in equal pieces.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

/// Names of leaves, such as a module's named_parameters(); from the dots in them a large graph knows its modules: the
/// parameter "h.0.attn.weight" belongs to "h.0.attn", which lies in "h.0". A name without a dot belongs to none. An op
/// without a named input counts to the module that made its newest input, so those of a loss stand, but for the last,
/// in the last module's box.
using NamesOfTensors = std::vector<std::pair<std::string, Tensor>>;

/// How much a picture shows.
struct DrawOptions {
  /// A graph of up to so many vertices shows each of them. A larger one has at most so many boxes: a box for each run
  /// of ops in the same module, the smallest modules that are few enough; else consecutive ops, as many to each box.
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
