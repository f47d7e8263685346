// What a GPT costs: arithmetic and memory, from its configuration alone.
#pragma once

#include <gradus/models/gpt.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Floating-point operations and bytes.
struct Cost {
  double forward_flops;   // a token: two for each weight it meets, and attention over half the context on average
  double training_flops;  // forward and twice that backward
  double weights;         // bytes; gradients and AdamW's two moments are as many again, each
  double cache;           // bytes: keys and values of one sequence of block_size tokens
  double activations;     // bytes that a step keeps for its gradients; these come on top, a few at a time
};

Cost cost_of(const GPTConfig& config, DType dtype, Index batch_tokens);

#pragma GCC visibility pop
}  // namespace gradus::models
