// mpirun -n RANKS exchange [die|die0|hang|full]: every exchange of MpiCommunicator with numbers that tell where they
// came from; then a rank fails in the way that is named, and what the others print is the test.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include <gradus/nn/distributed/mpi/mpi_communicator.h>

namespace {

using gradus::check;
using gradus::distributed::MpiCommunicator;
using gradus::distributed::Request;

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

// Rank a sends rank b a + b + 1 numbers: 1000 a + 100 b + 0, 1, ..
int number(int from, int to, int i) {
  return 1000 * from + 100 * to + i;
}

void exchange(MpiCommunicator& ranks) {
  const int own = ranks.rank(), count = ranks.size();
  std::vector<int> send;
  std::vector<std::size_t> send_sizes, receive_sizes;
  int received = 0;
  for (int r = 0; r < count; ++r) {
    for (int i = 0; i <= own + r; ++i) send.push_back(number(own, r, i));
    send_sizes.push_back(index(own + r + 1) * sizeof(int));
    receive_sizes.push_back(send_sizes.back());
    received += own + r + 1;
  }
  std::vector<int> receive(index(received)), second(receive);
  // Two under way at once, the later one waited for first.
  Request one = ranks.start_all_to_all(std::as_bytes(std::span(send)), send_sizes,
                                       std::as_writable_bytes(std::span(receive)), receive_sizes);
  Request two = ranks.start_all_to_all(std::as_bytes(std::span(send)), send_sizes,
                                       std::as_writable_bytes(std::span(second)), receive_sizes);
  two.wait();
  while (!one.test()) std::this_thread::yield();
  std::size_t place = 0;
  for (int r = 0; r < count; ++r) {
    for (int i = 0; i <= own + r; ++i)
      check(receive[place++] == number(r, own, i), "all_to_all: rank {} from {}", own, r);
  }
  check(receive == second, "all_to_all: the second differs");

  const std::vector<double> mine(index(own), own + 0.5), all = ranks.all_gather(mine);
  place = 0;
  for (int r = 0; r < count; ++r) {
    for (int i = 0; i < r; ++i) check(all[place++] == r + 0.5, "all_gather: rank {} from {}", own, r);
  }
  const std::string text = ranks.broadcast_text(own == count - 1 ? "from the last" : "", count - 1);
  check(text == "from the last", "broadcast: rank {} got '{}'", own, text);
  check(ranks.broadcast_value(own + 7, 0) == 7, "broadcast: a value");
  ranks.barrier();
  ranks.check_equal("the text", "the same on all");
}

void fail_as(MpiCommunicator& ranks, std::string_view how) {
  const int last = ranks.size() - 1;
  ranks.set_activity("step 12, backward");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // until it is reported
  if (how == "die" && ranks.rank() == last) ::kill(::getpid(), SIGKILL);
  if (how == "die0" && ranks.rank() == 0) ::kill(::getpid(), SIGKILL);
  if (how == "hang" && ranks.rank() == last) ::kill(::getpid(), SIGSTOP);
  if (how == "full" && ranks.rank() == 0) ranks.stop("the disk is full");
  if (how == "other") ranks.check_equal("the seed", fmt::format("{}", ranks.rank()));
  for (;;) ranks.barrier();
}

int run(MpiCommunicator& ranks, std::string_view how) {
  try {
    for (int i = 0; i < 20; ++i) exchange(ranks);
    if (!how.empty()) fail_as(ranks, how);
    if (ranks.rank() == 0) fmt::print("{} ranks exchanged\n", ranks.size());
    return 0;
  } catch (const gradus::Error& error) {
    if (ranks.reports_failure()) fmt::print("failure: {}\n", error.what());
    std::fflush(stdout);
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  MpiCommunicator ranks({.timeout = 3});
  return run(ranks, argc > 1 ? argv[1] : "");
}
