// The program gpt, run as a user runs it, in a folder of its own.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>

#include "helpers.h"

namespace gradus::models::testing {

struct Result {
  int status;  // exit status, or 128 + the signal that ended it
  std::string out, err;
};

struct Command : ::testing::Test {
  // Starts gpt in the test's folder with stdout and stderr in files; no shell stands between, so signals reach it.
  pid_t start(const std::vector<std::string>& arguments, const char* isa = nullptr) const {
    const std::string program = GRADUS_BIN_DIR "/gpt";
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const std::string out = folder / "out", err = folder / "err", place = folder.path();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int out_file = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int err_file = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
      std::signal(signal, SIG_DFL);  // tests may run under nohup
    ::dup2(out_file, STDOUT_FILENO);
    ::dup2(err_file, STDERR_FILENO);
    if (file_size > 0) {  // a write beyond it fails as on a full disk
      const rlimit limit{file_size, file_size};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (stack_size > 0) {
      const rlimit limit{stack_size, stack_size};
      ::setrlimit(RLIMIT_STACK, &limit);
    }
    if (isa != nullptr) ::setenv("GRADUS_ISA", isa, 1);
    if (::chdir(place.c_str()) != 0) ::_exit(126);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  // An ended program is there until finish() has asked for its status, so that kill(pid, 0) would always find it.
  bool running(pid_t pid) const {
    siginfo_t ended{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
  }
  Result finish(pid_t pid) const {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(folder / "out"),
            read(folder / "err")};
  }
  Result gpt(const std::vector<std::string>& arguments, const char* isa = nullptr) const {
    return finish(start(arguments, isa));
  }
  // A few steps of a tiny model, where `more` does not say otherwise.
  Result train(std::vector<std::string> more) const {
    std::vector<std::string> arguments{"train"};
    const std::vector<std::pair<std::string, std::string>> tiny{
        {"--steps", "3"}, {"--layers", "1"}, {"--width", "8"}, {"--heads", "2"}};
    for (const auto& [flag, value] : tiny) {
      if (std::ranges::find(more, flag) == more.end()) arguments.insert(arguments.end(), {flag, value});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return gpt(arguments);
  }
  void expect_error(const Result& result, int status, const std::string& text) const {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_THAT(result.err, ::testing::AllOf(::testing::StartsWith("gpt: "), ::testing::HasSubstr(text)));
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
  }
  std::string last_line(const std::string& text) const { return text.substr(text.rfind('\n', text.size() - 2) + 1); }

  // All files of a run by their names, but for who trains there and what waits to become the log.
  std::map<std::string, std::string> contents(const std::string& run) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / run)) {
      const auto& path = entry.path();
      if (entry.is_regular_file() && path.filename() != ".lock" && path.extension() != ".new") {
        all[path.lexically_relative(folder / run)] = read(path);
      }
    }
    return all;
  }

  const TempFolder folder;
  rlim_t file_size = 0;   // of what gpt may write; 0: no limit
  rlim_t stack_size = 0;  // the same of its stack
};

/// GRADUS_SOAK=1 has these tests run as often as it takes to trust them (make soak), not just to see that they work.
inline int times(int usual, int soak) {
  return std::getenv("GRADUS_SOAK") != nullptr ? soak : usual;
}

/// A figure of `make soak` as a line that can be quoted; the report files of GoogleTest have it always.
inline void figure(const std::string& name, const std::string& value) {
  ::testing::Test::RecordProperty(name, value);
  if (std::getenv("GRADUS_SOAK") != nullptr) fmt::print("[  FIGURE  ] {}: {}\n", name, value);
}

}  // namespace gradus::models::testing
