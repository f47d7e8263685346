// A trained model for another vocabulary or a shorter context, from which fine-tuning begins.
#pragma once

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// A model of `config` for the tokenizer `to`, with the weights of `model`, whose tokenizer is `from`. Tokens that both
/// have keep their rows in embedding and head. New tokens begin as in a new model, drawn from the default generator.
/// Positions from config.block_size on are left out. Throws Error for a configuration that differs in more than
/// vocab_size, block_size, dropouts and checkpoint_activations, and for a larger block_size.
GPT adapt(const GPT& model, const Tokenizer& from, const GPTConfig& config, const Tokenizer& to);

/// The model without the tokens from `vocab_size` on: some have more rows than their tokenizer has tokens, so that
/// matrices have round sizes. Throws Error unless vocab_size is from 1 to the model's.
GPT cut_vocabulary(const GPT& model, Index vocab_size);

#pragma GCC visibility pop
}  // namespace gradus::models
