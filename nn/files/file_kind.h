// What a file is that is not what was asked for: a download that is packed, another program's weights, the few lines
// that Git keeps in place of a large file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gradus {
#pragma GCC visibility push(default)

/// How much of a file file_kind() needs to see: its beginning.
inline constexpr std::size_t file_kind_bytes = 4096;

/// A sentence without its end for the beginning of a file that is neither plain text in UTF-8 nor safetensors, e.g. "it
/// is packed with gzip; unpack it with gunzip"; empty for whatever it does not know, text included.
std::string file_kind(std::string_view beginning);

/// Whether it is a line or more in which all bytes are those of text.
bool is_plain_text(std::string_view beginning);

/// Whether it is the beginning of a safetensors file.
bool is_safetensors(std::string_view beginning);

#pragma GCC visibility pop
}  // namespace gradus
