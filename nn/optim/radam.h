// RAdam: Adam that takes plain momentum steps until its mean square is an average of enough steps.
#pragma once

#include <utility>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct RAdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
};

/// m and v as Adam's, with weight decay added to the gradient. With R = 2 / (1 - b2) - 1, r = R - 2 t b2^t / (1 -
/// b2^t):
///   r > 5     p -= lr sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r)) m / (1 - b1^t) sqrt(1 - b2^t) / (sqrt(v) + eps)
///   else      p -= lr m / (1 - b1^t)
/// Liu et al. 2020, algorithm 2, with PyTorch's threshold (the paper's is 4) and eps.
class RAdam : public Optimizer {
 public:
  explicit RAdam(std::vector<Tensor> params, RAdamOptions options = {});
  template <detail::Rate T>
  RAdam(std::vector<Tensor> params, T lr) : RAdam(std::move(params), RAdamOptions{.lr = static_cast<double>(lr)}) {}
  explicit RAdam(std::vector<ParamGroup> groups, RAdamOptions options = {});

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  RAdamOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
