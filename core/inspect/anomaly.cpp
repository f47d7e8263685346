#include <gradus/core/inspect/anomaly.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/detail/module_paths.h>

namespace gradus {
namespace {

struct Found {
  Index index;
  double value;
};

std::optional<Found> first_not_finite(const Buffer& buffer, DType dtype, Index n) {
  return dispatch(dtype, [&]<class T>() -> std::optional<Found> {
    const T* const x = buffer.as<T>();
    const T* const found = std::find_if(x, x + n, [](T value) { return !std::isfinite(value); });
    if (found == x + n) return std::nullopt;
    // x86 makes NaN with a minus sign, which tells nothing.
    return Found{found - x,
                 std::isnan(*found) ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(*found)};
  });
}

using Nodes = std::vector<const Node*>;  // null for an input that was left out

// As FNV-1a (Fowler, Noll & Vo 1991), but number by number instead of byte by byte.
std::uint64_t checksum(const Node& node) {
  return dispatch(node.dtype, [&]<class T>() {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const T value : std::span(node.data.as<T>(), static_cast<std::size_t>(node.numel()))) {
      hash = (hash ^ std::bit_cast<Bits>(value)) * 0x100000001b3U;
    }
    return hash;
  });
}

// The result of `op` and its inputs, in this order.
Nodes values_of(const Node& op) {
  Nodes values{&op};
  for (const NodePtr& input : op.inputs) values.push_back(input.get());
  return values;
}

bool all_finite(const Nodes& inputs) {
  return std::ranges::none_of(inputs, [](const Node* node) {
    return node != nullptr && first_not_finite(node->data, node->dtype, node->numel());
  });
}

// "(2, 3) from -1.5 to 4"
std::string described(const Node& node) {
  return dispatch(node.dtype, [&]<class T>() -> std::string {
    T low = std::numeric_limits<T>::infinity(), high = -low;
    Index finite = 0;
    for (const T value : std::span(node.values<T>(), static_cast<std::size_t>(node.numel()))) {
      if (!std::isfinite(value)) continue;
      ++finite;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (node.numel() == 0) return to_string(node.shape);
    const Index others = node.numel() - finite;
    const std::string range = finite > 0 ? fmt::format(" from {:g} to {:g}", low, high) : "";
    return fmt::format("{}{}{}", node.shape, range, others > 0 ? fmt::format(" with {} not finite", others) : "");
  });
}

std::string described(const Nodes& inputs) {
  std::string text;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] != nullptr) text += fmt::format("{}input {} {}", text.empty() ? "" : ", ", i, described(*inputs[i]));
  }
  return text;
}

}  // namespace

AnomalyMode::AnomalyMode(std::vector<std::pair<std::string, Tensor>> names)
    : paths_(std::make_unique<const detail::ModulePaths>(std::move(names))) {}
AnomalyMode::~AnomalyMode() = default;

std::string AnomalyMode::place(const std::vector<const Node*>& inputs) const {
  std::string text;
  if (const auto found = paths_->nearest(inputs)) {
    text = fmt::format("; {} {}", found->is_input ? "in" : "after", paths_->modules()[found->module]);
  }
  return text + (step_ ? fmt::format("; step {}", *step_) : "");
}

void AnomalyMode::on_forward(const char* op, const Tensor& y, Inputs inputs) {
  const auto found = first_not_finite(y.node().data, y.dtype(), y.numel());
  if (!found) return;
  Nodes nodes;
  for (const Tensor& input : inputs) nodes.push_back(input.node_ptr().get());
  fail("{}: its result {} holds {} at position {}; {}{}; {}", detail::called(op), y.shape(), found->value, found->index,
       described(nodes), place(nodes),
       all_finite(nodes) ? "keep its inputs where it is finite, or lower the learning rate"
                         : "an input already holds such a value: look at what wrote it");
}

void AnomalyMode::on_record(const Node& op) {
  Checksums sums{op.id, {}};
  for (const Node* const values : values_of(op)) sums.of_values.push_back(values == nullptr ? 0 : checksum(*values));
  noted_[&op] = std::move(sums);
}

bool AnomalyMode::has_changed(const Node& op, const Node& values) const {
  const auto noted = noted_.find(&op);
  if (noted == noted_.end() || noted->second.op_id != op.id) return false;
  const Nodes all = values_of(op);
  const auto place = static_cast<std::size_t>(std::ranges::find(all, &values) - all.begin());
  return noted->second.of_values[place] != checksum(values);
}

void AnomalyMode::on_weight(const Tensor& weight) {
  if (const auto found = first_not_finite(weight.node().data, weight.dtype(), weight.numel())) {
    fail("backward: the weight it was given {} holds {} at position {}; weigh with finite numbers", weight.shape(),
         found->value, found->index);
  }
}

void AnomalyMode::on_backward(const Node& node, bool released) {
  Nodes nodes;
  for (const NodePtr& input : node.inputs) nodes.push_back(input.get());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] == nullptr || !nodes[i]->grad) continue;
    const auto found = first_not_finite(nodes[i]->grad, nodes[i]->dtype, nodes[i]->numel());
    if (!found) continue;
    fail(
        "{}: its backward made the gradient of input {} {} at position {}; {}{}; keep its inputs where its slope is "
        "finite, or lower the learning rate{}",
        node.called(), i, found->value, found->index, described(nodes), place(nodes),
        nodes[i]->is_leaf() ? ", and call zero_grad() first if an earlier backward() left such a value" : "");
  }
  if (released) noted_.erase(&node);
}

}  // namespace gradus
