#include <gradus/core/detail/in_place.h>

#include <fmt/format.h>

namespace gradus::detail {
namespace {

// What wrote `values`, an input or the result of `op`, after `op` recorded them; null: nothing.
const char* written_since(const Node& values, const Node& op, const AnomalyMode* anomaly) {
  if (values.data.written() > op.id) return values.data.writer();
  return anomaly != nullptr && anomaly->has_changed(op, values) ? "a write through data()" : nullptr;
}

}  // namespace

void mark_written(const Buffer& values, const char* writer) {
  // Nothing has recorded what is there now.
  if (values.recorded() <= values.written()) return;
  values.set_written(next_id(values.recorded()), writer);
}

ChangeGuard::ChangeGuard(const Node& op, const AnomalyMode* anomaly) : op_(op) {
  errors_.reserve(op.inputs.size() + 1);
  protect(op, "its result", anomaly);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] != nullptr) protect(*op.inputs[i], fmt::format("its input {}", i), anomaly);
  }
}

ChangeGuard::~ChangeGuard() {
  op_.stale = nullptr;
  for (const NodePtr& input : op_.inputs) {
    if (input != nullptr) input->stale = nullptr;
  }
}

void ChangeGuard::protect(const Node& values, const std::string& what, const AnomalyMode* anomaly) {
  const char* const writer = written_since(values, op_, anomaly);
  if (writer == nullptr || values.stale != nullptr) return;
  errors_.push_back(fmt::format(
      "{}: backward needs {} {} as it was when the op ran, but {} has changed it since; call backward() before the "
      "change, compute the loss again after it, or change a clone()",
      op_.op, what, values.shape, writer));
  values.stale = &errors_.back();
}

}  // namespace gradus::detail
