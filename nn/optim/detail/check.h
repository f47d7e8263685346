// Checks of options and saved values, for optimizers and schedulers; and one_group().
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim::detail {

inline std::vector<ParamGroup> one_group(std::vector<Tensor> params) {
  std::vector<ParamGroup> groups(1);
  groups[0].params = std::move(params);
  return groups;
}

inline void check_number(const char* name, const char* what, double value, double below = HUGE_VAL) {
  check(value >= 0 && value < below, "{}: {} is {}; it must be a finite number of at least 0{}", name, what, value,
        std::isinf(below) ? std::string() : fmt::format(" and below {}", below));
}

// Converts a saved number to a count. Throws Error unless it is whole and at least 0.
inline Index whole_number(const char* name, const char* what, double value) {
  check(value >= 0 && value < 0x1p53 && value == std::floor(value),
        "{}: the saved {} is {}; it must be a whole number of at least 0", name, what, value);
  return static_cast<Index>(value);
}

}  // namespace gradus::optim::detail
