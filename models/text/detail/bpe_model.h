// BPEModel: a byte-level vocabulary with its merges, and how a piece of text becomes tokens.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/models/text/detail/bpe_merges.h>
#include <gradus/models/text/detail/byte_symbols.h>

namespace gradus::models::detail {

/// What the files of a tokenizer hold.
struct BPEVocabulary {
  std::vector<std::string> tokens;  // the bytes of each, or the text of a special one
  std::vector<BPEMerge> merges;
  std::vector<Token> special;  // tokens that stand for no text, such as <|endoftext|>; sorted
};

/// The tokens of pieces that were met lately: of bounded size, since a new piece takes the place of an old one. And
/// memory that tokenizing needs again and again.
class BPEWorkspace {
 public:
  static constexpr std::size_t longest_piece = 28, most_tokens = 8;
  struct Entry {
    std::uint8_t size = 0, count = 0;  // bytes of the piece, and its tokens; no piece has 0 bytes
    std::array<char, longest_piece> piece;
    std::array<Token, most_tokens> tokens;
  };

  Entry& entry(std::uint64_t hash) { return entries_[hash % entries]; }

  std::vector<Token> symbols;
  MergeScratch scratch;

 private:
  static constexpr std::size_t entries = 1 << 14;
  std::vector<Entry> entries_ = std::vector<Entry>(entries);
};

/// Never changes. Any number of threads may ask at once.
class BPEModel {
 public:
  /// Throws Error, with `name`, for tokens or merges that cannot be: two alike, empty ones, merges of what is no token,
  /// tokens that no merge makes.
  BPEModel(BPEVocabulary vocabulary, std::string_view name);

  const BPEVocabulary& vocabulary() const { return vocabulary_; }
  /// The token of a byte, or -1.
  Token byte_token(unsigned char byte) const { return byte_tokens_[byte]; }
  bool has_all_bytes() const { return has_all_bytes_; }
  bool is_special(Token token) const;
  /// The special token of this text, or -1.
  Token special_token(std::string_view text) const;

  /// Appends the tokens of a piece. All its bytes have tokens.
  void encode(std::string_view piece, std::vector<Token>& tokens, BPEWorkspace& workspace) const;

  /// A workspace that nobody else uses meanwhile; it goes back by itself.
  class Loan;
  Loan borrow() const;

 private:
  // An entry of a hash table with open addressing: at most half of the places are taken.
  struct Word {
    std::uint32_t hash = 0;
    Token token = -1;
  };

  void check_tokens(std::string_view name);
  void add_merges(std::string_view name);
  void check_parts(std::string_view name) const;
  void add_words();
  Token word(std::string_view piece, std::uint64_t hash) const;
  void merge(std::string_view piece, std::vector<Token>& symbols, MergeScratch& scratch) const;

  BPEVocabulary vocabulary_;
  std::array<Token, byte_values> byte_tokens_{};
  bool has_all_bytes_ = true;
  BPEMerges merges_;
  std::vector<Word> words_;  // pieces that are one token
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<BPEWorkspace>> free_;
};

class BPEModel::Loan {
 public:
  Loan(const BPEModel& model, std::unique_ptr<BPEWorkspace> workspace)
      : model_(model), workspace_(std::move(workspace)) {}
  ~Loan();
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  BPEWorkspace& operator*() const { return *workspace_; }

 private:
  const BPEModel& model_;
  std::unique_ptr<BPEWorkspace> workspace_;
};

}  // namespace gradus::models::detail
