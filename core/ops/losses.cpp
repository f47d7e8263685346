// Losses composed of other ops, which give them their gradients.
#include <limits>
#include <numbers>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

void check_same_shape(const char* op, const char* name_a, const Tensor& a, const char* name_b, const Tensor& b) {
  check_defined(op, {a, b});
  check(a.shape() == b.shape(), "{}: {} {} and {} {} must have equal shapes; reshape one", op, name_a, a.shape(),
        name_b, b.shape());
  check_same_dtype(op, a, {b});
}

Tensor difference(const char* op, const Tensor& prediction, const Tensor& target) {
  check_same_shape(op, "prediction", prediction, "target", target);
  return prediction - target;
}

Tensor reduced(const Tensor& losses, Reduction reduction) {
  return reduction == Reduction::none ? losses : reduction == Reduction::sum ? sum(losses) : mean(losses);
}

Tensor weighted(const Tensor& losses, const Tensor& weight) {
  return weight.defined() ? losses * weight : losses;
}

// With c = min(d, limit): c (d - c / 2) is d^2 / 2 below the limit and limit (d - limit / 2) above.
Tensor huber(const Tensor& distance, double limit) {
  const Tensor near = clamp(distance, 0, limit);
  return near * (distance - 0.5 * near);
}

}  // namespace

Tensor mse_loss(const Tensor& prediction, const Tensor& target, Reduction reduction) {
  return composed("mse_loss", [&] {
    const Tensor distance = difference("mse_loss", prediction, target);
    return reduced(distance * distance, reduction);
  });
}

Tensor mse_loss(const Tensor& prediction, const Tensor& target) {
  return mse_loss(prediction, target, Reduction::mean);
}

Tensor l1_loss(const Tensor& prediction, const Tensor& target, Reduction reduction) {
  return composed("l1_loss", [&] { return reduced(abs(difference("l1_loss", prediction, target)), reduction); });
}

Tensor l1_loss(const Tensor& prediction, const Tensor& target) {
  return l1_loss(prediction, target, Reduction::mean);
}

Tensor huber_loss(const Tensor& prediction, const Tensor& target, Reduction reduction, double delta) {
  check(delta > 0, "huber_loss: delta is {}; it must be above 0", delta);
  return composed("huber_loss",
                  [&] { return reduced(huber(abs(difference("huber_loss", prediction, target)), delta), reduction); });
}
Tensor huber_loss(const Tensor& prediction, const Tensor& target, double delta) {
  return huber_loss(prediction, target, Reduction::mean, delta);
}

Tensor smooth_l1_loss(const Tensor& prediction, const Tensor& target, Reduction reduction, double beta) {
  check(beta >= 0, "smooth_l1_loss: beta is {}; it must be at least 0", beta);
  return composed("smooth_l1_loss", [&] {
    const Tensor distance = abs(difference("smooth_l1_loss", prediction, target));
    return reduced(beta == 0 ? distance : huber(distance, beta) / beta, reduction);
  });
}

// -log s(x) is softplus(-x) and -log(1 - s(x)) is softplus(x). Both have the right derivative at 0, where the usual
// max(x, 0) - x t + log(1 + e^-|x|) has two kinks, and neither subtracts numbers that would cancel a small loss.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const BinaryCrossEntropyOptions& options) {
  check_same_shape("binary_cross_entropy_with_logits", "logits", logits, "target", target);
  return composed("binary_cross_entropy_with_logits", [&] {
    const Tensor positive = weighted(target, options.pos_weight) * softplus(-logits);
    return reduced(weighted(positive + (1 - target) * softplus(logits), options.weight), options.reduction);
  });
}

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target) {
  return binary_cross_entropy_with_logits(logits, target, {});
}

namespace {

Tensor log_of_rest(const Tensor& p) {
  return log1p(-p);
}

// log(p) or log(1 - p) as PyTorch's loss takes it: at least -100, with a slope of at most 1e12, so that a probability
// of 0 has a gradient. `sign`: of the slope.
Tensor bounded_log(const Tensor& p, Tensor (*log_of)(const Tensor&), double sign) {
  constexpr double steepest = 1e12;
  const Tensor fixed = p.detach(), near = (sign > 0 ? fixed : 1 - fixed) < 1 / steepest;
  const Tensor line =
      clamp(log_of(fixed), -100, std::numeric_limits<double>::infinity()) + (p - fixed) * sign * steepest;
  return where(near, line, log_of(where(near, 0.5, p)));
}

}  // namespace

Tensor binary_cross_entropy(const Tensor& probability, const Tensor& target, const BinaryCrossEntropyOptions& options) {
  check_same_shape("binary_cross_entropy", "probability", probability, "target", target);
  return composed("binary_cross_entropy", [&] {
    const auto log_p = bounded_log(probability, log, 1), log_not_p = bounded_log(probability, log_of_rest, -1);
    const Tensor losses = -(weighted(target, options.pos_weight) * log_p + (1 - target) * log_not_p);
    return reduced(weighted(losses, options.weight), options.reduction);
  });
}

Tensor kl_div(const Tensor& log_prediction, const Tensor& target, Reduction reduction) {
  check_same_shape("kl_div", "log_prediction", log_prediction, "target", target);
  return composed("kl_div", [&] {
    constexpr double smallest = 1e-37;  // in both types log is finite there: what has probability 0 costs nothing
    const Tensor log_target = log(clamp(target, smallest, std::numeric_limits<double>::infinity()));
    return reduced(target * (log_target - log_prediction), reduction);
  });
}
Tensor kl_div(const Tensor& log_prediction, const Tensor& target) {
  check_defined("kl_div", {log_prediction, target});
  check(log_prediction.shape() == target.shape() && target.rank() >= 1,
        "kl_div: log_prediction {} and target {} must have equal shapes, the first size being the batch; reshape one",
        log_prediction.shape(), target.shape());
  return composed("kl_div",
                  [&] { return kl_div(log_prediction, target, Reduction::sum) / static_cast<double>(target.size(0)); });
}

Tensor gaussian_nll_loss(const Tensor& prediction, const Tensor& target, const Tensor& var,
                         const GaussianNLLOptions& options) {
  check_defined("gaussian_nll_loss", {prediction, target, var});
  check_same_dtype("gaussian_nll_loss", prediction, {target, var});
  check(options.eps > 0, "gaussian_nll_loss: eps is {}; it must be above 0", options.eps);
  return composed("gaussian_nll_loss", [&] {
    // As in PyTorch, a variance below the least one has the gradient of the least one.
    const Tensor fixed = var.detach();
    const Tensor bounded = var + (clamp(fixed, options.eps, std::numeric_limits<double>::infinity()) - fixed);
    const Tensor losses = 0.5 * (log(bounded) + square(prediction - target) / bounded);
    return reduced(options.full ? losses + 0.5 * std::log(2 * std::numbers::pi) : losses, options.reduction);
  });
}

Tensor poisson_nll_loss(const Tensor& prediction, const Tensor& target, const PoissonNLLOptions& options) {
  check_same_shape("poisson_nll_loss", "prediction", prediction, "target", target);
  return composed("poisson_nll_loss", [&] {
    Tensor losses =
        options.log_input ? exp(prediction) - target * prediction : prediction - target * log(prediction + options.eps);
    if (options.full) {  // Stirling's approximation of log(target!)
      const Tensor above = where(target > 1, target, 1);
      losses = losses + (target > 1) * (above * log(above) - above + 0.5 * log(2 * std::numbers::pi * above));
    }
    return reduced(losses, options.reduction);
  });
}

Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin, Reduction reduction) {
  check_same_shape("hinge_embedding_loss", "x", x, "target", target);
  return composed("hinge_embedding_loss", [&] { return reduced(where(target == 1, x, relu(margin - x)), reduction); });
}

Tensor margin_ranking_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin,
                           Reduction reduction) {
  check_defined("margin_ranking_loss", {x1, x2, target});
  return composed("margin_ranking_loss", [&] { return reduced(relu(-target * (x1 - x2) + margin), reduction); });
}

Tensor soft_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  check_same_shape("soft_margin_loss", "x", x, "target", target);
  return composed("soft_margin_loss", [&] { return reduced(softplus(-target * x), reduction); });
}

Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps, bool keepdim) {
  check_defined("pairwise_distance", {x1, x2});
  return composed("pairwise_distance", [&] { return norm(x1 - x2 + eps, p, -1, keepdim); });
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginOptions& options) {
  check_defined("triplet_margin_loss", {anchor, positive, negative});
  return composed("triplet_margin_loss", [&] {
    const auto distance = [&](const Tensor& a, const Tensor& b) {
      return pairwise_distance(a, b, options.p, options.eps);
    };
    Tensor far = distance(anchor, negative);
    if (options.swap) far = minimum(far, distance(positive, negative));
    return reduced(relu(distance(anchor, positive) - far + options.margin), options.reduction);
  });
}

Tensor normalize(const Tensor& x, double p, Index dim, double eps) {
  check_defined("normalize", {x});
  check(p > 0,
        "normalize: p is {}; it must be above 0: normalize(x, p, dim), where the norm comes before the dimension", p);
  return composed("normalize",
                  [&] { return x / clamp(norm(x, p, dim, true), eps, std::numeric_limits<double>::infinity()); });
}

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, Index dim, double eps) {
  check_defined("cosine_similarity", {x1, x2});
  return composed("cosine_similarity",
                  [&] { return sum(normalize(x1, 2, dim, eps) * normalize(x2, 2, dim, eps), dim); });
}

Tensor cosine_embedding_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin,
                             Reduction reduction) {
  check_same_shape("cosine_embedding_loss", "x1", x1, "x2", x2);
  check_defined("cosine_embedding_loss", {target});
  return composed("cosine_embedding_loss", [&] {
    constexpr double eps = 1e-12;  // PyTorch's, which makes the cosine of zeros 0
    const Tensor squares = (sum(x1 * x1, -1) + eps) * (sum(x2 * x2, -1) + eps);
    const Tensor cosine = sum(x1 * x2, -1) / sqrt(squares);
    return reduced(where(target == 1, 1 - cosine, relu(cosine - margin)), reduction);
  });
}

namespace {

// Losses of rows (R, V), each with the weight of its target; ignored rows have 0.
struct ClassLosses {
  Tensor losses;
  double weights;
};

ClassLosses class_losses(const char* op, const Tensor& log_p, const Ids& targets, const CrossEntropyOptions& options) {
  const Index classes = log_p.size(-1), rows = log_p.size(0);
  check(rows == static_cast<Index>(targets.size()), "{}: {} rows but {} targets came; give one per row", op, rows,
        targets.size());
  std::vector<std::int32_t> ids;
  std::vector<double> counted;
  for (const std::int32_t target : targets) {
    const bool ignored = target == options.ignore_index;
    check(ignored || (target >= 0 && target < classes),
          "{}: target {} is none of the {} classes; targets must be 0 .. {}, or {} to be ignored", op, target, classes,
          classes - 1, options.ignore_index);
    ids.push_back(ignored ? 0 : target);
    counted.push_back(ignored ? 0 : 1);
  }
  const Tensor& weight = options.weight;
  check(!weight.defined() || weight.shape() == Shape{classes},
        "{}: weight {} for {} classes; give one number per class", op, weight.defined() ? weight.shape() : Shape{},
        classes);
  const Tensor present = tensor(counted, log_p.dtype());
  const Tensor weights = weight.defined() ? present * reshape(embedding(unsqueeze(weight, 1), ids), rows) : present;
  const double smoothing = options.label_smoothing;
  Tensor losses = weights * -reshape(gather(log_p, 1, Ids(ids, {rows, 1})), rows);
  if (smoothing > 0) {
    const Tensor all = present * -sum(weighted(log_p, weight), 1);
    losses = losses * (1 - smoothing) + all * (smoothing / static_cast<double>(classes));
  }
  const NoGrad no_grad;
  return {losses, sum(weights).item()};
}

Tensor reduced_classes(const ClassLosses& rows, const Shape& shape, Reduction reduction) {
  if (reduction == Reduction::none) return reshape(rows.losses, shape);
  const Tensor total = sum(rows.losses);
  return reduction == Reduction::sum || rows.weights == 0 ? total : total / rows.weights;
}

void check_smoothing(double smoothing) {
  check(smoothing >= 0 && smoothing < 1, "cross_entropy: label_smoothing is {}; it must be at least 0 and below 1",
        smoothing);
}

}  // namespace

Tensor nll_loss(const Tensor& log_probabilities, const Ids& targets, const NLLOptions& options) {
  check_defined("nll_loss", {log_probabilities});
  check(log_probabilities.rank() >= 1, "nll_loss: a single number came; the last dimension must be the classes");
  return composed("nll_loss", [&] {
    const Tensor rows = reshape(log_probabilities, {-1, log_probabilities.size(-1)});
    const CrossEntropyOptions same{.weight = options.weight, .ignore_index = options.ignore_index};
    return reduced_classes(class_losses("nll_loss", rows, targets, same), targets.shape(), options.reduction);
  });
}

Tensor cross_entropy(const Tensor& logits, const Ids& targets, const CrossEntropyOptions& options) {
  if (options.reduction == Reduction::mean && !options.weight.defined()) {
    return cross_entropy(logits, targets, options.ignore_index, options.label_smoothing);
  }
  check_defined("cross_entropy", {logits});
  check(logits.rank() >= 1, "cross_entropy: logits are a single number; the last dimension must be the classes");
  check_smoothing(options.label_smoothing);
  return composed("cross_entropy", [&] {
    const Tensor rows = log_softmax(reshape(logits, {-1, logits.size(-1)}));
    return reduced_classes(class_losses("cross_entropy", rows, targets, options), targets.shape(), options.reduction);
  });
}

Tensor cross_entropy(const Tensor& logits, const Tensor& probabilities, const CrossEntropyOptions& options) {
  check_defined("cross_entropy", {logits, probabilities});
  if (probabilities.rank() + 1 == logits.rank()) return cross_entropy(logits, to_ids(probabilities), options);
  check_same_shape("cross_entropy", "logits", logits, "probabilities", probabilities);
  check(logits.rank() >= 1, "cross_entropy: logits are a single number; the last dimension must be the classes");
  check_smoothing(options.label_smoothing);
  return composed("cross_entropy", [&] {
    const double smoothing = options.label_smoothing, even = smoothing / static_cast<double>(logits.size(-1));
    const Tensor target = smoothing > 0 ? probabilities * (1 - smoothing) + even : probabilities;
    return reduced(-sum(weighted(target * log_softmax(logits), options.weight), -1), options.reduction);
  });
}

Tensor multi_margin_loss(const Tensor& x, const Ids& targets, const MultiMarginOptions& options) {
  check_defined("multi_margin_loss", {x});
  check(x.rank() == 2 && targets.shape() == Shape{x.size(0)},
        "multi_margin_loss: x {} and targets {}; it needs (B, classes) and one target per row", x.shape(),
        targets.shape());
  check(options.p == 1 || options.p == 2, "multi_margin_loss: p is {}; it must be 1 or 2", options.p);
  return composed("multi_margin_loss", [&] {
    const Tensor right = gather(x, 1, targets.unsqueeze(1));
    const Tensor above = pow(relu(options.margin - right + x), options.p);
    const Tensor wrong = masked_fill(above, one_hot(targets, x.size(1), x.dtype()), 0);
    const Tensor losses = sum(wrong, 1) / static_cast<double>(x.size(1));
    return reduced(options.weight.defined() ? losses * take(options.weight, targets) : losses, options.reduction);
  });
}

Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  return composed("multilabel_soft_margin_loss", [&] {
    const BinaryCrossEntropyOptions options{.weight = weight, .reduction = Reduction::none};
    return reduced(mean(binary_cross_entropy_with_logits(x, target, options), -1), reduction);
  });
}

}  // namespace gradus
