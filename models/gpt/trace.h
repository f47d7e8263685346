// Trace: a GPT's forward pass with everything that lies between its parts, to look at. It calls the model's own modules
// in the model's own order, so the logits have the same bits.  N packed tokens, T tokens of one sequence, C width, H
// heads, V vocabulary
#pragma once

#include <span>
#include <vector>

#include <gradus/models/gpt/gpt.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// What went through one block.
struct BlockTrace {
  Tensor before;  // (N, C): what the block reads, the residual stream
  Tensor normed;  // (N, C): ln_1 of it, which attention reads
  Tensor attn;    // (N, C): what attention adds to the stream
  Tensor hidden;  // (N, hidden): the MLP's hidden layer before its activation
  Tensor fired;   // (N, hidden): after it
  Tensor mlp;     // (N, C): what the MLP adds to the stream
};

struct Trace {
  std::vector<BlockTrace> blocks;
  Tensor after;   // (N, C): the stream behind the last block
  Tensor logits;  // (N, V)

  /// The stream before block `i`, or behind the last one.
  const Tensor& stream(std::size_t i) const { return i < blocks.size() ? blocks[i].before : after; }
};

/// Sequences one after another, lengths[i] tokens in the i-th; in evaluation mode and without gradients. Throws Error
/// as the model does.
Trace trace(const GPT& model, std::span<const std::int32_t> tokens, std::span<const Index> lengths);
/// The same for one sequence.
Trace trace(const GPT& model, std::span<const std::int32_t> tokens);

/// How much each token of one sequence attends to which: softmax(q k^T / sqrt(D)) over the tokens up to itself.
/// `normed` is a block's (T, C) -> (H, T, T), zeros above the diagonal.
Tensor attention_weights(const Block& block, Index n_head, const Tensor& normed);

/// The logits that the head would give for a residual stream in between (nostalgebraist 2020, "the logit lens"):
/// (N, C) -> (N, V).
Tensor lens(const GPT& model, const Tensor& stream);

#pragma GCC visibility pop
}  // namespace gradus::models
