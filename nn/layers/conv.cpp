// The layers hold the kernels; what they compute is core's.
#include <gradus/nn/layers/conv.h>

#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {
namespace {

void start(const char* name, Tensor& weight, Tensor& bias, const Shape& shape, bool has_bias, DType dtype) {
  for (const Index size : shape) {
    check(size > 0, "{}: a weight of {} (out, in, kernel); every size must be at least 1", name, shape);
  }
  weight = parameter(Tensor::empty(shape, dtype));
  init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!has_bias) return;
  bias = parameter(Tensor::empty({shape[0]}, dtype));
  const double bound = std::sqrt(static_cast<double>(shape[0]) / static_cast<double>(shape.numel()));
  init::uniform_(bias, -bound, bound);
}

}  // namespace

Conv1d::Conv1d(Index in, Index out, Index kernel, Conv1dLayerOptions options)
    : options_{options.stride, options.padding, options.dilation} {
  start("Conv1d", weight, bias, {out, in, kernel}, options.bias, options.dtype);
}

void Conv1d::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

Conv2d::Conv2d(Index in, Index out, Size2 kernel, Conv2dLayerOptions options)
    : options_{options.stride, options.padding, options.dilation} {
  start("Conv2d", weight, bias, {out, in, kernel.height, kernel.width}, options.bias, options.dtype);
}

void Conv2d::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

Tensor Flatten::operator()(const Tensor& x) const {
  check_defined("Flatten", {x});
  check(x.rank() >= 1, "Flatten: x is a single number; its first size must be the batch");
  Index rest = 1;
  for (Index d = 1; d < x.rank(); ++d) rest *= x.size(d);
  return reshape(x, {x.size(0), rest});
}

}  // namespace gradus::nn
