// AnyTokenizer: a tokenizer of whichever kind, to be copied and kept like a value, and read from its file.
#pragma once

#include <concepts>
#include <memory>
#include <tuple>
#include <type_traits>

#include <gradus/models/text/bpe_tokenizer.h>
#include <gradus/models/text/byte_tokenizer.h>
#include <gradus/models/text/char_tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Every kind that a file may name. A kind has `type`, the name, and from_json().
using TokenizerKinds = std::tuple<CharTokenizer, ByteTokenizer, BPETokenizer>;

/// Copies share the tokenizer, which never changes.
class AnyTokenizer final : public Tokenizer {
 public:
  /// Converts from any tokenizer type.
  template <std::derived_from<Tokenizer> Kind>
  requires(!std::is_abstract_v<Kind> && !std::same_as<Kind, AnyTokenizer>)
      AnyTokenizer(Kind tokenizer)  // NOLINT(google-explicit-constructor)
      : held_(std::make_shared<const Kind>(std::move(tokenizer))) {}

  Index vocab_size() const override { return held_->vocab_size(); }
  std::optional<std::int32_t> boundary_token() const override { return held_->boundary_token(); }
  std::optional<std::int32_t> end_token() const override { return held_->end_token(); }
  /// The same tokens for documents, with a boundary, or for running text, without one. A tokenizer of no kind above
  /// stays as it is.
  AnyTokenizer with_boundary(bool boundary) const;
  std::string decode(std::span<const std::int32_t> tokens) const override { return held_->decode(tokens); }
  std::string to_json() const override { return held_->to_json(); }

  /// The tokenizer as a `Kind`, or null if it is of another type.
  template <class Kind>
  const Kind* as() const {
    return dynamic_cast<const Kind*>(held_.get());
  }
  /// For programs that know characters only. Throws Error where it is of another kind.
  operator const CharTokenizer&() const;  // NOLINT(google-explicit-constructor)

  /// Reads what to_json() of any kind wrote. Throws Error, with `name`, for anything else.
  static AnyTokenizer from_json(std::string_view json, std::string_view name = "tokenizer.json");
  /// The same from a file, or whatever BPETokenizer::load() reads: a folder with a tokenizer in it, or one of its
  /// files.
  static AnyTokenizer load(const std::filesystem::path& path);

 private:
  void add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                  const Progress& progress) const override {
    held_->encode(text, name, tokens, progress);
  }
  std::string normalized(std::string_view text, std::string_view name) const override {
    return held_->normalize(text, name);
  }
  Fitted fitted(std::string_view text, Unknown unknown, std::string_view name) const override {
    return held_->fit(text, unknown, name);
  }

  std::shared_ptr<const Tokenizer> held_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
