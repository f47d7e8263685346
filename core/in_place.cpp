#include <gradus/core/detail/in_place.h>

#include <fmt/format.h>

#include <mutex>
#include <unordered_map>

namespace gradus {
namespace {

// What is said when stale values are read. Any thread may read them: an op's backward may run on several.
struct Errors {
  std::mutex mutex;
  std::unordered_map<const Node*, std::string> of_values;
};

// Never destroyed, since a thread may compute while the program ends.
Errors& errors() {
  static Errors& instance = *new Errors;
  return instance;
}

}  // namespace

void Node::fail_stale() const {
  const std::lock_guard lock(errors().mutex);
  fail("{}", errors().of_values[this]);
}

namespace detail {

ChangeGuard::ChangeGuard(const Node& op, const AnomalyMode* anomaly) : op_(op) {
  Versions now{.result = op.data.version()}, before = op.versions;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] != nullptr) now.of_input(i) += op.inputs[i]->data.version();
  }
  op.guarded = true;
  protect(op, "its result", now.result != before.result, anomaly);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] == nullptr) continue;
    protect(*op.inputs[i], fmt::format("its input {}", i), now.of_input(i) != before.of_input(i), anomaly);
  }
}

ChangeGuard::~ChangeGuard() {
  const std::lock_guard lock(errors().mutex);
  const auto let_go = [](const Node& values) {
    values.stale = false;
    errors().of_values.erase(&values);
  };
  op_.guarded = false;
  let_go(op_);
  for (const NodePtr& input : op_.inputs) {
    if (input != nullptr) let_go(*input);
  }
}

// `counted`: its version has changed, or that of another input which is counted with it.
void ChangeGuard::protect(const Node& values, const std::string& what, bool counted, const AnomalyMode* anomaly) {
  counted = counted && values.data.version() != 0;
  if (values.stale || !(counted || (anomaly != nullptr && anomaly->has_changed(op_, values)))) return;
  const std::lock_guard lock(errors().mutex);
  errors().of_values[&values] = fmt::format(
      "{}: backward needs {} {} as it was when the op ran, but {} has changed it since; call backward() before the "
      "change, compute the loss again after it, or change a clone()",
      op_.called(), what, values.shape, counted ? values.data.writer() : "a write through data()");
  values.stale = true;
}

}  // namespace detail
}  // namespace gradus
