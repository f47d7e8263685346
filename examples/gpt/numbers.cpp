#include "numbers.h"

#include <fmt/format.h>

#include <cmath>

namespace gpt {

using gradus::Index;

std::string grouped(Index number) {
  std::string digits = std::to_string(number);
  const std::size_t first = digits.front() == '-' ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string counted(Index number, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

std::string clock_time(double seconds) {
  const Index s = std::llround(seconds);
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string memory(double bytes) {
  const char* const units[] = {"bytes", "KB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
  return fmt::format("{:.3g} {}", bytes, units[unit]);
}

std::optional<std::string> better_before(double last, double best, gradus::Index best_step) {
  std::string text = fmt::format("{:.4f}", best);
  if (best_step == 0 || text == fmt::format("{:.4f}", last)) return {};
  return text;
}

}  // namespace gpt
