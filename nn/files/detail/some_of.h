// "a, b, c and 4 more"
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace gradus::nn::detail {

/// The names in one line, at most the first `most` of them.
inline std::string some_of(const std::vector<std::string>& names, std::size_t most) {
  const std::size_t shown = std::min(names.size(), most);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

}  // namespace gradus::nn::detail
