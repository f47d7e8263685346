// Sequential: layers one after another.
#pragma once

#include <concepts>
#include <memory>
#include <vector>

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// Applies its layers in order: Sequential net{Linear(2, 16), Tanh(), Linear(16, 1)}. They are named "0", "1", ..
/// Braces, not parentheses: C++ makes the layers from left to right only then, and the order in which they draw their
/// initial weights decides whether a seed gives the same network with every compiler.
/// A copy shares the layers (so to nest one alone in another takes push_back). Without layers it returns x.
class Sequential : public Layer {
 public:
  template <std::derived_from<Layer>... Layers>
  explicit Sequential(Layers... layers) {
    layers_.reserve(sizeof...(layers));
    (push_back(std::move(layers)), ...);
  }

  template <std::derived_from<Layer> L>
  void push_back(L layer) {
    layers_.push_back(std::make_shared<L>(std::move(layer)));
  }
  void push_back(std::shared_ptr<Layer> layer) {
    check(layer != nullptr, "Sequential: the layer to add is null; make one with std::make_shared");
    layers_.push_back(std::move(layer));
  }

  Index size() const { return static_cast<Index>(layers_.size()); }
  /// Layer i; negative counts from the end.
  Layer& operator[](Index i) const {
    check(i >= -size() && i < size(), "Sequential: there is no layer {} among {}; use {} .. {}", i, size(), -size(),
          size() - 1);
    return *layers_[static_cast<std::size_t>(i < 0 ? i + size() : i)];
  }

  Tensor operator()(const Tensor& x) const override {
    Tensor y = x;
    for (const auto& layer : layers_) y = (*layer)(y);
    return y;
  }
  void members(Visitor& visit) const override {
    for (std::size_t i = 0; i < layers_.size(); ++i) visit(std::to_string(i), *layers_[i]);
  }

 private:
  std::vector<std::shared_ptr<Layer>> layers_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
