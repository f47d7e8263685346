#include <gradus/nn/optim/sgd.h>

#include <cmath>

#include <gradus/core/ops/update.h>
#include <gradus/nn/optim/detail/check.h>

namespace gradus::optim {
namespace {

std::vector<const char*> moments_of(const SGDOptions& options) {
  if (options.momentum == 0) return {};
  return {"momentum_buffer"};
}

void check_options(const SGDOptions& options) {
  detail::check_number("SGD", "momentum", options.momentum);
  check(std::isfinite(options.dampening), "SGD: dampening is {}; it must be finite", options.dampening);
  check(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
        "SGD: nesterov with momentum {} and dampening {}; it needs a momentum above 0 and no dampening",
        options.momentum, options.dampening);
}

}  // namespace

SGD::SGD(std::vector<Tensor> params, SGDOptions options) : SGD(detail::one_group(std::move(params)), options) {}

SGD::SGD(std::vector<ParamGroup> groups, SGDOptions options)
    : Optimizer("SGD", std::move(groups), options.lr, options.weight_decay, moments_of(options)), options_(options) {
  check_options(options);
}

std::vector<Optimizer::Option> SGD::options() const {
  return {{"momentum", options_.momentum},
          {"dampening", options_.dampening},
          {"nesterov", options_.nesterov ? 1.0 : 0.0},
          {"maximize", options_.maximize ? 1.0 : 0.0, true}};
}

void SGD::set_options(const std::vector<double>& values) {
  const SGDOptions options{
      .momentum = values[0], .dampening = values[1], .nesterov = values[2] != 0, .maximize = values[3] != 0};
  check_options(options);
  options_ = options;
}

std::vector<const char*> SGD::moments() const {
  return moments_of(options_);
}

void SGD::update(const Slot& slot, const Tensor& grad, double lr) const {
  sgd_update(slot.param, slot.moments[0], grad,
             {.lr = lr,
              .momentum = options_.momentum,
              .dampening = options_.dampening,
              .weight_decay = slot.weight_decay,
              .nesterov = options_.nesterov,
              .first = slot.steps == 1});
}

}  // namespace gradus::optim
