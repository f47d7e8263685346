// AnomalyMode: finds the op that made the first NaN or infinity, which a NaN loss does not tell.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gradus/core/watch.h>

namespace gradus {
namespace detail {
class ModulePaths;
}
#pragma GCC visibility push(default)

/// While one lives, every op on this thread that has a gradient is checked, forward and backward. If a result or an
/// input's gradient is not finite, an Error names the op, the place and the value, the shapes and ranges of the op's
/// inputs, the module of the op or of the nearest one before it, and the step. An op recorded while this lives is also
/// an Error if its gradient needs values that were written through data() since. Every value is read a few times more,
/// so training takes longer.
///     AnomalyMode watch(model.named_parameters());
/// Values that are infinite on purpose, such as a mask of -inf, are an Error as well.
class AnomalyMode final : public OpWatcher {
 public:
  /// `names`: the named parameters, from which the error tells the module; without them it names no module.
  explicit AnomalyMode(std::vector<std::pair<std::string, Tensor>> names = {});
  ~AnomalyMode() override;

  /// The number of the training step, for the error; Trainer sets it.
  void set_step(Index step) override { step_ = step; }

  void on_forward(const char* op, const Tensor& y, Inputs inputs) override;
  void on_record(const Node& op) override;
  void on_weight(const Tensor& weight) override;
  bool has_changed(const Node& op, const Node& values) const override;
  void on_backward(const Node& op, bool released) override;

 private:
  // Of an op's result and its inputs, as they were when it was recorded.
  struct Checksums {
    std::uint64_t op_id;  // addresses are used again
    std::vector<std::uint64_t> of_values;
  };

  std::string place(const std::vector<const Node*>& inputs) const;

  std::unique_ptr<const detail::ModulePaths> paths_;
  std::optional<Index> step_;
  std::unordered_map<const Node*, Checksums> noted_;
};

#pragma GCC visibility pop
}  // namespace gradus
