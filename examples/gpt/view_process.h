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
  /// Ends it, within some seconds.
  ~ViewProcess();
  ViewProcess(const ViewProcess&) = delete;
  ViewProcess& operator=(const ViewProcess&) = delete;

  /// Starts to serve the run in `folder`, which has been saved. Throws Error where the system has no process for it.
  void start(const std::filesystem::path& folder);
  bool started() const { return process_ > 0; }
  /// The page's address, once; before that, and afterwards, nothing. Call it now and then, since the process waits when
  /// nobody reads what it says. Throws Error if the process has ended.
  std::optional<std::string> address();
  /// The same, but waits until there is an address; nothing where that was returned before.
  std::optional<std::string> wait_for_address();
  /// Serves on until Ctrl-C, or until somebody ends the process. Throws Error if it ended by itself, with what it said.
  void wait();

 private:
  // Reads what it says, and first waits up to `patience` milliseconds (-1: without end) for some; false at its end.
  bool listen(int patience);
  [[noreturn]] void tell_end();

  std::string program_;
  int port_;
  pid_t process_ = 0;
  int pipe_ = -1;      // what it says
  std::string said_;   // last
  bool told_ = false;  // whether address() has returned it
};

/// Shows an address in a browser, on a desktop that has a way to open one; elsewhere nothing happens.
void open_in_browser(const std::string& address);

}  // namespace gpt
