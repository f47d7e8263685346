// In-place arithmetic for optimizers: vectorized, on all threads, never recorded.
#pragma once

#include <functional>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;  // AdamW: the decay shrinks the parameter; else it is added to the gradient
  double bias_correction1, bias_correction2;  // 1 - beta1^t, 1 - beta2^t
};
/// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
/// param -= lr (m / bias_correction1) / (sqrt(v / bias_correction2) + eps); equal shapes and dtypes.
void adam_update(const Tensor& param, const Tensor& m, const Tensor& v, const Tensor& grad, const AdamStep& step);

struct SgdStep {
  double lr, momentum, dampening, weight_decay;
  bool nesterov;
  bool first;  // the momentum buffer holds nothing yet: it becomes the gradient
};
/// PyTorch's SGD. An undefined momentum_buffer means no momentum.
void sgd_update(const Tensor& param, const Tensor& momentum_buffer, const Tensor& grad, const SgdStep& step);

/// The sum of (factor x)^2, the same bits at any thread count: elements are summed in blocks, and the blocks in order.
double squared_norm(const Tensor& x, double factor = 1);
/// How many elements each block has in a tensor of `numel`, but for the last: 16,384, or more where there would be more
/// than 64 blocks.
Index norm_block_size(Index numel);
/// The sums of the blocks of x. To have those of a large tensor's part that begins with a block, pass the large one's
/// block size.
std::vector<double> squared_blocks(const Tensor& x, Index block_size, double factor = 1);
/// The largest |x|, NaN if an element is.
double largest_size(const Tensor& x);

/// sqrt(sum of x^2) over all elements of all tensors, without overflow or underflow of the squares, as of f32 elements
/// of 1e19 or 1e-23 and f64 ones of 1e200. NaN only if an element is, infinite only if one is or the norm exceeds the
/// largest double. The same bits at any thread count.
double joint_norm(const std::vector<Tensor>& tensors);

/// The same for tensors that are not in one place, with the same bits.
struct NormParts {
  struct Kind {
    Index numel;
    DType dtype;
  };
  std::vector<Kind> tensors;
  // squared_norm(x, factor) of each tensor, with a factor for each; and largest_size(x) of each. The second is called
  // only if squares leave their type.
  std::function<std::vector<double>(const std::vector<double>& factors)> squared_norms;
  std::function<std::vector<double>()> largest_sizes;
};
double joint_norm_of_parts(const NormParts& parts);

/// x *= factor
void scale_(const Tensor& x, double factor);

#pragma GCC visibility pop
}  // namespace gradus
