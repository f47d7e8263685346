// Everything a Module offers is one walk over members() with a visitor that picks what it needs.
#include <gradus/nn/module.h>

#include <algorithm>
#include <functional>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>

#include <gradus/core/runtime/platform.h>

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

// Finds the first name that is used twice, and the module that uses it.
struct TwiceNamed final : Visitor {
  std::vector<std::pair<std::string, const Module*>> modules;
  std::unordered_set<std::string> names;
  std::string message;

  explicit TwiceNamed(const Module& root) : modules{{"", &root}} { root.members(*this); }
  void on_module(std::string_view name, const Module& module) override {
    modules.emplace_back(std::string(name) + ".", &module);
  }
  void on_member(std::string_view member) override {
    const std::string name(member);
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

// Calls a function for each tensor and each module, and finds two members of the same name. Training loops call
// parameters() at each step, so it compares hashes first, and names only where two hashes are equal.
template <class OnTensor, class OnModule>
struct Lister final : Visitor {
  OnTensor tensor_f;
  OnModule module_f;
  std::vector<std::size_t, PoolAllocator<std::size_t>> hashes;

  Lister(OnTensor on_tensor, OnModule on_module) : tensor_f(std::move(on_tensor)), module_f(std::move(on_module)) {}
  void on_member(std::string_view name) override { hashes.push_back(std::hash<std::string_view>{}(name)); }
  void on_tensor(std::string_view name, const Tensor& tensor, bool is_parameter) override {
    tensor_f(name, tensor, is_parameter);
  }
  void on_module(std::string_view name, const Module& module) override { module_f(name, module); }
};

template <class OnTensor, class OnModule>
void list_members(const Module& module, OnTensor on_tensor, OnModule on_module) {
  Lister<OnTensor, OnModule> lister(std::move(on_tensor), std::move(on_module));
  module.members(lister);
  std::ranges::sort(lister.hashes);
  if (std::ranges::adjacent_find(lister.hashes) == lister.hashes.end()) return;
  const std::string message = TwiceNamed(module).message;
  check(message.empty(), "{}", message);
}

constexpr auto no_tensor = [](std::string_view, const Tensor&, bool) {};
constexpr auto no_module = [](std::string_view, const Module&) {};

NamedTensors named_tensors(const Module& module, bool buffers, bool remove_duplicate) {
  NamedTensors found;
  std::unordered_set<const Node*> seen;
  list_members(
      module,
      [&](std::string_view name, const Tensor& tensor, bool is_parameter) {
        if (!is_parameter && !buffers) return;
        if (seen.insert(&tensor.node()).second || !remove_duplicate) found.emplace_back(name, tensor);
      },
      no_module);
  return found;
}

}  // namespace

void Visitor::operator()(std::string_view name, const Module& child) {
  const std::size_t outer = enter(name);
  on_member({path_.data(), path_.size() - 1});
  on_module({path_.data(), path_.size() - 1}, child);
  child.members(*this);
  leave(outer);
}

void Visitor::visit_tensor(std::string_view name, const Tensor& tensor, bool is_parameter) {
  const std::size_t outer = enter(name);
  const std::string_view path(path_.data(), path_.size() - 1);
  on_member(path);
  if (tensor.defined()) on_tensor(path, tensor, is_parameter);
  leave(outer);
}

void Visitor::operator()(std::string_view name, const NarrowMatrix& weights) {
  const std::size_t outer = enter(name);
  const std::string_view path(path_.data(), path_.size() - 1);
  on_member(path);
  on_narrow(path, weights);
  leave(outer);
}

std::size_t Visitor::enter(std::string_view name) {
  const std::size_t outer = path_.size();
  check(!name.empty() && name.find('.') == name.npos,
        "members: a member of '{}' is called '{}'; a name needs at least one character and no dot, which separates a "
        "module's name from its member's",
        std::string_view(path_.data(), outer == 0 ? 0 : outer - 1), name);
  path_.append(name).push_back('.');
  return outer;
}

NamedTensors Module::named_parameters(bool remove_duplicate) const {
  return named_tensors(*this, false, remove_duplicate);
}

NamedTensors Module::named_state(bool remove_duplicate) const {
  struct NoNarrow final : Visitor {
    void on_narrow(std::string_view name, const NarrowMatrix& weights) override {
      fail("{} is in {}, which is for computing only; save or average the module that it was narrowed from", name,
           weights.type());
    }
  };
  NoNarrow visit;
  members(visit);
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
  list_members(*this, no_tensor, [&](std::string_view name, const Module& module) {
    if (seen.insert(&module).second) found.emplace_back(name, &module);
  });
  return found;
}

Index Module::num_parameters() const {
  Index count = 0;
  for (const Tensor& tensor : parameters()) count += tensor.numel();
  return count;
}

void Module::train(bool on) {
  training_ = on;
  list_members(*this, no_tensor, [on](std::string_view, const Module& module) { module.training_ = on; });
}

void Module::to(DType dtype) {
  TensorVisitor visit([dtype](std::string_view name, const Tensor& tensor, bool) {
    check(tensor.is_leaf(), "to: {} is the result of '{}', not a leaf; a module's parameters must be leaves", name,
          tensor.node().called());
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

void detail::check_whole(const Module& module, const std::type_info& type) {
  check(typeid(module) == type,
        "clone: the module is a {}, but was passed as its base {}, whose copy would lose the rest; pass the derived "
        "type",
        platform::type_name(typeid(module).name()), platform::type_name(type.name()));
}

// members() is const but passes references to the members themselves, so a const_cast can replace them.
void detail::own_tensors(const Module& original, const Module& copy) {
  std::unordered_set<const Tensor*> others;
  TensorVisitor note([&](std::string_view, const Tensor& tensor, bool) { others.insert(&tensor); });
  original.members(note);
  const auto check_own = [](bool own, std::string_view name) {
    check(own,
          "clone: '{}' is not the copy's own; hold modules and tensors as members, in a std::vector, std::optional, "
          "std::variant, Sequential, ModuleList or ModuleDict, not behind a pointer, and let members() pass them, not "
          "temporaries",
          name);
  };
  TensorVisitor look([&](std::string_view name, const Tensor& tensor, bool) {
    check_own(!others.contains(&tensor), name);
    check(tensor.is_leaf(), "clone: '{}' is the result of '{}', not a leaf; a module's parameters must be leaves", name,
          tensor.node().called());
  });
  copy.members(look);
  std::unordered_map<NodePtr, Tensor> own;  // from the original's
  std::unordered_set<NodePtr> made;
  TensorVisitor replace([&](std::string_view, const Tensor& tensor, bool) {
    if (made.contains(tensor.node_ptr())) return;  // a module that stands at two places
    Tensor& values = own[tensor.node_ptr()];
    if (!values.defined()) {
      values = tensor.detach().clone();
      values.requires_grad(tensor.requires_grad());
      made.insert(values.node_ptr());
    }
    const_cast<Tensor&>(tensor) = values;
  });
  copy.members(replace);
  TensorVisitor verify(
      [&](std::string_view name, const Tensor& tensor, bool) { check_own(made.contains(tensor.node_ptr()), name); });
  copy.members(verify);
}

}  // namespace gradus::nn
