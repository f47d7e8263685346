// What the two forms of backward() share: autograd.cpp runs the ops' kernels, derivatives.cpp their rules.
#pragma once

#include <gradus/core/tensor.h>

namespace gradus::detail {

using NodeList = std::vector<NodePtr, PoolAllocator<NodePtr>>;

/// The ops behind y from the newest to the oldest, y's own first. Throws Error, in the name of the function `name`, if
/// there is no graph, or no longer.
NodeList ops_behind(const char* name, const Tensor& y);
/// Clears what an earlier, retained backward() left in the ops' results.
void clear_gradients(const NodeList& ops);

/// Throws Error, in the name of the function `name`, unless `weight` is of y's shape and type. Watchers are told that
/// backward() begins.
void check_weight(const char* name, const Tensor& y, const Tensor& weight);

/// What has to be known about an op's inputs before its derivative runs.
struct Inspection {
  bool wanted = false;        // an input wants a gradient: not where grad() looks for nothing behind the op
  bool runs = false;          // and the op's result has elements
  bool shared = false;        // a gradient that the op will change is also a tensor of the caller (x.grad())
  bool changed = false;       // one of the op's values was written since it recorded them
  std::uint64_t missing = 0;  // a bit for each of the first 64 that has no gradient yet
};
inline constexpr std::size_t most_missing = 64;
Inspection inspect(const Node& op);

/// Throws Error, in the name of the function `name`, for an empty function.
template <class Function>
void check_function(const char* name, const Function& f) {
  check(f != nullptr, "{}: f is an empty function; pass one that computes a tensor", name);
}

/// After an op's derivative has run: input gradients that nothing was added to become 0, and watchers are told.
void finish(const Node& op, bool released);

/// Adds the gradients of sum(y * weight), y being the first of `ops`, to those of the leaves, by the ops' kernels.
void run_kernels(NodeList ops, const Tensor& weight, bool retain_graph);
/// The same where y already holds its gradient.
void run_kernels(NodeList ops, bool retain_graph);

/// While one lives, this thread's backward() and grad() treat every node with an id below `first_id` as a leaf: they
/// add to its gradient, and go no further. Several may live at once; the largest counts.
class OnlySince {
 public:
  explicit OnlySince(std::uint64_t first_id);
  ~OnlySince();
  OnlySince(const OnlySince&) = delete;
  OnlySince& operator=(const OnlySince&) = delete;

 private:
  std::uint64_t outer_;
};
/// Whether it is a leaf, or taken for one.
bool ends_graph(const Node& node);

}  // namespace gradus::detail
