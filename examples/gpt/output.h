// Printing while a model trains.
#pragma once

#include <fmt/format.h>

#include <cstdio>

namespace gpt {

/// fmt::print that throws nothing: when a pipe's reader or the terminal has gone, the training is worth more than its
/// output. main() finds stdout's error flag set in the end.
template <class... T>
void say(fmt::format_string<T...> format, T&&... values) {
  const std::string text = fmt::format(format, std::forward<T>(values)...);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace gpt
