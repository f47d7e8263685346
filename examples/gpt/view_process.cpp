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
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <gradus/core/check.h>

#include "signals.h"

namespace gpt {
namespace {

void wait_for(pid_t process) {
  while (::waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

[[noreturn]] void become(const std::vector<std::string>& command, int out) {
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // it goes when the training is killed
#endif
  for (const int number : ending_signals) std::signal(number, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
  ::execvp(arguments[0], arguments.data());
  constexpr int not_found = 127;
  ::_exit(not_found);
}

}  // namespace

ViewProcess::~ViewProcess() {
  if (pipe_ >= 0) ::close(pipe_);
  if (process_ <= 0) return;
  ::kill(process_, SIGTERM);
  wait_for(process_);
}

void ViewProcess::start(const std::filesystem::path& folder) {
  const std::vector<std::string> command{program_,    "view", folder.string(), "--serve", std::to_string(port_),
                                         "--threads", "1"};
  std::array<int, 2> ends{};
  gradus::check(::pipe(ends.data()) == 0, "--view: no pipe to another process: {}; close other programs",
                std::strerror(errno));
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  std::fflush(stdout);
  process_ = ::fork();
  if (process_ == 0) become(command, ends[1]);
  ::close(ends[1]);
  pipe_ = ends[0];
  gradus::check(process_ > 0, "--view: no other process can be started: {}; close other programs",
                std::strerror(errno));
}

std::optional<std::string> ViewProcess::address() {
  if (told_ || !started()) return {};
  pollfd file{pipe_, POLLIN, 0};
  while (::poll(&file, 1, 0) > 0) {
    std::array<char, 1024> part{};
    const ssize_t size = ::read(pipe_, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size > 0) {
      said_.append(part.data(), static_cast<std::size_t>(size));
      continue;
    }
    wait_for(std::exchange(process_, 0));
    gradus::fail("--view: the page is not served: {}", said_);
  }
  const std::size_t begin = said_.find("http://"), end = said_.find(' ', begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  told_ = true;
  return said_.substr(begin, end - begin);
}

void ViewProcess::wait() {
  if (!started()) return;
  void (*const before)(int) = std::signal(SIGINT, SIG_IGN);  // Ctrl-C reaches the process too, and ends it
  wait_for(std::exchange(process_, 0));
  std::signal(SIGINT, before);
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
