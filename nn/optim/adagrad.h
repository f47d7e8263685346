// Adagrad: each gradient divided by the root of the sum of all squares so far, its own included.
#pragma once

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct AdagradOptions {
  double lr = 0.01;
  double lr_decay = 0;  // the rate of step t is lr / (1 + (t - 1) lr_decay)
  double weight_decay = 0;
  double initial_accumulator_value = 0;  // what the sum of squares begins at
  double eps = 1e-10;
  bool maximize = false;
};

/// With g' = g + weight_decay p: s += g'^2, p -= lr / (1 + (t - 1) lr_decay) g' / (sqrt(s) + eps).
/// Duchi, Hazan & Singer 2011, figure 1 (the diagonal form), in PyTorch's form.
class Adagrad : public Optimizer {
 public:
  explicit Adagrad(std::vector<Tensor> params, AdagradOptions options = {});
  template <detail::Rate T>
  Adagrad(std::vector<Tensor> params, T lr)
      : Adagrad(std::move(params), AdagradOptions{.lr = static_cast<double>(lr)}) {}
  explicit Adagrad(std::vector<ParamGroup> groups, AdagradOptions options = {});

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  bool maximize() const override { return options_.maximize; }
  AdagradOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
