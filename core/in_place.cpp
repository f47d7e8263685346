#include <gradus/core/detail/in_place.h>

#include <fmt/format.h>

namespace gradus::detail {

ChangeGuard::ChangeGuard(const Node& op, const AnomalyMode* anomaly) : op_(op) {
  Versions now{.result = op.data.version()}, before = op.versions;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] != nullptr) now.of_input(i) += op.inputs[i]->data.version();
  }
  errors_.reserve(op.inputs.size() + 1);
  op.guarded = true;
  protect(op, "its result", now.result != before.result, anomaly);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] == nullptr) continue;
    protect(*op.inputs[i], fmt::format("its input {}", i), now.of_input(i) != before.of_input(i), anomaly);
  }
}

ChangeGuard::~ChangeGuard() {
  op_.guarded = false;
  op_.stale = nullptr;
  for (const NodePtr& input : op_.inputs) {
    if (input != nullptr) input->stale = nullptr;
  }
}

// `counted`: its version has changed, or that of another input which is counted with it.
void ChangeGuard::protect(const Node& values, const std::string& what, bool counted, const AnomalyMode* anomaly) {
  counted = counted && values.data.version() != 0;
  if (values.stale != nullptr || !(counted || (anomaly != nullptr && anomaly->has_changed(op_, values)))) return;
  errors_.push_back(fmt::format(
      "{}: backward needs {} {} as it was when the op ran, but {} has changed it since; call backward() before the "
      "change, compute the loss again after it, or change a clone()",
      op_.called(), what, values.shape, counted ? values.data.writer() : "a write through data()"));
  values.stale = &errors_.back();
}

}  // namespace gradus::detail
