// RNN, LSTM and GRU: cells that make one step, and layers that run them over a sequence, in several layers and both
// directions. Parameters have PyTorch's names, shapes and order of gates, so its weights load as they are.
// B batch, T time, I input size, H hidden size, D directions (1 or 2), L layers.
#pragma once

#include <span>
#include <vector>

#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

enum class RNNActivation { tanh, relu };

struct RNNCellOptions {
  RNNActivation activation = RNNActivation::tanh;  // of RNNCell alone
  bool bias = true;
  DType dtype = DType::f32;
};

/// The weights of a cell with `gates` gates. All start uniform within +-1/sqrt(H), as PyTorch's do. A cell makes one
/// step; a state that is left out, or undefined, means zeros.
struct RecurrentCell : Module {
  void members(Visitor& visit) const override;
  Index hidden_size() const { return weight_hh.size(1); }

  Tensor weight_ih;         // (gates H, I)
  Tensor weight_hh;         // (gates H, H)
  Tensor bias_ih, bias_hh;  // (gates H), or undefined

 protected:
  RecurrentCell(const char* name, Index input, Index hidden, Index gates, bool bias, DType dtype);
  // The state to start from: h, or zeros where it is undefined.
  Tensor start(const char* name, const Tensor& x, const Tensor& h) const;
};

/// h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of that (Elman 1990). x (B, I), h (B, H) -> (B, H)
struct RNNCell : RecurrentCell {
  RNNCell(Index input, Index hidden, RNNCellOptions options = {});
  RNNCell(Index input, Index hidden, std::same_as<bool> auto with_bias)
      : RNNCell(input, hidden, RNNCellOptions{.bias = with_bias}) {}
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const;

 private:
  RNNActivation activation_;
};

/// r, z = sigmoid(..), n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h; gates in the order r, z, n
/// (Cho et al. 2014, with r after the product, as in PyTorch). x (B, I), h (B, H) -> (B, H)
struct GRUCell : RecurrentCell {
  GRUCell(Index input, Index hidden, RNNCellOptions options = {});
  GRUCell(Index input, Index hidden, std::same_as<bool> auto with_bias)
      : GRUCell(input, hidden, RNNCellOptions{.bias = with_bias}) {}
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const;
};

/// Each (B, H).
struct LSTMState {
  Tensor h, c;  // output and memory
};

/// i, f, o = sigmoid(..), g = tanh(..), c' = f c + i g, h' = o tanh(c'); gates in the order i, f, g, o (Hochreiter &
/// Schmidhuber 1997; Gers et al. 2000). x (B, I), h and c (B, H) -> the same two
struct LSTMCell : RecurrentCell {
  LSTMCell(Index input, Index hidden, RNNCellOptions options = {});
  LSTMCell(Index input, Index hidden, std::same_as<bool> auto with_bias)
      : LSTMCell(input, hidden, RNNCellOptions{.bias = with_bias}) {}
  LSTMState operator()(const Tensor& x, const LSTMState& state = {}) const;
};

struct RecurrentOptions {
  Index num_layers = 1;
  bool bidirectional = false;
  double dropout = 0;                              // on the output of each layer but the last: nothing with one layer
  RNNActivation activation = RNNActivation::tanh;  // of RNN alone
  bool bias = true;
  DType dtype = DType::f32;
};

/// The result of a sequence: the output of every step, and the final state of every layer and direction.
struct RecurrentResult {
  Tensor output;  // (B, T, D H), of the last layer
  Tensor h;       // (L D, B, H)
  Tensor c;       // (L D, B, H); LSTM only
};

/// What RNN, GRU and LSTM share. Inputs and outputs have the batch first, as PyTorch with batch_first=True; states are
/// (L D, B, H). Parameters are called weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, with _l1 .. for further
/// layers and _reverse for the direction that starts at the end.
class Recurrent : public Layer {
 public:
  /// (B, T, I) -> (B, T, D H), from a state of zeros.
  Tensor operator()(const Tensor& x) const override { return run(x).output; }
  /// Starts from the state that an earlier run returned: h (and for LSTM c) of shape (L D, B, H); undefined means
  /// zeros.
  RecurrentResult run(const Tensor& x, const Tensor& h = {}, const Tensor& c = {}) const {
    return run_steps(x, {}, h, c);
  }
  /// The same for sequences of lengths[i] steps each, from 1 to T, in any order; x is not read behind a sequence's end,
  /// and the output there is 0. The forward direction's final state is the one after the sequence's own last step,
  /// where the reverse direction starts. PyTorch's pack_padded_sequence(enforce_sorted=False) and
  /// pad_packed_sequence(total_length=T).
  RecurrentResult run_padded(const Tensor& x, const Ids& lengths, const Tensor& h = {}, const Tensor& c = {}) const;
  void members(Visitor& visit) const override;

 protected:
  enum class Kind { rnn, gru, lstm };
  Recurrent(const char* name, Kind kind, Index input, Index hidden, RecurrentOptions options);

 private:
  struct Direction {
    Tensor weight_ih, weight_hh, bias_ih, bias_hh;
  };
  // running[t], (B, 1): 1 for sequences that have not ended at step t, else 0; undefined if none has. Empty: none ever
  // ends.
  using Running = std::span<const Tensor>;
  RecurrentResult run_steps(const Tensor& x, Running running, const Tensor& h, const Tensor& c) const;
  void check_input(const Tensor& x) const;
  LSTMState step(const Tensor& from_x, const Direction& weights, const LSTMState& state) const;
  Tensor run_direction(const Tensor& x, const Direction& weights, LSTMState& state, bool backwards,
                       Running running) const;

  const char* name_;
  Kind kind_;
  Index input_, hidden_;
  RecurrentOptions options_;
  std::vector<Direction> directions_;  // layer by layer, forward before reverse
  Dropout dropout_;
};

/// Layers of RNNCell over a sequence: (B, T, I) -> (B, T, D H).
struct RNN : Recurrent {
  RNN(Index input, Index hidden, RecurrentOptions options = {}) : Recurrent("RNN", Kind::rnn, input, hidden, options) {}
  template <std::same_as<bool> B>
  RNN(Index input, Index hidden, B) : RNN(input, hidden) {
    static_assert(!std::same_as<B, B>, "RNN: PyTorch's third argument is num_layers; write {.bias = false}");
  }
};
/// Layers of GRUCell over a sequence: (B, T, I) -> (B, T, D H).
struct GRU : Recurrent {
  GRU(Index input, Index hidden, RecurrentOptions options = {}) : Recurrent("GRU", Kind::gru, input, hidden, options) {}
  template <std::same_as<bool> B>
  GRU(Index input, Index hidden, B) : GRU(input, hidden) {
    static_assert(!std::same_as<B, B>, "GRU: PyTorch's third argument is num_layers; write {.bias = false}");
  }
};
/// Layers of LSTMCell over a sequence: (B, T, I) -> (B, T, D H).
struct LSTM : Recurrent {
  LSTM(Index input, Index hidden, RecurrentOptions options = {})
      : Recurrent("LSTM", Kind::lstm, input, hidden, options) {}
  template <std::same_as<bool> B>
  LSTM(Index input, Index hidden, B) : LSTM(input, hidden) {
    static_assert(!std::same_as<B, B>, "LSTM: PyTorch's third argument is num_layers; write {.bias = false}");
  }
};

#pragma GCC visibility pop
}  // namespace gradus::nn
