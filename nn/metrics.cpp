// Computed on copies of the values in f64.
#include <gradus/nn/metrics.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gradus/core/autograd.h>

namespace gradus::nn {
namespace {

// Calls f(row of V logits, target) for each row whose target counts.
template <class F>
void each_row(const char* name, const Tensor& logits, const Ids& targets, std::int32_t ignore_index, const F& f) {
  check_defined(name, {logits});
  check(logits.rank() >= 1, "{}: logits are a single number; the last dimension must be the classes", name);
  const auto [rows, classes] = logits.shape().as_matrix();
  check(rows == static_cast<Index>(targets.size()), "{}: logits {} have {} rows but {} targets came; one per row", name,
        logits.shape(), rows, targets.size());
  const std::vector<double> values = logits.to_vector();
  for (std::size_t row = 0; row < targets.size(); ++row) {
    const std::int32_t target = targets[row];
    if (target == ignore_index) continue;
    check(target >= 0 && target < classes, "{}: target {} is outside the {} classes of logits {}; use 0 .. {}", name,
          target, classes, logits.shape(), classes - 1);
    const auto size = static_cast<std::size_t>(classes);
    f(std::span(values).subspan(row * size, size), static_cast<std::size_t>(target));
  }
}

// part / whole; NaN if whole is 0.
double share(Index part, Index whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(part) / static_cast<double>(whole);
}

void check_equal(const char* name, const Tensor& a, const Tensor& b) {
  check_defined(name, {a, b});
  check(a.shape() == b.shape(), "{}: {} and {} must have equal shapes; reshape one", name, a.shape(), b.shape());
}

}  // namespace

double accuracy(const Tensor& logits, const Ids& targets, Index top, std::int32_t ignore_index) {
  check(top >= 1, "accuracy: the top {}; it must be at least 1", top);
  Index right = 0, count = 0;
  each_row("accuracy", logits, targets, ignore_index, [&](std::span<const double> row, std::size_t target) {
    Index ahead = std::isnan(row[target]) ? top : 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      ahead += !(row[i] <= row[target]) || (row[i] == row[target] && i < target) ? 1 : 0;  // a NaN is ahead of all
    }
    right += ahead < top ? 1 : 0;
    ++count;
  });
  return share(right, count);
}

double binary_accuracy(const Tensor& logits, const Tensor& target) {
  check_equal("binary_accuracy", logits, target);
  const std::vector<double> scores = logits.to_vector(), labels = target.to_vector();
  Index right = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    right += !std::isnan(scores[i]) && (scores[i] > 0) == (labels[i] > 0.5) ? 1 : 0;
  }
  return share(right, target.numel());
}

Tensor confusion_matrix(const Tensor& logits, const Ids& targets, std::int32_t ignore_index) {
  check_defined("confusion_matrix", {logits});
  check(logits.rank() >= 1, "confusion_matrix: logits are a single number; the last dimension must be the classes");
  const auto classes = static_cast<std::size_t>(logits.size(-1));
  Tensor counts = zeros({logits.size(-1), logits.size(-1)}, DType::f64);
  const std::span<double> cells = counts.data<double>();
  each_row("confusion_matrix", logits, targets, ignore_index, [&](std::span<const double> row, std::size_t target) {
    const auto less = [](double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); };  // as argmax
    const auto called = static_cast<std::size_t>(std::ranges::max_element(row, less) - row.begin());
    cells[target * classes + called] += 1;
  });
  return counts;
}

ClassScores class_scores(const Tensor& confusion) {
  check_defined("class_scores", {confusion});
  check(confusion.rank() == 2 && confusion.size(0) == confusion.size(1),
        "class_scores: {} is no square of counts; pass what confusion_matrix() gave", confusion.shape());
  const auto classes = static_cast<std::size_t>(confusion.size(0));
  const std::vector<double> cells = confusion.to_vector();
  ClassScores scores;
  const auto ratio = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  for (std::size_t c = 0; c < classes; ++c) {
    double called = 0, is = 0;
    for (std::size_t i = 0; i < classes; ++i) {
      called += cells[i * classes + c];
      is += cells[c * classes + i];
    }
    const double right = cells[c * classes + c];
    scores.precision.push_back(ratio(right, called));
    scores.recall.push_back(ratio(right, is));
    scores.f1.push_back(ratio(2 * right, called + is));
    scores.macro_f1 += scores.f1.back() / static_cast<double>(classes);
  }
  return scores;
}

double r2_score(const Tensor& prediction, const Tensor& target) {
  check_equal("r2_score", prediction, target);
  check(target.numel() >= 2, "r2_score: {} element; at least 2 are needed to have a spread", target.numel());
  const std::vector<double> guesses = prediction.to_vector(), truths = target.to_vector();
  double mean = 0, missed = 0, spread = 0;
  for (const double truth : truths) mean += truth / static_cast<double>(truths.size());
  for (std::size_t i = 0; i < truths.size(); ++i) {
    missed += (truths[i] - guesses[i]) * (truths[i] - guesses[i]);
    spread += (truths[i] - mean) * (truths[i] - mean);
  }
  if (spread == 0) return missed == 0 ? 1 : 0;
  return 1 - missed / spread;
}

double perplexity(double loss) {
  return std::exp(loss);
}

}  // namespace gradus::nn
