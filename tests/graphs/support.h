// What the code of the registries, and so every printed test, uses besides gradus.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gradus/gradus.h>

namespace gradus::testing {

/// The module with these parameters and buffers in the order in which it names its own; buffers are copies, for they
/// move.
template <class M>
M bound(M module, const std::vector<Tensor>& tensors) {
  struct Bind : nn::Visitor {
    explicit Bind(const std::vector<Tensor>& given) : rest(given) {}
    void on_tensor(std::string_view name, const Tensor& tensor, bool is_parameter) override {
      check(next < rest.size(), "there are {} tensors, none for '{}'", rest.size(), name);
      const Tensor& given = rest[next++];
      check(given.shape() == tensor.shape(), "'{}' is {}, the case has {}", name, tensor.shape(), given.shape());
      const_cast<Tensor&>(tensor) = is_parameter ? given : given.clone();
    }
    const std::vector<Tensor>& rest;
    std::size_t next = 0;
  } bind(tensors);
  module.members(bind);
  check(bind.next == tensors.size(), "the module has {} tensors, the case {}", bind.next, tensors.size());
  return module;
}

/// The op of the op table's row of this name, or of one of its cases: "softmax_last@17".
Tensor row_of_op_table(std::string_view name, const std::vector<Tensor>& inputs);

template <class M>
M in_mode(M module, bool training) {
  module.train(training);
  return module;
}

/// The module's result when the default generator starts at `seed`.
template <class M, class... Inputs>
Tensor called(Index seed, const M& module, const Inputs&... inputs) {
  manual_seed(static_cast<std::uint64_t>(seed));
  return module(inputs...);
}

/// The same over documents of these lengths; over all of x where there are none.
inline Tensor called(Index seed, const nn::CausalSelfAttention& module, const Tensor& x,
                     const std::vector<Index>& lengths) {
  manual_seed(static_cast<std::uint64_t>(seed));
  return lengths.empty() ? module(x) : module(x, lengths);
}

inline Padding1d padding(Index size, bool same) {
  return same ? Padding1d(Padding::same) : Padding1d(size);
}
inline Padding2d padding(Size2 size, bool same) {
  return same ? Padding2d(Padding::same) : Padding2d(size);
}

/// One of sizes and factors is empty; the other has a number for each dimension.
inline InterpolateOptions resizing(const std::vector<Index>& sizes, const std::vector<double>& factors, bool linear,
                                   bool align_corners) {
  InterpolateOptions options{.align_corners = align_corners};
  const bool line = sizes.size() + factors.size() == 1;
  if (linear) options.mode = line ? Interpolation::linear : Interpolation::bilinear;
  if (!sizes.empty()) options.size = {line ? 0 : sizes.front(), sizes.back()};
  if (!factors.empty()) options.scale_factor = {line ? 0 : factors.front(), factors.back()};
  return options;
}

/// Layer after layer of a list or of a dictionary.
inline Tensor chained(const nn::ModuleList<>& list, Tensor x) {
  for (const nn::Layer& layer : list) x = layer(x);
  return x;
}
inline Tensor chained(const nn::ModuleDict<>& dict, Tensor x) {
  for (const std::string& key : dict.keys()) x = dict[key](x);
  return x;
}

/// norm(x), or what the running mean and variance are after it.
template <class Norm>
Tensor batch_norm(const Norm& norm, const Tensor& x, bool running) {
  const Tensor y = norm(x);
  return running ? concat({norm.running_mean, norm.running_var}) : y;
}

/// Output and last states one after another.
inline Tensor flat(const nn::RecurrentResult& result) {
  std::vector<Tensor> parts;
  for (const Tensor& part : {result.output, result.h, result.c}) {
    if (part.defined()) parts.push_back(reshape(part, {part.numel()}));
  }
  return concat(parts);
}

inline Tensor flat(const nn::LSTMState& state) {
  return concat({state.h, state.c});
}

/// All of x where there are no lengths.
inline nn::RecurrentResult run(const nn::Recurrent& net, const Tensor& x, const std::vector<Index>& lengths,
                               const Tensor& h, const Tensor& c = {}) {
  return lengths.empty() ? net.run(x, h, c) : net.run_padded(x, lengths, h, c);
}

inline Tensor numbers(const std::vector<Index>& all, DType dtype) {
  return tensor(std::vector<double>(all.begin(), all.end()), Shape{static_cast<Index>(all.size())}, dtype);
}

/// A mask of this many rows and columns; undefined for an empty list.
inline Tensor mask_of(const std::vector<Index>& list, Index rows, Index cols, DType dtype) {
  return list.empty() ? Tensor() : reshape(numbers(list, dtype), {rows, cols});
}

/// What hides keys of `memory` from `query`, from lists that are empty where nothing does: 0 and 1 for each query and
/// key, quarters to add to each one's score, and 0 and 1 for each sequence and key.
inline nn::AttentionMasks masks(const std::vector<Index>& hidden, const std::vector<Index>& quarters,
                                const std::vector<Index>& padding, const Tensor& query, const Tensor& memory) {
  const Index T = query.size(1), S = memory.size(1);
  nn::AttentionMasks made{.attn_mask = mask_of(hidden, T, S, query.dtype()),
                          .key_padding_mask = mask_of(padding, query.size(0), S, query.dtype())};
  if (!quarters.empty()) {
    const Index each = static_cast<Index>(quarters.size()) / (T * S);
    made.attn_bias = reshape(numbers(quarters, query.dtype()) / 4.0, {each, T, S});
    if (each == 1) made.attn_bias = reshape(made.attn_bias, {T, S});
  }
  return made;
}

inline nn::TransformerLayerOptions transformer_layer(Index feed_forward, Index activation, double eps, bool norm_first,
                                                     DType dtype) {
  return {.dim_feedforward = feed_forward,
          .dropout = 0,
          .activation = static_cast<nn::Activation>(activation),
          .layer_norm_eps = eps,
          .norm_first = norm_first,
          .dtype = dtype};
}

}  // namespace gradus::testing
