// `gpt train --view`: `gpt view --serve` beside a training, in a process of its own that the training does not wait
// for.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

namespace gpt {

class ViewProcess {
 public:
  /// `program`: this one's name. `port`: see serve_view().
  ViewProcess(std::string program, int port) : program_(std::move(program)), port_(port) {}
  /// Ends it.
  ~ViewProcess();
  ViewProcess(const ViewProcess&) = delete;
  ViewProcess& operator=(const ViewProcess&) = delete;

  /// Starts to serve the run in `folder`, which has been saved. Throws Error where the system has no process for it.
  void start(const std::filesystem::path& folder);
  bool started() const { return process_ > 0; }
  /// The page's address, once; before that, and afterwards, nothing. Throws Error if the process ended without one.
  std::optional<std::string> address();
  /// Serves on until Ctrl-C, or until somebody ends the process.
  void wait();

 private:
  std::string program_;
  int port_;
  pid_t process_ = 0;
  int pipe_ = -1;      // what it says
  std::string said_;   // so far
  bool told_ = false;  // whether address() has returned it
};

/// Shows an address in a browser, on a desktop that has a way to open one; elsewhere nothing happens.
void open_in_browser(const std::string& address);

}  // namespace gpt
