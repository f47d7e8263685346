// The layers of PyTorch's transformers (Vaswani et al. 2017), with its names, so that its weights load as they are.
// B batch, T length, S length of the memory, C = d_model.
#pragma once

#include <optional>

#include <gradus/nn/layers/activation.h>
#include <gradus/nn/layers/attention.h>
#include <gradus/nn/layers/module_list.h>
#include <gradus/nn/layers/norm.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// PyTorch's arguments after d_model and nhead; Activation::gelu_erf is its "gelu".
struct TransformerLayerOptions {
  Index dim_feedforward = 2048;
  double dropout = 0.1;  // on attention weights, inside the feed-forward network, and on what each part adds
  Activation activation = Activation::relu;
  double layer_norm_eps = 1e-5;
  bool norm_first = false;  // norms before attention and feed-forward network, not behind the sums
  DType dtype = DType::f32;
};

/// Self-attention and a feed-forward network, each added to its input: nn.TransformerEncoderLayer with
/// batch_first=True. Parameters have its names, order and initial values for a seed. Throws Error unless d_model is a
/// multiple of nhead.
struct TransformerEncoderLayer : Layer {
  TransformerEncoderLayer(Index d_model, Index nhead, TransformerLayerOptions options = {});
  /// (B, T, C) -> (B, T, C)
  Tensor operator()(const Tensor& src) const override { return (*this)(src, {}); }
  /// `masks` of self-attention: PyTorch's src_mask and src_key_padding_mask.
  Tensor operator()(const Tensor& src, const AttentionMasks& masks) const;
  void members(Visitor& visit) const override;

  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout dropout, dropout1, dropout2;
  Activation activation;

 private:
  bool norm_first_;
};

/// Self-attention, attention to a memory and a feed-forward network, each added to its input:
/// nn.TransformerDecoderLayer with batch_first=True. Names, order, initial values and errors as
/// TransformerEncoderLayer's.
struct TransformerDecoderLayer : Module {
  TransformerDecoderLayer(Index d_model, Index nhead, TransformerLayerOptions options = {});
  /// tgt (B, T, C), memory (B, S, C) -> (B, T, C). `masks` are PyTorch's tgt_mask and tgt_key_padding_mask,
  /// `memory_masks` its memory_mask and memory_key_padding_mask.
  Tensor operator()(const Tensor& tgt, const Tensor& memory, const AttentionMasks& masks = {},
                    const AttentionMasks& memory_masks = {}) const;
  void members(Visitor& visit) const override;

  MultiheadAttention self_attn, multihead_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2, norm3;
  Dropout dropout, dropout1, dropout2, dropout3;
  Activation activation;

 private:
  bool norm_first_;
};

/// num_layers clones of a layer one after another, then `norm` if there is one: nn.TransformerEncoder. All layers start
/// with the same weights, as PyTorch's do; parameters are called "layers.0.self_attn.in_proj_weight", .., "norm.bias".
struct TransformerEncoder : Layer {
  TransformerEncoder(const TransformerEncoderLayer& encoder_layer, Index num_layers,
                     std::optional<LayerNorm> norm = {});
  /// (B, T, C) -> (B, T, C)
  Tensor operator()(const Tensor& src) const override { return (*this)(src, {}); }
  /// The same masks for each layer.
  Tensor operator()(const Tensor& src, const AttentionMasks& masks) const;
  void members(Visitor& visit) const override;

  ModuleList<TransformerEncoderLayer> layers;
  std::optional<LayerNorm> norm;
};

/// The same of decoder layers: nn.TransformerDecoder.
struct TransformerDecoder : Module {
  TransformerDecoder(const TransformerDecoderLayer& decoder_layer, Index num_layers,
                     std::optional<LayerNorm> norm = {});
  /// tgt (B, T, C), memory (B, S, C) -> (B, T, C); the same memory and masks for each layer.
  Tensor operator()(const Tensor& tgt, const Tensor& memory, const AttentionMasks& masks = {},
                    const AttentionMasks& memory_masks = {}) const;
  void members(Visitor& visit) const override;

  ModuleList<TransformerDecoderLayer> layers;
  std::optional<LayerNorm> norm;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
