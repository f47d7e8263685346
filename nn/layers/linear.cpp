// Linear is the fused op with a default initialization.
#include <gradus/nn/layers/linear.h>

#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {

Linear::Linear(Index in, Index out, LinearOptions options) {
  check(in > 0 && out > 0, "Linear: sizes {} -> {}; both must be at least 1", in, out);
  weight = parameter(Tensor::empty({out, in}, options.dtype));
  init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (options.bias) {
    bias = parameter(Tensor::empty({out}, options.dtype));
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    init::uniform_(bias, -bound, bound);
  }
}

Tensor Linear::operator()(const Tensor& x) const {
  const Tensor y = narrow_weight.defined() ? linear(x, narrow_weight, bias) : linear(x, weight, bias);
  return lora ? y + (*lora)(x) : y;
}

void Linear::members(Visitor& visit) const {
  if (narrow_weight.defined()) {
    visit("weight", narrow_weight);
  } else {
    visit("weight", weight);
  }
  visit("bias", bias);
  if (lora) visit("lora", *lora);
}

void Linear::add_lora(LoRAOptions options) {
  check(!lora, "Linear: it has a LoRA already; merge it first");
  options.dtype = weight.dtype();
  lora.emplace(weight.size(1), weight.size(0), options);
  weight.requires_grad(false);
  if (bias.defined()) bias.requires_grad(false);
}

void Linear::merge_lora() {
  if (!lora) return;
  const NoGrad no_grad;
  weight.copy_(weight + lora->delta());
  lora.reset();
}

void Linear::narrow(NarrowType type) {
  const NoGrad no_grad;
  narrow_weight = NarrowMatrix(lora ? weight + lora->delta() : weight, type);
  weight = {};
  lora.reset();
}

}  // namespace gradus::nn
