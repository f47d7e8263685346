// How far each subject may be from PyTorch: roundings of the result and of the gradient. The numbers are about twice
// the largest error seen with any instruction set in f64 or f32 (docs/correctness.md), so that a formula that loses one
// more bit shows. The cases' inputs are multiples of 2^-16, which is why sums of them, and even f64 products, have no
// rounding at all.
#include "cases.h"

namespace gradus::testing {

const std::vector<Subject>& subjects() {
  static const std::vector<Subject> all{
      // Moves, picks or negates what is there.
      {"Ops", "abs", {0, 0, 0}},
      {"Ops", "broadcast_to", {0, 0}},
      {"Ops", "clamp", {0, 0, 0}},
      {"Ops", "clone", {0, 0, 0}},
      {"Ops", "concat", {0, 0}},
      {"Ops", "embedding", {0, 0}},
      {"Ops", "max", {0, 0}},
      {"Ops", "max_pool2d", {0, 0}},
      {"Ops", "maximum", {0, 0, 0}},
      {"Ops", "minimum", {0, 0, 0}},
      {"Ops", "neg", {0, 0, 0}},
      {"Ops", "permute", {0, 0}},
      {"Ops", "relu", {0, 0, 0}},
      {"Ops", "reshape", {0, 0}},
      {"Ops", "slice", {0, 0}},
      {"Ops", "stack", {0, 0}},
      {"Ops", "to", {0, 0}},
      {"Ops", "transpose", {0, 0}},
      {"Ops", "where", {0, 0, 0}},
      // Sums of such inputs, exact in both types.
      {"Ops", "add", {0, 0, 0}},
      {"Ops", "sub", {0, 0, 0}},
      {"Ops", "sum", {0, 0}},
      // One operation that IEEE 754 rounds correctly; gradients are products of such, summed where an input repeats.
      {"Ops", "mul", {0, 4, 0}},
      {"Ops", "sqrt", {0, 3, 0}},
      {"Ops", "div", {6, 6, 10}},  // one case is a chain of four operations
      // A product with a constant or two.
      {"Ops", "dropout", {3, 3}},
      {"Ops", "mean", {4, 4}},
      {"Ops", "mse_loss", {3, 3}},
      {"Ops", "l1_loss", {3, 3}},
      {"Ops", "huber_loss", {4, 4}},
      {"Ops", "binary_cross_entropy_with_logits", {4, 4}},
      {"Ops", "kl_div", {9, 4}},
      // Approximations by polynomials: an ulp (two roundings) or two, here as in the C library.
      {"Ops", "cos", {2, 3, 4}},
      {"Ops", "exp", {3, 5, 4}},
      {"Ops", "log", {3, 2, 4}},
      {"Ops", "pow", {4, 7, 6}},
      {"Ops", "sigmoid", {3, 5, 6}},
      {"Ops", "silu", {4, 4, 8}},
      {"Ops", "sin", {2, 3, 4}},
      {"Ops", "tanh", {3, 5, 5}},
      {"Ops", "softplus", {4, 4}},
      // The slope for large x multiplies 1 - Phi, a difference of nearly equal numbers, by x or x^3. xsimd's erf is
      // some 10 ulp off in f64 (mpmath agrees with PyTorch there). gelu_tanh has no limit for each element: far to the
      // left PyTorch rounds 1 + tanh to 0 where the value is -4e-87, and gradus has that.
      {"Ops", "gelu_erf", {6, 30, 75}},
      {"Ops", "gelu_tanh", {4, 60}},
      // Sums of up to 33 products in another order than PyTorch's.
      {"Ops", "linear", {8, 8}},
      {"Ops", "conv1d", {8, 8}},
      {"Ops", "conv2d", {8, 8}},
      {"Ops", "avg_pool2d", {4, 4}},
      {"Ops", "matmul", {8, 8}},
      // Sums over a row, then operations with what came out. var has a row of 514.
      {"Ops", "cross_entropy", {4, 4}},
      {"Ops", "layer_norm", {5, 10}},
      {"Ops", "log_softmax", {4, 12}},
      {"Ops", "rms_norm", {6, 10}},
      {"Ops", "softmax", {9, 30}},  // the gradient where one weight is nearly 1 is a difference of nearly equal numbers
      {"Ops", "var", {15, 4}},
      // Products, a softmax, products, and all of that backward.
      {"Ops", "packed_attention", {8, 16}},
      {"Ops", "scaled_dot_product_attention", {10, 32}},

      // Modules add nothing of their own: their ops' roundings, one after another.
      {"Modules", "Dropout", {0, 0}},
      {"Modules", "Embedding", {0, 0}},
      {"Modules", "Identity", {0, 0}},
      {"Modules", "ReLU", {0, 0}},
      {"Modules", "CausalSelfAttention", {8, 12}},
      {"Modules", "GELU", {8, 15}},
      {"Modules", "LayerNorm", {5, 10}},
      {"Modules", "Linear", {4, 4}},
      {"Modules", "MLP", {14, 14}},
      {"Modules", "MultiHeadAttention", {9, 32}},
      {"Modules", "RMSNorm", {5, 5}},
      {"Modules", "Sequential", {4, 8}},
      {"Modules", "AvgPool2d", {4, 4}},
      {"Modules", "BatchNorm1d", {8, 12}},
      {"Modules", "BatchNorm2d", {8, 12}},
      {"Modules", "Conv1d", {8, 8}},
      {"Modules", "Conv2d", {8, 8}},
      {"Modules", "Flatten", {0, 0}},
      {"Modules", "GRU", {18, 55}},
      {"Modules", "GRUCell", {8, 12}},
      // gcc turns multiplications and additions of the gradient kernels into fma as it sees fit: 13.7 in f64 with
      // AVX2, 12.0 without that.
      {"Modules", "LSTM", {8, 16}},
      {"Modules", "LSTMCell", {8, 12}},
      {"Modules", "LearnedPositions", {0, 0}},
      {"Modules", "MaxPool2d", {0, 0}},
      {"Modules", "RNN", {8, 16}},  // as the LSTM: 13.1 in f32 with AVX-512 under AddressSanitizer
      {"Modules", "RNNCell", {8, 12}},
      {"Modules", "RotaryPositions", {4, 4}},
      {"Modules", "SinusoidalPositions", {2, 0}},
      {"Modules", "Sigmoid", {3, 3}},
      {"Modules", "SiLU", {3, 4}},
      {"Modules", "Softmax", {4, 7}},
      {"Modules", "Tanh", {3, 5}},
      {"Modules", "cross_entropy", {3, 3}},
      {"Modules", "mse_loss", {3, 3}},

      // Seven steps from the same gradients.
      {"Optimizers", "SGD", {0, 0}},
      {"Optimizers", "Adam", {4, 0}},
      {"Optimizers", "AdamW", {7, 0}},
      {"Optimizers", "EMA", {4, 0}},
      {"Optimizers", "RMSprop", {6, 0}},
      {"Optimizers", "ReduceLROnPlateau", {0, 0}},
      {"Optimizers", "Schedule", {10, 0}},  // PyTorch multiplies the rate of the step before; here it is a formula
      {"Optimizers", "clip_grad_norm", {3, 0}},

      // Some thirty ops one after another, and ten training steps after that.
      {"Models", "gpt2", {20, 30}},
      {"Models", "microgpt", {10, 12}},
  };
  return all;
}

const std::map<std::string, Limits>& special_limits() {
  static const std::map<std::string, Limits> all{
      // Gradients that are differences of nearly equal numbers through and through: a row in which one weight is
      // 1 - 10^-4, and a row of one number x, whose norm is 1 but for eps / x^2 (there gradus is
      // 23 roundings from PyTorch's f64 in f32, PyTorch 367).
      {"ops/softmax_wide", {9, 400, {}}},
      // PyTorch's x/2 (1 + erf) has no digits left of -6, and its 1 - s(x) few right of 6.
      {"ops/gelu_erf_wide", {6, 30, {}}},
      {"ops/gelu_erf_wide@2x17", {6, 30, {}}},
      {"ops/gelu_erf@edge", {6, 30, {}}},
      {"ops/silu_wide", {4, 20, {}}},
      {"ops/silu_wide@2x17", {4, 20, {}}},
      {"ops/rms_norm_vector@1", {6, 700, {}}},
  };
  return all;
}

}  // namespace gradus::testing
