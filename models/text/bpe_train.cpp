// Every different piece stands once in a list of symbols and counts as often as it occurs. Each pair of neighbours has
// its count and the places where it has been; a merge visits the places of its pair and changes the counts around them,
// so that the work of all merges together is about that of reading the pieces a few times. A heap gives the next pair.
#include <gradus/models/text/detail/bpe_train.h>

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

#include <gradus/core/check.h>
#include <gradus/models/text/detail/characters.h>
#include <gradus/models/text/detail/gpt2_split.h>
#include <gradus/models/text/detail/mixed.h>

namespace gradus::models::detail {
namespace {

using Place = std::uint32_t;
using Pair = std::uint64_t;  // left << 32 | right: in the order of the tokens

constexpr Pair pair_of(Token left, Token right) {
  return Pair{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}
constexpr Token left_of(Pair pair) {
  return static_cast<Token>(pair >> 32);
}
constexpr Token right_of(Pair pair) {
  return static_cast<Token>(pair & 0xFFFFFFFF);
}

struct PairHash {
  std::size_t operator()(Pair pair) const { return mixed(pair, 0); }
};

class Symbols {
 public:
  // The symbol in front of the first piece and behind each; in no pair.
  static constexpr Token border = -1;

  void add_piece(std::string_view piece, std::int64_t count, const std::array<Token, byte_values>& tokens) {
    if (symbols_.empty()) push(border);
    counts_.push_back(count);
    for (const char c : piece) push(tokens[static_cast<unsigned char>(c)]);
    push(border);
  }
  // Counts all pairs, once all pieces are there.
  void start() {
    for (Place place = 0; place + 1 < symbols_.size(); ++place) change(place, place + 1, 1);
    publish();
  }
  // The next pair to merge; nothing where none occurs twice.
  std::optional<Pair> next() {
    while (!heap_.empty()) {
      const auto [count, pair] = heap_.top();
      heap_.pop();
      const auto found = pairs_.find(pair);
      const std::int64_t now = found == pairs_.end() ? 0 : found->second.count;
      if (now == count) return pair;
      if (now >= fewest) heap_.push({now, pair});
    }
    return std::nullopt;
  }
  void merge(Pair pair, Token result) {
    // From left to right, as they were found: of three alike the first two become one.
    const std::vector<Place> places = std::move(pairs_[pair].places);
    for (const Place place : places) {
      if (symbols_[place] != left_of(pair)) continue;
      const Place second = after_[place];
      if (symbols_[second] != right_of(pair)) continue;
      change(before_[place], place, -1);
      change(second, after_[second], -1);
      symbols_[place] = result;
      symbols_[second] = gone;
      after_[place] = after_[second];
      before_[after_[second]] = place;
      change(before_[place], place, 1);
      change(place, after_[place], 1);
    }
    pairs_.erase(pair);
    publish();
  }

 private:
  static constexpr Token gone = -2;
  static constexpr std::int64_t fewest = 2;

  struct Count {
    std::int64_t count = 0;
    std::vector<Place> places;  // of the left symbol; it may be another by now
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    // The one that comes later: it is rarer, or of equals the pair of higher tokens.
    friend bool operator<(const Candidate& a, const Candidate& b) {
      return std::tie(a.count, b.pair) < std::tie(b.count, a.pair);
    }
  };

  void push(Token symbol) {
    const auto place = static_cast<Place>(symbols_.size());
    symbols_.push_back(symbol);
    piece_.push_back(static_cast<Place>(counts_.empty() ? 0 : counts_.size() - 1));
    before_.push_back(place > 0 ? place - 1 : 0);
    after_.push_back(place + 1);
  }
  void change(Place left, Place right, int sign) {
    if (symbols_[left] == border || symbols_[right] == border) return;
    const Pair pair = pair_of(symbols_[left], symbols_[right]);
    Count& count = pairs_[pair];
    if (sign > 0) {
      if (count.places.empty()) fresh_.push_back(pair);
      count.places.push_back(left);
    }
    count.count += sign * counts_[piece_[left]];
  }
  // Puts the pairs that are new into the heap, now that they are counted. Later their counts only fall.
  void publish() {
    for (const Pair pair : fresh_) {
      const auto found = pairs_.find(pair);
      if (found != pairs_.end() && found->second.count >= fewest) heap_.push({found->second.count, pair});
    }
    fresh_.clear();
  }

  std::vector<Token> symbols_;
  std::vector<Place> before_, after_;
  std::vector<Place> piece_;          // which one a symbol is in,
  std::vector<std::int64_t> counts_;  // and how often that occurs
  std::unordered_map<Pair, Count, PairHash> pairs_;
  std::vector<Pair> fresh_;
  std::priority_queue<Candidate> heap_;
};

}  // namespace

void BPETrainer::add(std::string_view text, std::string_view name, const Progress& progress) {
  constexpr std::size_t between_reports = 1 << 20;
  check_utf8(text, name);
  std::size_t next_report = between_reports;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = gpt2_piece(text.substr(at));
    const std::string_view piece = text.substr(at, length);
    const auto found = pieces_.find(piece);
    if (found != pieces_.end()) {
      ++found->second;
    } else {
      pieces_.emplace(piece, 1);
    }
    at += length;
    if (progress && at >= next_report) {
      progress(static_cast<double>(at) / static_cast<double>(text.size()));
      next_report = at + between_reports;
    }
  }
}

BPEVocabulary BPETrainer::learn(Index size, const Progress& progress) const {
  BPEVocabulary vocabulary;
  std::array<Token, byte_values> tokens{};
  for (const unsigned char byte : bytes_in_order()) {
    tokens[byte] = static_cast<Token>(vocabulary.tokens.size());
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  }
  std::size_t bytes = 0;
  for (const auto& [piece, count] : pieces_) bytes += piece.size() + 1;
  check(bytes < std::numeric_limits<Place>::max(),
        "bpe: the different words of the text have {} bytes, more than can be counted; learn from a part of it", bytes);
  Symbols symbols;
  for (const auto& [piece, count] : pieces_) symbols.add_piece(piece, count, tokens);
  symbols.start();
  while (std::cmp_less(vocabulary.tokens.size(), size)) {
    const std::optional<Pair> pair = symbols.next();
    if (!pair) break;
    const Token left = left_of(*pair), right = right_of(*pair), result = static_cast<Token>(vocabulary.tokens.size());
    vocabulary.tokens.push_back(vocabulary.tokens[static_cast<std::size_t>(left)] +
                                vocabulary.tokens[static_cast<std::size_t>(right)]);
    vocabulary.merges.push_back({left, right, result});
    symbols.merge(*pair, result);
    if (progress) progress(static_cast<double>(vocabulary.tokens.size()) / static_cast<double>(size));
  }
  return vocabulary;
}

}  // namespace gradus::models::detail
