// Embedding: a learned vector for each whole number.
#pragma once

#include <gradus/core/ids.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct EmbeddingOptions {
  DType dtype = DType::f32;
};

/// Rows of `weight` picked by ids in 0 .. num-1: ids of any shape -> (shape of ids, dim).
/// `weight` starts as N(0, 1), drawn from the default generator: a seed gives PyTorch's numbers.
/// As a layer it takes the ids as a tensor of whole numbers (f32 holds them exactly up to 2^24); they get no gradient.
struct Embedding : Layer {
  Embedding(Index num, Index dim, EmbeddingOptions options = {});
  Tensor operator()(const Tensor& ids) const override;
  Tensor operator()(Ids ids) const;
  Tensor operator()(Ids ids, const Shape& ids_shape) const;
  void members(Visitor& visit) const override;

  Tensor weight;  // (num, dim)
};

#pragma GCC visibility pop
}  // namespace gradus::nn
