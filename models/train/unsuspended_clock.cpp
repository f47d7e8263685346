// A process cannot see that it was stopped, only that its threads, all of them, did nothing for a while.
#include <gradus/models/train/unsuspended_clock.h>

#include <limits>
#include <system_error>

namespace gradus::models {
namespace {

constexpr std::chrono::milliseconds period(50);

}  // namespace

RunningClock::RunningClock() {
  try {
    thread_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      while (!end_.wait_for(lock, period, [this] { return ended_; })) look();
    });
  } catch (const std::system_error&) {
    stopped_from_ = std::numeric_limits<double>::infinity();  // no thread is left: the clock runs as any other
  }
}

RunningClock::~RunningClock() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  end_.notify_one();
  if (thread_.joinable()) thread_.join();
}

double RunningClock::look() {
  const Clock::time_point now = Clock::now();
  const double passed = std::chrono::duration<double>(now - looked_).count();
  looked_ = now;
  seconds_ += passed < stopped_from_ ? passed : std::chrono::duration<double>(period).count();
  return seconds_;
}

double RunningClock::seconds() {
  const std::lock_guard lock(mutex_);
  return look();
}

}  // namespace gradus::models
