// A trained model for another vocabulary or a shorter context: how fine-tuning begins where these change.
#pragma once

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// The weights of `model`, whose tokens are those of `from`, in a model of `config` for the tokens of `to`: what both
/// tokenizers have keeps its rows in embedding and head, new tokens begin as in a new model, drawn from the default
/// generator, and positions from config.block_size on are left out. Throws Error for a configuration that differs in
/// more than vocab_size, block_size and dropout, and for a larger block_size.
GPT adapt(const GPT& model, const Tokenizer& from, const GPTConfig& config, const Tokenizer& to);

#pragma GCC visibility pop
}  // namespace gradus::models
