// The layers hold the kernels; what they compute is core's.
#include <gradus/nn/layers/conv.h>

#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {
namespace {

void check_groups(const char* name, Index in, Index out, Index groups) {
  check(groups > 0 && in % groups == 0 && out % groups == 0,
        "{}: {} groups for {} inputs and {} outputs; there must be at least 1, and they must divide both", name, groups,
        in, out);
}

// `sizes` names the dimensions of `shape` in errors. The bias is (out).
void start(const char* name, Tensor& weight, Tensor& bias, const Shape& shape, const char* sizes, Index out,
           bool has_bias, DType dtype) {
  for (const Index size : shape) {
    check(size > 0, "{}: a weight of {} ({}); every size must be at least 1", name, shape, sizes);
  }
  weight = parameter(Tensor::empty(shape, dtype));
  init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!has_bias) return;
  bias = parameter(Tensor::empty({out}, dtype));
  const double bound = std::sqrt(static_cast<double>(shape[0]) / static_cast<double>(shape.numel()));
  init::uniform_(bias, -bound, bound);
}

const char* const sizes_of_conv = "out, in, kernel";
const char* const sizes_of_transposed = "in, out, kernel";

}  // namespace

Conv1d::Conv1d(Index in, Index out, Index kernel, Conv1dLayerOptions options)
    : options_{options.stride, options.padding, options.dilation, options.groups} {
  check_groups("Conv1d", in, out, options.groups);
  start("Conv1d", weight, bias, {out, in / options.groups, kernel}, sizes_of_conv, out, options.bias, options.dtype);
}

void Conv1d::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

Conv2d::Conv2d(Index in, Index out, Size2 kernel, Conv2dLayerOptions options)
    : options_{options.stride, options.padding, options.dilation, options.groups} {
  check_groups("Conv2d", in, out, options.groups);
  start("Conv2d", weight, bias, {out, in / options.groups, kernel.height, kernel.width}, sizes_of_conv, out,
        options.bias, options.dtype);
}

void Conv2d::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

ConvTranspose1d::ConvTranspose1d(Index in, Index out, Index kernel, ConvTranspose1dLayerOptions options)
    : options_{options.stride, options.padding, options.output_padding, options.groups, options.dilation} {
  check_groups("ConvTranspose1d", in, out, options.groups);
  start("ConvTranspose1d", weight, bias, {in, out / options.groups, kernel}, sizes_of_transposed, out, options.bias,
        options.dtype);
}

void ConvTranspose1d::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

ConvTranspose2d::ConvTranspose2d(Index in, Index out, Size2 kernel, ConvTranspose2dLayerOptions options)
    : options_{options.stride, options.padding, options.output_padding, options.groups, options.dilation} {
  check_groups("ConvTranspose2d", in, out, options.groups);
  start("ConvTranspose2d", weight, bias, {in, out / options.groups, kernel.height, kernel.width}, sizes_of_transposed,
        out, options.bias, options.dtype);
}

void ConvTranspose2d::members(Visitor& visit) const {
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
