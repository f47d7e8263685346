// New text from a GPT, a token at a time, with the keys and values of earlier tokens kept.
//
// A context that has filled block_size slides: its oldest quarter is let go (at least one token) and the rest read anew
// at positions from 0, so that the model always sees the last three quarters or more, and each token
// costs the work of about three more. A prompt longer than block_size begins with its last block_size tokens.
#pragma once

#include <functional>
#include <string_view>

#include <gradus/models/generate/sampling.h>
#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// A token of a sample that generate() has just drawn.
struct Drawn {
  std::size_t sample;
  std::int32_t token;
  const Tensor& logits;  // what it was drawn from is row `row`, before penalty and temperature
  Index row;

  /// The model's `count` likeliest tokens here, and the one drawn where it is not among them.
  std::vector<Likely> likeliest(std::size_t count) const;
};

/// Told of every token that is drawn, the one that stops a sample included; false ends the sample with this token.
using OnToken = std::function<bool(const Drawn&)>;

/// What follows each prompt (not the prompt itself). Prompts may differ in length but not be empty. Runs in eval mode
/// and records nothing. The cache changes logits by less than 1e-4 (f32) or 1e-12 (f64) of the largest one, so the
/// drawn tokens are the same unless a draw falls that close to the border between two. (In a model narrowed to whole
/// numbers such a difference may grow, where it turns a number into its neighbour.)
std::vector<std::vector<std::int32_t>> generate(GPT& model, std::span<const std::vector<std::int32_t>> prompts,
                                                const GenerateOptions& options = {}, const OnToken& on_token = {});
std::vector<std::int32_t> generate(GPT& model, std::span<const std::int32_t> prompt,
                                   const GenerateOptions& options = {});

/// Told of every piece of a text as it comes: `sample` counts from 0. A piece has whole characters only.
using OnText = std::function<void(std::size_t sample, std::string_view piece)>;

/// `count` texts that start with the normalized prompt. A text ends where the model draws the tokenizer's
/// end_token(), unless options.stop is another token. Documents start from the boundary. Of running text only an empty
/// prompt has a start of its own: the end token, else a line break, else token 0. That start is not part of the text.
/// Bytes that make no character, which byte tokens may give, become U+FFFD.
std::vector<std::string> generate(GPT& model, const Tokenizer& tokenizer, std::string_view prompt, Index count,
                                  const GenerateOptions& options = {}, const OnText& on_text = {},
                                  const OnToken& on_token = {});

#pragma GCC visibility pop
}  // namespace gradus::models
