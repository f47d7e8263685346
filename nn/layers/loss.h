// The losses of ops.h, CosineSimilarity and PairwiseDistance as objects under PyTorch's names (not as nn::Modules):
// CrossEntropyLoss loss; loss(logits, targets).
#pragma once

#include <utility>

#include <gradus/core/ops.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// loss(prediction, target) whose only option is `reduction`.
template <Tensor (*loss)(const Tensor&, const Tensor&, Reduction)>
struct ReducedLoss {
  explicit ReducedLoss(Reduction of_losses = Reduction::mean) : reduction(of_losses) {}
  Tensor operator()(const Tensor& prediction, const Tensor& target) const {
    return loss(prediction, target, reduction);
  }
  Reduction reduction;
};
using MSELoss = ReducedLoss<mse_loss>;
using L1Loss = ReducedLoss<l1_loss>;
using SoftMarginLoss = ReducedLoss<soft_margin_loss>;
using KLDivLoss = ReducedLoss<kl_div>;

struct CrossEntropyLoss {
  explicit CrossEntropyLoss(CrossEntropyOptions with = {}) : options(std::move(with)) {}
  Tensor operator()(const Tensor& logits, const Ids& targets) const { return cross_entropy(logits, targets, options); }
  Tensor operator()(const Tensor& logits, const Tensor& probabilities) const {
    return cross_entropy(logits, probabilities, options);
  }
  CrossEntropyOptions options;
};

struct NLLLoss {
  explicit NLLLoss(NLLOptions with = {}) : options(std::move(with)) {}
  Tensor operator()(const Tensor& log_probabilities, const Ids& targets) const {
    return nll_loss(log_probabilities, targets, options);
  }
  NLLOptions options;
};

struct BCELoss {
  explicit BCELoss(BinaryCrossEntropyOptions with = {}) : options(std::move(with)) {}
  Tensor operator()(const Tensor& probability, const Tensor& target) const {
    return binary_cross_entropy(probability, target, options);
  }
  BinaryCrossEntropyOptions options;
};

struct BCEWithLogitsLoss {
  explicit BCEWithLogitsLoss(BinaryCrossEntropyOptions with = {}) : options(std::move(with)) {}
  Tensor operator()(const Tensor& logits, const Tensor& target) const {
    return binary_cross_entropy_with_logits(logits, target, options);
  }
  BinaryCrossEntropyOptions options;
};

struct HuberLoss {
  explicit HuberLoss(Reduction of_losses = Reduction::mean, double limit = 1) : reduction(of_losses), delta(limit) {}
  Tensor operator()(const Tensor& prediction, const Tensor& target) const {
    return huber_loss(prediction, target, reduction, delta);
  }
  Reduction reduction;
  double delta;
};

struct SmoothL1Loss {
  explicit SmoothL1Loss(Reduction of_losses = Reduction::mean, double limit = 1) : reduction(of_losses), beta(limit) {}
  Tensor operator()(const Tensor& prediction, const Tensor& target) const {
    return smooth_l1_loss(prediction, target, reduction, beta);
  }
  Reduction reduction;
  double beta;
};

struct GaussianNLLLoss {
  explicit GaussianNLLLoss(GaussianNLLOptions with = {}) : options(with) {}
  Tensor operator()(const Tensor& prediction, const Tensor& target, const Tensor& var) const {
    return gaussian_nll_loss(prediction, target, var, options);
  }
  GaussianNLLOptions options;
};

struct PoissonNLLLoss {
  explicit PoissonNLLLoss(PoissonNLLOptions with = {}) : options(with) {}
  Tensor operator()(const Tensor& prediction, const Tensor& target) const {
    return poisson_nll_loss(prediction, target, options);
  }
  PoissonNLLOptions options;
};

struct HingeEmbeddingLoss {
  explicit HingeEmbeddingLoss(double least = 1, Reduction of_losses = Reduction::mean)
      : margin(least), reduction(of_losses) {}
  Tensor operator()(const Tensor& x, const Tensor& target) const {
    return hinge_embedding_loss(x, target, margin, reduction);
  }
  double margin;
  Reduction reduction;
};

struct MarginRankingLoss {
  explicit MarginRankingLoss(double least = 0, Reduction of_losses = Reduction::mean)
      : margin(least), reduction(of_losses) {}
  Tensor operator()(const Tensor& x1, const Tensor& x2, const Tensor& target) const {
    return margin_ranking_loss(x1, x2, target, margin, reduction);
  }
  double margin;
  Reduction reduction;
};

struct CosineEmbeddingLoss {
  explicit CosineEmbeddingLoss(double least = 0, Reduction of_losses = Reduction::mean)
      : margin(least), reduction(of_losses) {}
  Tensor operator()(const Tensor& x1, const Tensor& x2, const Tensor& target) const {
    return cosine_embedding_loss(x1, x2, target, margin, reduction);
  }
  double margin;
  Reduction reduction;
};

struct TripletMarginLoss {
  explicit TripletMarginLoss(TripletMarginOptions with = {}) : options(with) {}
  Tensor operator()(const Tensor& anchor, const Tensor& positive, const Tensor& negative) const {
    return triplet_margin_loss(anchor, positive, negative, options);
  }
  TripletMarginOptions options;
};

struct MultiMarginLoss {
  explicit MultiMarginLoss(MultiMarginOptions with = {}) : options(std::move(with)) {}
  Tensor operator()(const Tensor& x, const Ids& targets) const { return multi_margin_loss(x, targets, options); }
  MultiMarginOptions options;
};

struct MultiLabelSoftMarginLoss {
  explicit MultiLabelSoftMarginLoss(Tensor of_classes = {}, Reduction of_losses = Reduction::mean)
      : weight(std::move(of_classes)), reduction(of_losses) {}
  Tensor operator()(const Tensor& x, const Tensor& target) const {
    return multilabel_soft_margin_loss(x, target, weight, reduction);
  }
  Tensor weight;
  Reduction reduction;
};

struct CosineSimilarity {
  explicit CosineSimilarity(Index along = 1, double least = 1e-8) : dim(along), eps(least) {}
  Tensor operator()(const Tensor& x1, const Tensor& x2) const { return cosine_similarity(x1, x2, dim, eps); }
  Index dim;
  double eps;
};

struct PairwiseDistance {
  explicit PairwiseDistance(double power = 2, double added = 1e-6, bool keep = false)
      : p(power), eps(added), keepdim(keep) {}
  Tensor operator()(const Tensor& x1, const Tensor& x2) const { return pairwise_distance(x1, x2, p, eps, keepdim); }
  double p, eps;
  bool keepdim;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
