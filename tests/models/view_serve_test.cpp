// gpt view --serve: what the page asks is answered, everything else is refused, and nothing brings it down.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include <gradus/core/runtime/random.h>
#include <gradus/models/train/run_folder.h>

#include "command.h"

namespace gradus::models {
namespace {

using ::testing::AnyOf;
using testing::Command;
using ::testing::HasSubstr;
using testing::read;
using ::testing::StartsWith;
using testing::times;
using Json = nlohmann::json;

// A connection to the server; what is sent may be no HTTP at all.
class Client {
 public:
  explicit Client(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void send(const std::string& bytes) const {
    [[maybe_unused]] const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Whether the server still takes more of them, up to `most`, of which it may have read few.
  bool send_on(const std::string& bytes, std::size_t most) const {
    for (std::size_t sent = 0; sent < most; sent += bytes.size()) {
      if (::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return false;
    }
    return true;
  }
  void end() const { ::shutdown(socket_, SHUT_WR); }
  std::string receive() const {
    std::string all;
    char bytes[4096];
    for (ssize_t count = 0; (count = ::recv(socket_, bytes, sizeof bytes, 0)) > 0;) {
      all.append(bytes, static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  int socket_;
  bool connected_ = false;
};

struct Serve : Command {
  void SetUp() override {
    if (gradus::testing::emulated()) GTEST_SKIP() << "signals reach the emulator";
    ASSERT_EQ(train({"--out", "run", "--quiet", "--steps", "30"}).status, 0);
    server = start({"view", "run", "--serve", "0"});
    for (int i = 0; i < 3000 && port == 0; ++i) {
      const std::string said = read(folder / "out");
      const std::size_t at = said.find("127.0.0.1:");
      if (at != std::string::npos && said.ends_with("Ctrl-C\n")) port = std::stoi(said.substr(at + 10));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_GT(port, 0) << read(folder / "err");
  }
  void TearDown() override {
    if (server == 0) return;
    EXPECT_TRUE(running(server)) << read(folder / "err");
    ::kill(server, SIGINT);
    EXPECT_EQ(finish(server).status, 0);
  }
  // The most memory that the server has had, in bytes; 0 where the system does not tell.
  std::size_t most_memory() const {
    const std::string status = read(fmt::format("/proc/{}/status", server));
    const std::size_t at = status.find("VmHWM:");
    return at == std::string::npos ? 0 : std::stoul(status.substr(at + 6)) * 1024;
  }
  std::string ask(const std::string& method, const std::string& path, const std::string& body = "",
                  const std::string& headers = "Content-Type: application/json\r\n", std::string host = "") const {
    if (host.empty()) host = fmt::format("127.0.0.1:{}", port);
    const Client client(port);
    client.send(fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n{}", method,
                            path, host, body.size(), headers, body));
    return client.receive();
  }
  static std::string body_of(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }

  pid_t server = 0;
  int port = 0;
};

TEST_F(Serve, AnswersWhatThePageAsks) {
  EXPECT_THAT(ask("GET", "/"), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("id=\"run\""), HasSubstr("nosniff")));
  const Json run = Json::parse(body_of(ask("GET", "/api/run")));
  EXPECT_TRUE(run["run"]["serve"].get<bool>());
  EXPECT_FALSE(run["run"]["running"].get<bool>());
  const Json typed = Json::parse(body_of(ask("POST", "/api/text", R"({"text": "anna"})")));
  const Json own = Json::parse(gpt({"view", "run", "--text", "anna", "--json"}).out);
  const Json& same = own["texts"][0];
  EXPECT_EQ(typed["ids"], same["ids"]);
  ASSERT_EQ(typed["at"].size(), 1U);
  EXPECT_EQ(typed["at"][0]["prob"], same["at"].back()["prob"]);
  EXPECT_EQ(typed["at"][0]["attention"], same["at"].back()["attention"]);
  EXPECT_EQ(typed["one_step"]["weights"][5]["blame"], own["one_step"]["weights"][5]["blame"]);
  EXPECT_TRUE(typed["vocab"].contains(std::to_string(typed["ids"][1].get<int>())));
}

TEST_F(Serve, RefusesEverythingElse) {
  const std::string json = "Content-Type: application/json\r\n", good = R"({"text": "anna"})";
  const std::string own = fmt::format("http://127.0.0.1:{}", port);
  EXPECT_THAT(ask("POST", "/api/text", good, json + "Origin: " + own + "\r\n"), StartsWith("HTTP/1.1 200"));
  for (const char* const origin : {"http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"}) {
    EXPECT_THAT(ask("POST", "/api/text", good, json + "Origin: " + origin + "\r\n"), StartsWith("HTTP/1.1 403"));
  }
  EXPECT_THAT(ask("GET", "/", "", "", "evil.example"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask("GET", "/api/run", "", "", fmt::format("evil.example:{}", port)), StartsWith("HTTP/1.1 403"));
  for (const char* const path :
       {"/../../etc/passwd", "/%2e%2e/run/model.safetensors", "/run/model.safetensors", "/x"}) {
    EXPECT_THAT(ask("GET", path), AnyOf(StartsWith("HTTP/1.1 404"), StartsWith("HTTP/1.1 400"))) << path;
  }
  EXPECT_THAT(ask("DELETE", "/api/run"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("POST", "/api/text", good, "Content-Type: text/plain\r\n"), StartsWith("HTTP/1.1 400"));
  for (const char* const body : {"", "{", "[]", "{\"text\": 3}", "{\"text\": \"\\u0000\"}", "\xff",
                                 "{\"text\": \"ANNA\"}", "{\"text\": \"\xc3\x28\"}"}) {
    EXPECT_THAT(ask("POST", "/api/text", body), StartsWith("HTTP/1.1 400")) << body;
  }
  EXPECT_THAT(ask("POST", "/api/text", "{\"text\": \"" + std::string(5000, 'a') + "\"}"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("POST", "/api/text", std::string(100'000, 'a')), StartsWith("HTTP/1.1 413"));
}

TEST_F(Serve, SurvivesWhatIsNoHttp) {
  Generator random(5);
  for (int i = 0; i < times(60, 1000); ++i) {
    const Client client(port);
    ASSERT_TRUE(client.connected());
    std::string bytes = i % 3 == 0 ? "POST /api/text HTTP/1.1\r\n" : i % 3 == 1 ? "GET /" : "";
    for (Index k = random.below(2000); k > 0; --k) bytes += static_cast<char>(random.below(256));
    client.send(bytes);
    if (i % 2 == 0) client.end();
    if (i % 20 == 0) client.end(), client.receive();
  }
  // Clients that say nothing hold their places for some seconds only.
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 9; ++i) silent.push_back(std::make_unique<Client>(port));
  EXPECT_THAT(ask("GET", "/api/run"), AnyOf(StartsWith("HTTP/1.1 200"), ""));
  silent.clear();
  EXPECT_THAT(ask("POST", "/api/text", R"({"text": "anna"})"), StartsWith("HTTP/1.1 200"));
}

// Sends a byte at a time, as long as the server takes it and at most for a minute.
class Dripping {
 public:
  explicit Dripping(int port) : client_(port), thread_([this] { drip(); }) {}
  ~Dripping() { thread_.join(); }
  Dripping(const Dripping&) = delete;
  Dripping& operator=(const Dripping&) = delete;
  bool was_cut() {
    thread_.join();
    thread_ = std::thread([] {});
    return cut_;
  }

 private:
  void drip() {
    client_.send("GET / HTTP/1.1\r\nX-Slow: ");
    for (int i = 0; i < 600 && !cut_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      cut_ = !client_.send_on("a", 1);
    }
  }

  Client client_;
  bool cut_ = false;
  std::thread thread_;
};

// Eight of them hold all places that there are.
TEST_F(Serve, SlowClientsHoldNobodyUp) {
  std::vector<std::unique_ptr<Dripping>> slow;
  for (int i = 0; i < 8; ++i) slow.push_back(std::make_unique<Dripping>(port));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_THAT(ask("GET", "/api/run"), StartsWith("HTTP/1.1 200"));
  for (const auto& client : slow) EXPECT_TRUE(client->was_cut());
}

TEST_F(Serve, EndsWhileClientsAreSlow) {
  std::vector<std::unique_ptr<Dripping>> slow;
  for (int i = 0; i < 12; ++i) slow.push_back(std::make_unique<Dripping>(port));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ::kill(server, SIGINT);
  EXPECT_EQ(finish(std::exchange(server, 0)).status, 0);
  for (const auto& client : slow) EXPECT_TRUE(client->was_cut());
}

// Requests that a library would keep in memory as long as they come.
TEST_F(Serve, HostileRequestsTakeNoMemory) {
  const std::string host = fmt::format("Host: 127.0.0.1:{}\r\n", port),
                    chunk = "1000\r\n" + std::string(4096, 'a') + "\r\n";
  std::string lines;
  for (int i = 0; i < 100'000; ++i) lines += fmt::format("X-{}: a\r\n", i);
  std::string ranges = "Range: bytes=0-";
  for (int i = 1; i < 2000; ++i) ranges += ",0-";
  ask("GET", "/api/run");
  ask("POST", "/api/text", R"({"text": "anna"})");
  const std::size_t before = most_memory();
  constexpr std::size_t much = 64 << 20;
  const auto refused = [&](const char* status) { return AnyOf(StartsWith(fmt::format("HTTP/1.1 {}", status)), ""); };
  for (int i = 0; i < times(8, 1000); ++i) {
    const Client client(port);
    switch (i % 8) {
      case 0:  // a line without an end
        client.send("GET / HTTP/1.1\r\n" + host + "X-Long: ");
        EXPECT_FALSE(client.send_on(std::string(1 << 16, 'a'), much));
        break;
      case 1:
        client.send("GET / HTTP/1.1\r\n" + host + lines + "\r\n");
        EXPECT_THAT(client.receive(), refused("431"));
        break;
      case 2:  // a body without an end
        client.send("POST /api/text HTTP/1.1\r\n" + host +
                    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        EXPECT_FALSE(client.send_on(chunk, much));
        break;
      case 3:
        client.send("POST /api/text HTTP/1.1\r\n" + host + "\r\n");
        EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 411"));
        break;
      case 4:
        client.send("GET / HTTP/1.1\r\n" + host + ranges + "\r\n\r\n");
        EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 416"));
        break;
      case 5:
        client.send("POST /api/text HTTP/1.1\r\n" + host + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
        EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 415"));
        break;
      case 6:  // an address without an end
        client.send("GET /");
        EXPECT_FALSE(client.send_on(std::string(1 << 16, 'a'), much));
        break;
      default:
        client.send("POST /api/text HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999999\r\n\r\n");
        EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 413"));
    }
  }
  EXPECT_THAT(ask("GET", "/api/run"), StartsWith("HTTP/1.1 200"));
  const std::size_t grown = most_memory() - before;
  testing::figure("memory that hostile requests took", fmt::format("{} KB", grown / 1024));
  EXPECT_LT(grown, 16U << 20);
}

TEST_F(Serve, RequestsOfOneMeaningOnly) {
  const auto told = [&](const std::string& bytes) {
    const Client client(port);
    client.send(bytes);
    client.end();
    return client.receive().substr(0, 12);
  };
  const std::string host = fmt::format("Host: 127.0.0.1:{}\r\n", port);
  EXPECT_EQ(told("GET /api/run HTTP/1.1\r\n" + host + "\r\n"), "HTTP/1.1 200");
  EXPECT_EQ(told("GET /api/run HTTP/1.1\n" + host + "\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(told("GET /api/run HTTP/1.1\r\n" + host + "X\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(told("GET /api/run HTTP/1.1\r\n" + host + " X: 1\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(told("GET /api/run HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(told("GET /api/run HTTP/1.1\r\n" + host), "HTTP/1.1 400");
  EXPECT_EQ(told("POST /api/text HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}"),
            "HTTP/1.1 400");
  EXPECT_EQ(told("POST /api/text HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n{}"), "HTTP/1.1 400");
  EXPECT_EQ(told("POST /api/text HTTP/1.1\r\n" + host + "Content-Length: 20\r\n\r\n{}"), "HTTP/1.1 400");
  EXPECT_EQ(told("GET / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n\r\n"), "HTTP/1.1 417");
  EXPECT_EQ(told(""), "");
}

// A GET of a foreign page has no Origin, but a browser says where it is from.
TEST_F(Serve, RefusesGetsOfOtherPages) {
  for (const char* const site : {"cross-site", "same-site"}) {
    EXPECT_THAT(ask("GET", "/api/run", "", fmt::format("Sec-Fetch-Site: {}\r\n", site)), StartsWith("HTTP/1.1 403"));
  }
  for (const char* const site : {"same-origin", "none"}) {
    EXPECT_THAT(ask("GET", "/api/run", "", fmt::format("Sec-Fetch-Site: {}\r\n", site)), StartsWith("HTTP/1.1 200"));
  }
}

// Whoever has the newest document gets only that said; a training that begins and one that dies are told though no file
// of the run changes.
TEST_F(Serve, TellsWhatHasChanged) {
  const auto run = [&](const std::string& query = "") { return Json::parse(body_of(ask("GET", "/api/run" + query))); };
  const auto version = [&](const Json& document) { return document["version"].get<long>(); };
  const Json first = run();
  const Json same = run(fmt::format("?version={}", version(first)));
  EXPECT_EQ(same, (Json{{"unchanged", true}, {"version", version(first)}}));
  EXPECT_EQ(run("?version=1"), first);
  EXPECT_EQ(run("?version=abc"), first);
  std::optional<RunLock> training(folder / "run");
  const Json second = run(fmt::format("?version={}", version(first)));
  EXPECT_TRUE(second["run"]["running"].get<bool>());
  EXPECT_GT(version(second), version(first));
  training.reset();
  const Json third = run(fmt::format("?version={}", version(second)));
  EXPECT_FALSE(third["run"]["running"].get<bool>());
  EXPECT_EQ(third["loss"], first["loss"]);
}

// Before it serves, Ctrl-C ends it as it does everything that leaves nothing behind.
TEST_F(Command, EndsBeforeItServes) {
  if (gradus::testing::emulated()) GTEST_SKIP() << "signals reach the emulator";
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const pid_t server = start({"view", "run", "--serve", "0", "--data", pipe});  // waits for somebody who writes
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ASSERT_TRUE(running(server)) << read(folder / "err");
  ::kill(server, SIGINT);
  EXPECT_EQ(finish(server).status, 128 + SIGINT);
}

TEST_F(Serve, ItsPortIsItsOwn) {
  expect_error(gpt({"view", "run", "--serve", std::to_string(port)}), 1, "is the port taken?");
  expect_error(gpt({"view", "run", "--serve", "70000"}), 2, "--serve is 70000");
  expect_error(gpt({"view", "run", "--serve", "--json"}), 2, "--serve shows one run");
}

// gpt train --view.
struct TrainView : Command {
  void SetUp() override {
    if (gradus::testing::emulated()) GTEST_SKIP() << "the emulator cannot start itself again";
  }
  std::string wait_for(const std::string& text) const {
    std::string said;
    for (int i = 0; i < 6000 && said.find(text) == std::string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      said = read(folder / "out");
    }
    EXPECT_THAT(said, HasSubstr(text)) << read(folder / "err");
    return said;
  }
  int port_of_page() const {
    const std::string begin = "page http://127.0.0.1:", said = wait_for(begin);
    const std::size_t at = said.find(begin);
    return at == std::string::npos ? 0 : std::stoi(said.substr(at + begin.size()));
  }
  static Json run_at(int port) {
    const Client client(port);
    client.send(fmt::format("GET /api/run HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", port));
    const std::string response = client.receive();
    return Json::parse(response.substr(response.find("\r\n\r\n") + 4));
  }
  static bool is_gone(int port) {
    for (int i = 0; i < 1000; ++i) {
      if (!Client(port).connected()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  const std::vector<std::string> endless{"train",    "--out", "run",     "--view", "0",       "--steps", "100000000",
                                         "--layers", "1",     "--width", "8",      "--heads", "2"};
};

TEST_F(TrainView, ShowsATrainingThatRuns) {
  const pid_t training = start(endless);
  const int port = port_of_page();
  EXPECT_TRUE(run_at(port)["run"]["running"].get<bool>());
  ::kill(training, SIGINT);
  EXPECT_EQ(finish(training).status, 128 + SIGINT);
  EXPECT_TRUE(is_gone(port));
}

TEST_F(TrainView, GoesWhenTheTrainingIsKilled) {
  const pid_t training = start(endless);
  const int port = port_of_page();
  ::kill(training, SIGKILL);
  finish(training);
  EXPECT_TRUE(is_gone(port));
}

TEST_F(TrainView, StaysWhenTheTrainingHasEnded) {
  const pid_t training = start({"train", "--out", "run", "--view", "0", "--seconds", "2", "--samples", "0"});
  const int port = port_of_page();
  wait_for("shows this run until Ctrl-C");
  EXPECT_FALSE(run_at(port)["run"]["running"].get<bool>());
  ::kill(training, SIGTERM);
  EXPECT_EQ(finish(training).status, 128 + SIGTERM);
  EXPECT_TRUE(is_gone(port));
}

// Also where the training was over before there was a page, has nothing to say, or has no step to do.
TEST_F(TrainView, ShowsAShortTraining) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--out", "run", "--steps", "2"}, std::vector<std::string>{"--resume", "run"}}) {
    std::vector<std::string> arguments{"train", "--view", "0", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::filesystem::remove(folder / "out");  // of the one before
    const pid_t training = start(arguments);
    const int port = port_of_page();
    wait_for("shows this run until Ctrl-C");
    EXPECT_EQ(run_at(port)["run"]["steps"], 2);
    ::kill(training, SIGTERM);
    EXPECT_EQ(finish(training).status, 128 + SIGTERM);
    EXPECT_TRUE(is_gone(port));
  }
}

// The log comes as it is written, weights with the checkpoints.
TEST_F(TrainView, ShowsStepsAsTheyCome) {
  std::vector<std::string> arguments = endless;
  for (const char* const flag : {"--save-every", "--eval-every"}) {
    arguments.emplace_back(flag);
    arguments.emplace_back("100000000");
  }
  const pid_t training = start(arguments);
  const int port = port_of_page();
  const Json first = run_at(port);
  Json later = first;
  for (int i = 0; i < 1000 && later["loss"]["step"].back() == first["loss"]["step"].back(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    later = run_at(port);
  }
  EXPECT_GT(later["loss"]["step"].back(), first["loss"]["step"].back());
  EXPECT_GT(later["version"], first["version"]);
  EXPECT_EQ(later["run"]["steps"], later["loss"]["step"].back());
  EXPECT_EQ(later["snapshots"], first["snapshots"]);
  ::kill(training, SIGINT);
  EXPECT_EQ(finish(training).status, 128 + SIGINT);
}

TEST_F(TrainView, ChangesNoBitOfTheTraining) {
  const std::vector<std::string> short_one{"train", "--steps", "60", "--layers",  "1", "--width",      "16", "--heads",
                                           "2",     "--batch", "8",  "--samples", "0", "--save-every", "10", "--quiet"};
  std::vector<std::string> without = short_one, with = short_one;
  without.insert(without.end(), {"--out", "without"});
  with.insert(with.end(), {"--out", "with", "--view", "0"});
  ASSERT_EQ(gpt(without).status, 0);
  const pid_t training = start(with);
  wait_for("shows this run until Ctrl-C");
  ::kill(training, SIGTERM);
  finish(training);
  for (const char* const file : {"model.safetensors", "best.safetensors", "record.jsonl", "config.json"}) {
    EXPECT_EQ(read(folder / "with" / file), read(folder / "without" / file)) << file;
  }
}

// The process of the page, which may die or hang.
struct TrainViewProcess : TrainView {
  void SetUp() override {
    TrainView::SetUp();
    if (IsSkipped()) return;
    training = start(endless);
    port = port_of_page();
    const std::string children = read(fmt::format("/proc/{0}/task/{0}/children", training));
    if (children.empty()) GTEST_SKIP() << "the system does not tell of children";
    page = std::stoi(children);
  }
  void TearDown() override {
    if (training == 0) return;
    ::kill(training, SIGINT);
    finish(training);
  }
  pid_t training = 0, page = 0;
  int port = 0;
};

TEST_F(TrainViewProcess, ItsEndIsTold) {
  ::kill(page, SIGKILL);
  std::string said;
  for (int i = 0; i < 1000 && said.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    said = read(folder / "err");
  }
  EXPECT_THAT(said, AllOf(HasSubstr("no longer served"), HasSubstr("continues without the page")));
  EXPECT_TRUE(running(training));
}

TEST_F(TrainViewProcess, OneThatHangsIsEnded) {
  ::kill(page, SIGSTOP);
  ::kill(training, SIGINT);
  EXPECT_EQ(finish(std::exchange(training, 0)).status, 128 + SIGINT);
  EXPECT_TRUE(is_gone(port));
}

// A page that cannot be served is told; the training is what counts.
TEST_F(TrainView, DoesWithoutAPage) {
  const int taken = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken, 1), 0);
  ASSERT_EQ(::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  testing::Result result = gpt({"train", "--out", "run", "--view", port, "--seconds", "6"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("is the port taken?"), HasSubstr("continues without the page")));
  EXPECT_THAT(result.out, HasSubstr("held-out loss"));
  result = gpt({"train", "--out", "short", "--view", port, "--steps", "2", "--quiet"});
  ::close(taken);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, HasSubstr("is the port taken?"));
}

}  // namespace
}  // namespace gradus::models
