// Adam, and AdamW, whose weight decay does not go through the moments.
#pragma once

#include <utility>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct AdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;   // divide by the largest v so far; Reddi et al. 2018, algorithm 2
  bool maximize = false;  // step uphill
};

/// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps).
/// Kingma & Ba 2015, algorithm 1. Weight decay is added to the gradient (L2).
class Adam : public Optimizer {
 public:
  explicit Adam(std::vector<Tensor> params, AdamOptions options = {});
  template <detail::Rate T>
  Adam(std::vector<Tensor> params, T lr) : Adam(std::move(params), AdamOptions{.lr = static_cast<double>(lr)}) {}
  explicit Adam(std::vector<ParamGroup> groups, AdamOptions options = {});

 protected:
  Adam(const char* name, std::vector<ParamGroup> groups, const AdamOptions& options, bool decoupled);

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  std::vector<const char*> moments() const override;
  bool maximize() const override { return options_.maximize; }
  void update_amsgrad(const Slot& slot, const Tensor& grad, double lr) const;
  AdamOptions options_;
  bool decoupled_;
};

struct AdamWOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool amsgrad = false;
  bool maximize = false;
};

/// Adam with decoupled weight decay: p *= 1 - lr weight_decay before the step. Loshchilov & Hutter 2019, algorithm 2.
class AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Tensor> params, AdamWOptions options = {});
  template <detail::Rate T>
  AdamW(std::vector<Tensor> params, T lr) : AdamW(std::move(params), AdamWOptions{.lr = static_cast<double>(lr)}) {}
  explicit AdamW(std::vector<ParamGroup> groups, AdamWOptions options = {});
};

#pragma GCC visibility pop
}  // namespace gradus::optim
