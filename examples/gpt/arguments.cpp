// Checks of arguments that CLI11 has not.
#include <fmt/format.h>

#include <charconv>

#include "commands.h"

namespace gpt {

CLI::Validator seed_number() {
  const auto check = [](const std::string& text) -> std::string {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size() && number <= most_seed) return {};
    return fmt::format("{} is not a whole number from 0 to {}", text, most_seed);
  };
  return CLI::Validator(check, "");
}

}  // namespace gpt
