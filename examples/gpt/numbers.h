// Numbers as people read them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <gradus/core/shape.h>

namespace gpt {

/// 1234567 as "1,234,567".
std::string grouped(gradus::Index number);
/// The best of the losses, if it shows as another number than the last; a best step of 0 is none.
std::optional<std::string> better_before(double last, double best, gradus::Index best_step);
/// 1 and "layer" as "1 layer", 2000 and "step" as "2,000 steps".
std::string counted(gradus::Index number, std::string_view noun);
/// A mean over fewer sequences than that tells too little to say how sure it is.
inline constexpr gradus::Index enough_to_be_sure = 10;
/// 83 as "1:23", 3723 as "1:02:03".
std::string clock_time(double seconds);
/// 1536 as "1.5 KB", up to TB; powers of 1024.
std::string memory(double bytes);

}  // namespace gpt
