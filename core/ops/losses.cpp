// Losses composed of other ops, which give them their gradients. Each is the mean over all elements, except kl_div.
#include <limits>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

Tensor difference(const char* op, const Tensor& prediction, const Tensor& target) {
  check_defined(op, {prediction, target});
  check(prediction.shape() == target.shape(), "{}: prediction {} and target {} must have equal shapes; reshape one", op,
        prediction.shape(), target.shape());
  check_same_dtype(op, prediction, {target});
  return prediction - target;
}

}  // namespace

Tensor l1_loss(const Tensor& prediction, const Tensor& target) {
  return composed("l1_loss", [&] { return mean(abs(difference("l1_loss", prediction, target))); });
}

// With c = min(|d|, delta): c (|d| - c / 2) is d^2 / 2 below delta and delta (|d| - delta / 2) above.
Tensor huber_loss(const Tensor& prediction, const Tensor& target, double delta) {
  check(delta > 0, "huber_loss: delta is {}; it must be above 0", delta);
  return composed("huber_loss", [&] {
    const Tensor distance = abs(difference("huber_loss", prediction, target));
    const Tensor near = clamp(distance, 0, delta);
    return mean(near * (distance - 0.5 * near));
  });
}

// -log s(x) is softplus(-x) and -log(1 - s(x)) is softplus(x). Both have the right derivative at 0, where the usual
// max(x, 0) - x t + log(1 + e^-|x|) has two kinks, and neither subtracts numbers that would cancel a small loss.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target) {
  check_defined("binary_cross_entropy_with_logits", {logits, target});
  check(logits.shape() == target.shape(),
        "binary_cross_entropy_with_logits: logits {} and target {} must have equal shapes; reshape one", logits.shape(),
        target.shape());
  check_same_dtype("binary_cross_entropy_with_logits", logits, {target});
  return composed("binary_cross_entropy_with_logits",
                  [&] { return mean(target * softplus(-logits) + (1 - target) * softplus(logits)); });
}

Tensor kl_div(const Tensor& log_prediction, const Tensor& target) {
  check_defined("kl_div", {log_prediction, target});
  check(log_prediction.shape() == target.shape() && target.rank() >= 1,
        "kl_div: log_prediction {} and target {} must have equal shapes, the first size being the batch; reshape one",
        log_prediction.shape(), target.shape());
  check_same_dtype("kl_div", log_prediction, {target});
  return composed("kl_div", [&] {
    constexpr double smallest = 1e-37;  // in both types log is finite there: what has probability 0 costs nothing
    const Tensor log_target = log(clamp(target, smallest, std::numeric_limits<double>::infinity()));
    return sum(target * (log_target - log_prediction)) / static_cast<double>(target.size(0));
  });
}

}  // namespace gradus
