// Pools: the largest or the mean value of windows of an image or a series.
#pragma once

#include <gradus/core/ops.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// max_pool1d: (.., L) -> (.., L').
struct MaxPool1d : Layer {
  explicit MaxPool1d(Index kernel, Pool1dOptions options = {}) : kernel_(kernel), options_(options) {}
  Tensor operator()(const Tensor& x) const override { return max_pool1d(x, kernel_, options_); }
  void members(Visitor&) const override {}

 private:
  Index kernel_;
  Pool1dOptions options_;
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

/// avg_pool1d: (.., L) -> (.., L').
struct AvgPool1d : Layer {
  explicit AvgPool1d(Index kernel, Pool1dOptions options = {}) : kernel_(kernel), options_(options) {}
  Tensor operator()(const Tensor& x) const override { return avg_pool1d(x, kernel_, options_); }
  void members(Visitor&) const override {}

 private:
  Index kernel_;
  Pool1dOptions options_;
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

/// adaptive_avg_pool1d: (.., L) -> (.., size).
struct AdaptiveAvgPool1d : Layer {
  explicit AdaptiveAvgPool1d(Index size) : size_(size) {}
  Tensor operator()(const Tensor& x) const override { return adaptive_avg_pool1d(x, size_); }
  void members(Visitor&) const override {}

 private:
  Index size_;
};

/// adaptive_avg_pool2d: (.., H, W) -> (.., size).
struct AdaptiveAvgPool2d : Layer {
  explicit AdaptiveAvgPool2d(Size2 size) : size_(size) {}
  Tensor operator()(const Tensor& x) const override { return adaptive_avg_pool2d(x, size_); }
  void members(Visitor&) const override {}

 private:
  Size2 size_;
};

/// adaptive_max_pool2d: (.., H, W) -> (.., size).
struct AdaptiveMaxPool2d : Layer {
  explicit AdaptiveMaxPool2d(Size2 size) : size_(size) {}
  Tensor operator()(const Tensor& x) const override { return adaptive_max_pool2d(x, size_); }
  void members(Visitor&) const override {}

 private:
  Size2 size_;
};

/// The mean of each channel: (B, C, ..) -> (B, C). PyTorch's AdaptiveAvgPool1d(1) or AdaptiveAvgPool2d(1), flattened
/// for a Linear (Lin, Chen & Yan 2013, section 3.2).
struct GlobalAvgPool : Layer {
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor&) const override {}
};

#pragma GCC visibility pop
}  // namespace gradus::nn
