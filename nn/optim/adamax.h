// Adamax: Adam with the largest recent gradient in place of the root of the mean square.
#pragma once

#include <utility>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct AdamaxOptions {
  double lr = 2e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool maximize = false;
};

/// With g' = g + weight_decay p: m = b1 m + (1 - b1) g', u = max(b2 u, |g'| + eps), p -= lr / (1 - b1^t) m / u.
/// Kingma & Ba 2015, algorithm 2, with PyTorch's eps.
class Adamax : public Optimizer {
 public:
  explicit Adamax(std::vector<Tensor> params, AdamaxOptions options = {});
  template <detail::Rate T>
  Adamax(std::vector<Tensor> params, T lr) : Adamax(std::move(params), AdamaxOptions{.lr = static_cast<double>(lr)}) {}
  explicit Adamax(std::vector<ParamGroup> groups, AdamaxOptions options = {});

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  bool maximize() const override { return options_.maximize; }
  AdamaxOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
