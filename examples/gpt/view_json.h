// Numbers and texts as the page of `gpt view` reads them: short, and large arrays packed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <gradus/core/tensor.h>
#include <gradus/models/detail/json.h>
#include <gradus/models/text/tokenizer.h>

namespace gpt {

using Json = gradus::models::detail::Json;

/// Rounded to so many digits; null where it is not finite.
Json number(double x, int digits = 5);
Json numbers(std::span<const double> values, int digits = 5);

/// {"f16": the numbers in base64, little-endian, "shape": [..]}
Json packed(std::span<const double> values, std::vector<gradus::Index> shape);

/// What a token looks like: its text, and "\u23ce" (a return key's sign) for the boundary of documents.
std::string piece_of(const gradus::models::Tokenizer& tokenizer, std::int32_t id);
Json pieces_of(const gradus::models::Tokenizer& tokenizer, std::span<const std::int32_t> ids);

/// A sentence in both languages.
Json told(const std::string& english, const std::string& korean);

}  // namespace gpt
