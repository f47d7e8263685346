// The ranges of TrainOptions. Its checks and the command line's walk this list.
#pragma once

#include <limits>

#include <gradus/models/detail/setting_range.h>
#include <gradus/models/train/trainer.h>

namespace gradus::models::detail {

/// Calls f(member, name, Range) for each number but eps, which may be any.
template <class Options, class F>
void for_each_option(Options& options, const F& f) {
  constexpr double most_steps = 1e12, most_sequences = 1 << 20;
  constexpr Range part{.low = 0, .high = 1, .high_itself = false};
  f(options.steps, "steps", Range{.low = 0, .high = most_steps, .meaning = " (0: no limit)"});
  f(options.tokens, "tokens", Range{.low = 0, .meaning = " (0: no limit)"});
  f(options.seconds, "seconds", Range{.low = 0, .meaning = " (0: no limit)"});
  f(options.batch_size, "batch_size", Range{1, most_sequences});
  f(options.accumulation, "accumulation", Range{1, most_sequences});
  f(options.lr, "the learning rate", Range{.low = 0, .low_itself = false});
  f(options.min_lr, "min_lr", Range{.low = 0});
  f(options.warmup, "warmup", Range{.low = 0});
  f(options.weight_decay, "weight_decay", Range{.low = 0});
  f(options.beta1, "beta1", part);
  f(options.beta2, "beta2", part);
  f(options.clip, "clip",
    Range{.low = 0, .high = std::numeric_limits<double>::infinity(), .meaning = " (0: no limit)"});
  f(options.label_smoothing, "label_smoothing", part);
}

}  // namespace gradus::models::detail
