// Tokenizer: text to tokens and back, what every kind can do. A kind has a file of its own (char_tokenizer.h,
// byte_tokenizer.h) and a place in TokenizerKinds (any_tokenizer.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
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

/// Text to tokens and back. Two tokenizers are equal if they are saved as the same text.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// How many different tokens there are, the boundary included.
  virtual Index vocab_size() const = 0;
  /// The token that begins and ends documents, if there is one.
  virtual std::optional<std::int32_t> boundary_token() const = 0;
  bool has_boundary() const { return boundary_token().has_value(); }
  /// The same; throws Error when there is none.
  std::int32_t boundary() const;
  /// The token that ends a text: the boundary, or one that no text has in it, such as GPT-2's <|endoftext|>.
  virtual std::optional<std::int32_t> end_token() const { return boundary_token(); }

  /// The tokens of a text. Throws Error, with `name`, for a part of it that has no token.
  std::vector<std::int32_t> encode(std::string_view text, std::string_view name = "text") const;
  /// Appends the tokens of a text to `tokens`.
  void encode(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
              const Progress& progress = {}) const {
    add_tokens(text, name, tokens, progress);
  }
  /// The text of tokens: that of each, one after another. A token may stand for a part of a character. A boundary reads
  /// as a line break, since documents stand one a line. Throws Error for a token that is not in the vocabulary.
  virtual std::string decode(std::span<const std::int32_t> tokens) const = 0;

  /// The form of a text that models are trained on. Texts with the same form have the same tokens.
  std::string normalize(std::string_view text, std::string_view name = "text") const { return normalized(text, name); }
  /// The normalized text `text` with every character that has no token skipped or replaced. `unknown` is skip or
  /// replace.
  Fitted fit(std::string_view text, Unknown unknown, std::string_view name = "text") const {
    return fitted(text, unknown, name);
  }

  /// tokenizer.json: an object whose "type" names the kind. AnyTokenizer::from_json() reads it.
  virtual std::string to_json() const = 0;
  void save(const std::filesystem::path& path) const;

  friend bool operator==(const Tokenizer& a, const Tokenizer& b) { return a.to_json() == b.to_json(); }

 protected:
  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = default;
  Tokenizer(Tokenizer&&) = default;
  Tokenizer& operator=(const Tokenizer&) = default;
  Tokenizer& operator=(Tokenizer&&) = default;

  /// Throws Error for a token that is not in the vocabulary.
  void check_token(std::int32_t token) const;

 private:
  virtual void add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                          const Progress& progress) const = 0;
  // By default they leave the text as it is.
  virtual std::string normalized(std::string_view text, std::string_view name) const;
  virtual Fitted fitted(std::string_view text, Unknown unknown, std::string_view name) const;
};

#pragma GCC visibility pop
}  // namespace gradus::models
