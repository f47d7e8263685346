// Learns byte-level BPE from texts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include <gradus/models/text/detail/bpe_model.h>
#include <gradus/models/text/text.h>

namespace gradus::models::detail {

/// Counts the pieces of texts, then learns from them.
class BPETrainer {
 public:
  /// Throws Error for a text that is not UTF-8.
  void add(std::string_view text, std::string_view name, const Progress& progress = {});
  /// A vocabulary of `size` tokens, at least 256, or of fewer where no two neighbours occur twice;
  /// BPETokenizer::train() says how it is chosen.
  BPEVocabulary learn(Index size, const Progress& progress = {}) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> pieces_;
};

}  // namespace gradus::models::detail
