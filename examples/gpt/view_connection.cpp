#include "view_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>

namespace gpt {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::string_view line_end = "\r\n", head_end = "\r\n\r\n";

// A socket that is waited for up to one moment, whatever a client does until then.
class Patient {
 public:
  Patient(int socket, int ending, std::chrono::seconds patience)
      : socket_(socket), ending_(ending), until_(Clock::now() + patience) {}

  // Up to `size` bytes; 0 where the client has ended or gone, or the time is over.
  std::size_t receive(char* bytes, std::size_t size) const {
    while (wait(POLLIN)) {
      const ssize_t count = ::recv(socket_, bytes, size, MSG_DONTWAIT);
      if (count >= 0) return static_cast<std::size_t>(count);
      if (!comes_later()) return 0;
    }
    return 0;
  }
  // Whether all of it was taken.
  bool send(std::string_view bytes) const {
    while (!bytes.empty() && wait(POLLOUT)) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (count >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(count));
      } else if (!comes_later()) {
        return false;
      }
    }
    return bytes.empty();
  }
  bool over() const { return Clock::now() >= until_; }

 private:
  static bool comes_later() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }
  bool wait(short events) const {
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until_ - Clock::now()).count();
      if (left <= 0) return false;
      pollfd files[] = {{socket_, events, 0}, {ending_, POLLIN, 0}};
      const int count = ::poll(files, 2, static_cast<int>(left));
      if (count < 0 && errno != EINTR) return false;
      if (count > 0) return files[1].revents == 0;
    }
  }

  int socket_, ending_;
  Clock::time_point until_;
};

// What cpp-httplib reads: the bytes of one request. What it writes goes to the client, whose time begins with that.
class RequestStream : public httplib::Stream {
 public:
  RequestStream(std::string_view request, socket_t socket, int ending)
      : request_(request), socket_(socket), ending_(ending) {}

  bool is_readable() const override { return !request_.empty(); }
  bool is_writable() const override { return !client_ || !client_->over(); }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t count = request_.copy(to, size);
    request_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* bytes, std::size_t size) override {
    if (!client_) client_.emplace(socket_, ending_, std::chrono::seconds(answer_seconds));
    return client_->send({bytes, size}) ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip = "127.0.0.1", port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip = "127.0.0.1", port = 0; }
  socket_t socket() const override { return socket_; }

 private:
  std::string_view request_;
  socket_t socket_;
  int ending_;
  std::optional<Patient> client_;
};

struct Refusal {
  int status;
  std::string why;
};

struct Incoming {
  std::string bytes;  // empty where nothing came
  std::optional<Refusal> refusal = {};
};

bool is_name(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

// Looks at a head, without the empty line at its end, and says how long the body is.
std::optional<Refusal> look_at(std::string_view head, std::size_t& body) {
  constexpr int not_understood = 400;
  std::optional<std::size_t> length;
  const bool posts = head.starts_with("POST ");
  for (std::size_t lines = 0; !head.empty(); ++lines) {
    const std::string_view line = head.substr(0, head.find(line_end));
    head.remove_prefix(std::min(head.size(), line.size() + line_end.size()));
    if (lines > most_header_lines) return Refusal{431, "the request has too many header lines"};
    if (std::ranges::any_of(line, [](unsigned char c) { return c < ' ' && c != '\t'; })) {
      return Refusal{not_understood, "the request's head has a control character"};
    }
    if (lines == 0) continue;
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || name.empty() || name.find_first_of(" \t") != std::string_view::npos) {
      return Refusal{not_understood, "the request has a line that is no header"};
    }
    if (is_name(name, "transfer-encoding")) return Refusal{411, "give the body's length instead of chunks"};
    if (is_name(name, "content-encoding")) return Refusal{415, "send the body as it is, not compressed"};
    if (is_name(name, "range")) return Refusal{416, "parts of an answer are not sent; leave Range out"};
    if (is_name(name, "expect")) return Refusal{417, "send the body at once, without Expect"};
    if (!is_name(name, "content-length")) continue;
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value = value.substr(0, value.find_last_not_of(" \t") + 1);
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), size);
    if (error == std::errc::result_out_of_range || size > most_request_bytes) {
      return Refusal{413, fmt::format("the body is too large; send at most {} bytes", most_request_bytes)};
    }
    if (length || error != std::errc() || end != value.data() + value.size()) {
      return Refusal{not_understood, "the request has no good Content-Length"};
    }
    length = size;
  }
  if (posts && !length) return Refusal{411, "the request has no Content-Length"};
  body = length.value_or(0);
  return std::nullopt;
}

Incoming read_request(const Patient& client) {
  Incoming request;
  std::string& bytes = request.bytes;
  const auto receive = [&] {
    constexpr std::size_t at_once = 4096;
    const std::size_t before = bytes.size();
    bytes.resize(before + at_once);
    bytes.resize(before + client.receive(bytes.data() + before, at_once));
    if (bytes.size() > before) return true;
    if (client.over()) request.refusal = {408, fmt::format("the request was not there in {} seconds", request_seconds)};
    if (!bytes.empty() && !request.refusal) request.refusal = {400, "the request ends too early"};
    return false;
  };
  std::size_t end = std::string::npos;
  while (end == std::string::npos) {
    const std::size_t from = bytes.size() < head_end.size() ? 0 : bytes.size() - head_end.size() + 1;
    if (!receive()) return request;
    end = bytes.find(head_end, from);
    if (std::min(end, bytes.size()) > most_request_bytes) {
      request.refusal = {431,
                         fmt::format("the request's head is too large; send at most {} bytes", most_request_bytes)};
      return request;
    }
  }
  std::size_t body = 0;
  request.refusal = look_at(std::string_view(bytes).substr(0, end), body);
  if (request.refusal) return request;
  const std::size_t size = end + head_end.size() + body;
  while (bytes.size() < size) {
    if (!receive()) return request;
  }
  bytes.resize(size);
  return request;
}

// A client that is still sending gets the answer only if what it sends is read.
void refuse(socket_t socket, int ending, const Refusal& refusal) {
  constexpr std::size_t most = 1 << 20;
  const Patient client(socket, ending, std::chrono::seconds(1));
  const std::string body = fmt::format("{{\"error\":\"{}\"}}", refusal.why);
  client.send(
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
                  "Connection: close\r\nContent-Length: {}\r\n\r\n{}",
                  refusal.status, "Refused", body.size(), body));
  ::shutdown(socket, SHUT_WR);
  char nothing[4096];
  for (std::size_t all = 0; all < most;) {
    const std::size_t count = client.receive(nothing, sizeof nothing);
    if (count == 0) return;
    all += count;
  }
}

// A thread pool that lets the server accept no further connection while so many are open.
class Queue : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return open_ < served_at_once + connections_kept; });
    ++open_;
    pool_.enqueue([this, task = std::move(task)] {
      task();
      const std::lock_guard done(mutex_);
      --open_;
      room_.notify_one();
    });
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  httplib::ThreadPool pool_{served_at_once};
  std::mutex mutex_;
  std::condition_variable room_;
  std::size_t open_ = 0;
};

}  // namespace

BoundedServer::BoundedServer(int ending) : ending_(ending) {
  new_task_queue = [] { return new Queue; };  // the server deletes it
}

bool BoundedServer::process_and_close_socket(socket_t socket) {
  const Incoming request = read_request(Patient(socket, ending_, std::chrono::seconds(request_seconds)));
  bool done = false;
  if (request.refusal) {
    refuse(socket, ending_, *request.refusal);
  } else if (!request.bytes.empty()) {
    RequestStream stream(request.bytes, socket, ending_);
    bool closed = false;
    // Compressing for a reader on the same machine takes time only.
    done = process_request(stream, true, closed, [](httplib::Request& r) { r.headers.erase("Accept-Encoding"); });
  }
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return done;
}

}  // namespace gpt
