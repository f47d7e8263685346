// Gradients as values: of interior tensors, of chosen inputs only, and of gradients. The names and meanings are those
// of torch.autograd and torch.autograd.functional.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include <gradus/core/autograd.h>

namespace gradus {
#pragma GCC visibility push(default)

struct GradOptions {
  Tensor weight = {};         // of y's shape: the gradient is that of sum(y * weight); needed unless y is one number
  bool retain_graph = false;  // keep the graph behind y, for another gradient
  bool create_graph = false;  // the gradients have derivatives themselves; keeps the graph too
  bool allow_unused = false;  // an x that y does not depend on has an undefined gradient, instead of an Error
};

/// The gradients of y with respect to each of x: dy/dx[i], of x[i]'s shape. x may be leaves or results of ops. No
/// tensor's grad() changes. Throws Error if an x wants no gradient, or if y does not depend on it. Without retain_graph
/// the graph between y and x is released, and what is behind x stays. As with backward(), two threads must not do this
/// at once for graphs that share a tensor that wants a gradient.
///     const Tensor u_x = grad(sum(u), {x}, {.create_graph = true})[0];
std::vector<Tensor> grad(const Tensor& y, const std::vector<Tensor>& x, const GradOptions& options = {});

/// A function of one tensor, and one of several.
using TensorFunction = std::function<Tensor(const Tensor&)>;
using TensorsFunction = std::function<Tensor(const std::vector<Tensor>&)>;

/// The result of f at x, and v's product with its Jacobian: sum over outputs of v * df/dx. v: of f's shape; it may be
/// left out if f is one number. As in torch.autograd.functional, the results belong to no graph unless create_graph;
/// then they also have derivatives with respect to x and v.
std::pair<Tensor, Tensor> vjp(const TensorFunction& f, const Tensor& x, const Tensor& v = {},
                              bool create_graph = false);
std::pair<Tensor, std::vector<Tensor>> vjp(const TensorsFunction& f, const std::vector<Tensor>& x, const Tensor& v = {},
                                           bool create_graph = false);

/// The result of f at x, and the derivative of f along v: sum over inputs of df/dx * v, of f's shape. v: of x's shapes.
/// By two backward passes (Townsend, "A new trick for calculating Jacobian vector products", 2017).
std::pair<Tensor, Tensor> jvp(const TensorFunction& f, const Tensor& x, const Tensor& v, bool create_graph = false);
std::pair<Tensor, Tensor> jvp(const TensorsFunction& f, const std::vector<Tensor>& x, const std::vector<Tensor>& v,
                              bool create_graph = false);

/// The result of f, one number, at x, and its Hessian's product with v, of x's shapes (Pearlmutter 1994): one gradient
/// of a gradient, whatever the size of x.
std::pair<Tensor, Tensor> hvp(const TensorFunction& f, const Tensor& x, const Tensor& v, bool create_graph = false);
std::pair<Tensor, std::vector<Tensor>> hvp(const TensorsFunction& f, const std::vector<Tensor>& x,
                                           const std::vector<Tensor>& v, bool create_graph = false);

/// All derivatives of f's elements with respect to x's: of f's sizes, then x's. One backward pass for each element of
/// f.
Tensor jacobian(const TensorFunction& f, const Tensor& x, bool create_graph = false);
std::vector<Tensor> jacobian(const TensorsFunction& f, const std::vector<Tensor>& x, bool create_graph = false);

/// All second derivatives of f, one number: of x's sizes twice; for several tensors [i][j] has x[i]'s sizes, then
/// x[j]'s.
Tensor hessian(const TensorFunction& f, const Tensor& x, bool create_graph = false);
std::vector<std::vector<Tensor>> hessian(const TensorsFunction& f, const std::vector<Tensor>& x,
                                         bool create_graph = false);

#pragma GCC visibility pop
}  // namespace gradus
