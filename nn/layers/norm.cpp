// Both norms check the width themselves, because without a gain the ops would take any.
#include <gradus/nn/layers/norm.h>

#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus::nn {
namespace {

void check_options(const char* name, Index n, double eps) {
  check(n > 0, "{}: width {}; it must be at least 1", name, n);
  check(std::isfinite(eps) && eps >= 0, "{}: eps {}; it must be a small number of at least 0", name, eps);
}

void check_width(const char* name, const Tensor& x, Index n) {
  check_defined(name, {x});
  check(x.rank() > 0 && x.size(-1) == n,
        "{}: x {} does not fit; its last size must be {}, the width given at construction", name, x.shape(), n);
}

}  // namespace

LayerNorm::LayerNorm(Index n, LayerNormOptions options) : n_(n), eps_(options.eps) {
  check_options("LayerNorm", n, eps_);
  if (options.weight) weight = parameter(ones({n}, options.dtype));
  if (options.bias) bias = parameter(zeros({n}, options.dtype));
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  check_width("LayerNorm", x, n_);
  return layer_norm(x, weight, bias, eps_);
}

void LayerNorm::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

RMSNorm::RMSNorm(Index n, RMSNormOptions options) : n_(n), eps_(options.eps) {
  check_options("RMSNorm", n, eps_);
  if (options.weight) weight = parameter(ones({n}, options.dtype));
}

Tensor RMSNorm::operator()(const Tensor& x) const {
  check_width("RMSNorm", x, n_);
  return rms_norm(x, weight, eps_);
}

void RMSNorm::members(Visitor& visit) const {
  visit("weight", weight);
}

}  // namespace gradus::nn
