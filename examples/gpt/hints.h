// Errors of the library as a user of the command line reads them: with the flags that help.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace gpt {

/// What an error says, with the flag that helps behind it, and without the name of the C++ function in front ("read: ",
/// "dataset: ").
std::string told(const std::exception& problem);

/// `text` as one word of a command line: in single quotes, if a shell would see more in it than letters.
std::string shell_word(std::string_view text);

}  // namespace gpt
