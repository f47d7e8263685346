// Stochastic gradient descent, with momentum.
#pragma once

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;  // step uphill
};

/// With g' = g + weight_decay p and b = momentum b + (1 - dampening) g' (b = g' at first):
/// p -= lr (nesterov ? g' + momentum b : b). Sutskever et al. 2013, in PyTorch's form.
class SGD : public Optimizer {
 public:
  explicit SGD(std::vector<Tensor> params, SGDOptions options = {});
  template <detail::Rate T>
  SGD(std::vector<Tensor> params, T lr) : SGD(std::move(params), SGDOptions{.lr = static_cast<double>(lr)}) {}
  explicit SGD(std::vector<ParamGroup> groups, SGDOptions options = {});

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  std::vector<const char*> moments() const override;
  bool maximize() const override { return options_.maximize; }
  SGDOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
