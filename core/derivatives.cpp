// backward() with options, and grad() with what is made of it. With create_graph the ops' rules run instead of their
// kernels: they are made of ops, so the gradients have derivatives too.
#include <gradus/core/derivatives.h>

#include <algorithm>

#include <gradus/core/detail/backward_pass.h>
#include <gradus/core/detail/change_guard.h>
#include <gradus/core/detail/final_gradients.h>
#include <gradus/core/ops.h>
#include <gradus/core/post_accumulate_grad.h>
#include <gradus/core/watch.h>

namespace gradus {
namespace {

using detail::NodeList;

void add_share(Node& node, const Tensor& so_far, const Tensor& share) {
  Tensor sum = so_far.defined() ? so_far + share : share;
  // A later backward adds in place to what a leaf holds: nobody else may hold it.
  if (node.is_leaf() && sum.node().data.is_shared()) sum = sum.clone();
  node.grad = sum.node().data;
  node.grad_node = std::make_unique<NodePtr>(sum.node_ptr());
}

void run_rule(const NodePtr& op) {
  const detail::Inspection found = detail::inspect(*op);
  if (!found.runs) return;
  check(op->backward->has_rule(),
        "backward: '{}' has no second derivative, because it was recorded without a rule; give record() a fifth "
        "argument, rule(y, dy, x), which returns the gradients of the inputs as tensors made with ops",
        op->called());
  const Tensor y(op);
  const auto gradients = [&] {
    const RuleInputs x(op->inputs);
    if (!found.changed && detail::watcher() == nullptr) return op->backward->rule(y, y.grad(), x);
    const detail::ChangeGuard guard(*op);
    return op->backward->rule(y, y.grad(), x);
  }();
  check(gradients.size() == op->inputs.size(),
        "backward: the rule of '{}' returned {} gradients for {} inputs; one each is needed", op->called(),
        gradients.size(), op->inputs.size());
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const NodePtr& input = op->inputs[i];
    const Tensor& share = gradients[i];
    if (input == nullptr || !input->wants_grad() || !share.defined()) continue;
    check(share.shape() == input->shape && share.dtype() == input->dtype,
          "backward: the rule of '{}' returned a gradient of {} {} for input {}, which is {} {}; they must agree",
          op->called(), share.dtype(), share.shape(), i, input->dtype, input->shape);
    add_share(*input, Tensor(input).grad(), share);
  }
}

// The graph of a gradient leads back to the node that it belongs to: kept in that node, neither would be freed.
struct DropGradients {
  const NodeList& ops;
  ~DropGradients() {
    for (const NodePtr& op : ops) drop(*op);
  }
  static void drop(Node& op) {
    op.left_out = false;
    if (op.is_leaf() || op.keeps_grad) return;
    op.grad.reset();
    op.grad_node.reset();
  }
};

void run_rules(const NodeList& ops, const Tensor& weight) {
  const EnableGrad recording;
  const DropGradients at_exit{ops};
  add_share(*ops.front(), Tensor(ops.front()).grad(), weight);
  detail::FinalGradients finals(ops);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i]->backward != nullptr) {  // a root that is a leaf has the weight as gradient
      run_rule(ops[i]);
      detail::finish(*ops[i], false);
      DropGradients::drop(*ops[i]);
    }
    finals.after(i);
  }
  finals.end();
}

void run(NodeList ops, const Tensor& weight, const BackwardOptions& options) {
  if (options.create_graph) {
    run_rules(ops, weight);
  } else {
    detail::run_kernels(std::move(ops), weight, options.retain_graph);
  }
}

Tensor weight_of_number(const Tensor& y, const char* op, const char* instead = ", or pass a weight") {
  check(y.numel() == 1, "{}: needs one number, got shape {}; reduce it first, e.g. mean(x){}", op, y.shape(), instead);
  return ones_like(y);
}

std::uint64_t oldest(const std::vector<Tensor>& x) {
  return std::ranges::min(x, {}, [](const Tensor& tensor) { return tensor.node().id; }).node().id;
}

// While one lives, a backward() of `ops` computes gradients for `x` and for the nodes between it and x only, and keeps
// those of x. At the end all tensors have the gradients again that they held before.
class OnlyFor {
 public:
  OnlyFor(const NodeList& ops, const std::vector<Tensor>& x) {
    for (const Tensor& tensor : x) hold(tensor.node_ptr(), !tensor.node().is_leaf());
    for (const NodePtr& op : ops) {
      if (op->keeps_grad && !is_held(op)) hold(op, false);
    }
    for (const NodePtr& op : ops) leave_out(op);
    for (const NodePtr& op : ops) {
      for (const NodePtr& input : op->inputs) {
        if (input != nullptr && input->requires_grad && detail::ends_graph(*input)) leave_out(input);
      }
    }
    for (const Tensor& tensor : x) tensor.node().left_out = false;
    for (std::size_t i = ops.size(); i-- > 0;) {  // oldest first
      const NodePtr& op = ops[i];
      op->left_out = op->left_out && std::ranges::none_of(op->inputs, [](const NodePtr& input) {
                       return input != nullptr && input->wants_grad();
                     });
    }
    reached_ = ops.front()->wants_grad();
    if (reached_) return;
    for (const NodePtr& op : ops) op->left_out = false;  // no backward() will
  }
  ~OnlyFor() {
    for (const NodePtr& node : left_out_) node->left_out = false;
    for (std::size_t i = held_.size(); i-- > 0;) {
      Node& node = *held_[i].node;
      node.grad = std::move(held_[i].grad);
      node.grad_node = std::move(held_[i].grad_node);
      node.keeps_grad = held_[i].keeps_grad;
    }
  }
  /// Whether the newest of `ops` depends on some x.
  bool reached() const { return reached_; }
  OnlyFor(const OnlyFor&) = delete;
  OnlyFor& operator=(const OnlyFor&) = delete;

 private:
  struct Held {
    NodePtr node;
    Buffer grad;
    std::unique_ptr<NodePtr> grad_node;
    bool keeps_grad;
  };
  void hold(const NodePtr& node, bool keeps_grad) {
    held_.push_back({node, std::move(node->grad), std::move(node->grad_node), node->keeps_grad});
    node->grad.reset();
    node->keeps_grad = keeps_grad;
  }
  bool is_held(const NodePtr& node) const { return std::ranges::find(held_, node, &Held::node) != held_.end(); }
  void leave_out(const NodePtr& node) {
    if (node->left_out) return;
    node->left_out = true;
    if (detail::ends_graph(*node)) left_out_.push_back(node);
  }

  std::vector<Held> held_;  // one after another, so that a tensor may be there twice
  std::vector<NodePtr> left_out_;
  bool reached_ = false;
};

// New leaves with x's values; with create_graph clones that are connected to x.
std::vector<Tensor> inputs_of(const char* op, const std::vector<Tensor>& x, bool create_graph) {
  check(!x.empty(), "{}: no x was given; at least one tensor is needed", op);
  check_defined(op, detail::InputList(std::vector<std::reference_wrapper<const Tensor>>(x.begin(), x.end())));
  const EnableGrad recording;  // a clone() that is not recorded would not be connected
  std::vector<Tensor> own;
  own.reserve(x.size());
  for (const Tensor& tensor : x) {
    own.push_back(create_graph && tensor.requires_grad() ? tensor.clone() : tensor.detach().requires_grad(true));
  }
  return own;
}

Tensor result_of(const char* op, const TensorsFunction& f, const std::vector<Tensor>& x) {
  detail::check_function(op, f);
  const EnableGrad recording;
  Tensor y = f(x);
  check(y.defined(), "{}: f returned an undefined tensor; it must return what it computed", op);
  return y;
}

// The gradients, 0 where y does not depend on an x.
std::vector<Tensor> gradients_or_zeros(const Tensor& y, const std::vector<Tensor>& x, GradOptions options) {
  options.allow_unused = true;
  std::vector<Tensor> gradients;
  if (y.requires_grad()) {
    gradients = grad(y, x, options);
  } else {
    gradients.resize(x.size());
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!gradients[i].defined()) gradients[i] = zeros_like(x[i]);
  }
  return gradients;
}

Tensor detached_unless(bool create_graph, const Tensor& x) {
  return create_graph ? x : x.detach();
}

void check_directions(const char* op, const std::vector<Tensor>& x, const std::vector<Tensor>& v) {
  check(v.size() == x.size(), "{}: got {} directions v for {} tensors x; pass one for each", op, v.size(), x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    check(v[i].shape() == x[i].shape() && v[i].dtype() == x[i].dtype(), "{}: v[{}] is {} {} but x[{}] is {} {}", op, i,
          v[i].dtype(), v[i].shape(), i, x[i].dtype(), x[i].shape());
  }
}

TensorsFunction of_first(const char* op, const TensorFunction& f) {
  detail::check_function(op, f);
  return [&f](const std::vector<Tensor>& x) { return f(x[0]); };
}

Shape joined(const Shape& a, const Shape& b) {
  Shape both = a;
  for (const Index size : b) both.push_back(size);
  return both;
}

// The derivatives of y's elements with respect to each x: of y's sizes, then x's.
std::vector<Tensor> all_derivatives(const char* op, const Tensor& y, const std::vector<Tensor>& x, bool create_graph) {
  for (const Tensor& each : x) {
    check(y.rank() + each.rank() <= static_cast<Index>(Shape::max_rank),
          "{}: a derivative of {} with respect to {} has {} dimensions, more than {}; merge some with reshape", op,
          y.shape(), each.shape(), y.rank() + each.rank(), Shape::max_rank);
  }
  const EnableGrad recording;  // of what puts the rows together
  std::vector<std::vector<Tensor>> rows(x.size());
  for (Index i = 0; i < y.numel(); ++i) {
    const Tensor one = zeros_like(y);
    dispatch(y.dtype(), [&]<class T>() { one.data<T>()[static_cast<std::size_t>(i)] = 1; });
    const auto row = gradients_or_zeros(y, x, {.weight = one, .retain_graph = true, .create_graph = create_graph});
    for (std::size_t k = 0; k < x.size(); ++k) rows[k].push_back(row[k]);
  }
  std::vector<Tensor> all;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Shape shape = joined(y.shape(), x[k].shape());
    all.push_back(rows[k].empty() ? zeros(shape, x[k].dtype()) : reshape(stack(rows[k]), shape));
  }
  return all;
}

}  // namespace

void Tensor::backward(const Tensor& weight, const BackwardOptions& options) const {
  NodeList ops = detail::ops_behind("backward", *this);
  detail::check_weight("backward", *this, weight);
  detail::clear_gradients(ops);
  run(std::move(ops), weight, options);
}
void Tensor::backward(const BackwardOptions& options) const {
  backward(weight_of_number(*this, "backward"), options);
}
void Tensor::backward(const Tensor& weight, bool retain_graph) const {
  backward(weight, BackwardOptions{.retain_graph = retain_graph});
}
void Tensor::backward(bool retain_graph) const {
  backward(BackwardOptions{.retain_graph = retain_graph});
}

std::vector<Tensor> grad(const Tensor& y, const std::vector<Tensor>& x, const GradOptions& options) {
  check_defined("grad", {y});
  for (std::size_t i = 0; i < x.size(); ++i) {
    check(x[i].defined() && x[i].requires_grad(),
          "grad: x[{}] {}; call requires_grad(true) on it before y is computed from it", i,
          x[i].defined() ? fmt::format("{} wants no gradient", x[i].shape()) : "is undefined");
  }
  const Tensor weight = options.weight.defined() ? options.weight : weight_of_number(y, "grad");
  // An op that is older than every x depends on none of them. The oldest itself is where the graph ends.
  const detail::OnlySince oldest_x(x.empty() ? 0 : oldest(x) + 1);
  NodeList ops = detail::ops_behind("grad", y);
  detail::check_weight("grad", y, weight);
  const OnlyFor only(ops, x);
  detail::clear_gradients(ops);
  if (only.reached()) {
    const PostAccumulateGrad::Off not_for_leaves;
    run(std::move(ops), weight, {.retain_graph = options.retain_graph, .create_graph = options.create_graph});
  }
  std::vector<Tensor> gradients;
  for (std::size_t i = 0; i < x.size(); ++i) {
    gradients.push_back(x[i].grad());
    check(options.allow_unused || gradients.back().defined(),
          "grad: y was not computed from x[{}] {}; pass .allow_unused = true to get an undefined gradient for it", i,
          x[i].shape());
  }
  return gradients;
}

std::pair<Tensor, std::vector<Tensor>> vjp(const TensorsFunction& f, const std::vector<Tensor>& x, const Tensor& v,
                                           bool create_graph) {
  const auto own = inputs_of("vjp", x, create_graph);
  const Tensor y = result_of("vjp", f, own);
  const Tensor weight = v.defined() ? v : weight_of_number(y, "vjp", ", or pass v");
  check(weight.shape() == y.shape() && weight.dtype() == y.dtype(),
        "vjp: v is {} {} but f returned {} {}; they must agree", weight.dtype(), weight.shape(), y.dtype(), y.shape());
  return {detached_unless(create_graph, y),
          gradients_or_zeros(y, own, {.weight = weight, .create_graph = create_graph})};
}

std::pair<Tensor, Tensor> jvp(const TensorsFunction& f, const std::vector<Tensor>& x, const std::vector<Tensor>& v,
                              bool create_graph) {
  const auto own = inputs_of("jvp", x, create_graph);
  check_directions("jvp", own, v);
  const Tensor y = result_of("jvp", f, own);
  // With the Jacobian J the gradient is J^T w, so the derivative of its dot product with v by w is J v.
  const Tensor w = zeros_like(y).requires_grad(true);
  const auto gradients = gradients_or_zeros(y, own, {.weight = w, .create_graph = true});
  const EnableGrad recording;
  Tensor along = sum(gradients[0] * v[0]);
  for (std::size_t i = 1; i < v.size(); ++i) along = along + sum(gradients[i] * v[i]);
  return {detached_unless(create_graph, y), gradients_or_zeros(along, {w}, {.create_graph = create_graph})[0]};
}

std::pair<Tensor, std::vector<Tensor>> hvp(const TensorsFunction& f, const std::vector<Tensor>& x,
                                           const std::vector<Tensor>& v, bool create_graph) {
  const auto own = inputs_of("hvp", x, create_graph);
  check_directions("hvp", own, v);
  const Tensor y = result_of("hvp", f, own);
  const auto gradients = gradients_or_zeros(y, own, {.weight = weight_of_number(y, "hvp", ""), .create_graph = true});
  const EnableGrad recording;
  Tensor along = sum(gradients[0] * v[0]);
  for (std::size_t i = 1; i < v.size(); ++i) along = along + sum(gradients[i] * v[i]);
  return {detached_unless(create_graph, y), gradients_or_zeros(along, own, {.create_graph = create_graph})};
}

std::vector<Tensor> jacobian(const TensorsFunction& f, const std::vector<Tensor>& x, bool create_graph) {
  const auto own = inputs_of("jacobian", x, create_graph);
  return all_derivatives("jacobian", result_of("jacobian", f, own), own, create_graph);
}

std::vector<std::vector<Tensor>> hessian(const TensorsFunction& f, const std::vector<Tensor>& x, bool create_graph) {
  const auto own = inputs_of("hessian", x, create_graph);
  const Tensor y = result_of("hessian", f, own);
  std::vector<std::vector<Tensor>> rows;
  for (const Tensor& gradient :
       gradients_or_zeros(y, own, {.weight = weight_of_number(y, "hessian", ""), .create_graph = true})) {
    rows.push_back(all_derivatives("hessian", gradient, own, create_graph));
  }
  return rows;
}

std::pair<Tensor, Tensor> vjp(const TensorFunction& f, const Tensor& x, const Tensor& v, bool create_graph) {
  auto [y, gradients] = vjp(of_first("vjp", f), std::vector{x}, v, create_graph);
  return {y, gradients[0]};
}
std::pair<Tensor, Tensor> jvp(const TensorFunction& f, const Tensor& x, const Tensor& v, bool create_graph) {
  return jvp(of_first("jvp", f), std::vector{x}, std::vector{v}, create_graph);
}
std::pair<Tensor, Tensor> hvp(const TensorFunction& f, const Tensor& x, const Tensor& v, bool create_graph) {
  auto [y, products] = hvp(of_first("hvp", f), std::vector{x}, std::vector{v}, create_graph);
  return {y, products[0]};
}
Tensor jacobian(const TensorFunction& f, const Tensor& x, bool create_graph) {
  return jacobian(of_first("jacobian", f), std::vector{x}, create_graph)[0];
}
Tensor hessian(const TensorFunction& f, const Tensor& x, bool create_graph) {
  return hessian(of_first("hessian", f), std::vector{x}, create_graph)[0][0];
}

}  // namespace gradus
