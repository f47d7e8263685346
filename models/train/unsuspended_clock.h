// RunningClock: time for a budget in seconds, without the time in which the process was suspended.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Seconds since it was made, without those in which the process was stopped (Ctrl-Z, SIGSTOP) or the machine asleep. A
/// thread of its own looks at the time every 50 ms: a gap of a second or more means that the process was suspended, and
/// is not counted.
class RunningClock {
 public:
  RunningClock();
  ~RunningClock();
  RunningClock(const RunningClock&) = delete;
  RunningClock& operator=(const RunningClock&) = delete;

  double seconds();

 private:
  using Clock = std::chrono::steady_clock;
  double look();  // with the mutex held

  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  Clock::time_point looked_ = Clock::now();
  double seconds_ = 0;
  double stopped_from_ =
      1;  // seconds: a longer gap counts as suspension; on a busy machine a thread may wait almost as long
  std::thread thread_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
