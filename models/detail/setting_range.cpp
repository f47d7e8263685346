#include <gradus/models/detail/setting_range.h>

#include <fmt/format.h>

#include <limits>

namespace gradus::models::detail {

bool Range::has(double value) const {
  return (low_itself ? value >= low : value > low) && (high_itself ? value <= high : value < high);
}

std::string Range::text() const {
  const bool has_end = high < std::numeric_limits<double>::max();
  if (low_itself && high_itself && has_end) return fmt::format("from {} to {}{}", low, high, meaning);
  std::string text = fmt::format("{} {}", low_itself ? "at least" : "above", low);
  if (has_end) text += fmt::format(" and {} {}", high_itself ? "at most" : "below", high);
  return text + meaning;
}

}  // namespace gradus::models::detail
