// LoRA: a low-rank addition to a Linear whose own weight stays as it is, so that fine-tuning trains few numbers.
#pragma once

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct LoRAOptions {
  Index rank = 8;
  double alpha = 16;  // what is added is scaled by alpha / rank
  DType dtype = DType::f32;
};

/// x A^T B^T alpha / rank: (.., in) -> (.., out), to be added to what a Linear gives. A starts as a Linear's weight
/// does (Kaiming, uniform), B at 0, so that nothing is added at first. Hu et al. 2021. Throws Error unless rank is from
/// 1 to the smaller of `in` and `out`.
struct LoRA : Layer {
  LoRA(Index in, Index out, LoRAOptions options = {});
  Tensor operator()(const Tensor& x) const override;
  void members(Visitor& visit) const override;
  /// What it adds to the Linear's weight: B A alpha / rank (out, in), without gradients.
  Tensor delta() const;

  Tensor A;  // (rank, in)
  Tensor B;  // (out, rank)

 private:
  double scale_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
