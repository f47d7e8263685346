// Splits rows into parts for training and validation, as Subset, DataLoader::rows and index_select take them.
#pragma once

#include <vector>

#include <gradus/core/runtime/random.h>
#include <gradus/core/shape.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// 0 .. n-1 in random order, cut into parts of these fractions, which sum to 1: {0.8, 0.1, 0.1} for training,
/// validation and test. Each part has floor(n * fraction) rows; those left over go to the first parts, one each, as
/// PyTorch's random_split has it. Throws Error if n is negative, or if fractions is empty, has one outside 0 .. 1 or
/// does not sum to 1.
std::vector<std::vector<Index>> random_split(Index n, const std::vector<double>& fractions,
                                             Generator& generator = default_generator());

/// The rows of one round of cross-validation.
struct Fold {
  std::vector<Index> train, validation;
};

/// k rounds: every row is in the validation part of one, and in the training part of the others. The first n % k parts
/// have a row more, as scikit-learn's KFold has it. Parts are runs of the rows, which a generator shuffles first.
/// Throws Error unless 2 <= k <= n.
std::vector<Fold> k_fold(Index n, Index k);
std::vector<Fold> k_fold(Index n, Index k, Generator& generator);

#pragma GCC visibility pop
}  // namespace gradus::nn
