// backward(): collect what the result was computed from, sort by creation number, and run each node's backward once,
// newest first. Every node is older than the ones computed from it, so when a node's turn comes its gradient is whole.
#include <gradus/core/autograd.h>

#include <algorithm>

#include <gradus/core/detail/backward_pass.h>
#include <gradus/core/detail/change_guard.h>
#include <gradus/core/detail/final_gradients.h>
#include <gradus/core/kernels/kernels.h>
#include <gradus/core/watch.h>

namespace gradus {
namespace {

thread_local int no_grad_depth = 0;
thread_local const char* within = "";
thread_local std::uint64_t first_id = 0;  // the largest of the OnlySince that live

using detail::Inspection;
using detail::most_missing;
using detail::NodeList;

// All recorded nodes that `root` depends on, itself included. A list, not recursion: graphs may be a
// million nodes deep. Nodes before `next` have had their inputs added.
NodeList reachable(const NodePtr& root) {
  NodeList nodes{root};
  const auto unmark = [&] {
    for (const NodePtr& node : nodes) node->visited = false;
  };
  root->visited = true;
  try {
    for (std::size_t next = 0; next < nodes.size(); ++next) {
      const Node& node = *nodes[next];
      for (const NodePtr& input : node.inputs) {
        if (input == nullptr || !input->requires_grad || detail::ends_graph(*input) || input->visited) continue;
        nodes.push_back(input);
        input->visited = true;
      }
    }
  } catch (...) {  // out of memory
    unmark();
    throw;
  }
  unmark();
  return nodes;
}

bool has_no_elements(const Shape& shape) {
  for (const Index size : shape) {
    if (size == 0) return true;
  }
  return false;
}

// An op may ask for the gradients of all its inputs before it writes one. An input that was given twice must start from
// zeros, or the second write would replace the first.
void start_repeated_inputs(const Node& op) {
  struct Unmark {
    const Node& op;
    ~Unmark() {
      for (const NodePtr& input : op.inputs) {
        if (input != nullptr && input->requires_grad) input->visited = false;
      }
    }
  } const unmark{op};
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Node* const input = op.inputs[i].get();
    if (input == nullptr || !input->wants_grad()) continue;
    if ((input->visited || i >= most_missing) && !input->grad) input->make_grad(true);
    op.inputs[i]->visited = true;
  }
}

// Gradients that the op will change and that tensors of the caller hold too (x.grad() of an earlier backward). If the
// op also reads such a gradient as values, the gradient is set aside: the op starts a new one, and the old one is added
// to it afterwards.
class SharedGrads {
 public:
  explicit SharedGrads(const Node& op) {
    for (const NodePtr& input : op.inputs) {
      if (input == nullptr || !input->wants_grad() || !input->grad.is_shared()) continue;
      if (reads(op, input->grad)) {
        aside_.push_back({input, std::move(input->grad)});
        input->grad.reset();
      } else {
        input->grad.mark_written("backward");
      }
    }
  }
  ~SharedGrads() {
    for (const Aside& aside : aside_) aside.input->grad = aside.grad;
  }
  SharedGrads(const SharedGrads&) = delete;
  SharedGrads& operator=(const SharedGrads&) = delete;

  void add() {
    for (const Aside& aside : aside_) {
      if (!aside.input->grad) aside.input->make_grad(true);
      dispatch(aside.input->dtype, [&]<class T>() {
        kernels::kernels<T>().add(aside.input->grad.as<T>(), aside.grad.as<T>(), aside.input->numel());
      });
    }
    aside_.clear();
  }

 private:
  struct Aside {
    NodePtr input;
    Buffer grad;
  };
  static bool reads(const Node& op, const Buffer& grad) {
    return op.data.is_same(grad) || std::ranges::any_of(op.inputs, [&](const NodePtr& input) {
             return input != nullptr && input->data.is_same(grad);
           });
  }

  std::vector<Aside> aside_;
};

void call_backward(const Node& op, const Inspection& found) {
  if (!found.changed && detail::watcher() == nullptr) {
    (*op.backward)(op, Inputs(op.inputs));
    return;
  }
  const detail::ChangeGuard guard(op);
  (*op.backward)(op, Inputs(op.inputs));
}

// Whether the op was to give a gradient.
bool run_backward(const Node& op) {
  const Inspection found = detail::inspect(op);
  if (!found.runs) return found.wanted;
  try {
    if (op.inputs.size() > 2 || (op.inputs.size() == 2 && op.inputs[0] == op.inputs[1])) start_repeated_inputs(op);
    if (found.shared) {
      SharedGrads grads(op);
      call_backward(op, found);
      grads.add();
    } else {
      call_backward(op, found);
    }
  } catch (...) {  // a gradient that the op asked for may hold nothing yet
    for (std::size_t i = 0; i < std::min(op.inputs.size(), most_missing); ++i) {
      if (op.inputs[i] != nullptr && (found.missing >> i & 1) != 0) op.inputs[i]->grad.reset();
    }
    throw;
  }
  return true;
}

void release(Node& node) {
  node.released = true;
  node.backward.reset();
  node.inputs.clear();
  if (!node.keeps_grad) node.grad.reset();
}

}  // namespace

NoGrad::NoGrad() {
  ++no_grad_depth;
}
NoGrad::~NoGrad() {
  --no_grad_depth;
}
EnableGrad::EnableGrad() : outer_(std::exchange(no_grad_depth, 0)) {}
EnableGrad::~EnableGrad() {
  no_grad_depth = outer_;
}
bool grad_enabled() {
  return no_grad_depth == 0;
}

detail::OnlySince::OnlySince(std::uint64_t first) : outer_(std::exchange(first_id, std::max(first_id, first))) {}
detail::OnlySince::~OnlySince() {
  first_id = outer_;
}
bool detail::ends_graph(const Node& node) {
  return node.is_leaf() || node.id < first_id;
}

detail::Within::Within(const char* name) : outer_(within) {
  if (*within != '\0') return;
  tell_call(name);
  within = name;
}
detail::Within::~Within() {
  within = outer_;
}
const char* detail::called(const char* op) {
  return *within == '\0' ? op : within;
}

void detail::tell_call(const char* name) {
  if (*within == '\0') for_each_watcher([&](OpWatcher& watcher) { watcher.on_call(name); });
}

void detail::tell_begin(const char* name, InputList inputs) {
  tell_call(name);
  for_each_watcher([&](OpWatcher& watcher) { watcher.before(name, inputs); });
}

bool detail::wants_grad(const char* name, const Tensor& y, InputList inputs) {
  for_each_watcher([&](OpWatcher& watcher) { watcher.on_forward(name, y, inputs); });
  return grad_enabled() &&
         std::ranges::any_of(inputs, [](const Tensor& x) { return x.defined() && x.requires_grad(); });
}

void detail::attach(Node& node, const char* name, InputList inputs, std::unique_ptr<const Backward> backward) {
  check(node.backward == nullptr &&
            std::ranges::none_of(inputs, [&](const Tensor& input) { return input.node_ptr().get() == &node; }),
        "record: the result of '{}' is one of its inputs, or was recorded before; return a new tensor", name);
  node.op = name;
  node.within = within;
  node.requires_grad = true;
  node.inputs.reserve(inputs.size());
  node.versions.result = node.data.version();
  for (const Tensor& input : inputs) {
    node.inputs.push_back(input.node_ptr());
    if (!input.defined()) continue;
    if (input.node().id >= node.id) node.id = next_id_after(input.node().id);
    node.converts |= input.dtype() != node.dtype;
    node.versions.of_input(node.inputs.size() - 1) += input.node().data.version();
  }
  node.backward = std::move(backward);
  for_each_watcher([&](OpWatcher& watcher) { watcher.on_record(node); });
}

detail::Inspection detail::inspect(const Node& op) {
  Inspection found;
  std::uint32_t versions = op.data.version();
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Node* const input = op.inputs[i].get();
    if (input == nullptr) continue;
    check(input->dtype == op.dtype || op.converts,
          "backward: an input of '{}' has become {} since {} was computed from it; compute the loss again after "
          "to(DType)",
          op.called(), input->dtype, op.dtype);
    versions += input->data.version();
    found.wanted |= input->wants_grad();
    if (input->grad) {
      found.shared |= input->grad.is_shared();
    } else if (i < most_missing) {
      found.missing |= std::uint64_t{1} << i;
    }
  }
  // A result without elements adds nothing to its inputs. An op that loops over its result would leave their gradients
  // uninitialized.
  found.runs = found.wanted && !has_no_elements(op.shape);
  found.changed = versions != op.versions.sum();  // they only grow
  return found;
}

void detail::finish(const Node& op, bool released) {
  for (const NodePtr& input : op.inputs) {
    if (input != nullptr && input->wants_grad() && !input->grad) input->make_grad(true);
  }
  for_each_watcher([&](OpWatcher& watcher) { watcher.on_backward(op, released); });
}

detail::NodeList detail::ops_behind(const char* name, const Tensor& y) {
  const Node& root = y.node();
  check(root.requires_grad,
        "{}: nothing this value was computed from wants a gradient (or it was computed under NoGrad); call "
        "requires_grad(true) on a leaf first",
        name);
  NodeList nodes = reachable(y.node_ptr());
  for (const NodePtr& node : nodes) {
    check(!node->released || ends_graph(*node),
          "{}: the graph behind {}'{}' was released by an earlier backward; call that one with retain_graph = true, or "
          "compute the value again",
          name, node.get() == &root ? "this " : "", node->called());
  }
  const auto id = [](const NodePtr& node) { return node->id; };
  if (!std::ranges::is_sorted(nodes, std::ranges::greater{}, id)) std::ranges::sort(nodes, std::ranges::greater{}, id);
  return nodes;
}

void detail::clear_gradients(const NodeList& nodes) {
  for (const NodePtr& node : nodes) {
    if (node->is_leaf()) continue;
    node->grad.reset();
    node->grad_node.reset();
  }
}

void detail::check_weight(const char* name, const Tensor& y, const Tensor& weight) {
  check(weight.shape() == y.shape() && weight.dtype() == y.dtype(),
        "{}: the weight is {} {} but the tensor is {} {}; they must agree", name, weight.dtype(), weight.shape(),
        y.dtype(), y.shape());
  for_each_watcher([&](OpWatcher& watcher) { watcher.on_weight(weight); });
}

void detail::run_kernels(NodeList nodes, const Tensor& weight, bool retain_graph) {
  const Node& root = *nodes.front();
  const Buffer& given = weight.node().data;
  // A weight that is held elsewhere may be a gradient that will change: it is copied.
  if (retain_graph || root.is_leaf() || given.is_shared()) {
    dispatch(root.dtype, [&]<class T>() {
      kernels::kernels<T>().add(root.grad_or_null<T>(), weight.node().values<T>(), root.numel());
    });
  } else {
    root.grad = given;  // only read, and dropped once the root's backward has run
  }
  run_kernels(std::move(nodes), retain_graph);
}

void detail::run_kernels(NodeList nodes, bool retain_graph) {
  struct Unmark {  // what grad() left out, if an op throws
    const NodeList& nodes;
    ~Unmark() {
      for (const NodePtr& node : nodes) {
        if (node != nullptr) node->left_out = false;
      }
    }
  } const unmark{nodes};
  FinalGradients finals(nodes);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    NodePtr& node = nodes[i];
    if (node->backward != nullptr && run_backward(*node)) {  // a root that is a leaf has the weight as gradient
      detail::finish(*node, !retain_graph);
      if (!retain_graph) release(*node);
    }
    finals.after(i);
    node->left_out = false;
    node.reset();  // frees the values too unless somebody else holds them
  }
  finals.end();
}

}  // namespace gradus
