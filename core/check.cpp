#include <gradus/core/check.h>

#include <fmt/format.h>

namespace gradus {

fmt::format_context::iterator write_text(const fmt::formatter<std::string_view>& spec, std::string_view text,
                                         fmt::format_context& context) {
  return spec.format(text, context);
}

}  // namespace gradus
