#include <gradus/core/inspect/detail/module_paths.h>

#include <algorithm>
#include <unordered_set>

namespace gradus::detail {

ModulePaths::ModulePaths(std::vector<std::pair<std::string, Tensor>> names) : names_(std::move(names)) {
  std::unordered_map<std::string, std::size_t> numbers;
  for (const auto& [name, tensor] : names_) {
    if (!tensor.defined()) continue;
    const auto [entry, is_new] = numbers.emplace(name.substr(0, name.rfind('.')), modules_.size());
    if (is_new) modules_.push_back(entry->first);
    of_parameter_.emplace(&tensor.node(), entry->second);
  }
}

std::optional<std::size_t> ModulePaths::of(const Node& node) const {
  const auto found = of_parameter_.find(&node);
  return found == of_parameter_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<ModulePaths::Nearest> ModulePaths::nearest(std::span<const Node* const> inputs) const {
  std::vector<const Node*> queue(inputs.begin(), inputs.end());
  std::unordered_set<const Node*> seen;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const Node* const node = queue[next];
    if (node == nullptr || !seen.insert(node).second) continue;
    if (const auto module = of(*node)) return Nearest{*module, next < inputs.size()};
    for (const NodePtr& input : node->inputs) queue.push_back(input.get());
  }
  return std::nullopt;
}

}  // namespace gradus::detail
