// Printing to standard output. On a terminal, control characters in what is printed (a model learns those of its text,
// and a file's name may have some) are shown, not obeyed; a pipe or file gets all bytes as they are.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace gpt {

bool output_is_terminal();

/// Whether lines can be drawn again: a terminal that is not "dumb", as editors and build logs call themselves.
bool terminal_can_move();

struct Window {
  std::size_t columns = 0, rows = 0;
  friend bool operator==(const Window&, const Window&) = default;
};
/// Of the terminal; 80 by 24 where it does not tell.
Window window_now();

/// `text` with "\\r", "\\x1b" and the like for control characters other than tabs and ends of lines.
std::string visible(std::string_view text);

/// "gpt: " and the text, in one line on stderr, behind what was printed so far.
void print_error(std::string text);

/// Throws fmt's std::system_error when it cannot be written.
void print_text(std::string_view text);
/// Throws nothing: when a pipe's reader or the terminal has gone, a training is worth more than its output. main()
/// finds stdout's error flag set in the end.
void say_text(std::string_view text);

template <class... T>
void print(fmt::format_string<T...> format, T&&... values) {
  print_text(fmt::format(format, std::forward<T>(values)...));
}

template <class... T>
void say(fmt::format_string<T...> format, T&&... values) {
  say_text(fmt::format(format, std::forward<T>(values)...));
}

}  // namespace gpt
