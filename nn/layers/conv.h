// Convolutions and pooling, the layers of small ConvNets.
#pragma once

#include <gradus/core/ops.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct Conv1dLayerOptions {
  Index stride = 1, padding = 0, dilation = 1;
  bool bias = true;
  DType dtype = DType::f32;
};

/// conv1d with a kernel of its own: (B, in, L) -> (B, out, L'). Starts as Linear does, uniform within
/// +-1/sqrt(in * kernel), with PyTorch's numbers for the same seed.
struct Conv1d : Layer {
  Conv1d(Index in, Index out, Index kernel, Conv1dLayerOptions options = {});
  template <std::same_as<bool> B>
  Conv1d(Index in, Index out, Index kernel, B) : Conv1d(in, out, kernel) {
    static_assert(!std::same_as<B, B>, "Conv1d: PyTorch's fourth argument is the stride; write {.bias = false}");
  }
  Tensor operator()(const Tensor& x) const override { return conv1d(x, weight, bias, options_); }
  void members(Visitor& visit) const override;

  Tensor weight;  // (out, in, kernel)
  Tensor bias;    // (out), or undefined

 private:
  Conv1dOptions options_;
};

struct Conv2dLayerOptions {
  Size2 stride = 1, padding = 0, dilation = 1;
  bool bias = true;
  DType dtype = DType::f32;
};

/// conv2d with a kernel of its own: (B, in, H, W) -> (B, out, H', W'). Starts as Conv1d does.
struct Conv2d : Layer {
  Conv2d(Index in, Index out, Size2 kernel, Conv2dLayerOptions options = {});
  template <std::same_as<bool> B>
  Conv2d(Index in, Index out, Size2 kernel, B) : Conv2d(in, out, kernel) {
    static_assert(!std::same_as<B, B>, "Conv2d: PyTorch's fourth argument is the stride; write {.bias = false}");
  }
  Tensor operator()(const Tensor& x) const override { return conv2d(x, weight, bias, options_); }
  void members(Visitor& visit) const override;

  Tensor weight;  // (out, in, kernel height, kernel width)
  Tensor bias;    // (out), or undefined

 private:
  Conv2dOptions options_;
};

/// max_pool2d: (.., H, W) -> (.., H', W').
struct MaxPool2d : Layer {
  explicit MaxPool2d(Size2 kernel, Pool2dOptions options = {}) : kernel_(kernel), options_(options) {}
  Tensor operator()(const Tensor& x) const override { return max_pool2d(x, kernel_, options_); }
  void members(Visitor&) const override {}

 private:
  Size2 kernel_;
  Pool2dOptions options_;
};

/// avg_pool2d: (.., H, W) -> (.., H', W').
struct AvgPool2d : Layer {
  explicit AvgPool2d(Size2 kernel, Pool2dOptions options = {}) : kernel_(kernel), options_(options) {}
  Tensor operator()(const Tensor& x) const override { return avg_pool2d(x, kernel_, options_); }
  void members(Visitor&) const override {}

 private:
  Size2 kernel_;
  Pool2dOptions options_;
};

/// Flattens the output of convolutions for a Linear: (B, ..) -> (B, product of the others).
struct Flatten : Layer {
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor&) const override {}
};

#pragma GCC visibility pop
}  // namespace gradus::nn
