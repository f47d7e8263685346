// Sequential: layers one after another.
#pragma once

#include <concepts>
#include <memory>
#include <typeinfo>
#include <vector>

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// Applies its layers in order: Sequential net{Linear(2, 16), Tanh(), Linear(16, 1)}. They are named "0", "1", ..
/// Use braces, not parentheses: only braces make C++ construct the layers from left to right, and the order in which
/// they draw their initial weights must be the same with every compiler.
/// A copy has its own layers, which share the parameters, as a copy of any module does; a layer that was added twice
/// stays one layer in the copy. Sequential{inner} is such a copy; to nest a single Sequential, use push_back(). Without
/// layers it returns x.
class Sequential : public Layer {
 public:
  template <std::derived_from<Layer>... Layers>
  explicit Sequential(Layers... layers) {
    layers_.reserve(sizeof...(layers));
    (push_back(std::move(layers)), ...);
  }
  /// Throws Error if a layer cannot be copied, or came as a pointer to a base class of its type.
  Sequential(const Sequential& other);
  Sequential(Sequential&&) = default;
  Sequential& operator=(const Sequential& other) { return *this = Sequential(other); }
  Sequential& operator=(Sequential&&) = default;

  template <std::derived_from<Layer> L>
  void push_back(L layer) {
    push_back(std::make_shared<L>(std::move(layer)));
  }
  /// The layer itself, not a copy: changes through the pointer change this Sequential.
  template <std::derived_from<Layer> L>
  void push_back(std::shared_ptr<L> layer) {
    check(layer != nullptr, "Sequential: the layer to add is null; make one with std::make_shared");
    layers_.push_back({std::move(layer), copy_of<L>});
  }

  Index size() const { return static_cast<Index>(layers_.size()); }
  /// Layer i; negative counts from the end.
  Layer& operator[](Index i) const {
    check(i >= -size() && i < size(), "Sequential: there is no layer {} among {}; use {} .. {}", i, size(), -size(),
          size() - 1);
    return *layers_[static_cast<std::size_t>(i < 0 ? i + size() : i)].layer;
  }

  Tensor operator()(const Tensor& x) const override {
    Tensor y = x;
    for (const Held& held : layers_) y = (*held.layer)(y);
    return y;
  }
  void members(Visitor& visit) const override {
    for (std::size_t i = 0; i < layers_.size(); ++i) visit(std::to_string(i), *layers_[i].layer);
  }

 private:
  struct Held {
    std::shared_ptr<Layer> layer;
    std::shared_ptr<Layer> (*copy)(const Layer& layer);  // returns null if it is of another type or cannot be copied
  };
  template <class L>
  static std::shared_ptr<Layer> copy_of([[maybe_unused]] const Layer& layer) {
    if constexpr (std::copy_constructible<L>) {
      if (typeid(layer) == typeid(L)) return std::make_shared<L>(static_cast<const L&>(layer));
    }
    return nullptr;
  }

  std::vector<Held> layers_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
