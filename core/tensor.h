// Tensor, a cheap handle on a Node; Node, the vertex of the graph that backward() walks. Copying a Tensor shares the
// node, as a second Python name does. Data is contiguous, row-major, f32 or f64.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <iterator>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <gradus/core/dtype.h>
#include <gradus/core/runtime/buffer.h>
#include <gradus/core/runtime/random.h>
#include <gradus/core/shape.h>

namespace gradus {
#pragma GCC visibility push(default)

struct Node;
class Tensor;
class Ids;
using NodePtr = std::shared_ptr<Node>;

/// What a backward function sees of its op's inputs: in[i] is the i-th node that was passed to record().
class Inputs {
 public:
  explicit Inputs(std::span<const NodePtr> nodes) : nodes_(nodes) {}
  const Node& operator[](std::size_t i) const;  // an undefined input (no bias, say) is an empty node that wants no grad
  std::size_t size() const { return nodes_.size(); }

 private:
  std::span<const NodePtr> nodes_;
};

/// What a rule sees of its op's inputs: x[i] is the i-th tensor that was passed to record(), undefined if that was.
class RuleInputs {
 public:
  explicit RuleInputs(std::span<const NodePtr> nodes) : nodes_(nodes) {}
  Tensor operator[](std::size_t i) const;
  std::size_t size() const { return nodes_.size(); }
  /// Whether the gradient of x[i] is asked for: a rule may leave the others undefined.
  bool wants(std::size_t i) const;

 private:
  std::span<const NodePtr> nodes_;
};

/// The gradients of an op's inputs, in their order; one that is undefined is 0 everywhere, or was not asked for.
using Gradients = std::vector<Tensor>;

/// An op's derivative, in two forms. Its memory is the pool's.
struct Backward {
  virtual ~Backward() = default;
  static void* operator new(std::size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* p, std::size_t bytes) { pool_free(p, bytes); }
  /// The kernels: adds to the gradients of the op's inputs.
  virtual void operator()(const Node& out, Inputs in) const = 0;
  virtual bool has_rule() const { return false; }
  /// The same on tensors, made with ops: y is the op's result and dy the gradient of y. Only if has_rule().
  virtual Gradients rule(const Tensor& y, const Tensor& dy, const RuleInputs& x) const;
};

/// Where an op writes its part of a gradient: added if `adds`, else written over what is there. `p` is null if the
/// gradient is not wanted.
template <class T>
struct GradShare {
  T* p;
  bool adds;
  explicit operator bool() const { return p != nullptr; }
  GradShare operator+(Index i) const { return {p == nullptr ? p : p + i, adds}; }
};

namespace detail {
// How many ChangeGuards live. At 0, values() has nothing to check.
extern constinit std::atomic<int> change_guards;
// Throws Error if this thread is inside a ChangeGuard that lists `values` as overwritten.
void check_unchanged(const Node& values);
}  // namespace detail

/// Version counters of an op's values: how often its result, its first two inputs, and all other inputs together have
/// been written in place. Counters only grow, so their sum is unchanged only if none of them has changed.
struct Versions {
  std::uint32_t result = 0, inputs[2] = {0, 0}, others = 0;
  std::uint32_t& of_input(std::size_t i) { return i < 2 ? inputs[i] : others; }
  std::uint32_t sum() const { return result + inputs[0] + inputs[1] + others; }
};

/// A vertex of the graph: values, gradient, and what they were computed from. Programs use Tensor; this is what ops and
/// backward functions see.
struct Node {
  Shape shape;
  DType dtype = DType::f32;
  bool requires_grad = false;
  bool released = false;    // its backward has run and the graph behind it was released
  bool visited = false;     // used by backward() while it collects the graph
  bool converts = false;    // an input was of another dtype when the op was recorded
  bool left_out = false;    // grad() is running and asked for others: this one gets no gradient
  bool keeps_grad = false;  // retain_grad(): backward() leaves the gradient of this op's result
  std::uint64_t id = 0;     // order of creation on a thread: every input has a lower one than its output
  const char* op = "";      // "softmax": for printing, errors, the graph picture; empty for a leaf
  const char* within = "";  // the composed op of which this is a step ("mse_loss" of its "sub"), or empty
  Versions versions;        // of the op's values when it was recorded
  Buffer data;
  mutable Buffer grad;                 // empty until something adds to it
  std::unique_ptr<NodePtr> grad_node;  // after create_graph: the gradient as part of a graph
  std::vector<NodePtr, PoolAllocator<NodePtr>> inputs;
  std::unique_ptr<const Backward> backward;

  Node(Shape shape, DType dtype, Buffer data);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  bool is_leaf() const { return backward == nullptr && !released; }
  bool wants_grad() const { return requires_grad && !left_out; }
  Index numel() const { return shape.numel(); }
  /// The op that the program called, for errors.
  const char* called() const { return *within == '\0' ? op : within; }

  /// The values. Throws Error in a backward whose values were overwritten after the op recorded them.
  template <class T>
  T* values() const {
    if (detail::change_guards.load(std::memory_order_relaxed) != 0) [[unlikely]]
      detail::check_unchanged(*this);
    return data.as<T>();
  }
  /// The gradient: this node's backward reads it, the backward of the ops that use it adds to it. Zeros if nothing was
  /// added yet; null if no gradient is wanted. One thread at a time may call this.
  template <class T>
  T* grad_or_null() const {
    if (!wants_grad()) return nullptr;
    if (!grad) make_grad(true);
    return grad.as<T>();
  }
  /// The same for an op that adds to each element exactly once. If the gradient is still empty, the op may write
  /// instead of adding to zeros, which saves one pass of writing and one of reading. Pass `once` = false if the op may
  /// come to an element more than once and has to add from the start. backward() makes zeros for a tensor that was
  /// given to an op twice, and does not call an op whose result has no elements.
  template <class T>
  GradShare<T> grad_share(bool once = true) const {
    if (!wants_grad()) return {nullptr, true};
    const bool adds = static_cast<bool>(grad) || !once;
    if (!grad) make_grad(!once);
    return {grad.as<T>(), adds};
  }
  void make_grad(bool zeroed) const;
};

namespace detail {
const Node& no_node();
/// The id of a new node: above the ids of all nodes that this thread has made or used so far.
std::uint64_t next_id();
/// The same, and above `id`, which may come from another thread.
std::uint64_t next_id_after(std::uint64_t id);
}  // namespace detail
inline const Node& Inputs::operator[](std::size_t i) const {
  return nodes_[i] == nullptr ? detail::no_node() : *nodes_[i];
}

/// PyTorch's options of backward().
struct BackwardOptions {
  bool retain_graph = false;  // keep the graph, for another backward()
  // Compute the gradients by the ops' rules instead of their kernels, so that they are part of a graph and have
  // derivatives themselves; keeps the graph too. A leaf then holds a gradient whose graph leads back to the leaf:
  // neither is freed before zero_grad(). grad() of derivatives.h has no such circle.
  bool create_graph = false;
};

/// An array of numbers in f32 or f64, of up to eight dimensions, contiguous and row-major. A handle: a copy shares the
/// numbers, the gradient and the history, as a second Python name does.
class Tensor {
 public:
  /// Undefined: stands for "no tensor", as an absent bias or a gradient that nothing has added to.
  Tensor() = default;
  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) = default;
  ~Tensor() = default;
  /// For a variable only: x[0] = y, which would change nothing, does not compile. select_scatter() does it.
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & = default;
  explicit Tensor(NodePtr node) : node_(std::move(node)) {}

  /// Fresh memory that is not initialized.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32);
  static Tensor empty_like(const Tensor& x) { return empty(x.shape(), x.dtype()); }

  bool defined() const { return node_ != nullptr; }
  const Shape& shape() const { return node().shape; }
  Index rank() const { return shape().rank(); }
  Index size(Index dim) const { return shape()[dim]; }
  Index numel() const { return shape().numel(); }
  /// For auto [B, T, C] = x.sizes<3>(). Throws Error for another number of dimensions.
  template <std::size_t N>
  std::array<Index, N> sizes() const {
    check(rank() == N, "sizes: {} has {} dimensions, {} names came", shape(), rank(), N);
    std::array<Index, N> all;
    std::copy(shape().begin(), shape().end(), all.begin());
    return all;
  }
  DType dtype() const { return node().dtype; }

  /// The value of a tensor with one element; a NaN without its sign, so that it prints as "nan".
  double item() const;
  /// Whether the value of a tensor with one element is not 0: if (all(done)) ..
  explicit operator bool() const { return item() != 0; }
  /// The elements in row-major order, to read or write in place. T must be the tensor's own type. The span is valid
  /// while a Tensor with these elements lives, so name the tensor first: sigmoid(x).data<float>() dangles. Writing is
  /// not recorded: do not change values that a recorded op needs for its gradient before backward() has run. Call
  /// mark_written() after writing, so that backward() notices; AnomalyMode notices without it.
  template <class T>
  std::span<T> data() const;
  /// A copy of the elements, converted to double.
  std::vector<double> to_vector() const;

  /// Turns the gradient on or off (leaves only). Turning it off drops the gradient.
  Tensor& requires_grad(bool wanted);
  bool requires_grad() const { return node().requires_grad; }
  bool is_leaf() const { return node().is_leaf(); }
  /// d(backward's tensor) / d(this), same shape and dtype; undefined until something adds to it. After a backward()
  /// with create_graph it is part of a graph itself.
  Tensor grad() const;
  void zero_grad() const;
  /// Has backward() leave the gradient of this result of an op too, for grad(). The next backward() replaces it. With
  /// create_graph the gradient and this tensor hold each other: call zero_grad() to free them. On a leaf it changes
  /// nothing.
  void retain_grad() const;

  /// Adds to the gradient of every leaf that this number was computed from. Releases the graph and the gradients inside
  /// it, unless retain_graph.
  void backward(bool retain_graph = false) const;
  void backward(const BackwardOptions& options) const;
  /// The same for a tensor of any shape, weighted: the gradient of sum(this * weight).
  void backward(const Tensor& weight, bool retain_graph = false) const;
  void backward(const Tensor& weight, const BackwardOptions& options) const;

  /// The same memory without the history.
  Tensor detach() const;
  /// A copy of the values that belongs to the graph, as every op's result does; detach().clone() has no history.
  Tensor clone() const;
  /// Converted to `dtype` (differentiable); the tensor itself when it has that type.
  Tensor to(DType dtype) const;

  /// In place, not recorded. backward() throws Error if it needs the old values.
  void fill_(double value) const;
  void copy_(const Tensor& values) const;
  /// Tells backward() that you changed the values in place through data(); the functions of this library do so
  /// themselves. `writer` appears in the error and must outlive the tensor, as a string literal does.
  void mark_written(const char* writer) const;

  // The ops of ops.h that read well as members.
  Tensor exp() const;
  Tensor log() const;
  Tensor sqrt() const;
  Tensor abs() const;
  Tensor tanh() const;
  Tensor sigmoid() const;
  Tensor relu() const;
  Tensor pow(double exponent) const;
  Tensor matmul(const Tensor& other) const;
  Tensor reshape(const Sizes& sizes) const;
  Tensor view(const Sizes& sizes) const;
  Tensor flatten(Index start_dim = 0, Index end_dim = -1) const;
  Tensor unsqueeze(Index dim) const;
  Tensor squeeze(Index dim) const;
  /// transpose(): the last two dimensions swapped.
  Tensor T() const;
  /// select(0, index): one row of a matrix.
  Tensor operator[](Index index) const;
  /// Rows: the shape of ids, then that of a row.
  Tensor operator[](const Ids& ids) const;
  /// A tensor may be ids or a mask: write x[to_ids(i)], index_select(x, 0, nonzero(mask).reshape(-1)) or
  /// masked_select(x, mask).
  Tensor operator[](const Tensor&) const = delete;
  Tensor transpose(Index dim0 = -2, Index dim1 = -1) const;
  Tensor sum() const;
  Tensor sum(const Dims& dims, bool keepdim = false) const;
  Tensor mean() const;
  Tensor mean(const Dims& dims, bool keepdim = false) const;
  Tensor max() const;
  Tensor max(const Dims& dims, bool keepdim = false) const;
  Tensor softmax(Index dim = -1) const;
  Tensor sin() const;
  Tensor cos() const;
  Tensor square() const;
  Tensor clamp(double low, double high) const;
  Tensor min() const;
  Tensor min(const Dims& dims, bool keepdim = false) const;
  Tensor var() const;
  Tensor var(const Dims& dims, bool keepdim = false, double correction = 1) const;
  Tensor std() const;
  Tensor std(const Dims& dims, bool keepdim = false, double correction = 1) const;
  Tensor norm(double p = 2) const;
  Tensor norm(double p, const Dims& dims, bool keepdim = false) const;
  Tensor log_softmax(Index dim = -1) const;
  Ids argmax(Index dim = -1) const;
  Ids argmin(Index dim = -1) const;
  Tensor any() const;
  Tensor all() const;
  Tensor permute(const std::vector<Index>& dims) const;
  Tensor expand(const Sizes& sizes) const;
  Tensor select(Index dim, Index index) const;
  Tensor index_select(Index dim, const Ids& ids) const;
  Tensor gather(Index dim, const Ids& ids) const;
  Tensor masked_fill(const Tensor& mask, double value) const;
  std::vector<Tensor> split(Index size, Index dim = 0) const;
  std::vector<Tensor> chunk(Index chunks, Index dim = 0) const;
  std::vector<Tensor> unbind(Index dim = 0) const;

  const NodePtr& node_ptr() const { return node_; }
  Node& node() const {
    check(defined(), "tensor: this one is undefined (default-made, or a gradient nothing has added to); make it first");
    return *node_;
  }

 private:
  NodePtr node_;
};

/// Filled with 0, with 1, or with `value`; the `_like` forms take shape and type from x.
Tensor zeros(const Shape& shape, DType dtype = DType::f32);
Tensor ones(const Shape& shape, DType dtype = DType::f32);
Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, double value);

/// Numbers in nested braces, as tensor() takes them: {1, 2}, {{1, 2}, {3, 4}}. It refers to the braces, so it lives no
/// longer than the call.
class Nested {
 public:
  constexpr Nested() = default;  // {}: a list of nothing
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr Nested(T number) : number_(static_cast<double>(number)), is_list_(false) {}
  constexpr Nested(std::initializer_list<Nested> list) {
    list_ = std::data(list);
    size_ = list.size();
  }

  bool is_list() const { return is_list_; }
  double number() const { return number_; }
  std::span<const Nested> list() const { return {list_, size_}; }

 private:
  const Nested* list_ = nullptr;
  std::size_t size_ = 0;
  double number_ = 0;
  bool is_list_ = true;
};

namespace detail {
// Numbers that lie side by side: a vector, an array, a span, but no text.
template <class R>
concept Numbers = std::ranges::contiguous_range<R> && std::is_arithmetic_v<std::ranges::range_value_t<R>> &&
    !std::same_as<std::ranges::range_value_t<R>, char>;
}  // namespace detail

/// From numbers in braces. Without a shape, their nesting is the shape: {{1, 2, 3}} is (1, 3). With one, they fill it
/// in row-major order. Throws Error for ragged braces and for a count that is not the shape's.
Tensor tensor(const Nested& values, DType dtype = DType::f32);
Tensor tensor(const Nested& values, const Shape& shape, DType dtype = DType::f32);
/// From numbers of any type in a vector, array or span, in row-major order; without a shape one dimension, or the
/// shape of Ids.
template <detail::Numbers R>
Tensor tensor(const R& values, const Shape& shape, DType dtype = DType::f32) {
  Tensor x = Tensor::empty(shape, dtype);
  const auto count = static_cast<Index>(std::ranges::size(values));
  check(count == x.numel(), "tensor: {} values do not fill shape {}, which needs {}", count, shape, x.numel());
  dispatch(dtype, [&]<class T>() {
    std::ranges::transform(values, x.data<T>().begin(), [](auto value) { return static_cast<T>(value); });
  });
  return x;
}
template <detail::Numbers R>
Tensor tensor(const R& values, DType dtype = DType::f32) {
  if constexpr (requires { Shape(values.shape()); }) {
    return tensor(values, values.shape(), dtype);
  } else {
    return tensor(values, Shape{static_cast<Index>(std::ranges::size(values))}, dtype);
  }
}
/// One plain number: shape ().
template <std::convertible_to<double> T>
Tensor tensor(const T& value, DType dtype = DType::f32) {
  return full({}, static_cast<double>(value), dtype);
}
/// Standard normal, and uniform on [0, 1), from the default generator or the one given.
Tensor randn(const Shape& shape, DType dtype = DType::f32);
Tensor randn(const Shape& shape, DType dtype, Generator& generator);
Tensor rand(const Shape& shape, DType dtype = DType::f32);
Tensor rand(const Shape& shape, DType dtype, Generator& generator);
Tensor randn_like(const Tensor& x);
Tensor rand_like(const Tensor& x);
/// start, start + step, .. as long as it is below end (above end for a negative step); start is 0 unless given.
Tensor arange(double end, DType dtype = DType::f32);
template <std::integral T>
Tensor arange(T end, DType dtype = DType::f32) {
  return arange(static_cast<double>(end), dtype);
}
Tensor arange(double start, double end, double step = 1, DType dtype = DType::f32);
/// `steps` numbers from start to end, both included, at equal distances.
Tensor linspace(double start, double end, Index steps, DType dtype = DType::f32);
/// 1 on the main diagonal and 0 elsewhere: (n, m), or (n, n).
Tensor eye(Index n, Index m, DType dtype = DType::f32);
Tensor eye(Index n, DType dtype = DType::f32);

/// The values in nested brackets with columns that line up, as NumPy writes them, and the shape; of large tensors the
/// first and last three along each long dimension.
std::string to_string(const Tensor& x);
/// The same with each number in the format `spec`, "{:.2f}" without its braces and colon; a tensor of shape () is then
/// that number alone. fmt::format("{:.2f}", x) calls it.
std::string to_string(const Tensor& x, std::string_view spec);
/// Writes to_string(x).
std::ostream& operator<<(std::ostream& out, const Tensor& x);

#pragma GCC visibility pop
}  // namespace gradus

/// "{}" prints as to_string writes it; a number format such as "{:.2f}" or "{:8.3e}" applies to each number.
template <>
struct fmt::formatter<gradus::Tensor> {
  template <class ParseContext>
  constexpr auto parse(ParseContext& context) -> decltype(context.begin()) {
    const auto begin = context.begin();
    fmt::formatter<double> number;  // refuses what is no format of a number
    const auto end = number.parse(context);
    for (auto p = begin; p != end; ++p) {
      if (*p == '{') gradus::fail("format: a width or precision in braces cannot format a tensor; write it as digits");
    }
    if (begin != end) spec_ = std::string_view(&*begin, static_cast<std::size_t>(end - begin));
    return end;
  }
  auto format(const gradus::Tensor& x, fmt::format_context& context) const {
    return gradus::write_text({}, spec_.empty() ? gradus::to_string(x) : gradus::to_string(x, spec_), context);
  }

 private:
  std::string_view spec_;
};
