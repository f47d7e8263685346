// New text from a GPT, a token at a time: greedy, or drawn with temperature, top-k and top-p.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/random.h>
#include <gradus/models/gpt.h>
#include <gradus/models/tokenizer.h>

namespace gradus::models {

struct GenerateOptions {
  Index max_tokens = 256;
  double temperature = 1;                 // below 1 safer, above 1 wilder; 0 always takes the likeliest token
  Index top_k = 0;                        // draw from the k likeliest tokens only; 0: from all
  double top_p = 1;                       // draw from the likeliest tokens that together have at least this probability
  std::uint64_t seed = 42;                // the i-th of several samples is drawn with seed + i
  std::optional<std::int32_t> stop = {};  // ends a sample when drawn, and is not part of it

  /// Throws Error that says which value is out of its range.
  void validate() const;
};

/// Draws a token from one row of logits. Temperature comes first, then top-k, then top-p; among equals the lower token
/// wins. Throws Error when a logit is NaN or +infinity, or all are -infinity.
std::int32_t sample_token(std::span<const float> logits, const GenerateOptions& options, Generator& generator);
std::int32_t sample_token(std::span<const double> logits, const GenerateOptions& options, Generator& generator);

/// What follows each prompt (not the prompt itself). Prompts may differ in length but not be empty; a context longer
/// than block_size slides: only the last block_size tokens are seen. Runs in eval mode and records nothing.
std::vector<std::vector<std::int32_t>> generate(GPT& model, std::span<const std::vector<std::int32_t>> prompts,
                                                const GenerateOptions& options = {});
std::vector<std::int32_t> generate(GPT& model, std::span<const std::int32_t> prompt,
                                   const GenerateOptions& options = {});

/// `count` texts that begin with `prompt`, which is part of them. With a boundary token each is a document of its own
/// that ends where the model ends it; without, an empty prompt stands for a line break, or for the first character of
/// the vocabulary if there is none, and is not shown.
std::vector<std::string> generate(GPT& model, const CharTokenizer& tokenizer, std::string_view prompt, Index count,
                                  const GenerateOptions& options = {});

}  // namespace gradus::models
