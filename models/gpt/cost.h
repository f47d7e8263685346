// What a GPT costs: arithmetic and memory, from its configuration alone.
#pragma once

#include <gradus/models/gpt/gpt.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Floating-point operations and bytes.
struct Cost {
  double forward_flops;   // a token: two for each weight it meets, and attention over half the context on average
  double training_flops;  // forward and twice that backward
  double weights;         // bytes; gradients and AdamW's two moments are as many again, each
  double cache;           // bytes: keys and values of one sequence of block_size tokens
  double activations;     // bytes that a step keeps for its gradients
  // Bytes that a training takes: weights, gradients and moments, a step with what it keeps and what comes and goes,
  // measuring beside it, and what lies unused in between; without the data. In trainings of 0.1 to 6.4 million
  // parameters from 12 % less to 15 % more than measured; more where little is held out, since judging then takes less.
  double training;
};

/// `batch_tokens` tokens go through the model at once; `ragged`: not always as many, as with documents.
Cost cost_of(const GPTConfig& config, DType dtype, Index batch_tokens, bool ragged = false);

/// How many tokens evaluate() has go through the model at once.
Index judged_tokens(const GPTConfig& config);

#pragma GCC visibility pop
}  // namespace gradus::models
