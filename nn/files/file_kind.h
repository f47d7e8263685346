// Recognizes files of the wrong kind: a packed download, another program's weights, the pointer that Git LFS leaves in
// place of a large file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gradus {
#pragma GCC visibility push(default)

/// How many bytes at a file's beginning file_kind() looks at.
inline constexpr std::size_t file_kind_bytes = 4096;

/// Says of a file of the wrong kind what it is and what to do: "it is packed with gzip; unpack it with gunzip". Empty
/// for UTF-8 text and for formats it does not know.
std::string file_kind(std::string_view beginning);

/// True if there is a line end and no control character besides tab, CR and LF.
bool is_plain_text(std::string_view beginning);

/// Whether it is the beginning of a safetensors file.
bool is_safetensors(std::string_view beginning);

#pragma GCC visibility pop
}  // namespace gradus
