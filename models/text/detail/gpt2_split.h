// GPT-2's pattern, which cuts a text into pieces that tokens never reach across:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
#pragma once

#include <cstddef>
#include <string_view>

namespace gradus::models::detail {

/// The length of the piece that `text` begins with; `text` is valid UTF-8 and not empty. Letters (L) and numbers (N)
/// are Unicode's categories as utf8proc knows them, white space (\s) is the property White_Space.
std::size_t gpt2_piece(std::string_view text);

/// The first place from `begin` on where the text can be cut so that both parts have the pieces of the whole: before
/// white space that follows something else. The size of the text if there is none.
std::size_t gpt2_cut(std::string_view text, std::size_t begin);

}  // namespace gradus::models::detail
