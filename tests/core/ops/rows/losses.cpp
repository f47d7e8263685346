#include "../op_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace gradus::testing {
namespace {

// The mean of f(prediction, target) over all elements, or their sum divided by `divisor` (x).
Array mean_of(Arrays x, const std::function<double(double, double)>& f, double divisor = 0) {
  double sum = 0;
  for (std::size_t i = 0; i < x[0].values.size(); ++i) sum += f(x[0].values[i], x[1].values[i]);
  return {{}, {sum / (divisor > 0 ? divisor : static_cast<double>(x[0].values.size()))}};
}

void add_losses(std::vector<OpRow>& rows) {
  struct Loss {
    const char *op, *variant;
    Tensor (*f)(const Tensor&, const Tensor&);
    std::function<Array(Arrays)> reference;
    std::vector<Domain> domains;
    const char* torch = "";
    std::vector<Edge> edges = {};
    Limits limits = {4, 4};
  };
  const Loss cases[] = {
      {"l1_loss",
       "",
       [](const Tensor& x, const Tensor& t) { return l1_loss(x, t); },
       [](Arrays x) { return mean_of(x, [](double p, double t) { return std::abs(p - t); }); },
       {Domain::any},
       "",
       {{"equal", {{{1, 3}, {0, 1, -2}}, {{1, 3}, {0, 1, 2}}}}},
       {3, 3}},
      {"huber_loss",
       "",
       [](const Tensor& x, const Tensor& t) { return huber_loss(x, t, 0.7); },
       [](Arrays x) {
         return mean_of(x, [](double p, double t) {
           const double d = std::abs(p - t);
           return d <= 0.7 ? d * d / 2 : 0.7 * (d - 0.35);
         });
       },
       {Domain::any},
       "F.huber_loss(x[0], x[1], delta=0.7)",
       {{"equal", {{{1, 3}, {0, 1, -2}}, {{1, 3}, {0, 1, 2}}}}}},
      {"binary_cross_entropy_with_logits",
       "",
       [](const Tensor& x, const Tensor& t) { return binary_cross_entropy_with_logits(x, t); },
       [](Arrays x) {
         return mean_of(
             x, [](double p, double t) { return t * std::log1p(std::exp(-p)) + (1 - t) * std::log1p(std::exp(p)); });
       },
       {Domain::wide, Domain::flags},
       "F.binary_cross_entropy_with_logits(x[0], x[1])",
       {{"zero", {{{1, 3}, {0, 0, -0.0}}, {{1, 3}, {0, 0.5, 1}}}},
        {"sure", {{{1, 3}, {200, -200, 80}}, {{1, 3}, {1, 0, 0}}}}}},
      {"kl_div",
       "",
       [](const Tensor& x, const Tensor& t) { return kl_div(x, t); },
       [](Arrays x) {
         return mean_of(
             x, [](double p, double t) { return t * (std::log(t) - p); }, static_cast<double>(x[0].shape[0]));
       },
       {Domain::any, Domain::positive},
       "F.kl_div(x[0], x[1], reduction='batchmean')",
       {},
       {9, 4}},
      {"kl_div",
       "impossible_targets",
       [](const Tensor& x, const Tensor& t) { return kl_div(x, t.detach()); },
       [](Arrays x) {
         return mean_of(
             x, [](double p, double t) { return t == 0 ? 0 : t * (std::log(t) - p); },
             static_cast<double>(x[0].shape[0]));
       },
       {Domain::any, Domain::flags},
       "F.kl_div(x[0], x[1], reduction='batchmean')",
       {},
       {9, 4}},
  };
  for (const Loss& c : cases) {
    rows.push_back({.op = c.op,
                    .variant = c.variant,
                    .shapes = {{3, 5}, {3, 5}},
                    .f = [f = c.f](In x) { return f(x[0], x[1]); },
                    .reference = c.reference,
                    .domains = c.domains,
                    .no_gradient = *c.variant == '\0' ? std::set<std::size_t>{} : std::set<std::size_t>{1},
                    .sized = GRADUS_SIZED({2, n}, {2, n}),
                    .torch = c.torch,
                    .edges = c.edges,
                    .limits = c.limits,
                    .f32_tolerance = 4e-6});
  }
}

void add_mse_loss(std::vector<OpRow>& rows) {
  rows.push_back({.op = "mse_loss",
                  .variant = "",
                  .shapes = {{3, 5}, {3, 5}},
                  .f = [](In x) { return mse_loss(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        double sum = 0;
                        for (std::size_t i = 0; i < x[0].values.size(); ++i) {
                          sum += std::pow(x[0].values[i] - x[1].values[i], 2);
                        }
                        return Array{{}, {sum / static_cast<double>(x[0].values.size())}};
                      },
                  .sized = GRADUS_SIZED({2, n}, {2, n}),
                  .limits = {3, 3}});
}

// Losses of which `f` names each element's, reduced as asked.
Array reduced(const Array& losses, Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  const double sum = ref::sum_of(losses.values);
  return {{}, {reduction == Reduction::sum ? sum : sum / static_cast<double>(losses.values.size())}};
}

Array pairs(Arrays x, double (*f)(double, double)) {
  Array y = x[0];
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] = f(x[0].values[i], x[1].values[i]);
  return y;
}

const char* name_of(Reduction reduction) {
  return reduction == Reduction::none ? "none" : reduction == Reduction::sum ? "sum" : "mean";
}

double sign_of(double flag) {
  return 2 * flag - 1;
}

void add_elementwise(std::vector<OpRow>& rows) {
  struct Loss {
    const char* op;
    std::string variant;
    Tensor (*f)(const Tensor& x, const Tensor& t, Reduction reduction);
    double (*value)(double x, double t);
    std::vector<Domain> domains;
    std::string torch;  // F's function and its arguments, without the reduction
    std::set<std::size_t> no_gradient = {};
    std::vector<Edge> edges = {};
  };
  const Loss all[] = {
      {"mse_loss",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) { return mse_loss(x, t, r); },
       [](double x, double t) { return (x - t) * (x - t); },
       {Domain::any},
       "mse_loss(x[0], x[1]"},
      {"l1_loss",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) { return l1_loss(x, t, r); },
       [](double x, double t) { return std::abs(x - t); },
       {Domain::any},
       "l1_loss(x[0], x[1]"},
      {"huber_loss",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) { return huber_loss(x, t, r, 0.5); },
       [](double x, double t) {
         const double d = std::abs(x - t);
         return d <= 0.5 ? d * d / 2 : 0.5 * (d - 0.25);
       },
       {Domain::any},
       "huber_loss(x[0], x[1], delta=0.5"},
      {"smooth_l1_loss",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) { return smooth_l1_loss(x, t, r, 0.5); },
       [](double x, double t) {
         const double d = std::abs(x - t);
         return d <= 0.5 ? d * d : d - 0.25;
       },
       {Domain::any},
       "smooth_l1_loss(x[0], x[1], beta=0.5"},
      {"binary_cross_entropy",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) {
         return binary_cross_entropy(0.5 + x * 0.5, t, {.reduction = r});
       },
       [](double x, double t) { return -(t * std::log(0.5 + x / 2) + (1 - t) * std::log(0.5 - x / 2)); },
       {Domain::part, Domain::flags},
       "binary_cross_entropy(0.5 + x[0] * 0.5, x[1]"},
      {"binary_cross_entropy_with_logits",
       "weights",
       [](const Tensor& x, const Tensor& t, Reduction r) {
         return binary_cross_entropy_with_logits(
             x, t, {.weight = full({}, 2, x.dtype()), .pos_weight = full({}, 3, x.dtype()), .reduction = r});
       },
       [](double x, double t) { return 2 * (3 * t * std::log1p(std::exp(-x)) + (1 - t) * std::log1p(std::exp(x))); },
       {Domain::any, Domain::flags},
       "binary_cross_entropy_with_logits(x[0], x[1], torch.full((), 2).to(x[0]), pos_weight=torch.full((1,), "
       "3).to(x[0])"},
      {"kl_div",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) { return kl_div(x, t, r); },
       [](double x, double t) { return t * (std::log(t) - x); },
       {Domain::any, Domain::positive},
       "kl_div(x[0], x[1]"},
      {"poisson_nll_loss",
       "log",
       [](const Tensor& x, const Tensor& t, Reduction r) {
         return poisson_nll_loss(x, t.detach(), {.full = true, .reduction = r});
       },
       [](double x, double t) {
         const double stirling = t > 1 ? t * std::log(t) - t + 0.5 * std::log(2 * std::acos(-1.0) * t) : 0;
         return std::exp(x) - t * x + stirling;
       },
       {Domain::any, Domain::flags},
       "poisson_nll_loss(x[0], x[1], full=True",
       {1}},
      {"poisson_nll_loss",
       "rate",
       [](const Tensor& x, const Tensor& t, Reduction r) {
         return poisson_nll_loss(x, t, {.log_input = false, .reduction = r});
       },
       [](double x, double t) { return x - t * std::log(x + 1e-8); },
       {Domain::positive, Domain::flags},
       "poisson_nll_loss(x[0], x[1], log_input=False"},
      {"hinge_embedding_loss",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) { return hinge_embedding_loss(x, t * 2 - 1, 0.7, r); },
       [](double x, double t) { return t == 1 ? x : std::max(0.0, 0.7 - x); },
       {Domain::distinct, Domain::flags},
       "hinge_embedding_loss(x[0], x[1] * 2 - 1, margin=0.7",
       {1}},
      {"soft_margin_loss",
       "",
       [](const Tensor& x, const Tensor& t, Reduction r) { return soft_margin_loss(x, t.detach() * 2 - 1, r); },
       [](double x, double t) { return std::log1p(std::exp(-sign_of(t) * x)); },
       {Domain::any, Domain::flags},
       "soft_margin_loss(x[0], x[1] * 2 - 1",
       {1}},
  };
  for (const Loss& loss : all) {
    for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
      rows.push_back(
          {.op = loss.op,
           .variant = loss.variant + (loss.variant.empty() ? "" : "_") + name_of(reduction),
           .shapes = {{3, 5}, {3, 5}},
           .f = [f = loss.f, reduction](In x) { return f(x[0], x[1], reduction); },
           .reference = [value = loss.value, reduction](Arrays x) { return reduced(pairs(x, value), reduction); },
           .domains = loss.domains,
           .no_gradient = loss.no_gradient,
           .torch = fmt::format("F.{}, reduction='{}')", loss.torch, name_of(reduction)),
           .limits = {16, 16},
           .f32_tolerance = 4e-6});
    }
  }
}

// Of rows of classes: the targets are picks(), with -1 ignored.
Array class_losses(Arrays x, const std::vector<double>& weight, double smoothing, Reduction reduction) {
  const Array log_p = ref::softmax(x[0], x[0].shape.rank() - 1, true);
  const auto classes = static_cast<std::size_t>(x[0].shape.back());
  const std::vector<std::int32_t> targets = picks(x[0].shape.numel() / x[0].shape.back(), x[0].shape.back());
  Array losses{{static_cast<Index>(targets.size())}, {}};
  double weights = 0;
  for (std::size_t row = 0; row < targets.size(); ++row) {
    double loss = 0;
    for (std::size_t c = 0; targets[row] >= 0 && c < classes; ++c) {
      const double part =
          (std::cmp_equal(targets[row], c) ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
      loss -= part * weight[c % weight.size()] * log_p.values[row * classes + c];
    }
    losses.values.push_back(loss);
    if (targets[row] >= 0) weights += weight[static_cast<std::size_t>(targets[row]) % weight.size()];
  }
  if (reduction != Reduction::mean) return reduced(losses, reduction);
  return {{}, {ref::sum_of(losses.values) / weights}};
}

void add_classes(std::vector<OpRow>& rows) {
  const std::vector<double> weight{0.5, 2, 1, 3, 0.25};
  for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
    for (const double smoothing : {0.0, 0.25}) {
      const std::string call = fmt::format(
          "targets(x[0]), weight=torch.tensor([0.5, 2, 1, 3, 0.25]).to(x[0]), "
          "ignore_index=-1, reduction='{}'",
          name_of(reduction));
      rows.push_back({.op = "cross_entropy",
                      .variant = fmt::format("weights_{}{}", smoothing > 0 ? "smoothed_" : "", name_of(reduction)),
                      .shapes = {{7, 5}},
                      .f =
                          [=](In x) {
                            return cross_entropy(x[0], picks(x[0].size(0), 5),
                                                 CrossEntropyOptions{.weight = tensor(weight, x[0].dtype()),
                                                                     .reduction = reduction,
                                                                     .label_smoothing = smoothing});
                          },
                      .reference = [=](Arrays x) { return class_losses(x, weight, smoothing, reduction); },
                      .torch = fmt::format("F.cross_entropy(x[0], {}, label_smoothing={})", call, smoothing),
                      .limits = {16, 16}});
      if (smoothing > 0) continue;
      rows.push_back({.op = "nll_loss",
                      .variant = fmt::format("weights_{}", name_of(reduction)),
                      .shapes = {{7, 5}},
                      .f =
                          [=](In x) {
                            return nll_loss(log_softmax(x[0]), picks(x[0].size(0), 5),
                                            {.weight = tensor(weight, x[0].dtype()), .reduction = reduction});
                          },
                      .reference = [=](Arrays x) { return class_losses(x, weight, 0, reduction); },
                      .torch = fmt::format("F.nll_loss(x[0].log_softmax(1), {})", call),
                      .limits = {16, 16}});
    }
    rows.push_back(
        {.op = "cross_entropy",
         .variant = fmt::format("only_{}", name_of(reduction)),
         .shapes = {{7, 5}},
         .f =
             [=](In x) {
               return cross_entropy(x[0], picks(x[0].size(0), 5), CrossEntropyOptions{.reduction = reduction});
             },
         .reference = [=](Arrays x) { return class_losses(x, {1}, 0, reduction); },
         .torch =
             fmt::format("F.cross_entropy(x[0], targets(x[0]), ignore_index=-1, reduction='{}')", name_of(reduction)),
         .limits = {16, 16}});
    rows.push_back(
        {.op = "cross_entropy",
         .variant = fmt::format("probabilities_{}", name_of(reduction)),
         .shapes = {{3, 5}, {3, 5}},
         .f = [=](In x) { return cross_entropy(x[0], x[1], {.reduction = reduction, .label_smoothing = 0.25}); },
         .reference =
             [=](Arrays x) {
               const Array log_p = ref::softmax(x[0], 1, true);
               Array losses{{x[0].shape[0]}, {}};
               for (Index r = 0; r < x[0].shape[0]; ++r) {
                 double loss = 0;
                 for (Index c = 0; c < 5; ++c) loss -= (x[1].at({r, c}) * 0.75 + 0.05) * log_p.at({r, c});
                 losses.values.push_back(loss);
               }
               return reduced(losses, reduction);
             },
         .domains = {Domain::any, Domain::positive},
         .torch = fmt::format("F.cross_entropy(x[0], x[1], reduction='{}', label_smoothing=0.25)", name_of(reduction)),
         .limits = {16, 16},
         .f32_tolerance = 4e-6});
  }
}

Array cosines(const Array& a, const Array& b) {
  return ref::make({a.shape[0]}, [&](const ref::Indices& i) {
    double ab = 0, aa = 0, bb = 0;
    for (Index c = 0; c < a.shape[1]; ++c) {
      ab += a.at({i[0], c}) * b.at({i[0], c});
      aa += a.at({i[0], c}) * a.at({i[0], c});
      bb += b.at({i[0], c}) * b.at({i[0], c});
    }
    return ab / std::sqrt(aa * bb);
  });
}

Array distances(const Array& a, const Array& b) {
  return ref::make({a.shape[0]}, [&](const ref::Indices& i) {
    double sum = 0;
    for (Index c = 0; c < a.shape[1]; ++c) sum += std::pow(a.at({i[0], c}) - b.at({i[0], c}) + 1e-6, 2);
    return std::sqrt(sum);
  });
}

void add_rows_of_vectors(std::vector<OpRow>& rows) {
  rows.push_back({.op = "cosine_similarity",
                  .variant = "",
                  .shapes = {{3, 5}, {3, 5}},
                  .f = [](In x) { return cosine_similarity(x[0], x[1]); },
                  .reference = [](Arrays x) { return cosines(x[0], x[1]); },
                  .domains = {Domain::nonzero},
                  .limits = {16, 16}});
  rows.push_back({.op = "normalize",
                  .variant = "",
                  .shapes = {{3, 5}},
                  .f = [](In x) { return normalize(x[0]); },
                  .reference =
                      [](Arrays x) {
                        return ref::make(x[0].shape, [&](const ref::Indices& i) {
                          double sum = 0;
                          for (Index c = 0; c < 5; ++c) sum += std::pow(x[0].at({i[0], c}), 2);
                          return x[0].at(i) / std::sqrt(sum);
                        });
                      },
                  .domains = {Domain::nonzero},
                  .limits = {16, 16}});
  rows.push_back({.op = "pairwise_distance",
                  .variant = "",
                  .shapes = {{3, 5}, {3, 5}},
                  .f = [](In x) { return pairwise_distance(x[0], x[1]); },
                  .reference = [](Arrays x) { return distances(x[0], x[1]); },
                  .limits = {16, 16},
                  .f32_tolerance = 4e-6});
  rows.push_back({.op = "cosine_embedding_loss",
                  .variant = "",
                  .shapes = {{4, 5}, {4, 5}, {4}},
                  .f = [](In x) { return cosine_embedding_loss(x[0], x[1], x[2] * 2 - 1, -0.9); },
                  .reference =
                      [](Arrays x) {
                        Array cosine = cosines(x[0], x[1]);
                        for (std::size_t i = 0; i < 4; ++i) {
                          double& c = cosine.values[i];
                          c = x[2].values[i] == 1 ? 1 - c : std::max(0.0, c + 0.9);
                        }
                        return reduced(cosine, Reduction::mean);
                      },
                  .domains = {Domain::nonzero, Domain::nonzero, Domain::flags},
                  .no_gradient = {2},
                  .torch = "F.cosine_embedding_loss(x[0], x[1], x[2] * 2 - 1, margin=-0.9)",
                  .limits = {32, 32}});
  rows.push_back({.op = "triplet_margin_loss",
                  .variant = "",
                  .shapes = {{4, 5}, {4, 5}, {4, 5}},
                  .f = [](In x) { return triplet_margin_loss(x[0], x[1], x[2], {.margin = 4}); },
                  .reference =
                      [](Arrays x) {
                        const Array near = distances(x[0], x[1]), far = distances(x[0], x[2]);
                        Array losses = near;
                        for (std::size_t i = 0; i < 4; ++i) {
                          losses.values[i] = std::max(0.0, near.values[i] - far.values[i] + 4);
                        }
                        return reduced(losses, Reduction::mean);
                      },
                  .torch = "F.triplet_margin_loss(x[0], x[1], x[2], margin=4)",
                  .limits = {16, 16},
                  .f32_tolerance = 4e-6});
  rows.push_back({.op = "margin_ranking_loss",
                  .variant = "",
                  .shapes = {{3, 5}, {3, 5}, {3, 5}},
                  .f = [](In x) { return margin_ranking_loss(x[0], x[1], x[2] * 2 - 1, 5); },
                  .reference =
                      [](Arrays x) {
                        Array losses = x[0];
                        for (std::size_t i = 0; i < losses.values.size(); ++i) {
                          const double gap = x[0].values[i] - x[1].values[i];
                          losses.values[i] = std::max(0.0, -sign_of(x[2].values[i]) * gap + 5);
                        }
                        return reduced(losses, Reduction::mean);
                      },
                  .domains = {Domain::any, Domain::any, Domain::flags},
                  .torch = "F.margin_ranking_loss(x[0], x[1], x[2] * 2 - 1, margin=5)",
                  .limits = {8, 8},
                  .f32_tolerance = 4e-6});
  rows.push_back({.op = "gaussian_nll_loss",
                  .variant = "full",
                  .shapes = {{3, 5}, {3, 5}, {3, 5}},
                  .f = [](In x) { return gaussian_nll_loss(x[0], x[1], x[2], {.full = true}); },
                  .reference =
                      [](Arrays x) {
                        Array losses = x[0];
                        for (std::size_t i = 0; i < losses.values.size(); ++i) {
                          const double gap = x[0].values[i] - x[1].values[i], var = x[2].values[i];
                          losses.values[i] = (std::log(var) + gap * gap / var + std::log(2 * std::acos(-1.0))) / 2;
                        }
                        return reduced(losses, Reduction::mean);
                      },
                  .domains = {Domain::any, Domain::any, Domain::positive},
                  .torch = "F.gaussian_nll_loss(x[0], x[1], x[2], full=True)",
                  .limits = {16, 16},
                  .f32_tolerance = 4e-6});
}

void add_margins_of_classes(std::vector<OpRow>& rows) {
  rows.push_back({.op = "multi_margin_loss",
                  .shapes = {{3, 4}},
                  .f =
                      [](In x) {
                        return multi_margin_loss(x[0], {2, 0, 3}, {.p = 2});
                      },
                  .reference =
                      [](Arrays x) {
                        const Index targets[] = {2, 0, 3};
                        double sum = 0;
                        for (Index i = 0; i < 3; ++i) {
                          for (Index j = 0; j < 4; ++j) {
                            const double above = 1 - x[0].at({i, targets[i]}) + x[0].at({i, j});
                            if (j != targets[i]) sum += std::pow(std::max(0.0, above), 2) / 12;
                          }
                        }
                        return Array{{}, {sum}};
                      },
                  .torch = "F.multi_margin_loss(x[0], torch.tensor([2, 0, 3]), p=2)",
                  .limits = {16, 64}});
  rows.push_back({.op = "multilabel_soft_margin_loss",
                  .shapes = {{3, 4}, {3, 4}},
                  .f = [](In x) { return multilabel_soft_margin_loss(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        double sum = 0;
                        for (std::size_t i = 0; i < 12; ++i) {
                          const double t = x[1].values[i], v = x[0].values[i];
                          sum += (t * std::log(1 + std::exp(-v)) + (1 - t) * std::log(1 + std::exp(v))) / 12;
                        }
                        return Array{{}, {sum}};
                      },
                  .domains = {Domain::any, Domain::part},
                  .limits = {16, 64}});
}

const AddRows losses_rows("losses", [](std::vector<OpRow>& rows) {
  add_losses(rows);
  add_mse_loss(rows);
  add_elementwise(rows);
  add_classes(rows);
  add_rows_of_vectors(rows);
  add_margins_of_classes(rows);
});

}  // namespace
}  // namespace gradus::testing
