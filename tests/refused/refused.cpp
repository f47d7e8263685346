// Calls that must not compile. Each line that a mistake stands on ends in what the compiler has to say about it; check
// reads them.
#include <gradus/core/ops.h>
#include <gradus/nn/layers/attention.h>
#include <gradus/nn/layers/conv.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/norm.h>
#include <gradus/nn/layers/recurrent.h>

using namespace gradus;

void refused() {
  nn::Conv1d(1, 2, 3, false);            // Conv1d: PyTorch's fourth argument is the stride; write {.bias = false}
  nn::Conv2d(1, 2, 3, false);            // Conv2d: PyTorch's fourth argument is the stride; write {.bias = false}
  nn::ConvTranspose1d(1, 2, 3, false);   // ConvTranspose1d: PyTorch's fourth argument is the stride
  nn::ConvTranspose2d(1, 2, 3, false);   // ConvTranspose2d: PyTorch's fourth argument is the stride
  nn::LayerNorm(4, false);               // LayerNorm: PyTorch's second argument is eps; write {.bias = false}
  nn::MLP(4, false);                     // MLP: which option is it? write {.bias = false}
  nn::CausalSelfAttention(4, 2, false);  // CausalSelfAttention: which option is it? write {.bias = false}
  nn::MultiHeadAttention(4, 2, false);   // MultiHeadAttention: PyTorch's third argument is dropout
  nn::RNN(2, 3, false);                  // RNN: PyTorch's third argument is num_layers; write {.bias = false}
  nn::GRU(2, 3, false);                  // GRU: PyTorch's third argument is num_layers; write {.bias = false}
  nn::LSTM(2, 3, false);                 // LSTM: PyTorch's third argument is num_layers; write {.bias = false}
  sum(ones({2, 2}), true);               // deleted function
  fmt::format("{:d}", ones({2}));        // fmt::
}
