#include <gradus/core/watch.h>

#include <utility>

namespace gradus {
namespace {
constinit thread_local OpWatcher* newest = nullptr;
}

OpWatcher::OpWatcher() : outer_(std::exchange(newest, this)) {}

OpWatcher::~OpWatcher() {
  newest = outer_;
}

OpWatcher* detail::watcher() {
  return newest;
}

}  // namespace gradus
