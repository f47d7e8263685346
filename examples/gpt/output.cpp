#include "output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace gpt {

bool output_is_terminal() {
  static const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  return is_terminal;
}

bool terminal_can_move() {
  const char* const terminal = std::getenv("TERM");
  return output_is_terminal() && terminal != nullptr && *terminal != '\0' && std::string_view(terminal) != "dumb";
}

Window window_now() {
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return {known && size.ws_col > 0 ? size.ws_col : std::size_t{80},
          known && size.ws_row > 0 ? size.ws_row : std::size_t{24}};
}

std::string visible(std::string_view text) {
  // U+0080 to U+009F, which terminals obey as well, are 0xC2 and a byte of that range in UTF-8.
  constexpr unsigned char first_byte = 0xC2, low = 0x80, high = 0x9F, del = 0x7F;
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == '\r') {
      result += "\\r";
    } else if ((byte < ' ' && byte != '\n' && byte != '\t') || byte == del) {
      result += fmt::format("\\x{:02x}", byte);
    } else if (byte == first_byte && next >= low && next <= high) {
      result += fmt::format("\\x{:02x}", next);
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

void print_text(std::string_view text) {
  fmt::print("{}", output_is_terminal() ? visible(text) : std::string(text));
}

void print_error(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  if (::isatty(STDERR_FILENO) == 1) text = visible(text);
  text = fmt::format("gpt: {}\n", text);
  std::fflush(stdout);
  std::fwrite(text.data(), 1, text.size(), stderr);  // fmt::print would throw if no one reads it any more
}

void say_text(std::string_view text) {
  const std::string shown = output_is_terminal() ? visible(text) : std::string(text);
  std::fwrite(shown.data(), 1, shown.size(), stdout);
}

}  // namespace gpt
