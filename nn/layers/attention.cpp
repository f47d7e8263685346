// Both attentions are projections around one fused op. The causal one does not cut out queries, keys and values: the
// packed op reads them from the joint projection. A batch of equal sequences is passed as documents of equal length.
#include <gradus/nn/layers/attention.h>

#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus::nn {
namespace {

Index checked_heads(const char* name, Index n_embd, Index n_head) {
  check(n_embd > 0 && n_head > 0 && n_embd % n_head == 0,
        "{}: width {} cannot be split into {} heads; n_embd must be a positive multiple of n_head", name, n_embd,
        n_head);
  return n_head;
}

}  // namespace

CausalSelfAttention::CausalSelfAttention(Index n_embd, Index n_head, CausalSelfAttentionOptions options)
    : c_attn(n_embd, saturating_product({3, n_embd}), {options.bias, options.dtype}),
      c_proj(n_embd, n_embd, {options.bias, options.dtype}),
      dropout(options.dropout),
      n_head_(checked_heads("CausalSelfAttention", n_embd, n_head)) {}

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
  return dropout(c_proj(packed_attention(c_attn(x), n_head_, lengths, {.causal = true})));
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
      k_proj(options.kv_dim ? options.kv_dim : n_embd, n_embd, {options.bias, options.dtype}),
      v_proj(options.kv_dim ? options.kv_dim : n_embd, n_embd, {options.bias, options.dtype}),
      out_proj(n_embd, n_embd, {options.bias, options.dtype}),
      dropout(options.dropout),
      n_head_(checked_heads("MultiHeadAttention", n_embd, n_head)),
      causal_(options.causal) {}

Tensor MultiHeadAttention::split_heads(const Tensor& x) const {
  return transpose(reshape(x, {x.size(0), x.size(1), n_head_, x.size(2) / n_head_}), 1, 2);  // (B, H, T, D)
}

Tensor MultiHeadAttention::operator()(const Tensor& query, const Tensor& memory) const {
  check_defined("MultiHeadAttention", {query, memory});
  check(query.rank() == 3 && memory.rank() == 3 && query.size(0) == memory.size(0),
        "MultiHeadAttention: query {} and memory {} must be (batch, time, width) with the same batch", query.shape(),
        memory.shape());
  const Tensor y = scaled_dot_product_attention(split_heads(q_proj(query)), split_heads(k_proj(memory)),
                                                split_heads(v_proj(memory)), {.causal = causal_});  // (B, H, T, D)
  return dropout(out_proj(reshape(transpose(y, 1, 2), query.shape())));
}

void MultiHeadAttention::members(Visitor& visit) const {
  visit("q_proj", q_proj);
  visit("k_proj", k_proj);
  visit("v_proj", v_proj);
  visit("out_proj", out_proj);
  visit("dropout", dropout);
}

}  // namespace gradus::nn
