// NAdam: Adam with Nesterov's momentum.
#pragma once

#include <utility>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct NAdamOptions {
  double lr = 2e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
};

/// With g' = g + weight_decay p, m and v as Adam's, mu_t = b1 (1 - 0.96^(t momentum_decay) / 2) and M_t = mu_1 .. mu_t:
/// p -= lr ((1 - mu_t) / (1 - M_t) g' + mu_{t+1} / (1 - M_t mu_t mu_{t+1}) m) / (sqrt(v / (1 - b2^t)) + eps).
/// Dozat 2016, algorithm 2, in the form of PyTorch 1.13: Dozat, and later releases of PyTorch, have no mu_t in the
/// second denominator. The paths differ in the first steps only.
class NAdam : public Optimizer {
 public:
  explicit NAdam(std::vector<Tensor> params, NAdamOptions options = {});
  template <detail::Rate T>
  NAdam(std::vector<Tensor> params, T lr) : NAdam(std::move(params), NAdamOptions{.lr = static_cast<double>(lr)}) {}
  explicit NAdam(std::vector<ParamGroup> groups, NAdamOptions options = {});

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  double momentum_product(Index t) const;
  mutable std::vector<double> products_;  // M_0, M_1 .., as far as they were asked for
  NAdamOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
