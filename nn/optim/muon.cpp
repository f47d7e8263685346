// The Newton-Schulz steps are matrix products of the engine; the bookkeeping is Optimizer's.
#include <gradus/nn/optim/muon.h>

#include <algorithm>
#include <cmath>

#include <gradus/core/ops.h>
#include <gradus/core/ops/update.h>
#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

void check_options(const MuonOptions& options) {
  detail::check_number("Muon", "momentum", options.momentum, 1);
  detail::check_number("Muon", "eps", options.eps);
  check(options.eps > 0, "Muon: eps is 0; it must be above 0, for a gradient of zeros");
  check(options.ns_steps >= 0 && options.ns_steps < 100, "Muon: ns_steps is {}; it must be at least 0 and below 100",
        options.ns_steps);
}

void check_matrices(const std::vector<Tensor>& params) {
  for (const Tensor& param : params) {
    check(!param.defined() || param.rank() == 2,
          "Muon: a parameter is {}; Muon is for matrices, of two dimensions: give the others to AdamW", param.shape());
  }
}

// A tall matrix is transposed first: X X^T is then the smaller of the two products.
Tensor newton_schulz(const Tensor& matrix, const MuonOptions& options) {
  const bool tall = matrix.size(0) > matrix.size(1);
  Tensor x = tall ? transpose(matrix, 0, 1) : matrix;
  x = x * (1 / std::max(joint_norm({x}), options.eps));
  for (Index step = 0; step < options.ns_steps; ++step) {
    const Tensor gram = matmul(x, transpose(x, 0, 1));
    x = x * 3.4445 + matmul(gram * -4.775 + matmul(gram, gram) * 2.0315, x);
  }
  return tall ? transpose(x, 0, 1) : x;
}

}  // namespace

Muon::Muon(std::vector<Tensor> params, MuonOptions options) : Muon(detail::one_group(std::move(params)), options) {}

Muon::Muon(std::vector<ParamGroup> groups, MuonOptions options)
    : Optimizer("Muon", std::move(groups), options.lr, options.weight_decay, {"momentum_buffer"}), options_(options) {
  check_options(options);
  for (const Slot& slot : slots()) check_matrices({slot.param});
}

std::vector<Optimizer::Option> Muon::options() const {
  return {{"momentum", options_.momentum},
          {"nesterov", options_.nesterov ? 1.0 : 0.0},
          {"eps", options_.eps},
          {"ns_steps", static_cast<double>(options_.ns_steps)}};
}

void Muon::set_options(const std::vector<double>& values) {
  const MuonOptions options{.momentum = values[0],
                            .nesterov = values[1] != 0,
                            .eps = values[2],
                            .ns_steps = detail::whole_number("Muon", "ns_steps", values[3])};
  check_options(options);
  options_ = options;
}

void Muon::check_group(const ParamGroup& group) const {
  check_matrices(group.params);
}

void Muon::update(const Slot& slot, const Tensor& grad, double lr) const {
  const double momentum = options_.momentum;
  const Tensor direction = Tensor::empty_like(grad);
  dispatch(grad.dtype(), [&]<class T>() {
    const auto keep = static_cast<T>(momentum), take = static_cast<T>(1 - momentum);
    const auto buffer = slot.moments[0].data<T>(), u = direction.data<T>(), g = grad.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) {
      buffer[i] = keep * buffer[i] + take * g[i];
      u[i] = options_.nesterov ? take * g[i] + keep * buffer[i] : buffer[i];
    });
  });
  const Tensor orthogonal = newton_schulz(direction, options_);
  const double rows = static_cast<double>(grad.size(0)), columns = static_cast<double>(grad.size(1));
  const double step_size = lr * std::sqrt(std::max(1.0, rows / std::max(1.0, columns)));
  dispatch(grad.dtype(), [&]<class T>() {
    const auto rate = static_cast<T>(step_size), shrink = static_cast<T>(1 - lr * slot.weight_decay);
    const auto p = slot.param.data<T>(), u = orthogonal.data<T>();
    detail::each_element(grad.numel(), [&](std::size_t i) { p[i] = p[i] * shrink - rate * u[i]; });
  });
  slot.param.mark_written("Muon");
}

}  // namespace gradus::optim
