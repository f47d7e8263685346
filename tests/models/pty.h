// The program gpt on a terminal: a pseudo-terminal, whose other end the test holds, as a terminal's window does.
#pragma once

#include <sys/ioctl.h>
#include <termios.h>

#include <chrono>
#include <thread>
#include <utility>

#include "command.h"

namespace gradus::models::testing {

/// Both ends of a pseudo-terminal. There is none in a container without /dev/pts, for one.
class Pty {
 public:
  Pty() {
    master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0) return;
    const char* const name = ::ptsname(master_);
    if (name != nullptr) slave_ = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  }
  ~Pty() {
    close_slave();
    if (master_ >= 0) ::close(master_);
  }
  Pty(const Pty&) = delete;
  Pty& operator=(const Pty&) = delete;

  bool is_open() const { return slave_ >= 0; }
  int master() const { return master_; }
  int slave() const { return slave_; }
  void close_slave() {
    if (slave_ >= 0) ::close(slave_);
    slave_ = -1;
  }
  void resize(unsigned short columns, unsigned short rows) const {
    const winsize size{rows, columns, 0, 0};
    ::ioctl(master_, TIOCSWINSZ, &size);
  }

 private:
  int master_ = -1, slave_ = -1;
};

struct Window {
  unsigned short columns = 80, rows = 24;
};

struct TerminalCommand : Command {
  void SetUp() override {
    if (gradus::testing::emulated()) GTEST_SKIP() << "signals reach the emulator";
    if (!Pty().is_open()) GTEST_SKIP() << "this test needs a pseudo-terminal, and none can be made here";
  }

  void TearDown() override {
    if (pid_ == 0) return;  // a test that failed may have left it running
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // Starts gpt on a terminal of its own. `environment`: "NAME=VALUE"; it has TERM=xterm and UTF-8 else.
  void open(const std::vector<std::string>& arguments, Window window = {},
            const std::vector<std::string>& environment = {}) {
    pty_.emplace();
    pty_->resize(window.columns, window.rows);
    shown_.clear();
    const std::string program = GRADUS_BIN_DIR "/gpt", place = folder.path();
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setsid();
      ::ioctl(pty_->slave(), TIOCSCTTY, 0);
      for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(pty_->slave(), stream);
      for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
      ::unsetenv("NO_COLOR");
      ::setenv("TERM", "xterm", 1);
      ::setenv("LC_ALL", "C.UTF-8", 1);
      for (const std::string& variable : environment) ::putenv(const_cast<char*>(variable.c_str()));
      if (::chdir(place.c_str()) != 0) ::_exit(126);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    pty_->close_slave();
  }
  void resize(unsigned short columns, unsigned short rows) const { pty_->resize(columns, rows); }
  void type(const std::string& keys) const {
    ASSERT_EQ(::write(pty_->master(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  /// Reads until `what` stands behind the first `from` bytes; false when the program ended, or half a minute passed,
  /// before.
  bool wait_for(const std::string& what, std::size_t from = 0) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (shown_.find(what, std::min(from, shown_.size())) == std::string::npos) {
      if (std::chrono::steady_clock::now() > end || !read_more()) return false;
    }
    return true;
  }
  /// All that was shown, with "\n" for the terminal's "\r\n".
  const std::string& shown() const { return shown_; }
  /// Reads to the end; the exit status.
  int close() {
    while (read_more()) {
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string all_of(const std::vector<std::string>& arguments, Window window = {},
                     const std::vector<std::string>& environment = {}) {
    open(arguments, window, environment);
    EXPECT_EQ(close(), 0) << shown_;
    return shown_;
  }

 private:
  bool read_more() {
    char bytes[4096];
    const ssize_t got = ::read(pty_->master(), bytes, sizeof bytes);
    if (got <= 0) return false;  // EIO: no one has the other end open any more
    for (const char c : std::string_view(bytes, static_cast<std::size_t>(got))) {
      if (c == '\n' && shown_.ends_with('\r')) shown_.pop_back();
      shown_ += c;
    }
    return true;
  }

  std::optional<Pty> pty_;
  pid_t pid_ = 0;
  std::string shown_;
};

}  // namespace gradus::models::testing
