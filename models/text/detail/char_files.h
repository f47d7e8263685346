// A character tokenizer in a tokenizer.json of Hugging Face's tokenizers: a BPE without merges, whose pieces are then
// single characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <gradus/models/text/char_tokenizer.h>

namespace gradus::models::detail {

std::string tokenizer_json(const CharTokenizer& tokenizer);
/// What tokenizer_json() made; nothing for anything else.
std::optional<CharTokenizer> characters_from_tokenizer_json(std::string_view json, std::string_view name);

}  // namespace gradus::models::detail
