// Metrics of predictions, as plain numbers: nothing here is differentiable.
#pragma once

#include <cstdint>
#include <vector>

#include <gradus/core/ids.h>
#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// Top-k accuracy: the fraction of rows whose target is among the `top` highest of logits (.., V). One target per row;
/// rows whose target is ignore_index do not count. Among equal logits the lower index ranks higher. NaN if no row
/// counts.
double accuracy(const Tensor& logits, const Ids& targets, Index top = 1, std::int32_t ignore_index = -1);

/// Binary accuracy: the fraction of elements where (logit > 0) agrees with the target, 0 or 1; equal shapes. NaN
/// without elements.
double binary_accuracy(const Tensor& logits, const Tensor& target);

/// The confusion matrix: how often the target `row` was predicted as `column`. Logits (.., V), one target per row ->
/// (V, V) in f64.
Tensor confusion_matrix(const Tensor& logits, const Ids& targets, std::int32_t ignore_index = -1);

/// Precision, recall and F1 per class (van Rijsbergen 1979); 0 where the denominator is 0, as in scikit-learn.
struct ClassScores {
  std::vector<double> precision, recall, f1;  // one for each class
  double macro_f1 = 0;                        // the mean of f1
};
ClassScores class_scores(const Tensor& confusion);

/// R2 = 1 - sum (target - prediction)^2 / sum (target - mean of targets)^2: 1 is perfect, 0 no better than the mean.
/// Equal shapes of at least two elements. If all targets are equal: 1 for an exact prediction, else 0, as in
/// scikit-learn.
double r2_score(const Tensor& prediction, const Tensor& target);

/// e^loss for a mean cross entropy in nats: the number of equally likely tokens with the same uncertainty.
double perplexity(double loss);

#pragma GCC visibility pop
}  // namespace gradus::nn
