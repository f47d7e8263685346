#include <gradus/core/watch.h>

#include <utility>

namespace gradus {

constinit thread_local OpWatcher* detail::newest_watcher = nullptr;

OpWatcher::OpWatcher() : outer_(std::exchange(detail::newest_watcher, this)) {}

OpWatcher::~OpWatcher() {
  detail::newest_watcher = outer_;
}

}  // namespace gradus
