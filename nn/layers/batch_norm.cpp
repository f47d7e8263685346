// Composed of reductions and pointwise ops, from which the gradient through mean and variance follows.
#include <gradus/nn/layers/batch_norm.h>

#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus::nn {

BatchNorm::BatchNorm(const char* name, Index channels, BatchNormOptions options)
    : name_(name),
      channels_(channels),
      tracks_(options.track_running_stats),
      eps_(options.eps),
      momentum_(options.momentum) {
  check(channels > 0, "{}: {} channels; there must be at least 1", name, channels);
  check(std::isfinite(eps_) && eps_ >= 0, "{}: eps {}; it must be a small number of at least 0", name, eps_);
  check(momentum_ >= 0 && momentum_ <= 1, "{}: momentum {}; it must be from 0 to 1", name, momentum_);
  if (tracks_) {
    running_mean = zeros({channels}, options.dtype);
    running_var = ones({channels}, options.dtype);
  }
  if (!options.affine) return;
  weight = parameter(ones({channels}, options.dtype));
  bias = parameter(zeros({channels}, options.dtype));
}

void BatchNorm::members(Visitor& visit) const {
  visit("weight", weight);
  visit("bias", bias);
  visit.buffer("running_mean", running_mean);
  visit.buffer("running_var", running_var);
}

Tensor BatchNorm::normalize(const Tensor& x) const {
  const Index channels = channels_;
  check(x.size(1) == channels, "{}: x {} does not fit; its second size must be {}, the channels given at construction",
        name_, x.shape(), channels);
  if (tracks_) {
    check(x.dtype() == running_mean.dtype(), "{}: x is {}, but this module {}; convert one with to(DType)", name_,
          x.dtype(), running_mean.dtype());
  }
  Shape wide;  // (1, C, 1, ..): what broadcasts against x
  std::vector<Index> others;
  for (Index d = 0; d < x.rank(); ++d) {
    wide.push_back(d == 1 ? channels : 1);
    if (d != 1) others.push_back(d);
  }
  Tensor centered, variance;
  if (training() || !tracks_) {
    const Index count = x.numel() / channels;
    check(count > 1, "{}: x {} has {} values per channel; a variance needs at least 2, so {}", name_, x.shape(), count,
          tracks_ ? "train on more, or call eval()" : "give more, or set track_running_stats");
    const Tensor average = mean(x, others, true);
    centered = x - average;
    variance = mean(centered * centered, others, true);
    if (tracks_) {
      const NoGrad guard;
      const auto move = [&](const Tensor& running, const Tensor& batch) {
        running.copy_((1 - momentum_) * running + momentum_ * reshape(batch.detach(), {channels}));
      };
      move(running_mean, average);
      move(running_var, variance * (static_cast<double>(count) / static_cast<double>(count - 1)));
    }
  } else {
    centered = x - reshape(running_mean, wide);
    variance = reshape(running_var, wide);
  }
  Tensor scale = pow(variance + eps_, -0.5);
  if (weight.defined()) scale = scale * reshape(weight, wide);
  return bias.defined() ? centered * scale + reshape(bias, wide) : centered * scale;
}

Tensor BatchNorm1d::operator()(const Tensor& x) const {
  check_defined("BatchNorm1d", {x});
  check(x.rank() == 2 || x.rank() == 3, "BatchNorm1d: x {} must be (batch, channels) or (batch, channels, length)",
        x.shape());
  return normalize(x);
}

Tensor BatchNorm2d::operator()(const Tensor& x) const {
  check_defined("BatchNorm2d", {x});
  check(x.rank() == 4, "BatchNorm2d: x {} must be (batch, channels, height, width)", x.shape());
  return normalize(x);
}

}  // namespace gradus::nn
