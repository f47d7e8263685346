// Probabilities are computed in double from whatever type the logits have. Only tokens that may still be drawn are
// sorted, and of those no more than asked for: sorting all of GPT-2's 50,257 takes longer than half a layer.
#include <gradus/models/generate/sampling.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_set>

#include <gradus/core/check.h>

namespace gradus::models {
namespace {

// Unnormalized: the likeliest token weighs 1.
struct Candidate {
  std::int32_t token;
  double weight;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

// The first of the largest logits, all of which are checked on the way: one pass, since it is part of every token's
// time.
template <class T>
std::size_t checked_largest(std::span<const T> logits) {
  check(!logits.empty(), "sample_token: there are no logits; give one for each token");
  std::size_t best = 0;
  T largest = -std::numeric_limits<T>::infinity();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (const T x = logits[i]; !(x <= largest)) {
      check(x <= std::numeric_limits<T>::max(),
            "sample_token: a logit is {}; the model's weights are damaged or its training went wrong", x);
      largest = x;
      best = i;
    }
  }
  check(largest > -std::numeric_limits<T>::infinity(),
        "sample_token: every logit is -infinity; leave at least one token possible");
  return best;
}

template <class T>
std::vector<T> penalized(std::span<const T> logits, const GenerateOptions& options,
                         std::span<const std::int32_t> seen) {
  std::vector<T> changed(logits.begin(), logits.end());
  const auto factor = static_cast<T>(options.repetition_penalty);
  for (const std::int32_t token : std::unordered_set<std::int32_t>(seen.begin(), seen.end())) {
    check(token >= 0 && std::cmp_less(token, logits.size()), "sample_token: token {} was seen, but there are {} logits",
          token, logits.size());
    if (token == options.stop) continue;  // often the context's first token too: a penalty would delay the end
    T& x = changed[static_cast<std::size_t>(token)];
    x = x > 0 ? x / factor : x * factor;
  }
  return changed;
}

double sum(std::span<const Candidate> candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                         [](double total, const Candidate& candidate) { return total + candidate.weight; });
}

template <class T>
std::vector<Candidate> candidates_of(std::span<const T> logits, double temperature) {
  const double largest = static_cast<double>(*std::ranges::max_element(logits));
  std::vector<Candidate> candidates(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    candidates[i] = {static_cast<std::int32_t>(i), std::exp((static_cast<double>(logits[i]) - largest) / temperature)};
  }
  return candidates;
}

// Keeps the fewest candidates, likeliest first, whose weights reach the part `p` of all. Sorts in growing pieces.
void keep_top_p(std::vector<Candidate>& candidates, double p) {
  const double wanted = p * sum(candidates);
  double reached = 0;
  std::size_t kept = 0, sorted = 0;
  while (reached < wanted && kept < candidates.size()) {
    if (kept == sorted) {
      constexpr std::size_t first = 64;
      const std::size_t next = std::min(candidates.size(), std::max(first, 4 * sorted));
      std::partial_sort(candidates.begin() + static_cast<std::ptrdiff_t>(sorted),
                        candidates.begin() + static_cast<std::ptrdiff_t>(next), candidates.end(), likelier);
      sorted = next;
    }
    reached += candidates[kept++].weight;
  }
  candidates.resize(std::max<std::size_t>(kept, 1));
}

template <class T>
std::int32_t sample(std::span<const T> logits, const GenerateOptions& options, Generator& generator,
                    std::span<const std::int32_t> seen) {
  options.validate();
  const std::size_t likeliest = checked_largest(logits);
  std::vector<T> changed;
  if (options.repetition_penalty != 1 && !seen.empty()) {
    changed = penalized(logits, options, seen);
    logits = changed;
  }
  if (options.temperature == 0) {
    if (changed.empty()) return static_cast<std::int32_t>(likeliest);
    return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  }

  std::vector<Candidate> candidates = candidates_of(logits, options.temperature);
  if (options.top_k > 0 && std::cmp_less(options.top_k, candidates.size())) {
    const auto end = candidates.begin() + options.top_k;
    std::ranges::nth_element(candidates, end, likelier);
    candidates.erase(end, candidates.end());
    std::ranges::sort(candidates, likelier);
  }
  if (options.top_p < 1) keep_top_p(candidates, options.top_p);
  if (options.min_p > 0) {
    std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.weight < options.min_p; });
  }

  double rest = generator.uniform<double>() * sum(candidates);
  std::int32_t drawn = candidates.front().token;
  for (const Candidate& candidate : candidates) {
    if (candidate.weight == 0) continue;  // rounding must not lead to a token that is impossible
    drawn = candidate.token;
    rest -= candidate.weight;
    if (rest < 0) break;
  }
  return drawn;
}

template <class T>
std::vector<Likely> likeliest(std::span<const T> logits, std::size_t count, std::int32_t token) {
  checked_largest(logits);
  check(token >= 0 && std::cmp_less(token, logits.size()), "likeliest_tokens: token {} is not among the {} logits",
        token, logits.size());
  std::vector<Candidate> candidates = candidates_of(logits, 1);
  const double total = sum(candidates);
  const Candidate asked = candidates[static_cast<std::size_t>(token)];
  count = std::min(count, candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end(),
                    likelier);
  candidates.resize(count);
  if (std::ranges::find(candidates, token, &Candidate::token) == candidates.end()) candidates.push_back(asked);
  std::vector<Likely> result;
  result.reserve(candidates.size());
  for (const Candidate& candidate : candidates) result.push_back({candidate.token, candidate.weight / total});
  return result;
}

}  // namespace

void GenerateOptions::validate() const {
  check(max_tokens >= 0, "generate: max_tokens is {}, it must be at least 0", max_tokens);
  check(std::isfinite(temperature) && temperature >= 0,
        "generate: the temperature is {}, it must be at least 0 (0 always takes the likeliest token)", temperature);
  check(top_k >= 0, "generate: top_k is {}, it must be at least 0 (0 draws from all tokens)", top_k);
  check(top_p > 0 && top_p <= 1, "generate: top_p is {}, it must be above 0 and at most 1 (1 draws from all tokens)",
        top_p);
  check(min_p >= 0 && min_p <= 1, "generate: min_p is {}, it must be from 0 (draws from all tokens) to 1", min_p);
  constexpr double strongest = 100;
  check(repetition_penalty >= 1 / strongest && repetition_penalty <= strongest,
        "generate: the repetition penalty is {}, it must be from {} to {} (1 changes nothing)", repetition_penalty,
        1 / strongest, strongest);
}

// A Generator reads 32 bits of its seed. Multiplying by an odd number and xor with a shift can both be undone, so that
// different i give different seeds (constants of Wellons' lowbias32).
std::uint64_t sample_seed(std::uint64_t seed, std::uint64_t i) {
  auto x = static_cast<std::uint32_t>(i);
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return seed ^ x;
}

std::int32_t sample_token(std::span<const float> logits, const GenerateOptions& options, Generator& generator,
                          std::span<const std::int32_t> seen) {
  return sample(logits, options, generator, seen);
}

std::int32_t sample_token(std::span<const double> logits, const GenerateOptions& options, Generator& generator,
                          std::span<const std::int32_t> seen) {
  return sample(logits, options, generator, seen);
}

std::vector<Likely> likeliest_tokens(std::span<const float> logits, std::size_t count, std::int32_t token) {
  return likeliest(logits, count, token);
}

std::vector<Likely> likeliest_tokens(std::span<const double> logits, std::size_t count, std::int32_t token) {
  return likeliest(logits, count, token);
}

}  // namespace gradus::models
