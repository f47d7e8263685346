// What the nn tests share: names and values of parameters.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/gradcheck.h>
#include <gradus/core/ops.h>
#include <gradus/nn/module.h>

#include "../support.h"

namespace gradus::testing {

inline std::vector<std::string> names_of(const nn::NamedTensors& named) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named) names.push_back(name);
  return names;
}

// All parameters away from the values where a mistake hides (zeros of biases, ones of gains).
inline void randomize(const nn::Module& module) {
  for (const Tensor& param : module.parameters()) param.copy_(randn(param.shape(), param.dtype()));
}

// Puts other tensors in the place of a module's parameters, in the order of parameters(); tied ones stay tied.
struct ReplaceParameters : nn::Visitor {
  std::span<const Tensor> next;
  std::unordered_map<const Node*, Tensor> replaced;
  explicit ReplaceParameters(std::span<const Tensor> tensors) : next(tensors) {}
  void on_tensor(std::string_view, const Tensor& tensor, bool is_parameter) override {
    if (!is_parameter) return;
    const auto [place, is_new] = replaced.try_emplace(&tensor.node());
    if (is_new) {
      place->second = next.front();
      next = next.subspan(1);
    }
    const_cast<Tensor&>(tensor) = place->second;
  }
};

// Gradients of f(inputs) in the inputs and in every parameter of an f64 module, against central differences.
template <class F>
void expect_gradients(nn::Module& module, std::vector<Tensor> inputs, F f) {
  const std::vector<Tensor> parameters = module.parameters();
  const std::size_t count = inputs.size();
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  for (Tensor& x : inputs) x.requires_grad(true);
  EXPECT_TRUE(passes(gradcheck(
      [&](const std::vector<Tensor>& in) {
        ReplaceParameters replace(std::span<const Tensor>(in).subspan(count));
        module.members(replace);
        return f(in);
      },
      inputs)));
  ReplaceParameters restore(parameters);
  module.members(restore);
}

}  // namespace gradus::testing
