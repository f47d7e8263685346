#include <gradus/core/anomaly.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

namespace gradus {
namespace {

constinit thread_local const AnomalyMode* innermost = nullptr;

struct Found {
  Index index;
  double value;
};

std::optional<Found> first_not_finite(const Buffer& buffer, DType dtype, Index n) {
  return dispatch(dtype, [&]<class T>() -> std::optional<Found> {
    const T* const x = buffer.as<T>();
    const T* const found = std::find_if(x, x + n, [](T value) { return !std::isfinite(value); });
    if (found == x + n) return std::nullopt;
    return Found{found - x, static_cast<double>(*found)};
  });
}

// "(2, 3) from -1.5 to 4"
std::string described(const Node& node) {
  return dispatch(node.dtype, [&]<class T>() -> std::string {
    T low = std::numeric_limits<T>::infinity(), high = -low;
    bool finite = true;
    for (Index i = 0; i < node.numel(); ++i) {
      const T value = node.values<T>()[i];
      finite = finite && std::isfinite(value);
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (node.numel() == 0) return to_string(node.shape);
    return fmt::format("{} from {:g} to {:g}{}", node.shape, low, high, finite ? "" : ", not all finite");
  });
}

std::string described(const Node* const* inputs, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    if (inputs[i] != nullptr) text += fmt::format("{}input {} {}", text.empty() ? "" : ", ", i, described(*inputs[i]));
  }
  return text;
}

}  // namespace

AnomalyMode::AnomalyMode(std::vector<std::pair<std::string, Tensor>> names)
    : names_(std::move(names)), outer_(std::exchange(innermost, this)) {}

AnomalyMode::~AnomalyMode() {
  innermost = outer_;
}

const AnomalyMode* detail::anomaly_mode() {
  return innermost;
}

// The module of the nearest named parameter that the op's inputs were computed from, breadth first.
std::string AnomalyMode::place(const Node* const* inputs, std::size_t count) const {
  std::unordered_map<const Node*, const std::string*> named;
  for (const auto& [name, tensor] : names_) named.emplace(&tensor.node(), &name);
  std::string text;
  std::vector<const Node*> queue(inputs, inputs + count);
  std::unordered_set<const Node*> seen;
  for (std::size_t next = 0; next < queue.size() && text.empty(); ++next) {
    const Node* const node = queue[next];
    if (node == nullptr || !seen.insert(node).second) continue;
    if (const auto found = named.find(node); found != named.end()) {
      const std::string& name = *found->second;
      const std::size_t dot = name.rfind('.');
      text =
          fmt::format("; {} {}", next < count ? "in" : "behind", dot == std::string::npos ? name : name.substr(0, dot));
    }
    for (const NodePtr& input : node->inputs) queue.push_back(input.get());
  }
  return text + (step_ ? fmt::format("; step {}", *step_) : "");
}

void AnomalyMode::check_forward(const char* op, const Tensor& y, detail::InputList inputs) const {
  const auto found = first_not_finite(y.node().data, y.dtype(), y.numel());
  if (!found) return;
  std::vector<const Node*> nodes;
  for (const Tensor& input : inputs) nodes.push_back(input.node_ptr().get());
  fail(
      "{}: its result {} holds {} at position {}; {}{}; keep its inputs where it is finite, or lower the learning rate",
      op, y.shape(), found->value, found->index, described(nodes.data(), nodes.size()),
      place(nodes.data(), nodes.size()));
}

void AnomalyMode::check_backward(const Node& node) const {
  std::vector<const Node*> nodes;
  for (const NodePtr& input : node.inputs) nodes.push_back(input.get());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] == nullptr || !nodes[i]->grad) continue;
    const auto found = first_not_finite(nodes[i]->grad, nodes[i]->dtype, nodes[i]->numel());
    if (!found) continue;
    fail(
        "{}: its backward made the gradient of input {} {} at position {}; {}{}; keep its inputs where its slope is "
        "finite, or lower the learning rate",
        node.op, i, found->value, found->index, described(nodes.data(), nodes.size()),
        place(nodes.data(), nodes.size()));
  }
}

}  // namespace gradus
