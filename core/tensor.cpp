// Making, reading and freeing tensors.
#include <gradus/core/tensor.h>

#include <algorithm>
#include <cmath>

namespace gradus {
namespace {

// Lamport's clock (1978): each thread counts by itself, and moves past the id of a node that it gets from another
// thread.
thread_local std::uint64_t clock = 0;

// Nodes that lost their last owner while another node was being destroyed on this thread. Destroying them from this
// list, not from inside the other's destructor, keeps the stack flat however deep the graph is.
struct Graveyard {
  std::vector<NodePtr, PoolAllocator<NodePtr>> nodes;
};

// Null unless a Node is being destroyed. A plain pointer, which stays valid while the thread's other locals are
// destroyed: tensors may outlive them.
thread_local Graveyard* graveyard = nullptr;

// Braces are ragged if two of one level differ in length, or if a number stands where a list is expected.
Shape shape_of(const Nested& values) {
  if (!values.is_list()) return {};
  Shape shape{static_cast<Index>(values.list().size())};
  if (values.list().empty()) return shape;
  const Shape first = shape_of(values.list()[0]);
  for (std::size_t i = 1; i < values.list().size(); ++i) {
    const Shape other = shape_of(values.list()[i]);
    check(other == first,
          "tensor: ragged braces: in one list, element 0 is of shape {} and element {} of shape {}; all must be alike",
          first, i, other);
  }
  for (const Index size : first) shape.push_back(size);
  return shape;
}

template <class T>
void write_numbers(const Nested& values, T*& to) {
  if (!values.is_list()) {
    *to++ = static_cast<T>(values.number());
    return;
  }
  for (const Nested& value : values.list()) write_numbers(value, to);
}

template <class Fill>
Tensor filled(const Shape& shape, DType dtype, Fill fill) {
  Tensor x = Tensor::empty(shape, dtype);
  dispatch(dtype, [&]<class T>() { fill(x.data<T>()); });
  return x;
}

}  // namespace

const Node& detail::no_node() {
  static const Node& none = *new Node({}, DType::f32, {});  // not destroyed: threads may compute while the program ends
  return none;
}

std::uint64_t detail::next_id() {
  return ++clock;
}
std::uint64_t detail::next_id_after(std::uint64_t id) {
  return clock = std::max(clock, id) + 1;
}

Tensor RuleInputs::operator[](std::size_t i) const {
  return Tensor(nodes_[i]);
}
bool RuleInputs::wants(std::size_t i) const {
  return nodes_[i] != nullptr && nodes_[i]->wants_grad();
}

Gradients Backward::rule(const Tensor&, const Tensor&, const RuleInputs&) const {
  fail("rule: this op has none; ask has_rule() first");
}

Node::Node(Shape s, DType t, Buffer values) : shape(s), dtype(t), id(detail::next_id()), data(std::move(values)) {}

Node::~Node() {
  if (inputs.empty()) return;
  if (graveyard == nullptr) {
    Graveyard local;
    graveyard = &local;
    std::ranges::move(inputs, std::back_inserter(local.nodes));
    backward.reset();  // it may hold a tensor that is among the inputs: they must outlive it
    while (!local.nodes.empty()) {
      const NodePtr next = std::move(local.nodes.back());
      local.nodes.pop_back();
    }
    graveyard = nullptr;
    return;
  }
  std::ranges::move(inputs, std::back_inserter(graveyard->nodes));
}

void Node::make_grad(bool zeroed) const {
  grad = Buffer(numel(), dtype);
  if (zeroed) grad.fill_zero(static_cast<std::size_t>(numel()) * size_of(dtype));
}

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  return Tensor(std::allocate_shared<Node>(PoolAllocator<Node>{}, shape, dtype, Buffer(shape.numel(), dtype)));
}

double Tensor::item() const {
  check(numel() == 1, "item: needs one number, got shape {}; reduce it first or read data()", shape());
  return dispatch(dtype(), [&]<class T>() { return shown(static_cast<double>(*node().values<T>())); });
}

template <class T>
std::span<T> Tensor::data() const {
  check(dtype() == dtype_of<T>(), "data: the tensor holds {}, data<{}> was asked for; use to(DType) or the right type",
        dtype(), dtype_of<T>() == DType::f32 ? "float" : "double");
  return {node().values<T>(), static_cast<std::size_t>(numel())};
}
template std::span<float> Tensor::data<float>() const;
template std::span<double> Tensor::data<double>() const;

std::vector<double> Tensor::to_vector() const {
  return dispatch(dtype(), [&]<class T>() {
    const std::span<const T> values = data<T>();
    return std::vector<double>(values.begin(), values.end());
  });
}

Tensor& Tensor::requires_grad(bool wanted) {
  check(is_leaf(), "requires_grad: this tensor is the result of '{}', not a leaf; use detach() to start a new graph",
        node().called());
  node().requires_grad = wanted;
  if (!wanted) zero_grad();
  return *this;
}

Tensor Tensor::grad() const {
  if (!node().grad) return {};
  // A later backward() may have put other values in the gradient's place.
  if (const auto& held = node().grad_node; held && (*held)->data.is_same(node().grad)) return Tensor(*held);
  return Tensor(std::allocate_shared<Node>(PoolAllocator<Node>{}, shape(), dtype(), node().grad));
}

void Tensor::zero_grad() const {
  node().grad.reset();
  node().grad_node.reset();
}

void Tensor::retain_grad() const {
  check(requires_grad(), "retain_grad: this {} wants no gradient, nor does anything it was computed from", shape());
  node().keeps_grad = !is_leaf();
}

Tensor Tensor::detach() const {
  return Tensor(std::allocate_shared<Node>(PoolAllocator<Node>{}, shape(), dtype(), node().data));
}

void Tensor::fill_(double value) const {
  dispatch(dtype(), [&]<class T>() { std::ranges::fill(data<T>(), static_cast<T>(value)); });
  mark_written("fill_");
}

void Tensor::copy_(const Tensor& values) const {
  check(values.shape() == shape() && values.dtype() == dtype(),
        "copy_: {} {} cannot be copied into {} {}; reshape or convert it first", values.dtype(), values.shape(),
        dtype(), shape());
  dispatch(dtype(), [&]<class T>() { std::ranges::copy(values.data<T>(), data<T>().begin()); });
  mark_written("copy_");
}

void Tensor::mark_written(const char* writer) const {
  node().data.mark_written(writer);
}

Tensor full(const Shape& shape, double value, DType dtype) {
  return filled(shape, dtype, [&](auto values) {
    std::ranges::fill(values, static_cast<typename decltype(values)::element_type>(value));
  });
}
Tensor zeros(const Shape& shape, DType dtype) {
  return full(shape, 0, dtype);
}
Tensor ones(const Shape& shape, DType dtype) {
  return full(shape, 1, dtype);
}
Tensor zeros_like(const Tensor& x) {
  return zeros(x.shape(), x.dtype());
}
Tensor ones_like(const Tensor& x) {
  return ones(x.shape(), x.dtype());
}
Tensor full_like(const Tensor& x, double value) {
  return full(x.shape(), value, x.dtype());
}

Tensor tensor(const Nested& values, const Shape& shape, DType dtype) {
  const Index count = shape_of(values).numel();
  check(count == shape.numel(), "tensor: {} values do not fill shape {}, which needs {}", count, shape, shape.numel());
  Tensor x = Tensor::empty(shape, dtype);
  dispatch(dtype, [&]<class T>() {
    T* to = x.data<T>().data();
    write_numbers(values, to);
  });
  return x;
}
Tensor tensor(const Nested& values, DType dtype) {
  return tensor(values, shape_of(values), dtype);
}

Tensor randn(const Shape& shape, DType dtype, Generator& generator) {
  return filled(shape, dtype, [&](auto values) { generator.fill_normal(values, 0, 1); });
}
Tensor randn(const Shape& shape, DType dtype) {
  return randn(shape, dtype, default_generator());
}
Tensor rand(const Shape& shape, DType dtype, Generator& generator) {
  return filled(shape, dtype, [&](auto values) { generator.fill_uniform(values, 0, 1); });
}
Tensor rand(const Shape& shape, DType dtype) {
  return rand(shape, dtype, default_generator());
}

Tensor randn_like(const Tensor& x) {
  return randn(x.shape(), x.dtype());
}
Tensor rand_like(const Tensor& x) {
  return rand(x.shape(), x.dtype());
}

Tensor linspace(double start, double end, Index steps, DType dtype) {
  check(steps >= 0, "linspace: {} steps; there must be at least 0", steps);
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  return filled({steps}, dtype, [&](auto values) {
    for (Index i = 0; i < steps; ++i) {  // from both ends, so that both are exact
      const double value =
          2 * i < steps ? start + step * static_cast<double>(i) : end - step * static_cast<double>(steps - 1 - i);
      values[static_cast<std::size_t>(i)] = static_cast<typename decltype(values)::element_type>(value);
    }
  });
}

Tensor eye(Index n, Index m, DType dtype) {
  return filled({n, m}, dtype, [&](auto values) {
    std::ranges::fill(values, 0);
    for (Index i = 0; i < std::min(n, m); ++i) values[static_cast<std::size_t>(i * m + i)] = 1;
  });
}
Tensor eye(Index n, DType dtype) {
  return eye(n, n, dtype);
}

Tensor arange(double start, double end, double step, DType dtype) {
  check(step != 0 && std::isfinite(start) && std::isfinite(end) && std::isfinite(step) && (end - start) / step >= 0,
        "arange: start {}, end {}, step {} never arrives; the step must lead from start to end", start, end, step);
  const double exact = std::ceil((end - start) / step);
  check(exact < 0x1p62, "arange: start {}, end {}, step {} make more numbers than there is memory for", start, end,
        step);
  const auto count = static_cast<Index>(exact);
  return filled({count}, dtype, [&](auto values) {
    double i = 0;
    for (auto& value : values) value = static_cast<std::remove_reference_t<decltype(value)>>(start + step * i++);
  });
}
Tensor arange(double end, DType dtype) {
  return arange(0, end, 1, dtype);
}

}  // namespace gradus
