// Muon: momentum whose update is made orthogonal, for the weight matrices of a network's hidden layers.
#pragma once

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  double eps = 1e-7;   // the smallest norm that a momentum is divided by
  Index ns_steps = 5;  // Newton-Schulz steps
};

/// b = momentum b + (1 - momentum) g, u = nesterov ? (1 - momentum) g + momentum b : b, then
/// p = p (1 - lr weight_decay) - lr sqrt(max(1, rows / columns)) NS(u). NS divides by the Frobenius norm and takes
/// ns_steps times X = a X + (b A + c A A) X with A = X X^T, (a, b, c) = (3.4445, -4.775, 2.0315), which brings all
/// singular values near 1. Jordan et al. 2024 (kellerjordan.github.io/posts/muon); defaults and the place of the decay
/// are torch.optim.Muon's, which computes NS in bfloat16; here it has the parameter's type.
/// Throws Error for parameters that are not matrices: give those (and embeddings and the head) to AdamW.
class Muon : public Optimizer {
 public:
  explicit Muon(std::vector<Tensor> params, MuonOptions options = {});
  template <detail::Rate T>
  Muon(std::vector<Tensor> params, T lr) : Muon(std::move(params), MuonOptions{.lr = static_cast<double>(lr)}) {}
  explicit Muon(std::vector<ParamGroup> groups, MuonOptions options = {});
  Unit unit() const override { return Unit::parameter; }

 private:
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;
  void check_group(const ParamGroup& group) const override;
  MuonOptions options_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
