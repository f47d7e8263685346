// How good predictions are, as plain numbers: nothing here is differentiable.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// The share of rows whose target is among the `top` highest of logits (.., V); one target a row, and rows whose target
/// is ignore_index do not count. A target that ties with others counts as behind those of lower index. NaN if no row
/// counts.
double accuracy(const Tensor& logits, std::span<const std::int32_t> targets, Index top = 1,
                std::int32_t ignore_index = -1);

/// The share of elements for which logit > 0 says what the target, 0 or 1, says; equal shapes. NaN if there are none.
double binary_accuracy(const Tensor& logits, const Tensor& target);

/// How often class `row` was taken for class `column`: logits (.., V), one target a row -> (V, V) in f64.
Tensor confusion_matrix(const Tensor& logits, std::span<const std::int32_t> targets, std::int32_t ignore_index = -1);

/// Of each class: the share of what was called so that is so, the share of what is so that was called so, and their
/// harmonic mean (van Rijsbergen 1979); 0 where there is nothing to divide by, as in scikit-learn.
struct ClassScores {
  std::vector<double> precision, recall, f1;  // one for each class
  double macro_f1 = 0;                        // the mean of f1
};
ClassScores class_scores(const Tensor& confusion);

/// 1 - sum (target - prediction)^2 / sum (target - its mean)^2: 1 is perfect, 0 is no better than the mean. Equal
/// shapes of at least two elements; for targets that are all equal 1 or 0, as in scikit-learn.
double r2_score(const Tensor& prediction, const Tensor& target);

/// e^loss: between how many equally likely tokens a model of that mean cross entropy hesitates.
double perplexity(double loss);

#pragma GCC visibility pop
}  // namespace gradus::nn
