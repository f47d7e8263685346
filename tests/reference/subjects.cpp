// How far each subject but the ops, whose rows say it, may be from PyTorch: roundings of the result and of the
// gradient. The numbers are about twice the largest error seen with any instruction set in f64 or f32
// (docs/correctness.md), so that a formula that loses one more bit shows. The cases' inputs are multiples of 2^-16,
// which is why sums of them, and even f64 products, have no rounding at all.
#include "cases.h"

#include <set>

namespace gradus::testing {

namespace {

const std::vector<Subject>& others() {
  static const std::vector<Subject> all{
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

}  // namespace

const std::vector<Subject>& subjects() {
  static const std::vector<Subject> all = [] {
    std::vector<Subject> both = others();
    std::set<std::string> ops;
    for (const OpRow& row : op_table()) {
      if (ops.insert(row.op).second) both.push_back({"Ops", row.op, row.limits});
    }
    return both;
  }();
  return all;
}

}  // namespace gradus::testing
