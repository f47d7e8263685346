// What a GPT costs: arithmetic and memory, from its configuration alone.
#pragma once

#include <gradus/models/gpt/gpt.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Floating-point operations and bytes.
struct Cost {
  double forward_flops;  // a token: two for each weight it meets, and attention over half the context on average
  // Forward and backward, which costs twice the forward; with checkpoint_activations the blocks run forward twice.
  double training_flops;
  double weights;      // bytes; gradients and each of AdamW's two moments take as many again
  double cache;        // bytes: keys and values of one sequence of block_size tokens
  double activations;  // bytes that a step keeps for its gradients, at its peak
  // Peak memory of training in bytes: weights, gradients, moments, activations and temporaries, evaluation, and unused
  // memory of the pool; not the data. For 0.1 to 6.4 million parameters this is 12 % below to 15 % above the measured
  // peak. With a small held-out part it is further above.
  double training;
};

/// `batch_tokens` tokens go through the model at once; `ragged`: their number varies from batch to batch, as with
/// documents. `trained_blocks`: as GPT::train_last() has it; 0: everything is trained.
Cost cost_of(const GPTConfig& config, DType dtype, Index batch_tokens, bool ragged = false, Index trained_blocks = 0);

/// The most tokens that evaluate() packs into one batch; a longer sequence is a batch by itself.
Index judged_tokens(const GPTConfig& config);

#pragma GCC visibility pop
}  // namespace gradus::models
