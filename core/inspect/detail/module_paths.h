// ModulePaths: which module an op belongs to, from the names of the parameters that it uses.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::detail {

class ModulePaths {
 public:
  /// Named parameters: "h.3.mlp.c_fc.weight" is of the module "h.3.mlp.c_fc", a name without a dot is its own module.
  explicit ModulePaths(std::vector<std::pair<std::string, Tensor>> names);

  bool empty() const { return modules_.empty(); }
  /// The modules in the order of the names, and the index of a parameter's module; empty for other tensors.
  const std::vector<std::string>& modules() const { return modules_; }
  std::optional<std::size_t> of(const Node& node) const;

  struct Nearest {
    std::size_t module;
    bool is_input;  // the parameter is among the inputs, not behind them
  };
  /// The module of the nearest named parameter that the inputs of an op were computed from, breadth first; null inputs
  /// are those that were left out.
  std::optional<Nearest> nearest(std::span<const Node* const> inputs) const;

 private:
  std::vector<std::pair<std::string, Tensor>> names_;  // kept alive: nodes are known by address
  std::vector<std::string> modules_;
  std::unordered_map<const Node*, std::size_t> of_parameter_;
};

}  // namespace gradus::detail
