// CausalSelfAttention, GPT-2's, which also takes documents packed one after another; and MultiHeadAttention, the
// general form for self and cross attention. B batch, T queries, S keys, C width, H heads, D = C / H.
#pragma once

#include <span>

#include <gradus/core/ops/cached_attention.h>
#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/layers/linear.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

struct CausalSelfAttentionOptions {
  bool bias = true;
  double dropout = 0;  // on the output; the attention weights are never stored, so there is nothing to drop from
  DType dtype = DType::f32;
};

/// Causal self-attention: a token attends to itself and to earlier ones (Radford et al. 2019). Throws Error unless
/// n_embd is a multiple of n_head.
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
  Tensor operator()(const Tensor& x, std::span<const Index> lengths, std::span<KeyValues* const> caches) const;
  void members(Visitor& visit) const override;

  Linear c_attn;  // C -> 3 C: queries, keys and values at once
  Linear c_proj;  // C -> C
  Dropout dropout;

 private:
  Index n_head_;
};

struct MultiHeadAttentionOptions {
  bool bias = true;
  bool causal = false;
  double dropout = 0;  // on the output
  Index kv_dim = 0;    // width of the memory; 0: n_embd
  DType dtype = DType::f32;
};

/// Vaswani et al. 2017, section 3.2.2. Throws Error unless n_embd is a multiple of n_head.
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
  Tensor operator()(const Tensor& query, const Tensor& memory) const;
  void members(Visitor& visit) const override;

  Linear q_proj, k_proj, v_proj, out_proj;
  Dropout dropout;

 private:
  Tensor split_heads(const Tensor& x) const;

  Index n_head_;
  bool causal_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
