// MLP: the feed-forward half of a transformer block, with GPT-2's names.
#pragma once

#include <utility>
#include <vector>

#include <gradus/nn/layers/activation.h>
#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/layers/linear.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct MLPOptions {
  Index hidden = 0;  // 0: four times the width
  bool bias = true;
  Activation activation = Activation::gelu_tanh;  // GPT-2's; nanoGPT and PyTorch default to gelu_erf
  double dropout = 0;
  DType dtype = DType::f32;
  std::vector<double> coefficients = {};  // of Activation::polynomial, from the constant up
};

/// dropout(c_proj(activation(c_fc(x)))): (.., n_embd) -> (.., n_embd). Vaswani et al. 2017, section 3.3.
struct MLP : Layer {
  explicit MLP(Index n_embd, MLPOptions options = {})
      : c_fc(n_embd, options.hidden ? options.hidden : saturating_product({4, n_embd}), {options.bias, options.dtype}),
        c_proj(c_fc.weight.size(0), n_embd, {options.bias, options.dtype}),
        dropout(options.dropout),
        activation(options.activation),
        coefficients(std::move(options.coefficients)) {
    check((activation == Activation::polynomial) == !coefficients.empty(),
          "MLP: {} coefficients came; Activation::polynomial needs at least one, and no other has any",
          coefficients.size());
  }

  template <std::same_as<bool> B>
  MLP(Index n_embd, B) : MLP(n_embd) {
    static_assert(!std::same_as<B, B>, "MLP: which option is it? write {.bias = false}");
  }

  Tensor operator()(const Tensor& x) const override { return dropout(c_proj(activate(c_fc(x)))); }
  /// What stands between the two Linears.
  Tensor activate(const Tensor& x) const {
    return activation == Activation::polynomial ? polynomial(x, coefficients) : apply(activation, x);
  }
  void members(Visitor& visit) const override {
    visit("c_fc", c_fc);
    visit("c_proj", c_proj);
    visit("dropout", dropout);
  }

  Linear c_fc, c_proj;
  Dropout dropout;
  Activation activation;
  std::vector<double> coefficients;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
