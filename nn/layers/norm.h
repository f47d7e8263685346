// LayerNorm and RMSNorm: normalize the rows of the last dimension and scale them by a learned weight. GroupNorm and
// InstanceNorm: normalize groups of channels, or each channel, of one example.
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

/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimension: (.., n) -> (.., n). The weight starts at 1,
/// the bias at 0. Ba, Kiros & Hinton 2016.
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

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension: (.., n) -> (.., n). The weight starts at 1.
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

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  // a weight and a bias for each channel
  DType dtype = DType::f32;
};

/// group_norm: the channels in `groups` equal parts, each brought to mean 0 and variance 1: (B, C, ..) -> (B, C, ..).
/// The weight starts at 1, the bias at 0. Wu & He 2018.
struct GroupNorm : Layer {
  GroupNorm(Index groups, Index channels, GroupNormOptions options = {});
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor& visit) const override;

  Tensor weight, bias;  // (channels), or undefined

 private:
  Index groups_, channels_;
  double eps_;
};

struct InstanceNormOptions {
  double eps = 1e-5;
  bool affine = false;  // a weight and a bias for each channel
  DType dtype = DType::f32;
};

/// Each channel of each image brought to mean 0 and variance 1 (Ulyanov, Vedaldi & Lempitsky 2016), in training and
/// eval mode: PyTorch's without track_running_stats.
struct InstanceNorm : Layer {
  void members(Visitor& visit) const override;

  Tensor weight, bias;  // (channels), or undefined

 protected:
  InstanceNorm(const char* name, Index channels, InstanceNormOptions options);
  Tensor normalize(const Tensor& x) const;

 private:
  const char* name_;
  Index channels_;
  double eps_;
};

/// InstanceNorm of (B, C, L).
struct InstanceNorm1d : InstanceNorm {
  explicit InstanceNorm1d(Index channels, InstanceNormOptions options = {})
      : InstanceNorm("InstanceNorm1d", channels, options) {}
  Tensor operator()(const Tensor& x) const override;
};

/// InstanceNorm of (B, C, H, W).
struct InstanceNorm2d : InstanceNorm {
  explicit InstanceNorm2d(Index channels, InstanceNormOptions options = {})
      : InstanceNorm("InstanceNorm2d", channels, options) {}
  Tensor operator()(const Tensor& x) const override;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
