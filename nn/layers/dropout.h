// Dropout: noise in training, so that the network does not rely on single units (Srivastava et al. 2014).
#pragma once

#include <gradus/core/ops.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// Sets each element to 0 with probability p and divides the others by 1 - p, with the default generator; returns x
/// itself in eval mode.
struct Dropout : Layer {
  explicit Dropout(double p = 0.5) : p_(p) {
    check(p >= 0 && p < 1, "Dropout: probability {}; it must be at least 0 and below 1", p);
  }
  Tensor operator()(const Tensor& x) const override { return dropout(x, p_, training()); }
  void members(Visitor&) const override {}
  double p() const { return p_; }

 private:
  double p_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
