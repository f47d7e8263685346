#include "suggest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace gpt {
namespace {

// How many letters are to be put in, taken out, changed, or swapped with their neighbour (optimal string alignment).
std::size_t slips(std::string_view a, std::string_view b) {
  std::vector<std::size_t> two_before, before(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) before[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({before[j] + 1, row[j - 1] + 1, change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], two_before[j - 2] + 1);
    }
    two_before = before;
    before = row;
  }
  return before.back();
}

// What other programs call it, and what it is called here.
constexpr std::pair<std::string_view, std::string_view> other_names[] = {
    {"samples", "count"},
    {"num-samples", "count"},
    {"num-samples", "samples"},
    {"count", "samples"},
    {"batch-size", "batch"},
    {"learning-rate", "lr"},
    {"block-size", "context"},
    {"max-new-tokens", "max-tokens"},
    {"length", "max-tokens"},
    {"max-iters", "steps"},
    {"iterations", "steps"},
    {"max-steps", "steps"},
    {"n-layer", "layers"},
    {"n-head", "heads"},
    {"n-embd", "width"},
    {"time", "seconds"},
    {"gradient-accumulation-steps", "accumulation"},
    {"grad-clip", "clip"},
    {"warmup-iters", "warmup"},
    {"input", "data"},
    {"file", "data"},
    {"output", "out"},
    {"out-dir", "out"},
    {"generate", "sample"},
    {"evaluate", "eval"},
    {"test", "eval"},
    {"learn", "train"},
    {"show", "info"},
    {"gradcheck", "check"}};

std::string_view without_dashes(std::string_view word) {
  return word.substr(std::min(word.find_first_not_of('-'), word.size()));
}

std::optional<std::string> by_other_name(std::string_view word, std::span<const std::string> known) {
  std::string name(without_dashes(word));
  std::ranges::replace(name, '_', '-');
  for (const auto& [other, ours] : other_names) {
    const auto found = std::ranges::find(known, ours, without_dashes);
    if (name == other && found != known.end()) return *found;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known) {
  if (const auto meant = by_other_name(word, known)) return meant;
  constexpr std::size_t dashes = 2, longest = 64;
  if (word.size() > longest || word.size() <= (word.starts_with("--") ? dashes : 0)) return std::nullopt;
  std::optional<std::string> best;
  std::size_t fewest = 0;
  for (const std::string& candidate : known) {
    const std::size_t letters = candidate.size() - (candidate.starts_with("--") ? dashes : 0);
    const bool begins = candidate.starts_with(word);
    const std::size_t distance = begins ? 1 : slips(word, candidate);
    const std::size_t most = letters < 3 ? 0 : letters < 6 ? 1 : 2;
    if ((begins || distance <= most) && (!best || distance < fewest)) best = candidate, fewest = distance;
  }
  return best;
}

std::string not_one_of(std::string_view word, std::span<const std::string> known) {
  const auto meant = nearest(word, known);
  return fmt::format("'{}' is not one of {}{}", word, fmt::join(known, ", "),
                     meant ? fmt::format("; did you mean {}?", *meant) : "");
}

}  // namespace gpt
