// EMA: an exponential moving average of a module's weights, which often performs better than the last weights.
#pragma once

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// average = decay average + (1 - decay) weight after each update(), for parameters and buffers, starting from the
/// module's values at construction (Polyak & Juditsky 1992). PyTorch's AveragedModel with such an avg_fn differs twice:
/// its first update only copies the parameters, and unless use_buffers is set it leaves the buffers as they were.
///     EMA ema(model, 0.999);
///     for (..) { ..  optimizer.step(); ema.update(); }
///     ema.swap(); evaluate(model); ema.swap();
class EMA {
 public:
  explicit EMA(const Module& module, double decay = 0.999);
  /// Moves the averages towards the module's values.
  void update();
  /// Exchanges the module's values and the averages; a second call puts them back.
  void swap();
  /// The averages under the names of the module's parameters and buffers. They share memory with this EMA until the
  /// module changes its type: write to them to restore what was saved.
  const NamedTensors& averages() const { return averages_; }

 private:
  NamedTensors values_, averages_;
  double decay_;
};

#pragma GCC visibility pop
}  // namespace gradus::nn
