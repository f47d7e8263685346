// The subcommands of gpt: each add_ function declares one's options and, when it is the one called, sets `action`.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gradus/core/check.h>
#include <gradus/core/shape.h>

namespace gpt {

/// What a command does; returns the exit status.
using Action = std::function<int()>;

/// A command that cannot mean anything, as opposed to one that failed: exit status 2.
class UsageError : public gradus::Error {
 public:
  using Error::Error;
};

void add_train(CLI::App& app, const std::string& program, Action& action);
void add_sample(CLI::App& app, const std::string& program, Action& action);
void add_eval(CLI::App& app, const std::string& program, Action& action);
void add_info(CLI::App& app, const std::string& program, Action& action);
void add_export(CLI::App& app, const std::string& program, Action& action);
void add_check(CLI::App& app, const std::string& program, Action& action);
void add_profile(CLI::App& app, const std::string& program, Action& action);
void add_view(CLI::App& app, const std::string& program, Action& action);
void add_lab(CLI::App& app, const std::string& program, Action& action);
void add_tokenize(CLI::App& app, const std::string& program, Action& action);

/// Throws UsageError unless `condition` holds.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}
void require_range(const std::string& flag, gradus::Index value, gradus::Index low, gradus::Index high);

/// The generator (mt19937) takes 32 bits of a seed: larger ones would repeat others.
inline constexpr gradus::Index most_seed = 0xffffffff;

/// The values of `flag` are whole numbers from `low` to `high`.
CLI::Validator range(const std::string& flag, gradus::Index low, gradus::Index high);

/// The type_name() of a flag whose number may be left out: it is then the flag's default_str().
inline constexpr const char* optional_number = "[N]";

/// One of `names`.
CLI::Validator one_of(std::vector<std::string> names);

/// The arguments behind the program's name as CLI11 is to read them: each value a word of its own, and numbers without
/// leading zeros. Throws UsageError for flags and commands that there are not (and names the nearest), values that are
/// missing, empty or no decimal numbers, and what is given twice but can be meant once.
std::vector<std::string> checked_arguments(const CLI::App& app, const std::vector<std::string>& arguments);

/// --threads, which all of them have.
void add_threads(CLI::App& command);

}  // namespace gpt
