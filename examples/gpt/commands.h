// The subcommands of gpt: each add_ function declares one's options and, when it is the one called, sets `run`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include <gradus/core/check.h>

namespace gpt {

/// Returns the exit status.
using Run = std::function<int()>;

/// A command that cannot mean anything, as opposed to one that failed: exit status 2.
class UsageError : public gradus::Error {
 public:
  using Error::Error;
};

void add_train(CLI::App& app, const std::string& program, Run& run);
void add_sample(CLI::App& app, const std::string& program, Run& run);
void add_eval(CLI::App& app, const std::string& program, Run& run);
void add_info(CLI::App& app, const std::string& program, Run& run);
void add_check(CLI::App& app, const std::string& program, Run& run);

/// The generator (mt19937) takes 32 bits of a seed: larger ones would repeat others.
inline constexpr std::uint64_t most_seed = 0xffffffff;
/// 0 .. most_seed, written in digits.
CLI::Validator seed_number();

/// --threads, which all of them have.
void add_threads(CLI::App& command);

}  // namespace gpt
