// TextStream: text that comes in pieces, passed on as early as it may be shown.
#pragma once

#include <string>
#include <string_view>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Pieces may break anywhere, within a character too. What push() returns is UTF-8, ends with a whole character (bytes
/// that are part of none are U+FFFD) and holds nothing that might still turn out to be the beginning of `stop`; from
/// `stop` on, nothing is returned any more.
class TextStream {
 public:
  explicit TextStream(std::string stop = {}) : stop_(std::move(stop)) {}

  std::string push(std::string_view piece);
  /// What was held back, now that no more will come; a character that never became whole is U+FFFD.
  std::string finish();
  /// Whether `stop` has come.
  bool stopped() const { return stopped_; }

 private:
  std::string stop_, held_;
  bool stopped_ = false;
};

#pragma GCC visibility pop
}  // namespace gradus::models
