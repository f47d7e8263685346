// LayerNorm and RMSNorm: normalize the rows of the last dimension and scale them by a learned weight.
#pragma once

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct LayerNormOptions {
  double eps = 1e-5;
  bool weight = true;
  bool bias = true;
  DType dtype = DType::f32;
};

/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimension: (.., n) -> (.., n). The gain starts at 1, the
/// bias at 0. Ba, Kiros & Hinton 2016.
struct LayerNorm : Layer {
  explicit LayerNorm(Index n, LayerNormOptions options = {});
  template <std::same_as<bool> B>
  LayerNorm(Index n, B) : LayerNorm(n) {
    static_assert(!std::same_as<B, B>, "LayerNorm: PyTorch's second argument is eps; write {.bias = false}");
  }
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor& visit) const override;

  Tensor weight, bias;  // (n), or undefined

 private:
  Index n_;
  double eps_;
};

struct RMSNormOptions {
  double eps = 1e-5;
  bool weight = true;
  DType dtype = DType::f32;
};

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension: (.., n) -> (.., n). The gain starts at 1.
/// Zhang & Sennrich 2019.
struct RMSNorm : Layer {
  explicit RMSNorm(Index n, RMSNormOptions options = {});
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor& visit) const override;

  Tensor weight;  // (n), or undefined

 private:
  Index n_;
  double eps_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
