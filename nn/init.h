// Initializers: they overwrite a parameter in place, with numbers that equal PyTorch's for the same seed.
#pragma once

#include <gradus/core/runtime/random.h>
#include <gradus/nn/module.h>

namespace gradus::nn::init {
#pragma GCC visibility push(default)

enum class Fan { in, out };
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };

/// The gain of a nonlinearity: weights with the standard deviation gain / sqrt(fan) keep the variance of activations.
/// In the enumerators' order: 1, 1, 5/3, sqrt(2), sqrt(2 / (1 + a^2)), 3/4 (PyTorch's calculate_gain); `a` is
/// leaky_relu's negative slope.
double gain(Nonlinearity nonlinearity, double a = 0.01);

/// While one lives, the initializers on this thread that draw random numbers leave what they are given as it is, and
/// draw none: for a module whose weights come from a file. As PyTorch's skip_init.
class Skip {
 public:
  Skip();
  ~Skip();
  Skip(const Skip&) = delete;
  Skip& operator=(const Skip&) = delete;
};

/// Every entry drawn from N(mean, std^2), or uniformly from [low, high), or set; any shape.
void normal_(const Tensor& x, double mean = 0, double std = 1, Generator& generator = default_generator());
void uniform_(const Tensor& x, double low = 0, double high = 1, Generator& generator = default_generator());
void constant_(const Tensor& x, double value);
void zeros_(const Tensor& x);
void ones_(const Tensor& x);

/// N(mean, std^2) cut to [a, b]: uniform numbers through the inverse of the distribution function, any shape. Throws
/// Error unless std is above 0 and a at most b.
void trunc_normal_(const Tensor& x, double mean = 0, double std = 1, double a = -2, double b = 2,
                   Generator& generator = default_generator());

/// A matrix (out, in * ..) whose shorter side is orthonormal, times gain: the Q of a matrix of normal numbers, with the
/// signs that make the diagonal of R positive. For a weight of at least two dimensions. Saxe et al. 2014, section 3.
void orthogonal_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());

/// For a convolution's weight (out, in / groups, size ..), 1, 2 or 3 sizes: 1 in the middle of the kernel from input
/// channel i to output channel i of each group, 0 elsewhere, so that the convolution passes its input on.
void dirac_(const Tensor& weight, Index groups = 1);

/// Variance gain^2 * 2 / (fan_in + fan_out), for a weight (out, in, ..) of at least two dimensions. Glorot & Bengio
/// 2010.
void xavier_uniform_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());
void xavier_normal_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());

/// Variance gain(nonlinearity, a)^2 / fan, for a weight (out, in, ..) of at least two dimensions. He et al. 2015.
void kaiming_uniform_(const Tensor& weight, double a = 0, Fan fan = Fan::in,
                      Nonlinearity nonlinearity = Nonlinearity::leaky_relu, Generator& generator = default_generator());
void kaiming_normal_(const Tensor& weight, double a = 0, Fan fan = Fan::in,
                     Nonlinearity nonlinearity = Nonlinearity::leaky_relu, Generator& generator = default_generator());

/// GPT-2's (Radford et al. 2019, section 2.3): matrices and embeddings N(0, 0.02^2), biases 0, and the projections that
/// feed the residual stream (named "..c_proj.weight") smaller by sqrt(2 n_layer). Gains of norms stay as they are.
/// microgpt's variant has another `std` and no smaller projections.
void gpt2_(const Module& module, Index n_layer, Generator& generator = default_generator(), double std = 0.02,
           bool scale_residual = true);

#pragma GCC visibility pop
}  // namespace gradus::nn::init
