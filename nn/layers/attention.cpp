// Every attention is projections around an op: scaled_dot_product_attention, or for the causal one packed_attention and
// cached_attention, which read queries, keys and values from the joint projection. It passes a batch of equal sequences
// as documents of equal length.
#include <gradus/nn/layers/attention.h>

#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {
namespace {

Index checked_heads(const char* name, Index n_embd, Index n_head) {
  check(n_embd > 0 && n_head > 0 && n_embd % n_head == 0,
        "{}: width {} cannot be split into {} heads; n_embd must be a positive multiple of n_head", name, n_embd,
        n_head);
  return n_head;
}

// Of all heads of a CausalSelfAttention.
Index heads_width(Index n_embd, Index n_head, Index head_size) {
  check(head_size >= 0, "CausalSelfAttention: head_size {}; it must be at least 1, or 0 for n_embd / n_head",
        head_size);
  if (head_size == 0) return n_embd / checked_heads("CausalSelfAttention", n_embd, n_head) * n_head;
  check(n_embd > 0 && n_head > 0, "CausalSelfAttention: width {} and {} heads; both must be at least 1", n_embd,
        n_head);
  return saturating_product({n_head, head_size});
}

double checked_dropout(const char* name, double p) {
  check(p >= 0 && p < 1, "{}: attention weights dropped with probability {}; it must be at least 0 and below 1", name,
        p);
  return p;
}

// How attention splits: heads of queries, and of keys and values.
struct Heads {
  const char* name;
  Index queries, keys;
};

// A mask or bias (T, S) as it is, or (B H, T, S) as (B, H, T, S).
Tensor for_scores(const Heads& heads, const char* what, const Tensor& mask, const Shape& scores) {
  const Index B = scores[0], T = scores[2], S = scores[3];
  if (mask.shape() == Shape{T, S}) return mask;
  check(mask.shape() == Shape{B * heads.queries, T, S},
        "{}: {} {} came; for {} queries and {} keys it must be {} or, one for each sequence and head, {}", heads.name,
        what, mask.shape(), T, S, Shape{T, S}, Shape{B * heads.queries, T, S});
  return reshape(mask, scores);
}

// What the op calls attn_mask: 1 where the query sees the key.
Tensor seen_keys(const Heads& heads, const AttentionMasks& masks, const Shape& scores) {
  Tensor hidden;
  if (masks.attn_mask.defined()) {
    gradus::detail::check_flags(heads.name, "attn_mask", masks.attn_mask);
    hidden = for_scores(heads, "attn_mask", masks.attn_mask, scores);
  }
  if (masks.key_padding_mask.defined()) {
    const Shape shape{scores[0], scores[3]};
    check(masks.key_padding_mask.shape() == shape,
          "{}: key_padding_mask {} came; for {} sequences of {} keys it must be {}", heads.name,
          masks.key_padding_mask.shape(), shape[0], shape[1], shape);
    gradus::detail::check_flags(heads.name, "key_padding_mask", masks.key_padding_mask);
    const Tensor padding = reshape(masks.key_padding_mask, {shape[0], 1, 1, shape[1]});
    hidden = hidden.defined() ? logical_or(hidden, padding) : padding;
  }
  return hidden.defined() ? logical_not(hidden) : hidden;
}

Tensor split_heads(const Tensor& x, Index heads) {
  return transpose(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), 1, 2);  // (B, H, T, D)
}

// Each head of keys or values for the heads of queries that share it: (B, G, S, D) -> (B, H, S, D)
Tensor repeat_heads(const Tensor& x, Index heads) {
  const Index B = x.size(0), G = x.size(1), S = x.size(2), D = x.size(3);
  if (G == heads) return x;
  return reshape(broadcast_to(reshape(x, {B, G, 1, S, D}), {B, G, heads / G, S, D}), {B, heads, S, D});
}

// q (B, T, H D), k and v (B, S, G D) -> (B, T, H D)
Tensor attend(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionMasks& masks,
              bool causal, double dropout) {
  const Shape scores{q.size(0), heads.queries, q.size(1), k.size(1)};
  AttentionOptions options{.causal = causal, .dropout_p = dropout, .attn_mask = seen_keys(heads, masks, scores)};
  if (masks.attn_bias.defined()) options.attn_bias = for_scores(heads, "attn_bias", masks.attn_bias, scores);
  const Tensor queries = split_heads(q, heads.queries), keys = repeat_heads(split_heads(k, heads.keys), heads.queries),
               values = repeat_heads(split_heads(v, heads.keys), heads.queries);
  const Tensor y = scaled_dot_product_attention(queries, keys, values, options);  // (B, H, T, D)
  return reshape(transpose(y, 1, 2), q.shape());
}

Index key_width(Index n_embd, Index n_head, Index n_kv_heads) {
  checked_heads("MultiHeadAttention", n_embd, n_head);
  check(n_kv_heads >= 0 && (n_kv_heads == 0 || n_head % n_kv_heads == 0),
        "MultiHeadAttention: {} heads of keys for {} of queries; n_head must be a multiple of n_kv_heads", n_kv_heads,
        n_head);
  return n_kv_heads == 0 ? n_embd : n_embd / n_head * n_kv_heads;
}

}  // namespace

CausalSelfAttention::CausalSelfAttention(Index n_embd, Index n_head, CausalSelfAttentionOptions options)
    : c_attn(n_embd, saturating_product({3, heads_width(n_embd, n_head, options.head_size)}),
             {options.bias, options.dtype}),
      c_proj(heads_width(n_embd, n_head, options.head_size), n_embd, {options.bias, options.dtype}),
      dropout(options.dropout),
      n_head_(n_head),
      attn_dropout_(checked_dropout("CausalSelfAttention", options.attn_dropout)) {}

Tensor CausalSelfAttention::operator()(const Tensor& x) const {
  check_defined("CausalSelfAttention", {x});
  check(x.rank() >= 2, "CausalSelfAttention: x {} must be (batch, time, width) or (time, width)", x.shape());
  const auto [rows, width] = x.shape().as_matrix();
  const Index time = x.size(-2);
  const std::vector<Index, PoolAllocator<Index>> lengths(static_cast<std::size_t>(time == 0 ? 0 : rows / time), time);
  return reshape((*this)(reshape(x, {rows, width}), lengths), x.shape());
}

Tensor CausalSelfAttention::operator()(const Tensor& x, std::span<const Index> lengths) const {
  check_defined("CausalSelfAttention", {x});
  check(x.rank() == 2, "CausalSelfAttention: packed documents {} must be (tokens, width)", x.shape());
  const double p = training() ? attn_dropout_ : 0;
  return dropout(c_proj(packed_attention(c_attn(x), n_head_, lengths, {.causal = true, .dropout_p = p})));
}

Tensor CausalSelfAttention::operator()(const Tensor& x, std::span<const Index> lengths,
                                       std::span<KeyValues* const> caches) const {
  check_defined("CausalSelfAttention", {x});
  check(x.rank() == 2, "CausalSelfAttention: new tokens {} must be (tokens, width)", x.shape());
  return dropout(c_proj(cached_attention(c_attn(x), n_head_, lengths, caches)));
}

void CausalSelfAttention::members(Visitor& visit) const {
  visit("c_attn", c_attn);
  visit("c_proj", c_proj);
  visit("dropout", dropout);
}

MultiHeadAttention::MultiHeadAttention(Index n_embd, Index n_head, MultiHeadAttentionOptions options)
    : q_proj(n_embd, n_embd, {options.bias, options.dtype}),
      k_proj(options.kv_dim ? options.kv_dim : n_embd, key_width(n_embd, n_head, options.n_kv_heads),
             {options.bias, options.dtype}),
      v_proj(options.kv_dim ? options.kv_dim : n_embd, k_proj.weight.size(0), {options.bias, options.dtype}),
      out_proj(n_embd, n_embd, {options.bias, options.dtype}),
      dropout(options.dropout),
      n_head_(n_head),
      n_kv_heads_(options.n_kv_heads == 0 ? n_head : options.n_kv_heads),
      attn_dropout_(checked_dropout("MultiHeadAttention", options.attn_dropout)),
      causal_(options.causal) {}

Tensor MultiHeadAttention::operator()(const Tensor& query, const Tensor& memory, const AttentionMasks& masks) const {
  check_defined("MultiHeadAttention", {query, memory});
  check(query.rank() == 3 && memory.rank() == 3 && query.size(0) == memory.size(0),
        "MultiHeadAttention: query {} and memory {} must be (batch, time, width) with the same batch", query.shape(),
        memory.shape());
  // This order fixes the order in which the input's gradients are summed, and so their last bits.
  const Tensor v = v_proj(memory), k = k_proj(memory), q = q_proj(query);
  return dropout(out_proj(
      attend({"MultiHeadAttention", n_head_, n_kv_heads_}, q, k, v, masks, causal_, training() ? attn_dropout_ : 0)));
}

void MultiHeadAttention::members(Visitor& visit) const {
  visit("q_proj", q_proj);
  visit("k_proj", k_proj);
  visit("v_proj", v_proj);
  visit("out_proj", out_proj);
  visit("dropout", dropout);
}

MultiheadAttention::MultiheadAttention(Index embed_dim, Index num_heads, MultiheadAttentionOptions options)
    : out_proj(embed_dim, embed_dim, {options.bias, options.dtype}),  // PyTorch draws it first
      num_heads_(checked_heads("MultiheadAttention", embed_dim, num_heads)),
      dropout_(checked_dropout("MultiheadAttention", options.dropout)) {
  const Index rows = saturating_product({3, embed_dim});
  in_proj_weight = parameter(Tensor::empty({rows, embed_dim}, options.dtype));
  init::xavier_uniform_(in_proj_weight);
  if (!options.bias) return;
  in_proj_bias = parameter(zeros({rows}, options.dtype));
  out_proj.bias.fill_(0);
}

Tensor MultiheadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                      const AttentionMasks& masks) const {
  check_defined("MultiheadAttention", {in_proj_weight, query, key, value});
  const Index C = in_proj_weight.size(1);
  const auto fits = [&](const Tensor& x) { return x.rank() == 3 && x.size(0) == query.size(0) && x.size(2) == C; };
  check(fits(query) && fits(key) && fits(value) && key.size(1) == value.size(1),
        "MultiheadAttention: query {}, key {} and value {} came; they must be (batch, time, {}), with the same batch, "
        "and as "
        "many keys as values",
        query.shape(), key.shape(), value.shape(), C);
  const auto project = [&](const Tensor& x, Index i) {
    const Tensor bias = in_proj_bias.defined() ? slice(in_proj_bias, 0, i * C, (i + 1) * C) : Tensor();
    return linear(x, slice(in_proj_weight, 0, i * C, (i + 1) * C), bias);
  };
  const Tensor q = project(query, 0), k = project(key, 1), v = project(value, 2);
  const Heads heads{"MultiheadAttention", num_heads_, num_heads_};
  return out_proj(attend(heads, q, k, v, masks, false, training() ? dropout_ : 0));
}

void MultiheadAttention::members(Visitor& visit) const {
  visit("in_proj_weight", in_proj_weight);
  visit("in_proj_bias", in_proj_bias);
  visit("out_proj", out_proj);
}

}  // namespace gradus::nn
