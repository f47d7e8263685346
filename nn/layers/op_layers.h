// Layers that call one op and have no parameters, for Sequential. activation.h, dropout.h and pool.h have more.
#pragma once

#include <utility>
#include <vector>

#include <gradus/core/ops.h>
#include <gradus/nn/layers/activation.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// f(x), for a function of x alone.
template <Tensor (*f)(const Tensor&)>
struct FunctionLayer : ActivationLayer {
  Tensor operator()(const Tensor& x) const override { return f(x); }
};
using SELU = FunctionLayer<selu>;
using ReLU6 = FunctionLayer<relu6>;
using Mish = FunctionLayer<mish>;
using Softplus = FunctionLayer<softplus>;
using Softsign = FunctionLayer<softsign>;
using Tanhshrink = FunctionLayer<tanhshrink>;
using LogSigmoid = FunctionLayer<logsigmoid>;
using Hardswish = FunctionLayer<hardswish>;
using Hardsigmoid = FunctionLayer<hardsigmoid>;

/// f(x, a) with a number given once.
template <Tensor (*f)(const Tensor&, double)>
struct NumberLayer : ActivationLayer {
  explicit NumberLayer(double a) : a_(a) {}
  Tensor operator()(const Tensor& x) const override { return f(x, a_); }

 private:
  double a_;
};
struct LeakyReLU : NumberLayer<leaky_relu> {
  explicit LeakyReLU(double negative_slope = 0.01) : NumberLayer(negative_slope) {}
};
struct ELU : NumberLayer<elu> {
  explicit ELU(double alpha = 1) : NumberLayer(alpha) {}
};
struct CELU : NumberLayer<celu> {
  explicit CELU(double alpha = 1) : NumberLayer(alpha) {}
};
struct Hardshrink : NumberLayer<hardshrink> {
  explicit Hardshrink(double lambd = 0.5) : NumberLayer(lambd) {}
};
struct Softshrink : NumberLayer<softshrink> {
  explicit Softshrink(double lambd = 0.5) : NumberLayer(lambd) {}
};

template <Tensor (*f)(const Tensor&, double, double)>
struct TwoNumbersLayer : ActivationLayer {
  TwoNumbersLayer(double a, double b) : a_(a), b_(b) {}
  Tensor operator()(const Tensor& x) const override { return f(x, a_, b_); }

 private:
  double a_, b_;
};
struct Hardtanh : TwoNumbersLayer<hardtanh> {
  explicit Hardtanh(double low = -1, double high = 1) : TwoNumbersLayer(low, high) {}
};
struct Threshold : TwoNumbersLayer<threshold> {
  Threshold(double above, double value) : TwoNumbersLayer(above, value) {}
};
struct RReLU : ActivationLayer {
  explicit RReLU(double lower = 1.0 / 8, double upper = 1.0 / 3) : lower_(lower), upper_(upper) {}
  Tensor operator()(const Tensor& x) const override { return rrelu(x, lower_, upper_, training()); }

 private:
  double lower_, upper_;
};

/// f(x, a) with a dimension or count given once.
template <Tensor (*f)(const Tensor&, Index)>
struct IndexLayer : ActivationLayer {
  explicit IndexLayer(Index a) : a_(a) {}
  Tensor operator()(const Tensor& x) const override { return f(x, a_); }

 private:
  Index a_;
};
struct LogSoftmax : IndexLayer<log_softmax> {
  explicit LogSoftmax(Index dim = -1) : IndexLayer(dim) {}
};
struct Softmin : IndexLayer<softmin> {
  explicit Softmin(Index dim = -1) : IndexLayer(dim) {}
};
/// Over the channels of (.., C, H, W).
struct Softmax2d : IndexLayer<softmax> {
  Softmax2d() : IndexLayer(-3) {}
};
using PixelShuffle = IndexLayer<pixel_shuffle>;
using PixelUnshuffle = IndexLayer<pixel_unshuffle>;
using ChannelShuffle = IndexLayer<channel_shuffle>;

/// f in training, x itself in eval mode.
template <Tensor (*f)(const Tensor&, double, bool)>
struct NoiseLayer : ActivationLayer {
  explicit NoiseLayer(double p = 0.5) : p_(p) {}
  Tensor operator()(const Tensor& x) const override { return f(x, p_, training()); }

 private:
  double p_;
};
using Dropout1d = NoiseLayer<dropout1d>;
using Dropout2d = NoiseLayer<dropout2d>;
using AlphaDropout = NoiseLayer<alpha_dropout>;
using FeatureAlphaDropout = NoiseLayer<feature_alpha_dropout>;

struct Unflatten : ActivationLayer {
  Unflatten(Index dim, std::vector<Index> sizes) : dim_(dim), sizes_(std::move(sizes)) {}
  Tensor operator()(const Tensor& x) const override { return unflatten(x, dim_, sizes_); }

 private:
  Index dim_;
  std::vector<Index> sizes_;
};

/// `value` around the last dimension, {left, right}, or the last two, {left, right, top, bottom}; one number stands for
/// all sides.
struct ConstantPad1d : ActivationLayer {
  ConstantPad1d(Index sides, double value) : ConstantPad1d(std::vector<Index>{sides, sides}, value) {}
  ConstantPad1d(std::vector<Index> widths, double value) : widths_(std::move(widths)), value_(value) {}
  Tensor operator()(const Tensor& x) const override { return pad(x, widths_, value_); }

 private:
  std::vector<Index> widths_;
  double value_;
};
struct ConstantPad2d : ConstantPad1d {
  ConstantPad2d(Index sides, double value) : ConstantPad1d({sides, sides, sides, sides}, value) {}
  ConstantPad2d(std::vector<Index> widths, double value) : ConstantPad1d(std::move(widths), value) {}
};
struct ZeroPad2d : ConstantPad2d {
  explicit ZeroPad2d(Index sides) : ConstantPad2d(sides, 0) {}
  explicit ZeroPad2d(std::vector<Index> widths) : ConstantPad2d(std::move(widths), 0) {}
};

struct LocalResponseNorm : ActivationLayer {
  explicit LocalResponseNorm(Index size, double alpha = 1e-4, double beta = 0.75, double k = 1)
      : size_(size), alpha_(alpha), beta_(beta), k_(k) {}
  Tensor operator()(const Tensor& x) const override { return local_response_norm(x, size_, alpha_, beta_, k_); }

 private:
  Index size_;
  double alpha_, beta_, k_;
};

struct LPPool1d : ActivationLayer {
  LPPool1d(double norm_type, Index kernel, Index stride = 0) : p_(norm_type), kernel_(kernel), stride_(stride) {}
  Tensor operator()(const Tensor& x) const override { return lp_pool1d(x, p_, kernel_, stride_); }

 private:
  double p_;
  Index kernel_, stride_;
};
struct LPPool2d : ActivationLayer {
  LPPool2d(double norm_type, Size2 kernel, Size2 stride = 0) : p_(norm_type), kernel_(kernel), stride_(stride) {}
  Tensor operator()(const Tensor& x) const override { return lp_pool2d(x, p_, kernel_, stride_); }

 private:
  double p_;
  Size2 kernel_, stride_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
