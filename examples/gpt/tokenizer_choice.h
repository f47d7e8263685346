// What a token is, as --tokenizer says it: "characters", "bytes", "bpe:1000", or the files of a tokenizer.
#pragma once

#include <string>

#include <gradus/models/text/any_tokenizer.h>

#include "data.h"

namespace gpt {

/// The choice as it is valid in any folder. Throws UsageError for a word that is none and names no file or folder.
std::string full_choice(const std::string& choice);

/// The tokenizer of a choice. Pieces are learned from `text`, characters are those of `text` and `held_out`. One from
/// files gets a boundary, or lets go of it, as the format needs it.
gradus::models::AnyTokenizer chosen_tokenizer(const std::string& choice, const Text& text,
                                              const std::optional<Text>& held_out, gradus::models::TextFormat format,
                                              bool quiet);

}  // namespace gpt
