// Fingerprints of the text that a model learned from, which tell whether a text is the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gradus::models {
#pragma GCC visibility push(default)

/// A hash as a short text: almost surely different for different texts.
std::string fingerprint(std::string_view text);

/// A hash of normalized text: two files have the same one if they differ only in what Tokenizer::normalize() removes
/// (for a CharTokenizer line ends, byte order marks and Unicode composition). It equals no fingerprint().
class TextIdentity {
 public:
  /// The next document, or the whole of a running text; as Tokenizer::normalize() gives it.
  void add(std::string_view text);
  std::string text() const;
  /// Whether a text is one that text() gave, not one of fingerprint().
  static bool made(std::string_view text);

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;  // FNV-1a's first
};

#pragma GCC visibility pop
}  // namespace gradus::models
