#include "../op_table.h"

#include <cmath>

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

const AddRows losses_rows("losses", [](std::vector<OpRow>& rows) {
  add_losses(rows);
  add_mse_loss(rows);
});

}  // namespace
}  // namespace gradus::testing
