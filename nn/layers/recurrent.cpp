// Cells and layers share the step functions, which get the products of input and state with the weights. A layer
// multiplies its whole input by weight_ih at once; only the product with the state has to wait for the step before.
#include <gradus/nn/layers/recurrent.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {
namespace {

// The columns of gate i in (B, gates H), or of `count` gates from i on.
Tensor gate(const Tensor& gates, Index hidden, Index i, Index count = 1) {
  return slice(gates, 1, i * hidden, (i + count) * hidden);
}

Tensor rnn_step(const Tensor& from_x, const Tensor& from_h, RNNActivation activation) {
  return activation == RNNActivation::tanh ? tanh(from_x + from_h) : relu(from_x + from_h);
}

Tensor gru_step(const Tensor& from_x, const Tensor& from_h, const Tensor& h) {
  const Index n = h.size(1);
  const Tensor reset_update = sigmoid(gate(from_x, n, 0, 2) + gate(from_h, n, 0, 2));
  const Tensor fresh = tanh(gate(from_x, n, 2) + gate(reset_update, n, 0) * gate(from_h, n, 2));
  return fresh + gate(reset_update, n, 1) * (h - fresh);
}

LSTMState lstm_step(const Tensor& from_x, const Tensor& from_h, const Tensor& c) {
  const Index n = c.size(1);
  const Tensor gates = from_x + from_h, in_forget = sigmoid(gate(gates, n, 0, 2));
  const Tensor memory = gate(in_forget, n, 1) * c + gate(in_forget, n, 0) * tanh(gate(gates, n, 2));
  return {sigmoid(gate(gates, n, 3)) * tanh(memory), memory};
}

Tensor uniform_parameter(const Shape& shape, Index hidden, DType dtype) {
  Tensor values = parameter(Tensor::empty(shape, dtype));
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  init::uniform_(values, -bound, bound);
  return values;
}

void check_sizes(const char* name, Index input, Index hidden) {
  check(input > 0 && hidden > 0, "{}: sizes {} -> {}; both must be at least 1", name, input, hidden);
}

}  // namespace

RecurrentCell::RecurrentCell(const char* name, Index input, Index hidden, Index gates, bool bias, DType dtype) {
  check_sizes(name, input, hidden);
  const Index rows = saturating_product({gates, hidden});
  weight_ih = uniform_parameter({rows, input}, hidden, dtype);
  weight_hh = uniform_parameter({rows, hidden}, hidden, dtype);
  if (!bias) return;
  bias_ih = uniform_parameter({rows}, hidden, dtype);
  bias_hh = uniform_parameter({rows}, hidden, dtype);
}

void RecurrentCell::members(Visitor& visit) const {
  visit("weight_ih", weight_ih);
  visit("weight_hh", weight_hh);
  visit("bias_ih", bias_ih);
  visit("bias_hh", bias_hh);
}

Tensor RecurrentCell::start(const char* name, const Tensor& x, const Tensor& h) const {
  check_defined(name, {x});
  check(x.rank() == 2 && x.size(1) == weight_ih.size(1),
        "{}: x {} must be (batch, {}); for whole sequences use the layer", name, x.shape(), weight_ih.size(1));
  const Shape shape{x.size(0), hidden_size()};
  if (!h.defined()) return zeros(shape, x.dtype());
  check(h.shape() == shape, "{}: a state {} came; for x {} it must be {}, or left out", name, h.shape(), x.shape(),
        shape);
  return h;
}

RNNCell::RNNCell(Index input, Index hidden, RNNCellOptions options)
    : RecurrentCell("RNNCell", input, hidden, 1, options.bias, options.dtype), activation_(options.activation) {}

Tensor RNNCell::operator()(const Tensor& x, const Tensor& given) const {
  const Tensor h = start("RNNCell", x, given);
  return rnn_step(linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh), activation_);
}

GRUCell::GRUCell(Index input, Index hidden, RNNCellOptions options)
    : RecurrentCell("GRUCell", input, hidden, 3, options.bias, options.dtype) {}

Tensor GRUCell::operator()(const Tensor& x, const Tensor& given) const {
  const Tensor h = start("GRUCell", x, given);
  return gru_step(linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh), h);
}

LSTMCell::LSTMCell(Index input, Index hidden, RNNCellOptions options)
    : RecurrentCell("LSTMCell", input, hidden, 4, options.bias, options.dtype) {}

LSTMState LSTMCell::operator()(const Tensor& x, const LSTMState& state) const {
  const Tensor h = start("LSTMCell", x, state.h), c = start("LSTMCell", x, state.c);
  return lstm_step(linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh), c);
}

Recurrent::Recurrent(const char* name, Kind kind, Index input, Index hidden, RecurrentOptions options)
    : name_(name), kind_(kind), input_(input), hidden_(hidden), options_(options), dropout_(options.dropout) {
  check_sizes(name, input, hidden);
  check(options.num_layers > 0, "{}: {} layers; there must be at least 1", name, options.num_layers);
  const Index rows = saturating_product({hidden, kind == Kind::rnn ? 1 : kind == Kind::gru ? 3 : 4});
  const Index ways = options.bidirectional ? 2 : 1, wide = saturating_product({ways, hidden});
  for (Index i = 0; i < saturating_product({options.num_layers, ways}); ++i) {
    Direction d;
    d.weight_ih = uniform_parameter({rows, i < ways ? input : wide}, hidden, options.dtype);
    d.weight_hh = uniform_parameter({rows, hidden}, hidden, options.dtype);
    if (options.bias) {
      d.bias_ih = uniform_parameter({rows}, hidden, options.dtype);
      d.bias_hh = uniform_parameter({rows}, hidden, options.dtype);
    }
    directions_.push_back(std::move(d));
  }
}

void Recurrent::members(Visitor& visit) const {
  const std::size_t ways = options_.bidirectional ? 2 : 1;
  for (std::size_t i = 0; i < directions_.size(); ++i) {
    const std::string suffix = fmt::format("_l{}{}", i / ways, i % ways == 1 ? "_reverse" : "");
    visit("weight_ih" + suffix, directions_[i].weight_ih);
    visit("weight_hh" + suffix, directions_[i].weight_hh);
    visit("bias_ih" + suffix, directions_[i].bias_ih);
    visit("bias_hh" + suffix, directions_[i].bias_hh);
  }
  visit("dropout", dropout_);
}

LSTMState Recurrent::step(const Tensor& from_x, const Direction& weights, const LSTMState& state) const {
  const Tensor from_h = linear(state.h, weights.weight_hh, weights.bias_hh);
  switch (kind_) {
    case Kind::rnn:
      return {rnn_step(from_x, from_h, options_.activation), {}};
    case Kind::gru:
      return {gru_step(from_x, from_h, state.h), {}};
    case Kind::lstm:
      break;
  }
  return lstm_step(from_x, from_h, state.c);
}

// x (T, B, in) -> (T, B, H); `state` moves to where the direction ends.
Tensor Recurrent::run_direction(const Tensor& x, const Direction& weights, LSTMState& state, bool backwards,
                                Running running) const {
  const Index steps = x.size(0), batch = x.size(1);
  const Tensor all = linear(x, weights.weight_ih, weights.bias_ih);
  std::vector<Tensor> outputs(static_cast<std::size_t>(steps));
  for (Index i = 0; i < steps; ++i) {
    const Index t = backwards ? steps - 1 - i : i;
    const auto place = static_cast<std::size_t>(t);
    const LSTMState next = step(reshape(slice(all, 0, t, t + 1), {batch, all.size(2)}), weights, state);
    if (running.empty() || !running[place].defined()) {
      state = next;
      outputs[place] = next.h;
      continue;
    }
    // A sequence waits where it has ended, and, backwards, where it has not begun.
    state.h = where(running[place], next.h, state.h);
    if (kind_ == Kind::lstm) state.c = where(running[place], next.c, state.c);
    outputs[place] = where(running[place], next.h, 0);
  }
  return stack(outputs);
}

void Recurrent::check_input(const Tensor& x) const {
  check(!directions_.empty(), "{}: its weights were moved to another one; use that one", name_);
  check_defined(name_, {x});
  check(x.rank() == 3 && x.size(1) > 0 && x.size(2) == input_,
        "{}: x {} must be (batch, time, {}) with at least one step", name_, x.shape(), input_);
}

RecurrentResult Recurrent::run_padded(const Tensor& x, const Ids& lengths, const Tensor& h, const Tensor& c) const {
  check_input(x);
  const Index batch = x.size(0), steps = x.size(1);
  check(std::cmp_equal(lengths.size(), batch), "{}: {} lengths came for x {}; give one for each of the {} sequences",
        name_, lengths.size(), x.shape(), batch);
  for (const Index length : lengths) {
    check(length >= 1 && length <= steps, "{}: a length of {} came for x {}; lengths must be from 1 to {}", name_,
          length, x.shape(), steps);
  }
  if (std::ranges::all_of(lengths, [&](Index length) { return length == steps; })) return run_steps(x, {}, h, c);
  std::vector<Tensor> running(static_cast<std::size_t>(steps));
  std::vector<double> flags;  // (T, B)
  for (Index t = 0; t < steps; ++t) {
    std::vector<double> now;
    for (const Index length : lengths) now.push_back(t < length ? 1 : 0);
    flags.insert(flags.end(), now.begin(), now.end());
    if (std::ranges::count(now, 0.0) > 0) running[static_cast<std::size_t>(t)] = tensor(now, {batch, 1}, x.dtype());
  }
  // Zeros in place of the padding: a NaN in it would come back in the weights' gradients.
  const Tensor inside = transpose(tensor(flags, {steps, batch, 1}, x.dtype()), 0, 1);
  return run_steps(where(inside, x, 0), running, h, c);
}

RecurrentResult Recurrent::run_steps(const Tensor& x, Running running, const Tensor& h, const Tensor& c) const {
  check_input(x);
  check(!c.defined() || kind_ == Kind::lstm, "{}: a memory c {} came, which only LSTM has; leave it out", name_,
        c.defined() ? c.shape() : Shape{});
  const Index ways = options_.bidirectional ? 2 : 1, all = options_.num_layers * ways;
  const Shape state_shape{all, x.size(0), hidden_};
  for (const Tensor* given : {&h, &c}) {
    check(!given->defined() || given->shape() == state_shape, "{}: a state {} came; for x {} it must be {}", name_,
          given->defined() ? given->shape() : Shape{}, x.shape(), state_shape);
  }
  const auto part = [&](const Tensor& given, Index i) {
    if (!given.defined()) return zeros({x.size(0), hidden_}, x.dtype());
    return reshape(slice(given, 0, i, i + 1), {x.size(0), hidden_});
  };
  std::vector<Tensor> last_h, last_c;
  Tensor y = transpose(x, 0, 1);  // (T, B, I): a step is then one piece of memory
  for (Index layer = 0; layer < options_.num_layers; ++layer) {
    if (layer > 0) y = dropout_(y);
    std::vector<Tensor> outputs;
    for (Index way = 0; way < ways; ++way) {
      const Index i = layer * ways + way;
      LSTMState state{part(h, i), kind_ == Kind::lstm ? part(c, i) : Tensor()};
      outputs.push_back(run_direction(y, directions_[static_cast<std::size_t>(i)], state, way == 1, running));
      last_h.push_back(state.h);
      if (kind_ == Kind::lstm) last_c.push_back(state.c);
    }
    y = ways == 1 ? outputs[0] : concat(outputs, -1);
  }
  return {transpose(y, 0, 1), stack(last_h), kind_ == Kind::lstm ? stack(last_c) : Tensor()};
}

}  // namespace gradus::nn
