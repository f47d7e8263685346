// MpiCommunicator: the ranks are the processes that mpirun has started, on one machine or many. It is the only part of
// gradus that needs MPI, and a component of its own: gradus_mpi.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <gradus/nn/distributed/communicator.h>

namespace gradus::distributed {
#pragma GCC visibility push(default)

struct MpiOptions {
  double timeout = 120;  // seconds that a rank waits for others before the run ends
  // Called on another thread with the sentence of a failure that the program has not met within `grace` seconds, since
  // it computes; MPI_Abort follows.
  std::function<void(const std::string&)> on_failure = {};
  double grace = 5;
};

/// One for a process and its life: it begins MPI and ends it. A thread of its own makes all calls of MPI, so that
/// exchanges go on while the program computes.
///
/// When a rank dies, calls stop(), or does not get on for longer than the timeout, all that others wait for throws
/// Error with a sentence that names the rank, its machine and what it last reported. The destructor then ends the run:
/// MPI_Abort, exit status 1.
class MpiCommunicator final : public Communicator {
 public:
  /// Throws Error when the ranks cannot reach each other.
  explicit MpiCommunicator(const MpiOptions& options = {});
  ~MpiCommunicator() override;

  int rank() const override;
  int size() const override;
  std::string host(int rank) const override;
  void barrier() override;
  void set_activity(std::string_view activity) override;
  void stop(std::string_view reason) noexcept override;
  /// Whether this rank is the one to print a failure: rank 0, or rank 1 where rank 0 has died, or the one that stopped.
  bool reports_failure() const;

 private:
  class Engine;

  void do_broadcast(std::span<std::byte> bytes, int root) override;
  Request do_all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                        std::span<std::byte> receive, std::span<const std::size_t> receive_sizes) override;
  Request do_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                        std::span<const std::size_t> sizes) override;

  std::shared_ptr<Engine> engine_;
};

#pragma GCC visibility pop
}  // namespace gradus::distributed
