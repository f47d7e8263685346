// The merges of byte-level BPE (Sennrich, Haddow & Birch 2016, on bytes as in GPT-2), and how symbols become tokens by
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace gradus::models::detail {

using Token = std::int32_t;

/// Two tokens that become one.
struct BPEMerge {
  Token left, right, result;
};

/// Memory that merging needs again and again.
struct MergeScratch {
  std::vector<std::uint32_t> ranks, before, after;
  std::vector<std::uint64_t> heap;
};

/// Merges in their order, which is their rank: where several are possible the first comes first, and of its places the
/// leftmost.
class BPEMerges {
 public:
  /// With room for `most` merges.
  explicit BPEMerges(std::size_t most);

  /// Adds one behind the others. If there is one of these two tokens already it adds nothing and returns its rank.
  std::optional<std::uint32_t> add(const BPEMerge& merge);
  /// Merges `symbols` until no merge is possible.
  void apply(std::vector<Token>& symbols, MergeScratch& scratch) const;

 private:
  // An entry of a hash table with open addressing: at most half of the places are taken.
  struct Pair {
    std::uint64_t tokens = none;  // left << 32 | right
    std::uint32_t rank = 0;
  };
  static constexpr std::uint64_t none = ~std::uint64_t{0};
  static constexpr std::uint32_t no_rank = ~std::uint32_t{0};

  std::size_t place_of(std::uint64_t pair) const;
  std::uint32_t rank(Token left, Token right) const;
  void apply_to_few(std::vector<Token>& symbols, std::vector<std::uint32_t>& ranks) const;
  void apply_to_many(std::vector<Token>& symbols, MergeScratch& scratch) const;

  std::vector<Pair> pairs_;
  std::vector<Token> results_;  // by rank
};

}  // namespace gradus::models::detail
