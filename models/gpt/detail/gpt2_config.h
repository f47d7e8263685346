// config.json of a GPT-2 as Hugging Face's transformers has it (GPT2Config), to GPTConfig and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/models/detail/json.h>
#include <gradus/models/gpt/gpt.h>

namespace gradus::models::detail {

struct GPT2Config {
  GPTConfig model;
  std::vector<std::string> warnings;  // sentences
};

/// Whether the object is such a config.json, of a GPT-2 or another model, and not that of a run folder.
bool is_transformers_config(const Json& object);

/// A field that is absent has transformers' default. Throws Error, with `name`, for another kind of model and for a
/// field that changes the result in a way that a GPT here cannot.
GPT2Config read_gpt2_config(std::string_view json, std::string_view name);

/// Why there is no GPT-2 with the results of a model of this configuration; empty: there is one.
std::string why_no_gpt2(const GPTConfig& config);

/// `dtype` is PyTorch's name of the numbers' type, `boundary` the token that begins and ends texts.
std::string gpt2_config_json(const GPTConfig& config, std::string_view dtype, std::optional<std::int32_t> boundary);

}  // namespace gradus::models::detail
