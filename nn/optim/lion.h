// Lion: steps of one size, whose sign is that of a momentum.
#pragma once

#include <utility>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct LionOptions {
  double lr = 1e-4;
  std::pair<double, double> betas = {0.9, 0.99};
  double weight_decay = 0;
};

/// p = p (1 - lr weight_decay) - lr sign(b1 m + (1 - b1) g), then m = b2 m + (1 - b2) g; the sign of 0 is 0.
/// Chen et al. 2023 (Symbolic Discovery of Optimization Algorithms), program 1, with its defaults.
class Lion : public Optimizer {
 public:
  explicit Lion(std::vector<Tensor> params, LionOptions options = {});
  template <detail::Rate T>
  Lion(std::vector<Tensor> params, T lr) : Lion(std::move(params), LionOptions{.lr = static_cast<double>(lr)}) {}
  explicit Lion(std::vector<ParamGroup> groups, LionOptions options = {});

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  LionOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
