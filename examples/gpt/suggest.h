// "did you mean ..?": the known word that is nearest to a misspelled one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace gpt {

/// The one of `known` that other programs call `word`, that `word` begins, or that a few slips of the hand (a letter
/// too many, missing, wrong, or two that changed places) turn into `word`; none when none is near.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known);

/// "'word' is not one of a, b, c", with the nearest.
std::string not_one_of(std::string_view word, std::span<const std::string> known);

}  // namespace gpt
