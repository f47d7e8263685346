// Recognizes files of the wrong kind: a packed download, another program's weights, the pointer that Git LFS leaves in
// place of a large file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gradus {
#pragma GCC visibility push(default)

/// How much of a file file_kind() needs to see: its beginning.
inline constexpr std::size_t file_kind_bytes = 4096;

/// Says from a file's beginning what it is and what to do: "it is packed with gzip; unpack it with gunzip". Empty if it
/// knows no such kind, as of plain text.
std::string file_kind(std::string_view beginning);

/// Whether it is at least one line and every byte is a byte of text.
bool is_plain_text(std::string_view beginning);

/// Whether it is the beginning of a safetensors file.
bool is_safetensors(std::string_view beginning);

#pragma GCC visibility pop
}  // namespace gradus
