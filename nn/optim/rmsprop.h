// RMSprop: each gradient divided by its recent size.
#pragma once

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct RMSpropOptions {
  double lr = 0.01;
  double alpha = 0.99;  // how much of the mean square stays
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;  // divide by the deviation: v less the square of the mean gradient, in place of v
  bool maximize = false;  // step uphill
};

/// With g' = g + weight_decay p: v = alpha v + (1 - alpha) g'^2, b = momentum b + g' / (sqrt(v) + eps), p -= lr b.
/// centered: a = alpha a + (1 - alpha) g', and v - a^2 (0 where rounding makes it negative) stands for v in b.
/// Tieleman & Hinton 2012, lecture 6.5, in PyTorch's form; centered is Graves 2013, equations 38 to 45.
class RMSprop : public Optimizer {
 public:
  explicit RMSprop(std::vector<Tensor> params, RMSpropOptions options = {});
  template <detail::Rate T>
  RMSprop(std::vector<Tensor> params, T lr)
      : RMSprop(std::move(params), RMSpropOptions{.lr = static_cast<double>(lr)}) {}
  explicit RMSprop(std::vector<ParamGroup> groups, RMSpropOptions options = {});

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  std::vector<const char*> moments() const override;
  bool maximize() const override { return options_.maximize; }
  RMSpropOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
