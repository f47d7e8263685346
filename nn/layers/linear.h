// Linear: x W^T + b, the layer that most others are made of.
#pragma once

#include <optional>

#include <gradus/nn/layers/lora.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct LinearOptions {
  bool bias = true;
  DType dtype = DType::f32;
};

/// x weight^T + bias: (.., in) -> (.., out). Both start uniform within +-1/sqrt(in), as PyTorch's do, drawn from the
/// default generator (weight first), so that one seed gives the same numbers there and here.
struct Linear : Layer {
  Linear(Index in, Index out, LinearOptions options = {});
  Linear(Index in, Index out, std::same_as<bool> auto with_bias) : Linear(in, out, LinearOptions{.bias = with_bias}) {}
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor& visit) const override;

  /// Adds a LoRA, and freezes weight and bias. Throws Error if there is one already.
  void add_lora(LoRAOptions options = {});
  /// Adds what the LoRA has learned to the weight, in place, and drops it; without one nothing happens. Weight and bias
  /// stay frozen.
  void merge_lora();

  Tensor weight;  // (out, in)
  Tensor bias;    // (out), or undefined
  std::optional<LoRA> lora;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
