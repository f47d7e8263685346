// ByteTokenizer: a token for each of the 256 bytes, so that every text has tokens, whatever its alphabet.
#pragma once

#include <gradus/models/text/tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// A byte's token is its value. Texts are learned as they are: nothing is composed, and decode(encode(x)) is x.
class ByteTokenizer : public Tokenizer {
 public:
  static constexpr const char* type = "bytes";  // in tokenizer.json

  /// With a boundary it is for documents; the boundary's token is 256.
  explicit ByteTokenizer(bool boundary) : boundary_(boundary) {}

  Index vocab_size() const override { return boundary_ ? bytes + 1 : bytes; }
  std::optional<std::int32_t> boundary_token() const override;
  std::string decode(std::span<const std::int32_t> tokens) const override;

  /// {"type": "bytes", "boundary": true}.
  std::string to_json() const override;
  /// Throws Error, with `name`, for anything that to_json() could not have written.
  static ByteTokenizer from_json(std::string_view json, std::string_view name = "tokenizer.json");

 private:
  static constexpr std::int32_t bytes = 256;

  void add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                  const Progress& progress) const override;

  bool boundary_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
