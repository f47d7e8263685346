// Parts are runs of one order of the rows.
#include <gradus/nn/data/split.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gradus::nn {
namespace {

std::vector<Fold> folds_of(const std::vector<Index>& order, Index k) {
  const auto n = static_cast<Index>(order.size());
  std::vector<Fold> folds;
  for (Index fold = 0, from = 0; fold < k; ++fold) {
    const Index to = from + n / k + (fold < n % k ? 1 : 0);
    const auto begin = order.begin() + from, end = order.begin() + to;
    folds.push_back({{order.begin(), begin}, {begin, end}});
    folds.back().train.insert(folds.back().train.end(), end, order.end());
    from = to;
  }
  return folds;
}

void check_folds(Index n, Index k) {
  check(k >= 2 && k <= n, "k_fold: {} parts of {} rows; k must be from 2 to the number of rows", k, n);
}

}  // namespace

std::vector<std::vector<Index>> random_split(Index n, const std::vector<double>& fractions, Generator& generator) {
  check(n >= 0, "random_split: {} rows; there must be at least 0", n);
  check(!fractions.empty(), "random_split: no fractions came; give some, such as {{0.8, 0.1, 0.1}}");
  double sum = 0;
  for (const double fraction : fractions) {
    check(fraction >= 0 && fraction <= 1, "random_split: a fraction is {}; it must be from 0 to 1", fraction);
    sum += fraction;
  }
  constexpr double tolerance = 1e-9;
  check(std::abs(sum - 1) < tolerance, "random_split: the fractions sum to {}; they must sum to 1", sum);
  std::vector<Index> sizes(fractions.size());
  std::ranges::transform(fractions, sizes.begin(), [&](double fraction) {
    return static_cast<Index>(std::floor(static_cast<double>(n) * fraction));
  });
  Index left = n - std::accumulate(sizes.begin(), sizes.end(), Index{0});
  for (std::size_t part = 0; left > 0; part = (part + 1) % sizes.size(), --left) ++sizes[part];

  const std::vector<Index> order = generator.permutation(n);
  std::vector<std::vector<Index>> parts;
  auto from = order.begin();
  for (const Index size : sizes) {
    const auto to = from + std::min<Index>(size, order.end() - from);
    parts.emplace_back(from, to);
    from = to;
  }
  return parts;
}

std::vector<Fold> k_fold(Index n, Index k) {
  check_folds(n, k);
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  return folds_of(order, k);
}

std::vector<Fold> k_fold(Index n, Index k, Generator& generator) {
  check_folds(n, k);
  return folds_of(generator.permutation(n), k);
}

}  // namespace gradus::nn
