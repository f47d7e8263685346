// Sequential: layers one after another.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include <gradus/core/ids.h>
#include <gradus/nn/layers/module_list.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// A function as a layer without parameters: Lambda([](const Tensor& x) { return reshape(x, {x.size(0), -1}); }).
class Lambda : public Layer {
 public:
  explicit Lambda(std::function<Tensor(const Tensor& x)> function) : function_(std::move(function)) {
    check(function_ != nullptr, "Lambda: the function is empty; give one that takes and returns a Tensor");
  }
  Tensor operator()(const Tensor& x) const override {
    check(function_ != nullptr, "Lambda: its function was moved to another one; use that one");
    return function_(x);
  }
  void members(Visitor&) const override {}

 private:
  std::function<Tensor(const Tensor& x)> function_;
};

/// Applies its layers in order: Sequential net{Linear(2, 16), Tanh(), Linear(16, 1)}. They are named "0", "1", .., or
/// as given: Sequential net{{"fc1", Linear(2, 16)}, {"act", Tanh()}}. Use braces, not parentheses: only braces make
/// C++ construct the layers from left to right, and the order in which they draw their initial weights must be the same
/// with every compiler. A copy has its own layers, which share the parameters, as a copy of any module does; a layer
/// that was added twice stays one layer in the copy. Sequential{inner} is such a copy; to nest a single Sequential, use
/// push_back(). Without layers it returns x.
class Sequential : public Layer {
 public:
  template <std::derived_from<Layer>... Layers>
  explicit Sequential(Layers... layers) {
    (push_back(std::move(layers)), ...);
  }
  /// Throws Error if two layers have one name.
  Sequential(std::initializer_list<NamedModule<Layer>> layers) {
    for (const NamedModule<Layer>& layer : layers) layers_.add(layer);
  }
  /// Throws Error if a layer cannot be copied, or came as a pointer to a base class of its type.
  Sequential(const Sequential& other) = default;
  Sequential(Sequential&&) = default;
  Sequential& operator=(const Sequential& other) = default;
  Sequential& operator=(Sequential&&) = default;

  /// Adds a layer at the end, named by its place, or by `name`.
  template <std::derived_from<Layer> L>
  void push_back(L layer) {
    layers_.add(std::move(layer));
  }
  template <class L>
  void push_back(std::string name, L layer) {
    layers_.add({std::move(name), std::move(layer)});
  }
  /// The layer itself, not a copy: changes through the pointer change this Sequential.
  template <std::derived_from<Layer> L>
  void push_back(std::shared_ptr<L> layer) {
    layers_.add(std::move(layer));
  }

  Index size() const { return layers_.size(); }
  /// Layer i; negative counts from the end.
  Layer& operator[](Index i) const { return layers_.at(i); }
  Layer& operator[](std::string_view name) const { return layers_.at(name); }

  Tensor operator()(const Tensor& x) const override { return run(x, 0); }
  /// The same for ids, where the first layer is an Embedding.
  Tensor operator()(const Ids& ids) const;
  void members(Visitor& visit) const override { layers_.members(visit); }

  /// What is called after each layer, with its name, the layer, what it got and what it returned. There is one hook; an
  /// empty function removes it. An Embedding that was given ids gets them as a Tensor. Copies have it too.
  using ForwardHook = std::function<void(std::string_view name, const Layer& layer, const Tensor& x, const Tensor& y)>;
  void forward_hook(ForwardHook hook) { hook_ = std::move(hook); }

 private:
  Tensor run(Tensor x, std::size_t first) const;

  detail::HeldModules<Layer> layers_{{"Sequential", "layer"}};
  ForwardHook hook_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
