// Activation functions as layers for Sequential, and an enum that chooses one in options.
#pragma once

#include <span>

#include <gradus/core/ops.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// The base of layers without parameters, activations and others.
struct ActivationLayer : Layer {
  void members(Visitor&) const final {}
};

struct ReLU : ActivationLayer {
  Tensor operator()(const Tensor& x) const override { return relu(x); }
};

struct GELU : ActivationLayer {
  explicit GELU(Gelu form = Gelu::erf) : form_(form) {}
  Tensor operator()(const Tensor& x) const override { return gelu(x, form_); }

 private:
  Gelu form_;
};

struct SiLU : ActivationLayer {
  Tensor operator()(const Tensor& x) const override { return silu(x); }
};

struct Tanh : ActivationLayer {
  Tensor operator()(const Tensor& x) const override { return tanh(x); }
};

struct Sigmoid : ActivationLayer {
  Tensor operator()(const Tensor& x) const override { return sigmoid(x); }
};

struct Softmax : ActivationLayer {
  explicit Softmax(Index dim = -1) : dim_(dim) {}
  Tensor operator()(const Tensor& x) const override { return softmax(x, dim_); }

 private:
  Index dim_;
};

struct Identity : ActivationLayer {
  Tensor operator()(const Tensor& x) const override { return x; }
};

/// x where x > 0, else weight x, with one learned weight, or one for each channel (dimension 1; He et al. 2015).
/// Any shape -> the same shape; with several weights x is (B, num_parameters, ..).
struct PReLU : Layer {
  explicit PReLU(Index num_parameters = 1, double init = 0.25, DType dtype = DType::f32) {
    check(num_parameters > 0, "PReLU: {} weights; there must be at least 1", num_parameters);
    weight = parameter(full({num_parameters}, init, dtype));
  }
  Tensor operator()(const Tensor& x) const override { return prelu(x, weight); }
  void members(Visitor& visit) const override { visit("weight", weight); }

  Tensor weight;  // (num_parameters)
};

/// a sigmoid(b), where a and b are the halves of x along `dim` (Dauphin et al. 2017). (.., 2 n, ..) -> (.., n, ..)
struct GLU : ActivationLayer {
  explicit GLU(Index dim = -1) : dim_(dim) {}
  Tensor operator()(const Tensor& x) const override { return glu(x, dim_); }

 private:
  Index dim_;
};

/// silu(a) b, where a and b are the halves of x along `dim`: between two Linears the feed-forward network of Llama
/// (Shazeer 2020). (.., 2 n, ..) -> (.., n, ..)
struct SwiGLU : ActivationLayer {
  explicit SwiGLU(Index dim = -1) : dim_(dim) {}
  Tensor operator()(const Tensor& x) const override { return swiglu(x, dim_); }

 private:
  Index dim_;
};

/// coefficients[0] + coefficients[1] x + coefficients[2] x^2 + .., by Horner's rule. Throws Error without coefficients.
inline Tensor polynomial(const Tensor& x, std::span<const double> coefficients) {
  check(!coefficients.empty(), "polynomial: no coefficients came; give at least one, from the constant up");
  if (coefficients.size() == 1) return x * 0.0 + coefficients[0];
  Tensor y = x * coefficients.back() + coefficients[coefficients.size() - 2];
  for (std::size_t i = coefficients.size() - 2; i-- > 0;) y = y * x + coefficients[i];
  return y;
}

/// Names an activation function in options and configurations.
/// `polynomial` needs coefficients too: see MLPOptions.
enum class Activation { relu, gelu_erf, gelu_tanh, silu, tanh, sigmoid, polynomial };

inline Tensor apply(Activation function, const Tensor& x) {
  switch (function) {
    case Activation::relu:
      return relu(x);
    case Activation::gelu_erf:
      return gelu(x, Gelu::erf);
    case Activation::gelu_tanh:
      return gelu(x, Gelu::tanh);
    case Activation::silu:
      return silu(x);
    case Activation::tanh:
      return tanh(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::polynomial:
      fail("apply: a polynomial needs its coefficients; call polynomial(x, coefficients), or give an MLP some");
  }
  fail("apply: {} is not an Activation; use one of the named values", static_cast<int>(function));
}

#pragma GCC visibility pop
}  // namespace gradus::nn
