// Each part is added to its input, with the norm before the part or behind the sum.
#include <gradus/nn/layers/transformer.h>

#include <gradus/core/ops.h>

namespace gradus::nn {
namespace {

template <class Part>
Tensor add_part(const Tensor& x, const LayerNorm& norm, bool norm_first, const Part& part) {
  return norm_first ? x + part(norm(x)) : norm(x + part(x));
}

// The feed-forward network, whose members have the same names in both kinds of layers.
template <class L>
Tensor feed_forward(const L& layer, const Tensor& x) {
  return layer.linear2(layer.dropout(apply(layer.activation, layer.linear1(x))));
}

MultiheadAttentionOptions attention_options(const TransformerLayerOptions& options) {
  return {.dropout = options.dropout, .dtype = options.dtype};
}

LayerNormOptions norm_options(const TransformerLayerOptions& options) {
  return {.eps = options.layer_norm_eps, .dtype = options.dtype};
}

template <class L>
ModuleList<L> clones(const char* name, const L& layer, Index count) {
  check(count > 0, "{}: {} layers; there must be at least 1", name, count);
  ModuleList<L> list;
  for (Index i = 0; i < count; ++i) list.append(clone(layer));
  return list;
}

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(Index d_model, Index nhead, TransformerLayerOptions options)
    : self_attn(d_model, nhead, attention_options(options)),
      linear1(d_model, options.dim_feedforward, {.dtype = options.dtype}),
      linear2(options.dim_feedforward, d_model, {.dtype = options.dtype}),
      norm1(d_model, norm_options(options)),
      norm2(d_model, norm_options(options)),
      dropout(options.dropout),
      dropout1(options.dropout),
      dropout2(options.dropout),
      activation(options.activation),
      norm_first_(options.norm_first) {}

Tensor TransformerEncoderLayer::operator()(const Tensor& src, const AttentionMasks& masks) const {
  const Tensor x = add_part(src, norm1, norm_first_,
                            [&](const Tensor& part) { return dropout1(self_attn(part, part, part, masks)); });
  return add_part(x, norm2, norm_first_, [&](const Tensor& part) { return dropout2(feed_forward(*this, part)); });
}

void TransformerEncoderLayer::members(Visitor& visit) const {
  visit("self_attn", self_attn);
  visit("linear1", linear1);
  visit("dropout", dropout);
  visit("linear2", linear2);
  visit("norm1", norm1);
  visit("norm2", norm2);
  visit("dropout1", dropout1);
  visit("dropout2", dropout2);
}

TransformerDecoderLayer::TransformerDecoderLayer(Index d_model, Index nhead, TransformerLayerOptions options)
    : self_attn(d_model, nhead, attention_options(options)),
      multihead_attn(d_model, nhead, attention_options(options)),
      linear1(d_model, options.dim_feedforward, {.dtype = options.dtype}),
      linear2(options.dim_feedforward, d_model, {.dtype = options.dtype}),
      norm1(d_model, norm_options(options)),
      norm2(d_model, norm_options(options)),
      norm3(d_model, norm_options(options)),
      dropout(options.dropout),
      dropout1(options.dropout),
      dropout2(options.dropout),
      dropout3(options.dropout),
      activation(options.activation),
      norm_first_(options.norm_first) {}

Tensor TransformerDecoderLayer::operator()(const Tensor& tgt, const Tensor& memory, const AttentionMasks& masks,
                                           const AttentionMasks& memory_masks) const {
  Tensor x = add_part(tgt, norm1, norm_first_,
                      [&](const Tensor& part) { return dropout1(self_attn(part, part, part, masks)); });
  x = add_part(x, norm2, norm_first_,
               [&](const Tensor& part) { return dropout2(multihead_attn(part, memory, memory, memory_masks)); });
  return add_part(x, norm3, norm_first_, [&](const Tensor& part) { return dropout3(feed_forward(*this, part)); });
}

void TransformerDecoderLayer::members(Visitor& visit) const {
  visit("self_attn", self_attn);
  visit("multihead_attn", multihead_attn);
  visit("linear1", linear1);
  visit("dropout", dropout);
  visit("linear2", linear2);
  visit("norm1", norm1);
  visit("norm2", norm2);
  visit("norm3", norm3);
  visit("dropout1", dropout1);
  visit("dropout2", dropout2);
  visit("dropout3", dropout3);
}

TransformerEncoder::TransformerEncoder(const TransformerEncoderLayer& encoder_layer, Index num_layers,
                                       std::optional<LayerNorm> its_norm)
    : layers(clones("TransformerEncoder", encoder_layer, num_layers)), norm(std::move(its_norm)) {}

Tensor TransformerEncoder::operator()(const Tensor& src, const AttentionMasks& masks) const {
  Tensor x = src;
  for (const TransformerEncoderLayer& layer : layers) x = layer(x, masks);
  return norm ? (*norm)(x) : x;
}

void TransformerEncoder::members(Visitor& visit) const {
  visit("layers", layers);
  if (norm) visit("norm", *norm);
}

TransformerDecoder::TransformerDecoder(const TransformerDecoderLayer& decoder_layer, Index num_layers,
                                       std::optional<LayerNorm> its_norm)
    : layers(clones("TransformerDecoder", decoder_layer, num_layers)), norm(std::move(its_norm)) {}

Tensor TransformerDecoder::operator()(const Tensor& tgt, const Tensor& memory, const AttentionMasks& masks,
                                      const AttentionMasks& memory_masks) const {
  Tensor x = tgt;
  for (const TransformerDecoderLayer& layer : layers) x = layer(x, memory, masks, memory_masks);
  return norm ? (*norm)(x) : x;
}

void TransformerDecoder::members(Visitor& visit) const {
  visit("layers", layers);
  if (norm) visit("norm", *norm);
}

}  // namespace gradus::nn
