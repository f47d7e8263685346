// A child's text is a letter, r for a result and e for an error, and what it is. A child computes with one thread and
// starts from one, since fork() copies only the thread that calls it.
#include "children.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <gradus/core/check.h>

#include "../signals.h"

namespace gpt::lab {
namespace {

pid_t parent = 0;

void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // no one reads it any more
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

[[noreturn]] void be_child(int out, const std::function<std::string()>& work) {
  for (const int number : ending_signals) std::signal(number, SIG_IGN);  // the parent says when to end
  std::signal(SIGTERM, SIG_DFL);
  std::string text;
  try {
    text = "r" + work();
  } catch (const std::bad_alloc&) {
    text = "ethere is not enough memory; use fewer threads (--threads), or free some";
  } catch (const std::exception& error) {
    text = std::string("e") + error.what();
  }
  write_all(out, text);
  ::_exit(0);
}

}  // namespace

Children::~Children() {
  for (const Child& child : children_) {
    ::kill(child.pid, SIGTERM);
    ::waitpid(child.pid, nullptr, 0);
    ::close(child.pipe);
  }
}

void Children::start(const std::function<std::string()>& work) {
  std::array<int, 2> ends{};
  gradus::check(::pipe(ends.data()) == 0, "lab: no pipe to another process: {}; close other programs",
                std::strerror(errno));
  std::fflush(stdout);
  parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    be_child(ends[1], work);
  }
  ::close(ends[1]);
  if (pid < 0) ::close(ends[0]);
  gradus::check(pid > 0, "lab: no other process can be started: {}; close other programs", std::strerror(errno));
  children_.push_back({pid, ends[0], {}});
}

std::optional<std::string> Children::wait(double seconds) {
  std::vector<pollfd> files;
  for (const Child& child : children_) files.push_back({child.pipe, POLLIN, 0});
  constexpr double milliseconds = 1000;
  if (::poll(files.data(), files.size(), static_cast<int>(seconds * milliseconds)) <= 0) return {};
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (files[i].revents == 0) continue;
    std::array<char, 4096> part{};
    const ssize_t size = ::read(files[i].fd, part.data(), part.size());
    if (size > 0) children_[i].text.append(part.data(), static_cast<std::size_t>(size));
    if (size == 0 || (size < 0 && errno != EINTR)) return finish(i);
  }
  return {};
}

std::string Children::finish(std::size_t i) {
  const Child child = children_[i];
  children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
  ::close(child.pipe);
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  gradus::check(
      WIFEXITED(status) && !child.text.empty(),
      "lab: a run was ended from outside (signal {}), perhaps for want of memory; call the same command again "
      "to go on, with fewer --threads",
      WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  gradus::check(child.text[0] == 'r', "{}", child.text.substr(1));
  return child.text.substr(1);
}

bool parent_lives() {
  return ::getppid() == parent;
}

}  // namespace gpt::lab
