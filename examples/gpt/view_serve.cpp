// cpp-httplib serves; three routes compute. It listens on the loopback interface alone, and refuses what a page from
// elsewhere sends (its Origin) or reaches by a name of its own (its Host). Bodies, headers, connections that wait and
// the time of a read are bounded, one request at a time computes, and no path of a request reaches the disk.
#include "view_serve.h"

#include <fmt/format.h>
#include <httplib.h>

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "output.h"
#include "page.h"
#include "signals.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
using gradus::models::detail::dump;

constexpr std::size_t most_bytes = 16'384;  // of a request's body
constexpr std::size_t most_text = 2000;     // bytes of a text that is typed
constexpr std::size_t workers = 8, most_waiting = 32;
constexpr time_t most_seconds = 5;  // for a read or a write

// What is answered from: the run, and its document, both read again when a training has written.
class Desk {
 public:
  explicit Desk(ViewWish wish) : wish_(std::move(wish)) { refresh(); }

  std::string document() {
    const std::lock_guard lock(mutex_);
    if (written() != seen_) refresh();
    return document_;
  }
  std::string answer(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return dump(typed_part(*run_, text));
  }

 private:
  fs::file_time_type written() const {
    std::error_code error;
    const auto time = fs::last_write_time(fs::path(wish_.folder) / gradus::models::model_file, error);
    return error ? fs::file_time_type() : time;
  }
  void refresh() {
    seen_ = written();
    run_.emplace(read_view_run(wish_.folder, wish_.sources, wish_.quiet));
    Json document = document_of(*run_, wish_.text);
    document["run"]["serve"] = true;
    document_ = dump(document);
  }

  ViewWish wish_;
  std::mutex mutex_;
  std::optional<ViewRun> run_;
  std::string document_;
  fs::file_time_type seen_;
};

// A thread pool that lets the server accept no further connection while so many wait.
class Queue : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return waiting_ < most_waiting; });
    ++waiting_;
    pool_.enqueue([this, task = std::move(task)] {
      task();
      const std::lock_guard done(mutex_);
      --waiting_;
      room_.notify_one();
    });
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  httplib::ThreadPool pool_{workers};
  std::mutex mutex_;
  std::condition_variable room_;
  std::size_t waiting_ = 0;
};

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

// A page from elsewhere has another Origin, and a name that somebody else points to this machine is another Host.
bool is_ours(const httplib::Request& request, int port) {
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
  server.new_task_queue = [] { return new Queue; };  // the server deletes it
  server.set_payload_max_length(most_bytes);
  server.set_read_timeout(most_seconds);
  server.set_write_timeout(most_seconds);
  server.set_keep_alive_timeout(most_seconds);
  server.set_keep_alive_max_count(100);
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
    answer(response, 403, "requests of other pages are refused");
    return httplib::Server::HandlerResponse::Handled;
  });
  server.Get("/", [&desk](const Request&, Response& response) {
    response.set_content(page(desk.document(), ""), "text/html; charset=utf-8");
  });
  server.Get("/api/run", [&desk](const Request&, Response& response) {
    response.set_content(desk.document(), "application/json");
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

// Blocks the signals that end the program, for all threads that are made later, so that wait() gets them.
class EndingSignals {
 public:
  EndingSignals() {
    sigemptyset(&set_);
    for (const int number : ending_signals) sigaddset(&set_, number);
    ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  void wait() const {
    int number = 0;
    ::sigwait(&set_, &number);
  }

 private:
  sigset_t set_{};
};

}  // namespace

int serve_view(const ViewWish& wish, int port) {
  const EndingSignals signals;
  Desk desk(wish);
  httplib::Server server;
  set_limits(server);
  set_routes(server, desk, port);
  constexpr const char* here = "127.0.0.1";
  if (port == 0) {
    port = server.bind_to_any_port(here);
  } else if (!server.bind_to_port(here, port)) {
    port = -1;
  }
  gradus::check(port > 0, "cannot listen on 127.0.0.1; is the port taken? Name another: --serve PORT, or 0 for any");
  std::thread listening([&] { server.listen_after_bind(); });
  say("serving {} on http://{}:{}/ until Ctrl-C\n", wish.folder, here, port);
  std::fflush(stdout);
  signals.wait();
  server.stop();
  listening.join();
  return 0;
}

}  // namespace gpt
