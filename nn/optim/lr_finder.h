// A range test of the learning rate: the loss of training steps at rates that grow.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

struct LRFinderOptions {
  double start_lr = 1e-7;
  double end_lr = 10;
  Index num_iter = 100;  // steps, from start_lr to end_lr, each rate a fixed factor above the one before
  double diverged =
      4;  // ends after a loss that is not finite, or above this many times the smallest (if that is above 0)
};

/// The rates and the losses that train_step returned at them. train_step makes one step of the training: gradients,
/// optimizer.step(), and returns its loss. The optimizer has its own rate again at the end, also if train_step throws;
/// the parameters and moments have moved: load what was saved before. A good rate is some factor below the one whose
/// loss is smallest. Smith 2017 (Cyclical Learning Rates, section 3.3), with an exponential ramp.
std::vector<std::pair<double, double>> find_lr(Optimizer& optimizer, const std::function<double()>& train_step,
                                               LRFinderOptions options = {});

#pragma GCC visibility pop
}  // namespace gradus::optim
