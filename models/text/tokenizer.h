// CharTokenizer: a token for each Unicode code point that the training text uses, in the order of their code points,
// and one more for the boundary between documents.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/shape.h>
#include <gradus/models/text/text.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// What becomes of characters that a tokenizer has no token for.
enum class Unknown { refuse, skip, replace };

/// A text that a tokenizer can read, and what was changed for that.
struct Fitted {
  std::string text;
  Index changed = 0;            // how many characters were left out or replaced,
  std::u32string unknown = {};  // and which, sorted
};

/// Text to tokens and back, a token for each character.
class CharTokenizer {
 public:
  /// The characters of a running text; no boundary token.
  static CharTokenizer from_text(std::string_view text, const Progress& progress = {});
  /// The characters of all documents, and a boundary token that begins and ends each of them, as in microgpt.py.
  static CharTokenizer from_documents(std::span<const std::string> documents);

  /// Any characters in any order; those that are there twice count once.
  CharTokenizer(std::u32string characters, bool boundary);

  /// How many different tokens there are: the characters, and the boundary if it has one.
  Index vocab_size() const { return static_cast<Index>(characters_.size()) + (boundary_ ? 1 : 0); }
  const std::u32string& characters() const { return characters_; }
  bool has_boundary() const { return boundary_; }
  /// The boundary's token, which is the number of characters. Throws Error when there is none.
  std::int32_t boundary() const;

  /// One token a code point of the composed (NFC) text. Throws Error for text that is not UTF-8 and for a character
  /// that has no token; `name` stands in the error.
  std::vector<std::int32_t> encode(std::string_view text, std::string_view name = "text") const;
  /// The same behind what `tokens` holds.
  void encode(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
              const Progress& progress = {}) const;
  /// The composed text with every character that has no token left out, or replaced by the first of U+FFFD, '?' and ' '
  /// that has one; unknown must not be refuse. Throws Error when none of them has.
  Fitted fit(std::string_view text, Unknown unknown, std::string_view name = "text") const;
  /// The text of tokens; a boundary reads as a line break, since documents stand one a line. Throws Error for a token
  /// that is not in the vocabulary.
  std::string decode(std::span<const std::int32_t> tokens) const;

  /// tokenizer.json: {"type": "characters", "normalization": "NFC", "boundary": true, "characters": ["a", "b", ..]}.
  std::string to_json() const;
  /// Throws Error, with `name`, for anything that to_json() could not have written.
  static CharTokenizer from_json(std::string_view json, std::string_view name = "tokenizer.json");
  void save(const std::filesystem::path& path) const;
  static CharTokenizer load(const std::filesystem::path& path);

  friend bool operator==(const CharTokenizer&, const CharTokenizer&) = default;

 private:
  std::int32_t token_of(char32_t c) const;  // -1: there is none

  std::u32string characters_;  // sorted: the token of a character is its place
  bool boundary_;
  static constexpr std::size_t ascii = 128;
  std::array<std::int32_t, ascii> ascii_tokens_{};  // what most texts mostly ask for, as token_of()
};

#pragma GCC visibility pop
}  // namespace gradus::models
