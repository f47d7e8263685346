// AnomalyMode: finds the op that made the first NaN or infinity, where a loss that is NaN says only that there was one.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradus/core/autograd.h>

namespace gradus {
#pragma GCC visibility push(default)

/// While one lives, every op on this thread is looked at, forward and backward: the first whose result, or whose
/// gradient of an input, is not finite ends in an Error with the op, the place and value, the shapes and ranges of its
/// inputs, the module it is in or behind, and the step. Every value is read once more, so training takes longer.
///     AnomalyMode watch(model.named_parameters());
/// What is meant to be infinite, such as a mask of -inf, ends in an Error as well.
class AnomalyMode {
 public:
  /// `names` of parameters, from which the error tells the module; without them it does not.
  explicit AnomalyMode(std::vector<std::pair<std::string, Tensor>> names = {});
  ~AnomalyMode();
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;

  /// The number of the training step, for the error; Trainer sets it.
  void set_step(Index step) { step_ = step; }

  /// What record() and backward() call while one lives.
  void check_forward(const char* op, const Tensor& y, detail::InputList inputs) const;
  void check_backward(const Node& node) const;
  void check_weight(const Tensor& weight) const;

 private:
  std::string place(const std::vector<const Node*>& inputs) const;

  std::vector<std::pair<std::string, Tensor>> names_;
  std::optional<Index> step_;
  AnomalyMode* outer_;
};

namespace detail {
/// The thread's innermost; null: off.
AnomalyMode* anomaly_mode();
}  // namespace detail

#pragma GCC visibility pop
}  // namespace gradus
