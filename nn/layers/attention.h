// CausalSelfAttention, GPT-2's, which also takes documents packed one after another; MultiHeadAttention, the general
// form for self and cross attention; and MultiheadAttention (small h), PyTorch's module, whose weights load into it.
// B batch, T queries, S keys, C width, H heads, D = C / H.
#pragma once

#include <span>

#include <gradus/core/ops/cached_attention.h>
#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/layers/linear.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct CausalSelfAttentionOptions {
  bool bias = true;
  double dropout = 0;  // on the output
  DType dtype = DType::f32;
  double attn_dropout = 0;  // on the attention weights, which are stored for it: slower, and O(T^2) memory
  Index head_size = 0;      // width of a head; 0: n_embd / n_head
};

/// Causal self-attention: a token attends to itself and to earlier ones (Radford et al. 2019). A = n_head head_size
/// is the width of all heads. Throws Error unless n_embd is a multiple of n_head, or head_size says a width.
struct CausalSelfAttention : Layer {
  CausalSelfAttention(Index n_embd, Index n_head, CausalSelfAttentionOptions options = {});
  template <std::same_as<bool> B>
  CausalSelfAttention(Index n_embd, Index n_head, B) : CausalSelfAttention(n_embd, n_head) {
    static_assert(!std::same_as<B, B>, "CausalSelfAttention: which option is it? write {.bias = false}");
  }
  /// Sequences of one length: (B, T, C) -> (B, T, C), or one sequence (T, C) -> (T, C).
  Tensor operator()(const Tensor& x) const override;
  /// Documents one after another, lengths[i] tokens in the i-th, each attending only to itself: (N, C) -> (N, C).
  Tensor operator()(const Tensor& x, std::span<const Index> lengths) const;
  /// The same for documents that continue, with one cache per document and without gradients: see cached_attention().
  /// Attention weights are not dropped.
  Tensor operator()(const Tensor& x, std::span<const Index> lengths, std::span<KeyValues* const> caches) const;
  void members(Visitor& visit) const override;

  Linear c_attn;  // C -> 3 A: queries, keys and values at once
  Linear c_proj;  // A -> C
  Dropout dropout;

 private:
  Index n_head_;
  double attn_dropout_;
};

/// Which keys a query must not see, and what is added to its scores; each may be left out. Boolean masks are numbers, 1
/// for PyTorch's True and 0 for False. triu(ones({T, T}), 1) as attn_mask hides later tokens. A query that sees no key
/// gets the projection of zeros.
struct AttentionMasks {
  // (T, S) or (B H, T, S): 1 hides the key from the query. In scaled_dot_product_attention 1 shows it. Both are as in
  // PyTorch.
  Tensor attn_mask = {};
  Tensor attn_bias = {};         // the same shapes, added to the scores: PyTorch's attn_mask of numbers
  Tensor key_padding_mask = {};  // (B, S): 1 hides the key from all queries of its sequence
};

struct MultiHeadAttentionOptions {
  bool bias = true;
  bool causal = false;
  double dropout = 0;  // on the output
  Index kv_dim = 0;    // width of the memory; 0: n_embd
  DType dtype = DType::f32;
  double attn_dropout = 0;  // on the attention weights, which are stored for it
  Index n_kv_heads = 0;     // heads of keys and values, each for n_head / n_kv_heads of queries; 0: n_head
};

/// Vaswani et al. 2017, section 3.2.2. With n_kv_heads < n_head grouped-query attention (Ainslie et al. 2023), with
/// n_kv_heads = 1 multi-query attention (Shazeer 2019). Throws Error unless n_embd is a multiple of n_head and n_head
/// of n_kv_heads.
struct MultiHeadAttention : Layer {
  MultiHeadAttention(Index n_embd, Index n_head, MultiHeadAttentionOptions options = {});
  template <std::same_as<bool> B>
  MultiHeadAttention(Index n_embd, Index n_head, B) : MultiHeadAttention(n_embd, n_head) {
    static_assert(!std::same_as<B, B>,
                  "MultiHeadAttention: PyTorch's third argument is dropout; write {.bias = false}");
  }
  /// Self-attention: (B, T, C) -> (B, T, C).
  Tensor operator()(const Tensor& x) const override { return (*this)(x, x); }
  /// Cross attention: query (B, T, C), memory (B, S, kv_dim) -> (B, T, C). When causal, query i sees memory 0 .. i + S
  /// - T.
  Tensor operator()(const Tensor& query, const Tensor& memory, const AttentionMasks& masks = {}) const;
  void members(Visitor& visit) const override;

  Linear q_proj, k_proj, v_proj, out_proj;  // k_proj and v_proj: kv_dim -> n_kv_heads D
  Dropout dropout;

 private:
  Index n_head_, n_kv_heads_;
  double attn_dropout_;
  bool causal_;
};

struct MultiheadAttentionOptions {
  double dropout = 0;  // on the attention weights, which are stored for it
  bool bias = true;
  DType dtype = DType::f32;
};

/// PyTorch's nn.MultiheadAttention with batch_first=True and without the second result, the weights. Parameters have
/// its names, shapes, order and initial values for a seed: in_proj_weight, in_proj_bias, out_proj.weight,
/// out_proj.bias. Throws Error unless embed_dim is a multiple of num_heads.
struct MultiheadAttention : Layer {
  MultiheadAttention(Index embed_dim, Index num_heads, MultiheadAttentionOptions options = {});
  template <std::same_as<bool> B>
  MultiheadAttention(Index embed_dim, Index num_heads, B) : MultiheadAttention(embed_dim, num_heads) {
    static_assert(!std::same_as<B, B>,
                  "MultiheadAttention: PyTorch's third argument is dropout; write {.bias = false}");
  }
  /// Self-attention: (B, T, C) -> (B, T, C).
  Tensor operator()(const Tensor& x) const override { return (*this)(x, x, x); }
  /// query (B, T, C), key and value (B, S, C) -> (B, T, C)
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                    const AttentionMasks& masks = {}) const;
  void members(Visitor& visit) const override;

  Tensor in_proj_weight;  // (3 C, C): queries, keys, values
  Tensor in_proj_bias;    // (3 C), or undefined
  Linear out_proj;

 private:
  Index num_heads_;
  double dropout_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
