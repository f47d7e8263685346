// CharTokenizer: a token for each Unicode code point that the training text uses, in the order of their code points,
// and one more for the boundary between documents.
#pragma once

#include <array>

#include <gradus/models/text/tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// A token for each character of the composed (NFC) text.
class CharTokenizer : public Tokenizer {
 public:
  static constexpr const char* type = "characters";  // in tokenizer.json

  /// The characters of a running text; no boundary token.
  static CharTokenizer from_text(std::string_view text, const Progress& progress = {});
  /// The characters of all documents, and a boundary token that begins and ends each of them, as in microgpt.py.
  static CharTokenizer from_documents(std::span<const std::string> documents);

  /// Any characters in any order; those that are there twice count once.
  CharTokenizer(std::u32string characters, bool boundary);

  /// The characters, and the boundary if it has one: its token is the number of characters.
  Index vocab_size() const override { return static_cast<Index>(characters_.size()) + (boundary_ ? 1 : 0); }
  std::optional<std::int32_t> boundary_token() const override;
  const std::u32string& characters() const { return characters_; }

  std::string decode(std::span<const std::int32_t> tokens) const override;

  /// {"type": "characters", "normalization": "NFC", "boundary": true, "characters": ["a", "b", ..]}.
  std::string to_json() const override;
  /// Throws Error, with `name`, for anything that to_json() could not have written.
  static CharTokenizer from_json(std::string_view json, std::string_view name = "tokenizer.json");
  static CharTokenizer load(const std::filesystem::path& path);

 private:
  // Throws Error for text that is not UTF-8 and for a character that has no token.
  void add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                  const Progress& progress) const override;
  std::string normalized(std::string_view text, std::string_view name) const override;
  // Replaces by the first of U+FFFD, '?' and ' ' that has a token; throws Error when none of them has.
  Fitted fitted(std::string_view text, Unknown unknown, std::string_view name) const override;
  std::int32_t token_of(char32_t c) const;  // -1: there is none

  std::u32string characters_;  // sorted: the token of a character is its place
  bool boundary_;
  static constexpr std::size_t ascii = 128;
  std::array<std::int32_t, ascii> ascii_tokens_{};  // token_of() of ASCII characters, as a table
};

#pragma GCC visibility pop
}  // namespace gradus::models
