// The fields of GPTConfig. to_json, from_json, validate and the command line's checks of sizes walk this list, so a new
// field is a member and a line here.
#pragma once

#include <optional>
#include <vector>

#include <gradus/models/detail/setting_range.h>
#include <gradus/models/gpt/gpt.h>

namespace gradus::models::detail {

template <class T>
struct ConfigField {
  const char* name;              // in JSON
  Range range = {};              // of numbers
  std::optional<T> before = {};  // the value in older files, which lack the field; empty: it is required
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Calls f(member, ConfigField of its type) for each.
template <class Config, class F>
void for_each_field(Config& config, const F& f) {
  constexpr double most_tokens = 1 << 24, most_width = 1 << 20;
  f(config.vocab_size, {"vocab_size", {1, most_tokens}});
  f(config.block_size, {"block_size", {1, most_tokens}});
  f(config.n_layer, {"n_layer", {1, 10'000}});
  f(config.n_head, {"n_head", {1, most_width}});
  f(config.n_embd, {"n_embd", {1, most_width}});
  f(config.dropout, {"dropout", {.low = 0, .high = 1, .high_itself = false}});
  f(config.bias, {"bias"});
  f(config.norm, {"norm"});
  f(config.norm_gain, {"norm_gain"});
  f(config.activation, {"activation"});
  f(config.tie_weights, {"tie_weights"});
  f(config.embedding_norm, {"embedding_norm"});
  f(config.final_norm, {"final_norm"});
  f(config.init_std, {"init_std", {.low = 0}});
  f(config.scale_residual, {"scale_residual"});
  f(config.attn_dropout, {"attn_dropout", {.low = 0, .high = 1, .high_itself = false}, 0});
  f(config.checkpoint_activations, {"checkpoint_activations", {}, false});
  f(config.n_inner, {"n_inner", {.low = 0, .high = 4 * most_width, .meaning = " (0: four times n_embd)"}, 0});
  f(config.norm_eps, {"norm_eps", {.low = 0, .high = 1}, 1e-5});
  f(config.embd_dropout, {"embd_dropout", {.low = 0, .high = 1, .high_itself = false}, std::optional<double>()});
  f(config.lora_rank, {"lora_rank", {.low = 0, .high = most_width, .meaning = " (0: none)"}, 0});
  f(config.lora_alpha, {"lora_alpha", {.low = 0, .low_itself = false}, 16});
  f(config.head_size, {"head_size", {.low = 0, .high = most_width, .meaning = " (0: n_embd / n_head)"}, 0});
  f(config.residual, {"residual", {}, true});
  f(config.activation_coefficients, {"activation_coefficients", {}, std::vector<double>()});
}

}  // namespace gradus::models::detail
