// A piece that is a token as a whole is found in a table, one that was met lately in the workspace; others are merged.
#include <gradus/models/text/detail/bpe_model.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_set>

#include <gradus/core/check.h>
#include <gradus/models/text/detail/mixed.h>
#include <gradus/models/text/text.h>

namespace gradus::models::detail {
namespace {

template <class T>
std::uint64_t load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// All bytes, in words that may overlap.
std::uint64_t hash_of(std::string_view piece) {
  const char* const begin = piece.data();
  const std::size_t size = piece.size();
  if (size >= 8) {
    std::uint64_t hash = size;
    for (std::size_t i = 0; i + 8 < size; i += 8) hash = mixed(load<std::uint64_t>(begin + i), hash);
    hash = mixed(load<std::uint64_t>(begin + size - 8), hash);
    return hash ^ hash >> 32;
  }
  std::uint64_t bytes = 0;
  if (size >= 4) {
    bytes = load<std::uint32_t>(begin) << 32 | load<std::uint32_t>(begin + size - 4);
  } else {
    for (const char c : piece) bytes = bytes << 8 | static_cast<unsigned char>(c);
  }
  const std::uint64_t hash = mixed(bytes, size);
  return hash ^ hash >> 32;
}

std::size_t table_size(std::size_t entries) {
  constexpr std::size_t least = 16;
  return std::bit_ceil(std::max(least, 2 * entries));
}

// A token as errors show it.
std::string shown(std::string_view token) {
  constexpr std::size_t longest = 40;
  const std::string text = spelled(token.substr(0, longest));
  return fmt::format("\"{}{}\"", text, token.size() > longest ? " .." : "");
}

}  // namespace

BPEModel::BPEModel(BPEVocabulary vocabulary, std::string_view name)
    : vocabulary_(std::move(vocabulary)), merges_(vocabulary_.merges.size()) {
  check_tokens(name);
  add_merges(name);
  check_parts(name);
  add_words();
}

void BPEModel::check_tokens(std::string_view name) {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<Token>::max());
  const std::vector<std::string>& tokens = vocabulary_.tokens;
  check(!tokens.empty(), "{}: it has no tokens; a vocabulary has at least one", name);
  check(tokens.size() < most, "{}: it has {} tokens, at most {} can be", name, tokens.size(), most - 1);
  byte_tokens_.fill(-1);
  std::unordered_set<std::string> known;  // as files spell them, where each may stand once
  for (Token token = 0; std::cmp_less(token, tokens.size()); ++token) {
    const std::string& bytes = tokens[static_cast<std::size_t>(token)];
    check(!bytes.empty(), "{}: token {} is empty; each stands for at least one byte", name, token);
    check(known.insert(is_special(token) ? bytes : spelled(bytes)).second,
          "{}: token {}, {}, is there twice; each token may stand once", name, token, shown(bytes));
    if (bytes.size() == 1 && !is_special(token)) byte_tokens_[static_cast<unsigned char>(bytes.front())] = token;
  }
  has_all_bytes_ = std::ranges::find(byte_tokens_, -1) == byte_tokens_.end();
}

void BPEModel::add_merges(std::string_view name) {
  std::size_t number = 0;
  for (const BPEMerge& merge : vocabulary_.merges) {
    ++number;
    const auto text = [&](Token token) -> const std::string& {
      return vocabulary_.tokens[static_cast<std::size_t>(token)];
    };
    const std::string both = fmt::format("{} and {}", shown(text(merge.left)), shown(text(merge.right)));
    check(!is_special(merge.left) && !is_special(merge.right) && !is_special(merge.result),
          "{}: merge {}, {}, is about a special token, which no text becomes; leave it out", name, number, both);
    check(text(merge.left) + text(merge.right) == text(merge.result), "{}: merge {}, {}, does not make its token", name,
          number, both);
    const std::optional<std::uint32_t> earlier = merges_.add(merge);
    check(!earlier, "{}: merge {} is merge {} again, {}; each may stand once", name, number, earlier.value_or(0) + 1,
          both);
  }
}

// The parts of a merge are bytes, or made by other merges: else it never happens, as in vocabularies that mark the
// beginnings or ends of words. And every token of several bytes is made by a merge: else text would become other tokens
// without a word.
void BPEModel::check_parts(std::string_view name) const {
  std::vector<bool> made(vocabulary_.tokens.size());
  for (const Token token : byte_tokens_) {
    if (token >= 0) made[static_cast<std::size_t>(token)] = true;
  }
  for (const BPEMerge& merge : vocabulary_.merges) made[static_cast<std::size_t>(merge.result)] = true;
  std::size_t number = 0;
  for (const BPEMerge& merge : vocabulary_.merges) {
    ++number;
    for (const Token part : {merge.left, merge.right}) {
      check(
          made[static_cast<std::size_t>(part)],
          "{}: merge {} needs the token {}, which is no byte and which no merge makes; this is not byte-level BPE, or "
          "merges are missing",
          name, number, shown(vocabulary_.tokens[static_cast<std::size_t>(part)]));
    }
  }
  const auto is_unmade = [&](std::size_t token) {
    return !made[token] && !is_special(static_cast<Token>(token)) && vocabulary_.tokens[token].size() > 1;
  };
  std::vector<std::size_t> unmade;
  for (std::size_t token = 0; token < made.size(); ++token) {
    if (is_unmade(token)) unmade.push_back(token);
  }
  check(unmade.empty(),
        "{}: {} of the {} tokens are made by no merge, the first is {}; the merges were cut short, are of another "
        "vocabulary, or it is no byte-level BPE",
        name, unmade.size(), made.size(), unmade.empty() ? "" : shown(vocabulary_.tokens[unmade.front()]));
}

// Whether a text that is a token becomes that token, merging tells.
void BPEModel::add_words() {
  words_.resize(table_size(vocabulary_.tokens.size()));
  std::vector<Token> symbols;
  MergeScratch scratch;
  for (Token token = 0; std::cmp_less(token, vocabulary_.tokens.size()); ++token) {
    const std::string& bytes = vocabulary_.tokens[static_cast<std::size_t>(token)];
    const auto has_token = [&](char c) { return byte_token(static_cast<unsigned char>(c)) >= 0; };
    if (is_special(token) || !std::ranges::all_of(bytes, has_token)) continue;
    merge(bytes, symbols, scratch);
    if (symbols.size() != 1) continue;
    const auto hash = static_cast<std::uint32_t>(hash_of(bytes));
    std::size_t place = hash & (words_.size() - 1);
    while (words_[place].token >= 0) place = (place + 1) & (words_.size() - 1);
    words_[place] = {hash, token};
  }
}

bool BPEModel::is_special(Token token) const {
  return std::ranges::binary_search(vocabulary_.special, token);
}

Token BPEModel::special_token(std::string_view text) const {
  const auto found = std::ranges::find(vocabulary_.special, text, [&](Token token) -> std::string_view {
    return vocabulary_.tokens[static_cast<std::size_t>(token)];
  });
  return found == vocabulary_.special.end() ? -1 : *found;
}

Token BPEModel::word(std::string_view piece, std::uint64_t hash) const {
  const auto wanted = static_cast<std::uint32_t>(hash);
  for (std::size_t place = wanted & (words_.size() - 1); words_[place].token >= 0;
       place = (place + 1) & (words_.size() - 1)) {
    const Word& word = words_[place];
    if (word.hash == wanted && vocabulary_.tokens[static_cast<std::size_t>(word.token)] == piece) return word.token;
  }
  return -1;
}

void BPEModel::encode(std::string_view piece, std::vector<Token>& tokens, BPEWorkspace& workspace) const {
  const std::uint64_t hash = hash_of(piece);
  if (const Token token = word(piece, hash); token >= 0) {
    tokens.push_back(token);
    return;
  }
  BPEWorkspace::Entry& entry = workspace.entry(hash);
  if (std::string_view(entry.piece.data(), entry.size) == piece) {
    tokens.insert(tokens.end(), entry.tokens.begin(), entry.tokens.begin() + entry.count);
    return;
  }
  merge(piece, workspace.symbols, workspace.scratch);
  const std::vector<Token>& merged = workspace.symbols;
  tokens.insert(tokens.end(), merged.begin(), merged.end());
  if (piece.size() > BPEWorkspace::longest_piece || merged.size() > BPEWorkspace::most_tokens) return;
  entry.size = static_cast<std::uint8_t>(piece.size());
  entry.count = static_cast<std::uint8_t>(merged.size());
  std::ranges::copy(piece, entry.piece.begin());
  std::ranges::copy(merged, entry.tokens.begin());
}

// Puts the tokens of the piece in the place of what `symbols` held.
void BPEModel::merge(std::string_view piece, std::vector<Token>& symbols, MergeScratch& scratch) const {
  symbols.clear();
  for (const char c : piece) symbols.push_back(byte_token(static_cast<unsigned char>(c)));
  merges_.apply(symbols, scratch);
}

BPEModel::Loan BPEModel::borrow() const {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return {*this, std::make_unique<BPEWorkspace>()};
  std::unique_ptr<BPEWorkspace> workspace = std::move(free_.back());
  free_.pop_back();
  return {*this, std::move(workspace)};
}

BPEModel::Loan::~Loan() {
  const std::lock_guard lock(model_.mutex_);
  model_.free_.push_back(std::move(workspace_));
}

}  // namespace gradus::models::detail
