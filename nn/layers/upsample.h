// Upsample: images and series made larger or smaller.
#pragma once

#include <gradus/core/ops.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// interpolate: (B, C, H, W) -> (B, C, H', W'), or (B, C, L) -> (B, C, L'), for which only the width of size or
/// scale_factor counts.
struct Upsample : Layer {
  explicit Upsample(InterpolateOptions options) : options_(options) {}
  Tensor operator()(const Tensor& x) const override { return interpolate(x, options_); }
  void members(Visitor&) const override {}

 private:
  InterpolateOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
