// Convolutions, plain and transposed, and Flatten. Includes pool.h, since pools follow them in ConvNets.
#pragma once

#include <gradus/core/ops.h>
#include <gradus/nn/layers/pool.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct Conv1dLayerOptions {
  Index stride = 1;
  Padding1d padding = 0;  // Padding::same: the result is as long as x
  Index dilation = 1;
  Index groups = 1;  // must divide in and out; groups = in: depthwise
  bool bias = true;
  DType dtype = DType::f32;
};

/// conv1d with a kernel of its own: (B, in, L) -> (B, out, L'). Starts as Linear does, uniform within
/// +-1/sqrt(in / groups * kernel), with PyTorch's numbers for the same seed.
struct Conv1d : Layer {
  Conv1d(Index in, Index out, Index kernel, Conv1dLayerOptions options = {});
  template <std::same_as<bool> B>
  Conv1d(Index in, Index out, Index kernel, B) : Conv1d(in, out, kernel) {
    static_assert(!std::same_as<B, B>, "Conv1d: PyTorch's fourth argument is the stride; write {.bias = false}");
  }
  Tensor operator()(const Tensor& x) const override { return conv1d(x, weight, bias, options_); }
  void members(Visitor& visit) const override;

  Tensor weight;  // (out, in / groups, kernel)
  Tensor bias;    // (out), or undefined

 private:
  Conv1dOptions options_;
};

struct Conv2dLayerOptions {
  Size2 stride = 1;
  Padding2d padding = 0;  // Padding::same: the result is as large as x
  Size2 dilation = 1;
  Index groups = 1;  // must divide in and out; groups = in: depthwise
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

  Tensor weight;  // (out, in / groups, kernel height, kernel width)
  Tensor bias;    // (out), or undefined

 private:
  Conv2dOptions options_;
};

struct ConvTranspose1dLayerOptions {
  Index stride = 1, padding = 0, output_padding = 0, groups = 1;
  bool bias = true;
  Index dilation = 1;
  DType dtype = DType::f32;
};

/// conv_transpose1d with a kernel of its own: (B, in, L) -> (B, out, L'). Starts uniform within
/// +-1/sqrt(out / groups * kernel), with PyTorch's numbers for the same seed.
struct ConvTranspose1d : Layer {
  ConvTranspose1d(Index in, Index out, Index kernel, ConvTranspose1dLayerOptions options = {});
  template <std::same_as<bool> B>
  ConvTranspose1d(Index in, Index out, Index kernel, B) : ConvTranspose1d(in, out, kernel) {
    static_assert(!std::same_as<B, B>,
                  "ConvTranspose1d: PyTorch's fourth argument is the stride; write {.bias = false}");
  }
  Tensor operator()(const Tensor& x) const override { return conv_transpose1d(x, weight, bias, options_); }
  void members(Visitor& visit) const override;

  Tensor weight;  // (in, out / groups, kernel)
  Tensor bias;    // (out), or undefined

 private:
  ConvTranspose1dOptions options_;
};

struct ConvTranspose2dLayerOptions {
  Size2 stride = 1, padding = 0, output_padding = 0;
  Index groups = 1;
  bool bias = true;
  Size2 dilation = 1;
  DType dtype = DType::f32;
};

/// conv_transpose2d with a kernel of its own: (B, in, H, W) -> (B, out, H', W'). Starts as ConvTranspose1d does.
struct ConvTranspose2d : Layer {
  ConvTranspose2d(Index in, Index out, Size2 kernel, ConvTranspose2dLayerOptions options = {});
  template <std::same_as<bool> B>
  ConvTranspose2d(Index in, Index out, Size2 kernel, B) : ConvTranspose2d(in, out, kernel) {
    static_assert(!std::same_as<B, B>,
                  "ConvTranspose2d: PyTorch's fourth argument is the stride; write {.bias = false}");
  }
  Tensor operator()(const Tensor& x) const override { return conv_transpose2d(x, weight, bias, options_); }
  void members(Visitor& visit) const override;

  Tensor weight;  // (in, out / groups, kernel height, kernel width)
  Tensor bias;    // (out), or undefined

 private:
  ConvTranspose2dOptions options_;
};

/// Flattens the output of convolutions for a Linear: (B, ..) -> (B, product of the others).
struct Flatten : Layer {
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor&) const override {}
};

#pragma GCC visibility pop
}  // namespace gradus::nn
