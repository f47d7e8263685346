// checkpoint(): training memory for time. The name and meaning are those of torch.utils.checkpoint.
#pragma once

#include <vector>

#include <gradus/core/derivatives.h>

namespace gradus {
#pragma GCC visibility push(default)

/// f(x), without keeping what f computes on the way: backward() runs f a second time to have it (Chen et al., "Training
/// Deep Nets with Sublinear Memory Cost", 2016). Values and gradients have the same bits as those of f(x); the default
/// generator gives the second run the numbers of the first, so dropout in f drops the same. Gradients also reach the
/// tensors that f uses without having them as arguments, such as a module's parameters. Under NoGrad it is f(x).
///     x = checkpoint([block](const Tensor& h) { return block(h); }, x);
/// What f refers to must live, and be the same, until backward() has run: let f hold modules and tensors by value, but
/// never its own result, which would own itself. What f changes besides, such as a running mean, changes twice. Throws
/// Error if f returns an undefined tensor; backward() throws Error if the second run has another result.
Tensor checkpoint(const TensorFunction& f, const Tensor& x);
Tensor checkpoint(const TensorsFunction& f, const std::vector<Tensor>& x);

#pragma GCC visibility pop
}  // namespace gradus
