// How the next token is drawn from a row of logits: greedy, or with a temperature, from all tokens or a part of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gradus/core/runtime/random.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// How text is drawn, and when it ends.
struct GenerateOptions {
  Index max_tokens = 256;
  double temperature = 1;  // divides the logits: below 1 likely tokens are drawn more often; 0: always the likeliest
  Index top_k = 0;         // draw from the k likeliest tokens only; 0: from all
  double top_p = 1;        // draw from the likeliest tokens that together have at least this probability
  double min_p = 0;        // leave out tokens below this times the likeliest one's probability
  double repetition_penalty = 1;          // above 1: tokens that stand in the context become less likely
  std::uint64_t seed = 42;                // of the first of several samples; see sample_seed()
  std::optional<std::int32_t> stop = {};  // ends a sample when drawn, and is not part of it
  std::string stop_text = {};             // a text ends before the first occurrence of this
  bool use_cache = true;                  // keep keys and values; without, every token costs a pass over the context

  /// Throws Error that says which value is out of its range.
  void validate() const;
};

/// The seed of the i-th of several samples that are drawn with `seed`: `seed` XOR a hash of i of 32 bits, which is 0
/// for the first sample. So seed + 1 does not give the same samples shifted by one. No two of the first 2^32 are the
/// same.
std::uint64_t sample_seed(std::uint64_t seed, std::uint64_t i);

/// Draws a token from one row of logits. In this order: the logits of tokens in `seen`, `stop` aside, are divided by
/// the repetition penalty, or multiplied with it when negative (Keskar et al. 2019, section 4.1); temperature; top-k;
/// top-p (Holtzman et al. 2020); min-p (Nguyen et al. 2024). Each of the last three looks at what the one before left,
/// and among equals the lower token wins. Throws Error when a logit is NaN or +infinity, or all are -infinity.
std::int32_t sample_token(std::span<const float> logits, const GenerateOptions& options, Generator& generator,
                          std::span<const std::int32_t> seen = {});
std::int32_t sample_token(std::span<const double> logits, const GenerateOptions& options, Generator& generator,
                          std::span<const std::int32_t> seen = {});

/// A token and how likely it is.
struct Likely {
  std::int32_t token;
  double probability;
};

/// The `count` likeliest tokens by softmax of the logits alone, likeliest first, and then `token` where it is not among
/// them. Throws Error as sample_token does.
std::vector<Likely> likeliest_tokens(std::span<const float> logits, std::size_t count, std::int32_t token);
std::vector<Likely> likeliest_tokens(std::span<const double> logits, std::size_t count, std::int32_t token);

#pragma GCC visibility pop
}  // namespace gradus::models
