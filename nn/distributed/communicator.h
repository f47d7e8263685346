// Communicator: how the ranks of a training exchange bytes. A rank is a process of a run on one or more machines;
// SingleProcess is the only rank of a run that has no others. An implementation defines the functions start_..() and
// what stands below them; the checks of the arguments are here.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <gradus/core/check.h>

namespace gradus::distributed {
#pragma GCC visibility push(default)

/// An exchange that has been started. Until it is done its memory must live: what is sent must not be written, what is
/// received must not be touched. Destroying it before it is done gives the exchange up; its memory is free then, but
/// the communicator is good only for stop().
class Request {
 public:
  /// What an implementation of Communicator derives from. After done() was true, or wait() returned, neither is called
  /// again. The destructor must leave no one who still uses the memory of the exchange.
  class Exchange {
   public:
    virtual ~Exchange() = default;
    virtual bool done() = 0;
    virtual void wait() = 0;
  };

  /// An exchange that is done.
  Request() = default;
  explicit Request(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  /// Whether it is done, without waiting. Helps it on where a library needs calls for that. Throws Error when a rank
  /// failed.
  bool test();
  /// Returns when it is done. Throws Error when a rank failed or does not answer.
  void wait();

 private:
  std::unique_ptr<Exchange> exchange_;
};

/// Ranks 0 .. size()-1 of a run. Every function that exchanges is called by all ranks, in the same order, also those
/// that start an exchange; exchanges that were started may be waited for in any order. Only one thread uses a
/// Communicator. Errors of another rank (it ended, it does not answer, it called stop()) come as Error; the
/// communicator is then good only for stop().
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// The name of the machine that a rank runs on, for errors.
  virtual std::string host(int rank) const = 0;

  /// Copies the bytes of rank `root` to all others; all spans have the same size.
  void broadcast(std::span<std::byte> bytes, int root = 0);
  /// Returns when all ranks have called it.
  virtual void barrier() = 0;

  /// Sends a part to every rank and receives one from every rank. `send` holds the parts for ranks 0, 1, .. one after
  /// another, of send_sizes[r] bytes, and `receive` those from ranks 0, 1, .., of receive_sizes[r]. A part may be
  /// empty; the part for the rank itself is copied.
  void all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                  std::span<std::byte> receive, std::span<const std::size_t> receive_sizes);
  /// The same, started: the sizes are read before it returns, the bytes until the Request is done.
  [[nodiscard]] Request start_all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                                         std::span<std::byte> receive, std::span<const std::size_t> receive_sizes);

  /// Every rank gets the parts of all: `receive` holds those of ranks 0, 1, .. one after another, of sizes[r] bytes.
  /// `send` is this rank's part, elsewhere or at its place in `receive`.
  void all_gather(std::span<const std::byte> send, std::span<std::byte> receive, std::span<const std::size_t> sizes);
  [[nodiscard]] Request start_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                         std::span<const std::size_t> sizes);

  /// Names what this rank does ("step 12, backward"), for the errors of others when it fails. Costs no exchange.
  virtual void set_activity(std::string_view activity) = 0;
  /// Ends the run for all: what other ranks wait for, or call next, throws Error with this rank, its host and `reason`.
  /// For a rank that cannot go on, as with a full disk.
  virtual void stop(std::string_view reason) noexcept = 0;

  /// The value of rank `root`.
  template <class T>
  requires std::is_trivially_copyable_v<T> T broadcast_value(T value, int root = 0) {
    broadcast(std::as_writable_bytes(std::span(&value, 1)), root);
    return value;
  }
  /// The text of rank `root`, of any length.
  std::string broadcast_text(std::string text, int root = 0);
  /// The numbers of all ranks, rank by rank; ranks may have different counts.
  std::vector<double> all_gather(std::span<const double> numbers);
  /// Throws Error on all ranks, with those that differ, unless all ranks call it with the same text as rank 0. `what`
  /// names it: "the settings".
  void check_equal(std::string_view what, std::string_view text);

 protected:
  // The arguments have been checked.
  virtual void do_broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual Request do_all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                                std::span<std::byte> receive, std::span<const std::size_t> receive_sizes) = 0;
  virtual Request do_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                std::span<const std::size_t> sizes) = 0;
};

/// The only rank of a run.
class SingleProcess final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string host(int rank) const override;
  void barrier() override {}
  void set_activity(std::string_view) override {}
  void stop(std::string_view) noexcept override {}

 private:
  void do_broadcast(std::span<std::byte>, int) override {}
  Request do_all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                        std::span<std::byte> receive, std::span<const std::size_t> receive_sizes) override;
  Request do_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                        std::span<const std::size_t> sizes) override;
};

#pragma GCC visibility pop
}  // namespace gradus::distributed
