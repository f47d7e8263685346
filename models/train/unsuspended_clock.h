// Time in which this process ran: what a budget in seconds means.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Seconds since it was made, without those in which the process was stopped (Ctrl-Z, SIGSTOP) or the machine asleep.
/// A thread of its own looks at the time every 50 ms: where a second or more has passed since it last did, nothing ran.
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
  double stopped_from_ = 1;  // seconds; a thread of a busy machine may wait for a good part of one
  std::thread thread_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
