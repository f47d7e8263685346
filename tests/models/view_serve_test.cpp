// gpt view --serve: what the page asks is answered, everything else is refused, and nothing brings it down.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include <gradus/core/runtime/random.h>

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
  wait_for("the page shows this run until Ctrl-C");
  EXPECT_FALSE(run_at(port)["run"]["running"].get<bool>());
  ::kill(training, SIGTERM);
  EXPECT_EQ(finish(training).status, 128 + SIGTERM);
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
  const testing::Result result =
      gpt({"train", "--out", "run", "--view", std::to_string(ntohs(address.sin_port)), "--seconds", "6"});
  ::close(taken);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("is the port taken?"), HasSubstr("continues without the page")));
  EXPECT_THAT(result.out, HasSubstr("held-out loss"));
}

}  // namespace
}  // namespace gradus::models
