// GPT-2's spelling of bytes: vocabulary files hold text, so each byte has a visible character, its own where it has one
// and U+0100 and on where it has none. A space is "Ġ" (U+0120).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gradus::models::detail {

inline constexpr std::size_t byte_values = 256;

/// The bytes in the order of their characters, which is the order of the first tokens of a GPT-2 vocabulary.
const std::array<unsigned char, byte_values>& bytes_in_order();

/// The spelling of bytes, and back; nothing for a text with a character that stands for no byte.
std::string spelled(std::string_view bytes);
std::optional<std::string> unspelled(std::string_view text);

}  // namespace gradus::models::detail
