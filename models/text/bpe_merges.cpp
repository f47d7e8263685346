// A few symbols are merged by looking through all pairs for the first merge again and again; many with a heap, so that
// a text without white space takes no quadratic time.
#include <gradus/models/text/detail/bpe_merges.h>

#include <algorithm>
#include <bit>
#include <functional>

#include <gradus/models/text/detail/mixed.h>

namespace gradus::models::detail {
namespace {

constexpr std::uint64_t pair_of(Token left, Token right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

BPEMerges::BPEMerges(std::size_t most) : pairs_(std::bit_ceil(2 * most + 2)) {
  results_.reserve(most);
}

// Where the pair is, or would be.
std::size_t BPEMerges::place_of(std::uint64_t pair) const {
  const std::uint64_t hash = mixed(pair, 0);
  const std::size_t mask = pairs_.size() - 1;
  std::size_t place = (hash ^ hash >> 32) & mask;
  while (pairs_[place].tokens != pair && pairs_[place].tokens != none) place = (place + 1) & mask;
  return place;
}

std::optional<std::uint32_t> BPEMerges::add(const BPEMerge& merge) {
  const std::uint64_t pair = pair_of(merge.left, merge.right);
  Pair& place = pairs_[place_of(pair)];
  if (place.tokens == pair) return place.rank;
  place = {pair, static_cast<std::uint32_t>(results_.size())};
  results_.push_back(merge.result);
  return std::nullopt;
}

std::uint32_t BPEMerges::rank(Token left, Token right) const {
  const std::uint64_t pair = pair_of(left, right);
  const Pair& place = pairs_[place_of(pair)];
  return place.tokens == pair ? place.rank : no_rank;
}

void BPEMerges::apply(std::vector<Token>& symbols, MergeScratch& scratch) const {
  constexpr std::size_t few = 64;
  if (symbols.size() <= few) {
    apply_to_few(symbols, scratch.ranks);
  } else {
    apply_to_many(symbols, scratch);
  }
}

void BPEMerges::apply_to_few(std::vector<Token>& symbols, std::vector<std::uint32_t>& ranks) const {
  ranks.clear();  // ranks[i] is that of symbols i and i + 1
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) ranks.push_back(rank(symbols[i], symbols[i + 1]));
  while (!ranks.empty()) {
    const auto first = std::ranges::min_element(ranks);
    if (*first == no_rank) break;
    const auto place = static_cast<std::size_t>(first - ranks.begin());
    symbols[place] = results_[*first];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    ranks.erase(first);
    if (place < ranks.size()) ranks[place] = rank(symbols[place], symbols[place + 1]);
    if (place > 0) ranks[place - 1] = rank(symbols[place - 1], symbols[place]);
  }
}

// Symbols are a list through `before` and `after`. The heap has rank << 32 | place of every merge that is possible, and
// of some that were, at whose places the rank is another by now.
void BPEMerges::apply_to_many(std::vector<Token>& symbols, MergeScratch& scratch) const {
  auto& [ranks, before, after, heap] = scratch;
  const auto end = static_cast<std::uint32_t>(symbols.size());
  ranks.assign(end, no_rank);
  before.resize(std::size_t{end} + 1);
  after.resize(end);
  heap.clear();
  const auto look_at = [&, &ranks = ranks, &after = after, &heap = heap](std::uint32_t place) {
    ranks[place] = after[place] < end ? rank(symbols[place], symbols[after[place]]) : no_rank;
    if (ranks[place] == no_rank) return;
    heap.push_back(std::uint64_t{ranks[place]} << 32 | place);
    std::ranges::push_heap(heap, std::ranges::greater());
  };
  for (std::uint32_t i = 0; i < end; ++i) before[i + 1] = i, after[i] = i + 1;
  for (std::uint32_t i = 0; i < end; ++i) look_at(i);
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, std::ranges::greater());
    const auto first = static_cast<std::uint32_t>(heap.back() >> 32), place = static_cast<std::uint32_t>(heap.back());
    heap.pop_back();
    if (ranks[place] != first) continue;
    const std::uint32_t gone = after[place];
    symbols[place] = results_[first];
    ranks[gone] = no_rank;
    after[place] = after[gone];
    before[after[gone]] = place;
    look_at(place);
    if (place > 0) look_at(before[place]);
  }
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < end; i = after[i]) symbols[count++] = symbols[i];
  symbols.resize(count);
}

}  // namespace gradus::models::detail
