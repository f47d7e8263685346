// BatchNorm1d and BatchNorm2d: each channel brought to mean 0 and variance 1 over the batch.
#pragma once

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;            // how far a training step moves the running mean and variance
  bool affine = true;               // a gain and a bias for each channel
  bool track_running_stats = true;  // false: no running mean and variance; eval mode uses the batch's, too
  DType dtype = DType::f32;
};

/// (x - mean) / sqrt(var + eps) * weight + bias, with the mean and variance of each channel, the second dimension
/// (Ioffe & Szegedy 2015, algorithm 1). Training uses the batch's mean and biased variance, and moves the running
/// mean and variance towards its mean and unbiased variance, as PyTorch does; eval mode uses the running ones. A strict
/// load ignores num_batches_tracked in PyTorch's files.
struct BatchNorm : Layer {
  void members(Visitor& visit) const override;

  Tensor weight, bias;               // (channels), or undefined
  Tensor running_mean, running_var;  // (channels): buffers, saved with the parameters; or undefined

 protected:
  BatchNorm(const char* name, Index channels, BatchNormOptions options);
  Tensor normalize(const Tensor& x) const;

 private:
  const char* name_;
  Index channels_;
  bool tracks_;
  double eps_, momentum_;
};

/// BatchNorm of (B, C) or (B, C, L).
struct BatchNorm1d : BatchNorm {
  explicit BatchNorm1d(Index channels, BatchNormOptions options = {}) : BatchNorm("BatchNorm1d", channels, options) {}
  Tensor operator()(const Tensor& x) const override;
};

/// BatchNorm of (B, C, H, W).
struct BatchNorm2d : BatchNorm {
  explicit BatchNorm2d(Index channels, BatchNormOptions options = {}) : BatchNorm("BatchNorm2d", channels, options) {}
  Tensor operator()(const Tensor& x) const override;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
