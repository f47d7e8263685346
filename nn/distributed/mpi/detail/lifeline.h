// Lifeline: how the ranks of a run learn that one of them died or hangs. Every rank keeps a TCP connection to rank 0
// and reports on it what it does. The system closes the connection when the process ends, however that happens; a
// process that was stopped goes silent.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace gradus::distributed::detail {

class Lifeline {
 public:
  /// Called once, on another thread: a sentence that names the rank that failed, and that rank if it is known to be
  /// gone, else -1.
  using OnFailure = std::function<void(const std::string& sentence, int gone)>;
  /// `hosts`: the machine of each rank.
  Lifeline(int rank, std::vector<std::string> hosts, OnFailure on_failure);
  /// Takes leave, so that nobody takes the end for a failure.
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

  /// Rank 0: opens a port. Returns what the others need to connect.
  std::string listen();
  /// The others: connects to what listen() returned on rank 0. Throws Error when that cannot be reached.
  void connect(const std::string& place);

  /// What this rank does, and whether it waits for others.
  void set_activity(std::string_view activity);
  void set_waiting(bool waiting) { waiting_.store(waiting, std::memory_order_relaxed); }
  /// This rank cannot go on: all others hear `reason`.
  void stop(const std::string& reason);
  /// This rank has waited for `seconds`: all hear who does not answer.
  void give_up(double seconds);

 private:
  using Clock = std::chrono::steady_clock;
  // The other end of a connection: rank 0 has one for each other rank, the others have one for rank 0.
  struct Peer {
    int rank;
    int socket = -1;
    std::string received = {};
    std::string activity = "had not begun";
    bool waiting = false, left = false;
    Clock::time_point heard = Clock::now();
  };

  void run();
  void accept_others();
  void report();
  void read(Peer& peer);
  void take(Peer& peer, const std::string& line);
  void hear_end(Peer& peer);
  void send(Peer& peer, const std::string& line);
  void fail(const std::string& sentence, int gone = -1);
  std::string named(int rank) const;
  std::string who_hangs(double seconds, int asking) const;
  void wake() const;

  int rank_;
  std::vector<std::string> hosts_;
  OnFailure on_failure_;
  std::string token_;
  int listening_ = -1;
  int wake_[2] = {-1, -1};
  std::vector<Peer> peers_;
  Clock::time_point reported_{};
  std::string last_report_ = "s0 begins";

  std::mutex mutex_;
  std::string activity_ = "begins";
  std::string stop_reason_;
  double gave_up_ = 0;
  bool leaving_ = false;
  std::atomic<bool> waiting_{false};
  bool failed_ = false;  // of the thread
  std::thread thread_;
};

}  // namespace gradus::distributed::detail
