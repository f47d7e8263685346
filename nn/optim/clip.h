// Clipping gradients by their joint norm, or each number by itself.
#pragma once

#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

/// Scales all gradients by max_norm / (norm + 1e-6) if their joint Euclidean norm is above max_norm, and returns that
/// norm (before scaling, computed in double). A norm that is not finite leaves the gradients alone: look at the result
/// before stepping. Parameters without a gradient count as 0. Pascanu et al. 2013; PyTorch's clip_grad_norm_.
double clip_grad_norm(const std::vector<Tensor>& params, double max_norm);
/// What gradients of this joint norm are scaled by; 1 leaves them alone.
double clip_factor(double norm, double max_norm);

/// Brings every number of every gradient into [-clip_value, clip_value]; a NaN stays. PyTorch's clip_grad_value_.
void clip_grad_value(const std::vector<Tensor>& params, double clip_value);

#pragma GCC visibility pop
}  // namespace gradus::optim
