// The process is this program started again, with one thread: it reads what the training has saved, and nothing in the
// training depends on it.
#include "view_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include <gradus/core/check.h>

#include "signals.h"

namespace gpt {
namespace {

void wait_for(pid_t process) {
  while (::waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Whether it has ended by then.
bool ends_within(pid_t process, std::chrono::milliseconds time) {
  for (constexpr std::chrono::milliseconds step(10); time.count() > 0; time -= step) {
    if (::waitpid(process, nullptr, WNOHANG) == process) return true;
    std::this_thread::sleep_for(step);
  }
  return false;
}

// Between fork() and exec(): other threads may have held any lock, so nothing here takes memory.
[[noreturn]] void become(char* const* arguments, int out, [[maybe_unused]] pid_t training) {
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);       // it goes when the training is killed,
  if (::getppid() != training) ::_exit(0);  // also if that was before
#endif
  for (const int number : ending_signals) std::signal(number, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  ::execv("/proc/self/exe", arguments);
  ::execvp(arguments[0], arguments);
  constexpr int not_found = 127;
  ::_exit(not_found);
}

}  // namespace

ViewProcess::~ViewProcess() {
  constexpr std::chrono::seconds patience(4);
  if (pipe_ >= 0) ::close(pipe_);
  if (process_ <= 0) return;
  ::kill(process_, SIGTERM);
  if (ends_within(process_, patience)) return;
  ::kill(process_, SIGKILL);
  wait_for(process_);
}

void ViewProcess::start(const std::filesystem::path& folder) {
  const std::vector<std::string> command{program_,    "view", folder.string(), "--serve", std::to_string(port_),
                                         "--threads", "1"};
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> ends{};
  gradus::check(::pipe(ends.data()) == 0, "--view: no pipe to another process: {}; close other programs",
                std::strerror(errno));
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  std::fflush(stdout);
  const pid_t training = ::getpid();
  process_ = ::fork();
  if (process_ == 0) become(arguments.data(), ends[1], training);
  ::close(ends[1]);
  pipe_ = ends[0];
  gradus::check(process_ > 0, "--view: no other process can be started: {}; close other programs",
                std::strerror(errno));
}

bool ViewProcess::listen(int patience) {
  constexpr std::size_t most = 4096;  // of what it has said
  pollfd file{pipe_, POLLIN, 0};
  for (;; patience = 0) {
    const int ready = ::poll(&file, 1, patience);
    if (ready < 0 && errno == EINTR) return true;
    if (ready <= 0) return true;
    std::array<char, 1024> part{};
    const ssize_t size = ::read(pipe_, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    said_.append(part.data(), static_cast<std::size_t>(size));
    if (said_.size() > most) said_.erase(0, said_.size() - most);
  }
}

void ViewProcess::tell_end() {
  wait_for(std::exchange(process_, 0));
  gradus::fail("--view: the page is {}served: {}", told_ ? "no longer " : "not ", said_);
}

std::optional<std::string> ViewProcess::address() {
  if (!started()) return {};
  if (!listen(0)) tell_end();
  if (told_) return {};
  const std::size_t begin = said_.find("http://"), end = said_.find(' ', begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  told_ = true;
  return std::exchange(said_, "").substr(begin, end - begin);
}

std::optional<std::string> ViewProcess::wait_for_address() {
  std::optional<std::string> found = address();
  while (started() && !told_) {
    if (!listen(-1)) tell_end();
    found = address();
  }
  return found;
}

void ViewProcess::wait() {
  if (!started()) return;
  void (*const before)(int) = std::signal(SIGINT, SIG_IGN);  // Ctrl-C reaches the process too, and ends it
  while (listen(-1)) {
  }
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = 0;
  std::signal(SIGINT, before);
  // One that somebody ended has said why, or need not.
  gradus::check(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "--view: the page is no longer served: {}", said_);
}

void open_in_browser(const std::string& address) {
  if (std::getenv("DISPLAY") == nullptr && std::getenv("WAYLAND_DISPLAY") == nullptr) return;
  // The shell returns at once, so that nobody has to wait for the browser.
  std::array<std::string, 4> words{"sh", "-c", "xdg-open \"$0\" > /dev/null 2>&1 &", address};
  std::array<char*, 5> arguments{words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  pid_t shell = 0;
  if (::posix_spawnp(&shell, "sh", nullptr, nullptr, arguments.data(), environ) == 0) wait_for(shell);
}

}  // namespace gpt
