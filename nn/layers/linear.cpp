// Linear is the fused op with a default initialization.
#include <gradus/nn/layers/linear.h>

#include <cmath>

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
  return narrow_weight.defined() ? linear(x, narrow_weight, bias) : linear(x, weight, bias);
}

void Linear::members(Visitor& visit) const {
  if (narrow_weight.defined()) {
    visit("weight", narrow_weight);
  } else {
    visit("weight", weight);
  }
  visit("bias", bias);
}

void Linear::narrow(NarrowType type) {
  narrow_weight = NarrowMatrix(weight, type);
  weight = {};
}

}  // namespace gradus::nn
