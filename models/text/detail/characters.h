// UTF-8 checked, and decoded in blocks, so that a large text is never held whole as code points.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <gradus/models/text/text.h>

namespace gradus::models::detail {

/// Passes on what decode_utf8() would give, some thousand characters at a time.
void decode_blocks(std::string_view text, std::string_view name, const std::function<void(std::u32string_view)>& take,
                   const Progress& progress = {});

/// Throws Error with `name`, offset and line of the first byte that is not UTF-8, as decode_blocks() does.
void check_utf8(std::string_view text, std::string_view name);

/// Whether a character has Unicode's property White_Space.
bool is_space(char32_t c);

/// The characters that were added, each once and sorted.
class CharacterSet {
 public:
  void add(std::u32string_view characters) {
    for (const char32_t c : characters) seen_[c] = true;
  }
  std::u32string sorted() const;

 private:
  static constexpr std::size_t code_points = 0x110000;
  std::vector<bool> seen_ = std::vector<bool>(code_points);
};

}  // namespace gradus::models::detail
