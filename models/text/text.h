// UTF-8 text on its way in and out: files read whole with errors that name the file, code points in Unicode's composed
// form (NFC), one document per line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/shape.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Told how much of a long work is done, from 0 to 1, often enough to draw it. What it throws ends the work.
using Progress = std::function<void(double done)>;

/// What the lines of a text are: documents of their own, or parts of one running text.
enum class TextFormat { lines, text };

/// "lines" or "text", and the way back; nothing for any other name.
const char* name_of(TextFormat format);
std::optional<TextFormat> text_format(std::string_view name);

/// How many bytes a text may have: an eighth of the free memory, since its tokens take several times as much, and at
/// most 4 GiB.
std::size_t longest_text();

/// The bytes of a file. Throws Error when it is missing, unreadable, a folder, empty, longer than longest_text(), or
/// a device that does not end.
std::string read_file(const std::filesystem::path& path);

/// Throws Error that says what the bytes of a file are, where they are not text: an archive, weights, UTF-16 and more
/// (nn/files/file_kind.h).
void check_is_text(std::string_view bytes, std::string_view name);

/// Writes a file in one move, so that a reader finds the old text or the new one. Throws Error, and leaves an older
/// file as it was, when the disk does not allow it.
void write_text(const std::filesystem::path& path, std::string_view text);

/// Makes the folder, and those it is in, if it is not there. Throws Error that says why not.
void make_folder(const std::filesystem::path& folder);

/// Whether a byte of UTF-8 goes on with a character, and does not begin one.
constexpr bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}
/// How many characters begin in UTF-8 text.
Index characters_in(std::string_view text);

/// The code points of UTF-8 text, composed (Unicode NFC): a Hangul syllable typed as three jamo becomes the one code
/// point that other text uses. Byte order marks (U+FEFF) are dropped, in front and where files were joined. Throws
/// Error with `name`, offset and line of the first byte that is not UTF-8.
std::u32string decode_utf8(std::string_view text, std::string_view name = "text");

std::string encode_utf8(std::u32string_view characters);

/// `text` with U+FFFD for every byte that is no part of a UTF-8 character.
std::string valid_utf8(std::string_view text);

/// How many columns of fixed width a character takes (Unicode Standard Annex 11): 2 for Hangul, Han and most emoji, 0
/// for marks that stand on the character before them and for control characters.
int display_width(char32_t character);

/// `text` as it can stand in one line: control characters (tabs, line breaks, escapes) become spaces,
/// bytes that are not UTF-8 U+FFFD.
std::string printable(std::string_view text);

/// Text for training: composed (NFC), and every line ending "\n": "\r\n" becomes "\n", and so does "\r" if the text has
/// no "\n". `name` stands in errors. Throws Error that says what the bytes are where they are not text.
std::string normalize_text(std::string_view text, std::string_view name = "text", const Progress& progress = {});

/// How lines become documents.
struct SplitOptions {
  bool keep_space = false;  // false: white space at both ends of a line is dropped
  Progress progress = {};
};

/// One document per line, composed; lines end as in normalize_text(), and blank ones are left out. `trimmed` counts the
/// documents that lost white space. Throws Error when none is left.
std::vector<std::string> split_documents(std::string_view text, std::string_view name = "text",
                                         const SplitOptions& options = {}, Index* trimmed = nullptr);

/// `text`, composed, from its first character that is not white space on.
std::string without_leading_space(std::string_view text);

/// A text file through normalize_text or split_documents.
std::string read_text(const std::filesystem::path& path);
std::vector<std::string> read_documents(const std::filesystem::path& path);

#pragma GCC visibility pop
}  // namespace gradus::models
