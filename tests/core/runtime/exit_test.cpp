// A process may end at any moment: programs that end while threads compute, in every way, must neither hang nor crash.
// GRADUS_SOAK=1 ends each 1,000 times.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "../../support.h"

extern char** environ;

namespace gradus::testing {
namespace {

// How a child ended: "" if well.
std::string end_of(std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (::posix_spawn(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) return "does not start";
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(sanitized ? 120 : 30);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > patience) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return "hangs";
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  if (WIFSIGNALED(status)) return fmt::format("dies of signal {}", WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : fmt::format("exits with {}", WEXITSTATUS(status));
}

TEST(Exit, IsSafeWhileThreadsCompute) {
  if (emulated()) GTEST_SKIP() << "the emulator, not the system, handles processes";
  // ThreadSanitizer would wait a second at each exit.
  const char* const options = std::getenv("TSAN_OPTIONS");
  ::setenv("TSAN_OPTIONS", fmt::format("{}:atexit_sleep_ms=0", options == nullptr ? "" : options).c_str(), 1);
  const char* const soak = std::getenv("GRADUS_SOAK");
  const int times = soak != nullptr ? 1000 : 4;
  for (const char* how : {"main", "thread", "chunk", "quick"}) {
    for (const int threads : {1, 2, 7}) {
      int bad = 0;
      for (int i = 0; i < times; ++i) {
        const std::string end = end_of(
            {GRADUS_BIN_DIR "/exit_during_work", how, fmt::format("{}", threads), fmt::format("{}", i * 7919 % 3000)});
        bad += end.empty() ? 0 : 1;
        EXPECT_EQ(end, "") << how << ", " << threads << " threads";
      }
      if (soak != nullptr) fmt::print("{}, {} threads: {} of {} exits went wrong\n", how, threads, bad, times);
    }
  }
  if (options == nullptr) {
    ::unsetenv("TSAN_OPTIONS");
  } else {
    ::setenv("TSAN_OPTIONS", options, 1);
  }
}

TEST(Plugin, WithTheLibraryInsideCanBeUnloaded) {
  if (emulated()) GTEST_SKIP() << "the plugin is for the emulated processor";
  EXPECT_EQ(end_of({GRADUS_BIN_DIR "/plugin_host", GRADUS_BIN_DIR "/plugin.so"}), "");
}

}  // namespace
}  // namespace gradus::testing
