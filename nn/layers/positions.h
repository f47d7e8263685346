// Positions for a transformer: learned vectors, fixed sines, or rotations of queries and keys.
#pragma once

#include <gradus/nn/layers/activation.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct PositionOptions {
  DType dtype = DType::f32;
};

/// x + weight[0 .. T-1]: (.., T, C) -> (.., T, C) for T up to `length`. A trained vector for each place, which starts
/// as N(0, 0.02^2) (Radford et al. 2018; GPT-2).
struct LearnedPositions : Layer {
  LearnedPositions(Index length, Index width, PositionOptions options = {});
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor& visit) const override;

  Tensor weight;  // (length, width)
};

/// x + sines: column 2i of place t is sin(t / 10000^(2i / C)), column 2i + 1 its cosine (Vaswani et al. 2017, section
/// 3.5). (.., T, C) -> (.., T, C) for any T.
struct SinusoidalPositions : ActivationLayer {
  explicit SinusoidalPositions(Index width, double base = 10000);
  Tensor operator()(const Tensor& x) const override;

 private:
  Index width_;
  double base_;
};

/// Rotary embedding of queries or keys: columns i (below D/2) and i + D/2 are rotated as a point of the plane by the
/// angle t base^(-2i / D), so the product of a query and a key depends on their distance alone (Su et al. 2021; halves
/// paired as in GPT-NeoX). (.., T, D) -> (.., T, D) with even D; `start` is the position of the first row, for
/// generation that continues.
struct RotaryPositions : ActivationLayer {
  explicit RotaryPositions(Index head_size, double base = 10000);
  Tensor operator()(const Tensor& x) const override { return (*this)(x, 0); }
  Tensor operator()(const Tensor& x, Index start) const;

 private:
  Index size_;
  double base_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
