// Desk: what `gpt view --serve` answers from - a run and its document, which follow a training that is under way.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "view_parts.h"

namespace gpt {

class Desk {
 public:
  /// Throws Error where there is no model.
  explicit Desk(ViewWish wish);

  /// The newest document. Its "version" grows with each change; where `known` is that of the newest, all that is
  /// returned is {"unchanged": true, "version": ..}.
  std::string document(const std::string& known = "");
  /// What the newest weights do with a text; see typed_part().
  std::string answer(const std::string& text);

 private:
  void follow();
  void read();
  void take_progress();
  void changed();

  ViewWish wish_;
  std::mutex mutex_;
  std::optional<ViewRun> run_;
  Json document_;
  std::string text_;  // the document's
  long version_;
  std::filesystem::file_time_type model_;  // when it was written
  std::uintmax_t logged_ = 0;              // bytes of the log
  std::chrono::steady_clock::time_point next_look_;
};

}  // namespace gpt
