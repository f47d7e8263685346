// The ops and modules that a case may name, each as gradus code: to be run, and to be printed in a test.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <gradus/core/ops.h>

namespace gradus::testing {

/// A node of a case as its op's code sees it: c[0] is its first input, c.index("dim") an option.
class Call {
 public:
  Call(const nlohmann::json& options, const std::vector<Tensor>& inputs, DType dtype)
      : options_(options), inputs_(inputs), dtype_(dtype) {}

  /// Undefined where the case gives fewer inputs.
  Tensor operator[](std::size_t i) const { return i < inputs_.size() ? inputs_[i] : Tensor(); }
  std::vector<Tensor> from(std::size_t first) const {
    return {inputs_.begin() + static_cast<Index>(first), inputs_.end()};
  }
  DType dtype() const { return dtype_; }

  Index index(const char* name) const;  // of a list: its only element
  double number(const char* name) const { return options_.at(name).get<double>(); }
  bool flag(const char* name) const { return options_.at(name).get<bool>(); }
  std::string text(const char* name) const { return options_.at(name).get<std::string>(); }
  std::vector<Index> indices(const char* name) const { return options_.at(name).get<std::vector<Index>>(); }
  std::vector<double> numbers(const char* name) const { return options_.at(name).get<std::vector<double>>(); }
  Shape shape(const char* name) const;
  std::vector<std::int32_t> ids(const char* name) const { return options_.at(name).get<std::vector<std::int32_t>>(); }
  Size2 size2(const char* name) const {
    return {options_.at(name).at(0).get<Index>(), options_.at(name).at(1).get<Index>()};
  }

 private:
  const nlohmann::json& options_;
  const std::vector<Tensor>& inputs_;
  DType dtype_;
};

struct Entry {
  std::function<Tensor(const Call&)> f;
  const char* code;  // of f, in terms of `c`
};
using Registry = std::map<std::string, Entry>;

// One entry: the name in the Python registries, and the code.
#define GRADUS_ENTRY(name, ...)                                         \
  {                                                                     \
    name, {                                                             \
      [](const Call& c) -> Tensor { return __VA_ARGS__; }, #__VA_ARGS__ \
    }                                                                   \
  }

/// Every op by its name in graph_ops.py.
Registry ops();
/// Every module by its name in graph_modules.py, "nn.Linear".
Registry modules();
/// Both.
const Registry& registry();

/// The code of `entry` for this node, with its inputs' and options' own names and values put in.
std::string code_of(const Entry& entry, const nlohmann::json& node);

}  // namespace gradus::testing
