// The one place that throws. Every user-reachable mistake goes through check() or fail() and ends as a gradus::Error
// whose text follows one form: "op: what arrived, what is needed, what to do".
#pragma once

// fmt/core.h, not fmt/format.h: the latter compiles number formatting into every object file, two thirds of a build.
#include <fmt/core.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace gradus {
#pragma GCC visibility push(default)

/// The exception that every function of this library throws for bad arguments, files that it cannot read, and failures
/// of the system.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// x as it should be printed: a NaN without its sign, which says nothing and depends on the processor ("nan", "-nan").
template <class T>
decltype(auto) shown(const T& x) {
  if constexpr (std::is_floating_point_v<T>) {
    return __builtin_isnan(x) ? std::numeric_limits<T>::quiet_NaN() : T(x);
  } else {
    return (x);
  }
}

/// Throws Error with the formatted text.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(fmt::runtime(format), shown(args)...));
}

/// Throws Error with the formatted text unless `condition` holds. Nothing is formatted when it does.
template <class... Args>
void check(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]] {
    fail(format, std::forward<Args>(args)...);
  }
}

/// For this library's fmt::formatters: writes `text` as a string argument with the format `spec`, such as {:>12}.
fmt::format_context::iterator write_text(const fmt::formatter<std::string_view>& spec, std::string_view text,
                                         fmt::format_context& context);

#pragma GCC visibility pop
}  // namespace gradus
