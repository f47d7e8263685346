// AnomalyMode: finds the op that made the first NaN or infinity, where a loss that is NaN says only that there was one.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gradus/core/autograd.h>

namespace gradus {
#pragma GCC visibility push(default)

/// While one lives, every op on this thread is looked at, forward and backward: the first whose result, or whose
/// gradient of an input, is not finite ends in an Error with the op, the place and value, the shapes and ranges of its
/// inputs, the module it is in or behind, and the step. So does an op that was recorded while this one lived, and whose
/// gradient needs values that were written through data() since. Every value is read a few times more, so training
/// takes longer.
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
  /// A checksum of each of the op's inputs and of its result; whether one of them has another one by now.
  void note_values(const Node& op);
  bool has_changed(const Node& op, const Node& values) const;
  void forget_values(const Node& op) { noted_.erase(&op); }

 private:
  struct Checksums {
    std::uint64_t op_id;  // addresses are used again
    std::vector<std::uint64_t> of_values;
  };

  std::string place(const std::vector<const Node*>& inputs) const;

  std::vector<std::pair<std::string, Tensor>> names_;
  std::optional<Index> step_;
  std::unordered_map<const Node*, Checksums> noted_;
  AnomalyMode* outer_;
};

namespace detail {
/// The thread's innermost; null: off.
AnomalyMode* anomaly_mode();
}  // namespace detail

#pragma GCC visibility pop
}  // namespace gradus
