// What the nn tests share: names and values of parameters.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/gradcheck.h>
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

// Gradients of f(inputs) in the inputs and in every parameter of an f64 module, against differences.
template <class F>
void expect_gradients(const nn::Module& module, const std::vector<Tensor>& inputs, F f) {
  nn::NamedTensors leaves = module.named_parameters();
  for (Tensor input : inputs) leaves.emplace_back("input", input.requires_grad(true));
  EXPECT_TRUE(gradcheck([&] { return f(inputs); }, leaves));
}

}  // namespace gradus::testing
