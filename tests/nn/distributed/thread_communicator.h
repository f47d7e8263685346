// Ranks that are threads of one process, so that what is done with a Communicator is tested without MPI and under
// ThreadSanitizer.
#pragma once

#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gradus/nn/distributed/communicator.h>

namespace gradus::testing {

/// What the ranks of one run share. Exchanges are numbered: the n-th of one rank is the n-th of all.
class ThreadHub {
 public:
  explicit ThreadHub(int ranks) : ranks_(static_cast<std::size_t>(ranks)) {}

  struct Operation {
    std::string kind;
    std::vector<std::optional<std::vector<std::vector<std::byte>>>> parts;  // [from][to], once it has come
    std::size_t finished = 0;
  };

  void post(std::size_t number, std::size_t rank, const std::string& kind, std::vector<std::vector<std::byte>> parts) {
    const std::lock_guard lock(mutex_);
    while (first_ + operations_.size() <= number) {
      operations_.push_back({kind, std::vector<std::optional<std::vector<std::vector<std::byte>>>>(ranks_), 0});
    }
    Operation& operation = operations_[number - first_];
    if (operation.kind != kind && error_.empty()) {
      error_ = fmt::format("exchange {} is {} on one rank and {} on rank {}", number, operation.kind, kind, rank);
    }
    operation.parts[rank] = std::move(parts);
    changed_.notify_all();
  }

  bool is_there(std::size_t number) {
    const std::lock_guard lock(mutex_);
    throw_if_stopped();
    return is_complete(number);
  }

  /// Waits, and copies what came for `rank` from ranks 0, 1, .. one after another.
  void take(std::size_t number, std::size_t rank, std::span<std::byte> to, std::span<const std::size_t> sizes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !error_.empty() || is_complete(number); });
    throw_if_stopped();
    Operation& operation = operations_[number - first_];
    std::size_t at = 0;
    for (std::size_t from = 0; from < ranks_; ++from) {
      const std::vector<std::byte>& part = (*operation.parts[from])[rank];
      check(part.size() == sizes[from], "ThreadHub: rank {} sends {} bytes but rank {} expects {}", from, part.size(),
            rank, sizes[from]);
      if (!part.empty() && to.data() + at != part.data()) std::memcpy(to.data() + at, part.data(), part.size());
      at += part.size();
    }
    ++operation.finished;
    while (!operations_.empty() && operations_.front().finished == ranks_) {
      operations_.pop_front();
      ++first_;
    }
  }

  void stop(std::string reason) {
    const std::lock_guard lock(mutex_);
    if (error_.empty()) error_ = std::move(reason);
    changed_.notify_all();
  }

 private:
  bool is_complete(std::size_t number) const {
    if (number - first_ >= operations_.size()) return false;
    for (const auto& parts : operations_[number - first_].parts) {
      if (!parts) return false;
    }
    return true;
  }
  void throw_if_stopped() const { check(error_.empty(), "{}", error_); }

  const std::size_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Operation> operations_;
  std::size_t first_ = 0;
  std::string error_;
};

/// Nothing arrives before it is waited for, or test() was called some times: what is used too early is seen.
class ThreadCommunicator final : public distributed::Communicator {
 public:
  ThreadCommunicator(ThreadHub& hub, int rank, int size) : hub_(hub), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string host(int rank) const override { return fmt::format("host{}", rank); }
  void barrier() override { start("barrier", std::vector<std::vector<std::byte>>(ranks()), {}, no_sizes()).wait(); }
  void set_activity(std::string_view activity) override { activity_ = activity; }
  void stop(std::string_view reason) noexcept override {
    hub_.stop(fmt::format("rank {} on {} ended in {}: {}", rank_, host(rank_), activity_, reason));
  }
  /// Bytes that this rank has sent to others in gradients and the like, by all_to_all().
  std::size_t bytes_sent() const { return bytes_sent_; }

 private:
  class Exchange final : public distributed::Request::Exchange {
   public:
    Exchange(ThreadHub& hub, std::size_t number, std::size_t rank, std::span<std::byte> to,
             std::span<const std::size_t> sizes)
        : hub_(hub), number_(number), rank_(rank), to_(to), sizes_(sizes.begin(), sizes.end()) {}
    bool done() override {
      if (++calls_ < 1 + (number_ * 7 + rank_ * 3) % 4 || !hub_.is_there(number_)) return false;
      wait();
      return true;
    }
    void wait() override { hub_.take(number_, rank_, to_, sizes_); }

   private:
    ThreadHub& hub_;
    std::size_t number_, rank_;
    std::span<std::byte> to_;
    std::vector<std::size_t> sizes_;
    std::size_t calls_ = 0;
  };

  std::size_t ranks() const { return static_cast<std::size_t>(size_); }
  std::vector<std::size_t> no_sizes() const { return std::vector<std::size_t>(ranks(), 0); }
  distributed::Request start(const std::string& kind, std::vector<std::vector<std::byte>> parts,
                             std::span<std::byte> receive, std::span<const std::size_t> sizes) {
    const std::size_t number = next_++;
    hub_.post(number, static_cast<std::size_t>(rank_), kind, std::move(parts));
    return distributed::Request(
        std::make_unique<Exchange>(hub_, number, static_cast<std::size_t>(rank_), receive, sizes));
  }
  void do_broadcast(std::span<std::byte> bytes, int root) override {
    std::vector<std::vector<std::byte>> parts(ranks());
    if (rank_ == root) parts.assign(ranks(), {bytes.begin(), bytes.end()});
    std::vector<std::size_t> sizes = no_sizes();
    sizes[static_cast<std::size_t>(root)] = bytes.size();
    start("broadcast", std::move(parts), bytes, sizes).wait();
  }
  distributed::Request do_all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                                     std::span<std::byte> receive,
                                     std::span<const std::size_t> receive_sizes) override {
    std::vector<std::vector<std::byte>> parts;
    std::size_t at = 0;
    for (const std::size_t size : send_sizes) {
      const auto part = send.subspan(at, size);
      if (std::cmp_not_equal(parts.size(), rank_)) bytes_sent_ += size;
      parts.emplace_back(part.begin(), part.end());
      at += size;
    }
    return start("all_to_all", std::move(parts), receive, receive_sizes);
  }
  distributed::Request do_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                     std::span<const std::size_t> sizes) override {
    return start("all_gather", std::vector<std::vector<std::byte>>(ranks(), {send.begin(), send.end()}), receive,
                 sizes);
  }

  ThreadHub& hub_;
  int rank_, size_;
  std::size_t next_ = 0, bytes_sent_ = 0;
  std::string activity_ = "the beginning";
};

/// f(communicator) on so many ranks. A rank that throws stops the others; its error is thrown.
inline void run_ranks(int ranks, const std::function<void(distributed::Communicator&)>& f) {
  ThreadHub hub(ranks);
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      ThreadCommunicator communicator(hub, r, ranks);
      try {
        f(communicator);
      } catch (const std::exception& error) {
        {
          const std::lock_guard lock(mutex);
          if (first == nullptr) first = std::current_exception();
        }
        communicator.stop(error.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace gradus::testing
