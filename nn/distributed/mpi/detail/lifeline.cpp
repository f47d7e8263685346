// Messages are lines: "s0 .." or "s1 .." what the sender does, and whether it waits; "f -1 .." a failure and the
// rank that is gone, "g 60" that a rank gave up waiting, "b" that it leaves. One thread sends, receives and listens.
#include <gradus/nn/distributed/mpi/detail/lifeline.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <gradus/core/check.h>

namespace gradus::distributed::detail {
namespace {

constexpr int report_every = 100;  // milliseconds, of what changed
constexpr auto heartbeat = std::chrono::seconds(1);
constexpr double silence = 5;     // seconds after which a rank that reports nothing is taken for stopped
constexpr int patience = 10'000;  // milliseconds for a connection
constexpr std::size_t longest_line = 4096;

double seconds_since(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
}

std::string one_line(std::string_view text) {
  std::string line(text.substr(0, longest_line / 2));
  std::ranges::replace(line, '\n', ' ');
  return line;
}

// This machine's addresses, the loopback's last.
std::vector<std::string> own_addresses() {
  std::vector<std::string> addresses;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {"127.0.0.1"};
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto* const address = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
    ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
    const std::string name = text.data();
    addresses.insert(name.starts_with("127.") ? addresses.end() : addresses.begin(), name);
  }
  ::freeifaddrs(first);
  return addresses;
}

// -1 if nobody listens there.
int connected_to(const std::string& address, int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return -1;
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, address.c_str(), &there.sin_addr);
  int problem = 0;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) {
    problem = errno;
    pollfd file{socket, POLLOUT, 0};
    if (problem == EINPROGRESS && ::poll(&file, 1, patience / 2) == 1) {
      socklen_t size = sizeof problem;
      ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &problem, &size);
    }
  }
  if (problem == 0) return socket;
  ::close(socket);
  return -1;
}

}  // namespace

Lifeline::Lifeline(int rank, std::vector<std::string> hosts, OnFailure on_failure)
    : rank_(rank), hosts_(std::move(hosts)), on_failure_(std::move(on_failure)) {
  check(::pipe2(wake_, O_CLOEXEC | O_NONBLOCK) == 0, "distributed: no pipe: {}; close other programs",
        std::strerror(errno));
}

Lifeline::~Lifeline() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
  for (const Peer& peer : peers_) {
    if (peer.socket >= 0) ::close(peer.socket);
  }
  for (const int file : {listening_, wake_[0], wake_[1]}) {
    if (file >= 0) ::close(file);
  }
}

std::string Lifeline::listen() {
  listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof here;
  const bool open = listening_ >= 0 && ::bind(listening_, reinterpret_cast<sockaddr*>(&here), size) == 0 &&
                    ::listen(listening_, static_cast<int>(hosts_.size())) == 0 &&
                    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&here), &size) == 0;
  check(open, "distributed: rank 0 cannot listen for the others: {}", std::strerror(errno));
  std::random_device random;
  token_ = fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
  thread_ = std::thread([this] { run(); });
  return fmt::format("{} {} {}", ntohs(here.sin_port), token_, fmt::join(own_addresses(), " "));
}

void Lifeline::connect(const std::string& place) {
  std::istringstream words(place);
  int port = 0;
  words >> port >> token_;
  std::vector<std::string> addresses;
  for (std::string address; words >> address;) addresses.push_back(address);
  const bool same_host = hosts_[0] == hosts_[static_cast<std::size_t>(rank_)];
  if (same_host) std::ranges::reverse(addresses);  // the loopback first
  int socket = -1;
  for (const std::string& address : addresses) {
    if (!same_host && address.starts_with("127.")) continue;
    socket = connected_to(address, port);
    if (socket >= 0) break;
  }
  check(socket >= 0,
        "distributed: rank {} on {} cannot reach port {} of rank 0 on {} (addresses {}); let the machines connect to "
        "each other's ports",
        rank_, hosts_[static_cast<std::size_t>(rank_)], port, hosts_[0], fmt::join(addresses, ", "));
  peers_.push_back({.rank = 0, .socket = socket});
  send(peers_[0], fmt::format("{} {}", token_, rank_));
  thread_ = std::thread([this] { run(); });
}

void Lifeline::set_activity(std::string_view activity) {
  const std::lock_guard lock(mutex_);
  activity_ = one_line(activity);
}

void Lifeline::stop(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    stop_reason_ = one_line(reason);
  }
  wake();
}

void Lifeline::give_up(double seconds) {
  {
    const std::lock_guard lock(mutex_);
    gave_up_ = seconds;
  }
  wake();
}

void Lifeline::wake() const {
  [[maybe_unused]] const ssize_t written = ::write(wake_[1], "x", 1);
}

std::string Lifeline::named(int rank) const {
  return fmt::format("rank {} on {}", rank, hosts_[static_cast<std::size_t>(rank)]);
}

void Lifeline::run() {
  if (rank_ == 0) accept_others();
  for (;;) {
    std::vector<pollfd> files{{wake_[0], POLLIN, 0}};
    for (const Peer& peer : peers_) files.push_back({peer.socket, POLLIN, 0});  // poll() skips those below 0
    ::poll(files.data(), files.size(), report_every);
    std::array<char, 64> bytes{};
    while (::read(wake_[0], bytes.data(), bytes.size()) > 0) {
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (files[i + 1].revents != 0) read(peers_[i]);
    }
    std::string reason;
    double seconds = 0;
    bool leaving = false;
    {
      const std::lock_guard lock(mutex_);
      reason = std::exchange(stop_reason_, "");
      seconds = std::exchange(gave_up_, 0);
      leaving = leaving_;
    }
    if (!reason.empty()) fail(fmt::format("{} stopped: {}", named(rank_), reason));
    if (seconds > 0 && rank_ == 0) fail(who_hangs(seconds, 0));
    if (seconds > 0 && rank_ != 0) send(peers_[0], fmt::format("g {}", seconds));
    report();
    if (leaving) {
      for (Peer& peer : peers_) send(peer, "b");
      return;
    }
  }
}

// The connections come with the token and the rank; others are closed.
void Lifeline::accept_others() {
  const auto begin = Clock::now();
  std::vector<Peer> unknown;
  while (peers_.size() + 1 < hosts_.size()) {
    {
      const std::lock_guard lock(mutex_);
      if (leaving_) return;
    }
    if (seconds_since(begin) * 1000 > 3 * patience) {
      fail(fmt::format("only {} of {} ranks have reached rank 0 on {}", peers_.size() + 1, hosts_.size(), hosts_[0]));
      return;
    }
    std::vector<pollfd> files{{listening_, POLLIN, 0}};
    for (const Peer& peer : unknown) files.push_back({peer.socket, POLLIN, 0});
    ::poll(files.data(), files.size(), report_every);
    if (const int socket = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); socket >= 0) {
      unknown.push_back({.rank = -1, .socket = socket});
    }
    for (Peer& peer : unknown) {
      std::array<char, 256> bytes{};
      const ssize_t size = ::recv(peer.socket, bytes.data(), bytes.size(), 0);
      if (size > 0) peer.received.append(bytes.data(), static_cast<std::size_t>(size));
      const std::size_t end = peer.received.find('\n');
      if (end == std::string::npos && (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))) continue;
      std::istringstream words(peer.received.substr(0, end));
      std::string token;
      int rank = -1;
      words >> token >> rank;
      const bool known = end != std::string::npos && token == token_ && rank > 0 &&
                         std::cmp_less(rank, hosts_.size()) &&
                         std::ranges::none_of(peers_, [&](const Peer& other) { return other.rank == rank; });
      if (known) {
        peer.received.erase(0, end + 1);
        peer.rank = rank;
        peers_.push_back(peer);
      } else {
        ::close(peer.socket);
      }
      peer.socket = -1;
    }
    std::erase_if(unknown, [](const Peer& peer) { return peer.socket < 0; });
  }
  for (const Peer& peer : unknown) ::close(peer.socket);
}

// What changed since the last report, and once a second in any case.
void Lifeline::report() {
  std::string line;
  {
    const std::lock_guard lock(mutex_);
    line = fmt::format("s{} {}", waiting_.load(std::memory_order_relaxed) ? 1 : 0, activity_);
  }
  if (Clock::now() - reported_ < heartbeat && line == last_report_) return;
  reported_ = Clock::now();
  last_report_ = line;
  for (Peer& peer : peers_) send(peer, line);
}

void Lifeline::read(Peer& peer) {
  for (;;) {
    std::array<char, 4096> bytes{};
    const ssize_t size = ::recv(peer.socket, bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size <= 0) {
      hear_end(peer);
      break;
    }
    peer.heard = Clock::now();
    peer.received.append(bytes.data(), static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = peer.received.find('\n')) != std::string::npos;) {
      const std::string line = peer.received.substr(0, end);
      peer.received.erase(0, end + 1);
      take(peer, line);
    }
    if (peer.received.size() > longest_line) peer.received.clear();
  }
}

void Lifeline::take(Peer& peer, const std::string& line) {
  if (line.starts_with("s") && line.size() >= 3) {
    peer.waiting = line[1] == '1';
    peer.activity = line.substr(3);
  } else if (line.starts_with("f ")) {
    std::istringstream words(line.substr(2));
    int gone = -1;
    words >> gone >> std::ws;
    fail(std::string(std::istreambuf_iterator<char>(words), {}), gone);
  } else if (line.starts_with("g ") && rank_ == 0) {
    double seconds = 0;
    std::from_chars(line.data() + 2, line.data() + line.size(), seconds);
    fail(who_hangs(seconds, peer.rank));
  } else if (line == "b") {
    peer.left = true;
  }
}

void Lifeline::hear_end(Peer& peer) {
  ::close(std::exchange(peer.socket, -1));
  if (peer.left) return;
  fail(fmt::format("{} ended unexpectedly; its last report: {}{}", named(peer.rank), peer.activity,
                   peer.waiting ? ", waiting for other ranks" : ""),
       peer.rank);
}

std::string Lifeline::who_hangs(double seconds, int asking) const {
  std::vector<std::string> silent, busy;
  for (const Peer& peer : peers_) {
    if (peer.rank == asking) continue;
    const double age = seconds_since(peer.heard);
    if (age > silence) {
      silent.push_back(
          fmt::format("{} has been silent for {:.0f} s; its last report: {}", named(peer.rank), age, peer.activity));
    } else if (!peer.waiting) {
      busy.push_back(fmt::format("{} does not get on; it reports: {}", named(peer.rank), peer.activity));
    }
  }
  if (asking != 0 && !waiting_.load(std::memory_order_relaxed)) {
    busy.push_back(fmt::format("{} does not get on; it reports: {}", named(0), last_report_.substr(3)));
  }
  const std::vector<std::string>& found = silent.empty() ? busy : silent;
  const std::string who = found.empty() ? "all ranks wait for each other" : fmt::format("{}", fmt::join(found, "; "));
  return fmt::format("{} waited {:.0f} s: {}", named(asking), seconds, who);
}

void Lifeline::send(Peer& peer, const std::string& line) {
  if (peer.socket < 0) return;
  const std::string bytes = line + "\n";
  // Lines are short and a connection's buffer holds many: what does not fit belongs to a rank that hangs.
  [[maybe_unused]] const ssize_t sent = ::send(peer.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Lifeline::fail(const std::string& sentence, int gone) {
  if (std::exchange(failed_, true)) return;
  for (Peer& peer : peers_) send(peer, fmt::format("f {} {}", gone, one_line(sentence)));
  on_failure_(sentence, gone);
}

}  // namespace gradus::distributed::detail
