// One loop over the numbers; the bookkeeping is Optimizer's.
#include <gradus/nn/optim/rmsprop.h>

#include <cmath>

namespace gradus::optim {
namespace {

std::vector<const char*> moments_of(const RMSpropOptions& options) {
  std::vector<const char*> names{"square_avg"};
  if (options.momentum != 0) names.push_back("momentum_buffer");
  if (options.centered) names.push_back("grad_avg");
  return names;
}

void check_options(const RMSpropOptions& options) {
  check(options.alpha >= 0 && options.alpha < 1, "RMSprop: alpha is {}; it must be at least 0 and below 1",
        options.alpha);
  check(options.eps >= 0 && options.momentum >= 0 && std::isfinite(options.eps) && std::isfinite(options.momentum),
        "RMSprop: eps is {} and momentum {}; both must be finite numbers of at least 0", options.eps, options.momentum);
}

}  // namespace

RMSprop::RMSprop(std::vector<Tensor> params, RMSpropOptions options)
    : RMSprop(std::vector<ParamGroup>{{.params = std::move(params)}}, options) {}

RMSprop::RMSprop(std::vector<ParamGroup> groups, RMSpropOptions options)
    : Optimizer("RMSprop", std::move(groups), options.lr, options.weight_decay, moments_of(options)),
      options_(options) {
  check_options(options);
}

std::vector<Optimizer::Option> RMSprop::options() const {
  return {{"alpha", options_.alpha},
          {"eps", options_.eps},
          {"momentum", options_.momentum},
          {"centered", options_.centered ? 1.0 : 0.0, true},
          {"maximize", options_.maximize ? 1.0 : 0.0, true}};
}

void RMSprop::set_options(const std::vector<double>& values) {
  const RMSpropOptions options{.alpha = values[0],
                               .eps = values[1],
                               .momentum = values[2],
                               .centered = values[3] != 0,
                               .maximize = values[4] != 0};
  check_options(options);
  options_ = options;
}

std::vector<const char*> RMSprop::moments() const {
  return moments_of(options_);
}

void RMSprop::update(const Slot& slot, const Tensor& grad, double lr) const {
  dispatch(grad.dtype(), [&]<class T>() {
    const auto rate = static_cast<T>(lr), keep = static_cast<T>(options_.alpha), eps = static_cast<T>(options_.eps);
    const auto take = static_cast<T>(1 - options_.alpha), decay = static_cast<T>(slot.weight_decay);
    const auto momentum = static_cast<T>(options_.momentum);
    const auto p = slot.param.data<T>(), square = slot.moments[0].data<T>(), g = grad.data<T>();
    const auto velocity = options_.momentum != 0 ? slot.moments[1].data<T>() : std::span<T>();
    const auto mean = options_.centered ? slot.moments[options_.momentum != 0 ? 2 : 1].data<T>() : std::span<T>();
    for (std::size_t i = 0; i < p.size(); ++i) {
      const T slope = g[i] + decay * p[i];
      square[i] = keep * square[i] + take * slope * slope;
      T spread = square[i];
      if (!mean.empty()) {
        mean[i] = keep * mean[i] + take * slope;
        spread -= mean[i] * mean[i];
        if (spread < 0) spread = 0;
      }
      T move = slope / (std::sqrt(spread) + eps);
      if (!velocity.empty()) move = velocity[i] = momentum * velocity[i] + move;
      p[i] -= rate * move;
    }
  });
  slot.param.mark_written("RMSprop");
}

}  // namespace gradus::optim
