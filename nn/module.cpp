// Everything a Module offers is one walk over members() with a visitor that picks what it needs.
#include <gradus/nn/module.h>

#include <algorithm>
#include <typeinfo>
#include <unordered_set>

#include <gradus/core/platform.h>

namespace gradus::nn {
namespace {

template <class F>
struct TensorVisitor final : Visitor {
  F f;
  explicit TensorVisitor(F function) : f(std::move(function)) {}
  void on_tensor(std::string_view name, const Tensor& tensor, bool is_parameter) override {
    f(name, tensor, is_parameter);
  }
};

template <class F>
struct ModuleVisitor final : Visitor {
  F f;
  explicit ModuleVisitor(F function) : f(std::move(function)) {}
  void on_module(std::string_view name, const Module& module) override { f(name, module); }
};

// Looks for the first name that is given twice, and for the module that gives it.
struct TwiceNamed final : Visitor {
  std::vector<std::pair<std::string, const Module*>> modules;
  std::unordered_set<std::string> names;
  std::string message;

  explicit TwiceNamed(const Module& root) : modules{{"", &root}} { root.members(*this); }
  void on_tensor(std::string_view name, const Tensor&, bool) override { add(std::string(name)); }
  void on_module(std::string_view name, const Module& module) override {
    add(std::string(name));
    modules.emplace_back(std::string(name) + ".", &module);
  }
  void add(const std::string& name) {
    if (names.insert(name).second || !message.empty()) return;
    auto owner = modules.rbegin();
    while (!name.starts_with(owner->first)) ++owner;
    const auto& [path, module] = *owner;
    message = fmt::format("members: {}{} calls two members '{}'; give each a name of its own",
                          platform::type_name(typeid(*module).name()),
                          path.empty() ? "" : fmt::format(" '{}'", path.substr(0, path.size() - 1)),
                          name.substr(path.size()));
  }
};

// Sorting views costs less than a set of strings would: optimizers' loops ask for parameters() at each step.
void check_names(const Module& module, const NamedTensors& found) {
  std::vector<std::string_view> names;
  for (const auto& [name, tensor] : found) names.push_back(name);
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end()) fail("{}", TwiceNamed(module).message);
}

NamedTensors named_tensors(const Module& module, bool buffers, bool remove_duplicate) {
  NamedTensors found;
  std::unordered_set<const Node*> seen;
  TensorVisitor visit([&](std::string_view name, const Tensor& tensor, bool is_parameter) {
    if (!is_parameter && !buffers) return;
    if (seen.insert(&tensor.node()).second || !remove_duplicate) found.emplace_back(name, tensor);
  });
  module.members(visit);
  check_names(module, found);
  return found;
}

}  // namespace

void Visitor::operator()(std::string_view name, const Module& child) {
  const std::size_t outer = enter(name);
  on_module({path_.data(), path_.size() - 1}, child);
  child.members(*this);
  leave(outer);
}

void Visitor::visit_tensor(std::string_view name, const Tensor& tensor, bool is_parameter) {
  if (!tensor.defined()) return;
  const std::size_t outer = enter(name);
  on_tensor({path_.data(), path_.size() - 1}, tensor, is_parameter);
  leave(outer);
}

std::size_t Visitor::enter(std::string_view name) {
  const std::size_t outer = path_.size();
  path_.append(name).push_back('.');
  return outer;
}

NamedTensors Module::named_parameters(bool remove_duplicate) const {
  return named_tensors(*this, false, remove_duplicate);
}

NamedTensors Module::named_state(bool remove_duplicate) const {
  return named_tensors(*this, true, remove_duplicate);
}

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> found;
  for (auto& [name, tensor] : named_parameters()) found.push_back(std::move(tensor));
  return found;
}

std::vector<std::pair<std::string, const Module*>> Module::named_modules() const {
  std::vector<std::pair<std::string, const Module*>> found{{"", this}};
  std::unordered_set<const Module*> seen{this};
  ModuleVisitor visit([&](std::string_view name, const Module& module) {
    if (seen.insert(&module).second) found.emplace_back(name, &module);
  });
  members(visit);
  return found;
}

Index Module::num_parameters() const {
  Index count = 0;
  for (const Tensor& tensor : parameters()) count += tensor.numel();
  return count;
}

void Module::train(bool on) {
  training_ = on;
  ModuleVisitor visit([on](std::string_view, const Module& module) { module.training_ = on; });
  members(visit);
}

void Module::to(DType dtype) {
  TensorVisitor visit([dtype](std::string_view name, const Tensor& tensor, bool) {
    check(tensor.is_leaf(), "to: {} is the result of '{}', not a leaf; a module's parameters must be leaves", name,
          tensor.node().op);
    Node& node = tensor.node();
    if (node.dtype == dtype) return;
    const std::uint32_t version = node.data.version();
    node.data = tensor.detach().to(dtype).node().data;
    node.data.set_version(version);
    node.dtype = dtype;
    node.grad.reset();
    tensor.mark_written("to");
  });
  members(visit);
}

void Module::zero_grad() {
  TensorVisitor visit([](std::string_view, const Tensor& tensor, bool) { tensor.zero_grad(); });
  members(visit);
}

}  // namespace gradus::nn
