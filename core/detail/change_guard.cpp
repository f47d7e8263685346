#include <gradus/core/detail/change_guard.h>

#include <fmt/format.h>

#include <algorithm>

#include <gradus/core/watch.h>

namespace gradus::detail {

constinit std::atomic<int> change_guards{0};

namespace {
constinit thread_local const ChangeGuard* this_threads = nullptr;
}

void check_unchanged(const Node& values) {
  if (this_threads != nullptr) this_threads->check(values);
}

ChangeGuard::ChangeGuard(const Node& op) : op_(op) {
  Versions now{.result = op.data.version()}, before = op.versions;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] != nullptr) now.of_input(i) += op.inputs[i]->data.version();
  }
  protect(op, "its result", now.result != before.result);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] == nullptr) continue;
    protect(*op.inputs[i], fmt::format("its input {}", i), now.of_input(i) != before.of_input(i));
  }
  outer_ = std::exchange(this_threads, this);
  change_guards.fetch_add(1, std::memory_order_relaxed);
}

ChangeGuard::~ChangeGuard() {
  change_guards.fetch_sub(1, std::memory_order_relaxed);
  this_threads = outer_;
}

void ChangeGuard::check(const Node& values) const {
  const auto found = std::ranges::find_if(
      errors_, [&](const auto& error) { return error.first == &values || error.first->data.is_same(values.data); });
  if (found != errors_.end()) fail("{}", found->second);
}

// `counted`: its version has changed, or the version of an input that is counted together with it.
void ChangeGuard::protect(const Node& values, const std::string& what, bool counted) {
  counted = counted && values.data.version() != 0;
  bool seen = false;
  for_each_watcher([&](const OpWatcher& watcher) { seen = seen || watcher.has_changed(op_, values); });
  if (!counted && !seen) return;
  errors_.emplace_back(
      &values,
      fmt::format("{}: backward needs {} {} as it was when the op ran, but {} has changed it since; call "
                  "backward() before the change, compute the loss again after it, or change a clone()",
                  op_.called(), what, values.shape, counted ? values.data.writer() : "a write through data()"));
}

}  // namespace gradus::detail
