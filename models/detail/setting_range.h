// Which numbers a setting may be, and how errors say that.
#pragma once

#include <limits>
#include <string>

namespace gradus::models::detail {
#pragma GCC visibility push(default)

struct Range {
  double low = std::numeric_limits<double>::lowest(), high = std::numeric_limits<double>::max();
  bool low_itself = true, high_itself = true;  // whether the ends are in it
  const char* meaning = "";                    // stands behind the range, e.g. " (0: no limit)"

  /// Never for NaN.
  bool has(double value) const;
  /// "from 1 to 8", "at least 0 (0: no limit)".
  std::string text() const;
};

#pragma GCC visibility pop
}  // namespace gradus::models::detail
