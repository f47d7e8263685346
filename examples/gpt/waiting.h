// What one sees while something takes long that is not a step: reading a large text, measuring on one.
#pragma once

#include <chrono>
#include <string>

#include <gradus/models/text/text.h>

namespace gpt {

/// On a terminal a line with the part that is done, which goes when it ends; in a pipe or file a line every 10 seconds.
class Waiting {
 public:
  Waiting(std::string what, bool quiet);
  ~Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  void show(double done);
  /// Calls show(); must not outlive this.
  gradus::models::Progress progress() {
    return [this](double done) { show(done); };
  }

 private:
  std::string what_;
  bool quiet_, terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point next_;
};

/// While it lives, Ctrl-C, SIGTERM and SIGHUP end the program with `told` on stderr and exit status 128 + signal: for
/// work that leaves nothing behind. `told` must be a literal.
class EndsTold {
 public:
  explicit EndsTold(const char* told);
  ~EndsTold();
  EndsTold(const EndsTold&) = delete;
  EndsTold& operator=(const EndsTold&) = delete;
};

}  // namespace gpt
