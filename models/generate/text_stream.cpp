// push() holds back the longest end of the text that may be the beginning of a character or of the stop text.
#include <gradus/models/generate/text_stream.h>

#include <algorithm>
#include <utility>

#include <gradus/models/text/text.h>

namespace gradus::models {
namespace {

// Bytes at the end of `text` that begin a UTF-8 character and do not complete it.
std::size_t incomplete(std::string_view text) {
  constexpr std::size_t longest = 4;
  for (std::size_t back = 1; back <= std::min(longest, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (continues_character(text[text.size() - back])) continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;  // not UTF-8: nothing to wait for
}

// The longest end of `text` that `stop` begins with.
std::size_t overlap(std::string_view text, std::string_view stop) {
  for (std::size_t n = std::min(text.size(), stop.size()); n > 0; --n) {
    if (text.ends_with(stop.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

std::string TextStream::push(std::string_view piece) {
  if (stopped_) return {};
  held_ += piece;
  if (!stop_.empty()) {
    if (const std::size_t found = held_.find(stop_); found != std::string::npos) {
      stopped_ = true;
      held_.resize(found);
      return valid_utf8(std::exchange(held_, {}));
    }
  }
  const std::size_t ready = held_.size() - std::max(incomplete(held_), overlap(held_, stop_));
  std::string result = valid_utf8(std::string_view(held_).substr(0, ready));
  held_.erase(0, ready);
  return result;
}

std::string TextStream::finish() {
  const std::size_t cut = incomplete(held_);
  if (cut > 0) held_.replace(held_.size() - cut, cut, "\xEF\xBF\xBD");
  return valid_utf8(std::exchange(held_, {}));
}

}  // namespace gradus::models
