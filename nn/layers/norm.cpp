// The norms check the width themselves, because without a gain the ops would take any.
#include <gradus/nn/layers/norm.h>

#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus::nn {
namespace {

void check_eps(const char* name, double eps) {
  check(std::isfinite(eps) && eps >= 0, "{}: eps {}; it must be a small number of at least 0", name, eps);
}

void check_options(const char* name, Index n, double eps) {
  check(n > 0, "{}: width {}; it must be at least 1", name, n);
  check_eps(name, eps);
}

// Of the norms of channels.
void check_sizes(const char* name, Index channels, double eps) {
  check(channels > 0, "{}: {} channels; there must be at least 1", name, channels);
  check_eps(name, eps);
}

void check_channels(const char* name, const Tensor& x, Index channels) {
  check(x.size(1) == channels, "{}: x {} does not fit; its second size must be {}, the channels given at construction",
        name, x.shape(), channels);
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

GroupNorm::GroupNorm(Index groups, Index channels, GroupNormOptions options)
    : groups_(groups), channels_(channels), eps_(options.eps) {
  check_sizes("GroupNorm", channels, eps_);
  check(groups > 0 && channels % groups == 0,
        "GroupNorm: {} groups of {} channels; there must be at least 1, and they must divide the channels", groups,
        channels);
  if (!options.affine) return;
  weight = parameter(ones({channels}, options.dtype));
  bias = parameter(zeros({channels}, options.dtype));
}

Tensor GroupNorm::operator()(const Tensor& x) const {
  check_defined("GroupNorm", {x});
  check(x.rank() >= 2, "GroupNorm: x {} must be (batch, channels, ..)", x.shape());
  check_channels("GroupNorm", x, channels_);
  return group_norm(x, groups_, weight, bias, eps_);
}

void GroupNorm::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

InstanceNorm::InstanceNorm(const char* name, Index channels, InstanceNormOptions options)
    : name_(name), channels_(channels), eps_(options.eps) {
  check_sizes(name, channels, eps_);
  if (!options.affine) return;
  weight = parameter(ones({channels}, options.dtype));
  bias = parameter(zeros({channels}, options.dtype));
}

Tensor InstanceNorm::normalize(const Tensor& x) const {
  check_channels(name_, x, channels_);
  Index count = 1;
  for (Index d = 2; d < x.rank(); ++d) count *= x.size(d);
  check(count > 1,
        "{}: x {} has {} values per channel; a variance needs at least 2: give a larger image or a longer series",
        name_, x.shape(), count);
  return group_norm(x, channels_, weight, bias, eps_);
}

void InstanceNorm::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
}

Tensor InstanceNorm1d::operator()(const Tensor& x) const {
  check_defined("InstanceNorm1d", {x});
  check(x.rank() == 3, "InstanceNorm1d: x {} must be (batch, channels, length)", x.shape());
  return normalize(x);
}

Tensor InstanceNorm2d::operator()(const Tensor& x) const {
  check_defined("InstanceNorm2d", {x});
  check(x.rank() == 4, "InstanceNorm2d: x {} must be (batch, channels, height, width)", x.shape());
  return normalize(x);
}

}  // namespace gradus::nn
