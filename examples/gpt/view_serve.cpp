// cpp-httplib serves what BoundedServer lets pass; three routes compute. It listens on the loopback interface alone,
// and refuses what a page from elsewhere sends (its Origin, or that it is cross-site) or reaches by a name of its own
// (its Host). One request at a time computes, and no path of a request reaches the disk.
#include "view_serve.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <httplib.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <future>
#include <optional>
#include <thread>

#include "output.h"
#include "page.h"
#include "signals.h"
#include "view_connection.h"
#include "view_desk.h"
#include "waiting.h"

namespace gpt {
namespace {

using gradus::models::detail::dump;

constexpr std::size_t most_text = 2000;  // bytes of a text that is typed

void answer(httplib::Response& response, int status, const std::string& error) {
  response.status = status;
  response.set_content(dump(Json{{"error", error}}), "application/json");
}

std::string text_in(const httplib::Request& request) {
  gradus::check(request.get_header_value("Content-Type").starts_with("application/json"),
                "the request is not JSON; send {{\"text\": \"..\"}} as application/json");
  const Json json = gradus::models::detail::parse_json(request.body, "request");
  gradus::check(json.contains("text") && json["text"].is_string(), "the request has no \"text\"");
  auto text = json["text"].get<std::string>();
  gradus::check(text.size() <= most_text, "the text has {} bytes; give at most {}", text.size(), most_text);
  return text;
}

// A page from elsewhere has another Origin, or a browser says that what it loads is not for the same site; and a name
// that somebody else points to this machine is another Host.
bool is_ours(const httplib::Request& request, int port) {
  const std::string site = request.get_header_value("Sec-Fetch-Site");  // none: somebody has typed the address
  if (!site.empty() && site != "same-origin" && site != "none") return false;
  for (const char* const name : {"127.0.0.1", "localhost"}) {
    const std::string host = fmt::format("{}:{}", name, port);
    if (request.get_header_value("Host") != host) continue;
    return !request.has_header("Origin") || request.get_header_value("Origin") == "http://" + host;
  }
  return false;
}

void set_limits(httplib::Server& server) {
  // By default two servers may share a port, and each would get some of the requests.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.set_default_headers(
      {{"X-Content-Type-Options", "nosniff"},
       {"Cache-Control", "no-store"},
       {"Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: "
        "blob:; connect-src 'self'; frame-ancestors 'none'"}});
}

void set_routes(httplib::Server& server, Desk& desk, const int& port) {
  using httplib::Request;
  using httplib::Response;
  server.set_pre_routing_handler([&port](const Request& request, Response& response) {
    if (is_ours(request, port)) return httplib::Server::HandlerResponse::Unhandled;
    answer(response, 403, "requests of other pages are refused; type the address into the browser");
    return httplib::Server::HandlerResponse::Handled;
  });
  server.Get("/", [&desk](const Request&, Response& response) {
    response.set_content(page(desk.document(), ""), "text/html; charset=utf-8");
  });
  server.Get("/api/run", [&desk](const Request& request, Response& response) {
    response.set_content(desk.document(request.get_param_value("version")), "application/json");
  });
  server.Post("/api/text", [&desk](const Request& request, Response& response) {
    try {
      response.set_content(desk.answer(text_in(request)), "application/json");
    } catch (const gradus::Error& problem) {
      answer(response, 400, problem.what());
    }
  });
  server.set_exception_handler([](const Request&, Response& response, const std::exception_ptr& problem) {
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& error) {
      answer(response, 500, error.what());
    }
  });
  server.set_error_handler([](const Request&, Response& response) {
    if (response.body.empty()) answer(response, response.status, fmt::format("status {}", response.status));
  });
}

// A file that can be read from once a signal has asked the program to end; a second signal ends it at once. A handler
// runs on whichever thread the system picks.
std::atomic<int> ending_writes = -1;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_ending(int) {
  const int before = errno;
  for (const int number : ending_signals) handle_signal(number, SIG_DFL);
  [[maybe_unused]] const ssize_t written = ::write(ending_writes, "e", 1);
  errno = before;
}

class Ending {
 public:
  Ending() {
    gradus::check(::pipe(ends_.data()) == 0, "--serve: no pipe: {}; close other programs", std::strerror(errno));
    for (const int end : ends_) ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ending_writes = ends_[1];
    for (const int number : ending_signals) handle_signal(number, on_ending);
  }
  ~Ending() {
    for (const int number : ending_signals) handle_signal(number, SIG_DFL);
    for (const int end : ends_) ::close(end);
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

  int file() const { return ends_[0]; }
  void wait() const {
    pollfd file{ends_[0], POLLIN, 0};
    while (::poll(&file, 1, -1) < 0 && errno == EINTR) {
    }
  }

 private:
  std::array<int, 2> ends_{};
};

// Connections end at once and what computes after a moment. Nothing is left behind, whenever that is.
void end(httplib::Server& server, std::thread& listening, const std::future<void>& listened) {
  constexpr std::chrono::seconds moment(2);
  server.stop();
  if (listened.wait_for(moment) == std::future_status::timeout) ::_exit(0);
  listening.join();
}

}  // namespace

int serve_view(const ViewWish& wish, int port) {
  std::optional<EndsTold> early(std::in_place, "\ngpt: stopped before the page was served\n");
  Desk desk(wish);
  early.reset();
  const Ending ending;
  BoundedServer server(ending.file());
  set_limits(server);
  set_routes(server, desk, port);
  constexpr const char* here = "127.0.0.1";
  if (port == 0) {
    port = server.bind_to_any_port(here);
  } else if (!server.bind_to_port(here, port)) {
    port = -1;
  }
  gradus::check(port > 0, "cannot listen on 127.0.0.1; is the port taken? Name another: --serve PORT, or 0 for any");
  std::promise<void> listened;
  std::thread listening([&] {
    server.listen_after_bind();
    listened.set_value();
  });
  say("serving {} on http://{}:{}/ until Ctrl-C\n", wish.folder, here, port);
  std::fflush(stdout);
  ending.wait();
  end(server, listening, listened.get_future());
  return 0;
}

}  // namespace gpt
