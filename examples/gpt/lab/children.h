// Runs side by side, each in a process of its own that sends back its result.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace gpt::lab {

/// Starts processes and waits for what they say. Ends those that still run when it goes.
class Children {
 public:
  Children() = default;
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  /// `work` runs in a copy of this process and returns its text; what it throws comes back as Failed.
  void start(const std::function<std::string()>& work);
  std::size_t running() const { return children_.size(); }

  /// What one that has ended said; nothing if none ends within `seconds`. Throws Error for one that failed or was
  /// killed.
  std::optional<std::string> wait(double seconds);

 private:
  struct Child {
    pid_t pid;
    int pipe;
    std::string text;
  };
  std::string finish(std::size_t i);

  std::vector<Child> children_;
};

/// In a child: whether the process that started it is still there.
bool parent_lives();

}  // namespace gpt::lab
