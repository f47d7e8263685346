#include "hints.h"

#include <fmt/format.h>

#include <algorithm>

#include <gradus/models/train/run_error.h>

namespace gpt {
namespace {

using gradus::models::RunError;

std::string flag_for(const RunError& problem) {
  switch (problem.remedy()) {
    case RunError::Remedy::other_folder:
      return ": --out";
    case RunError::Remedy::best_model:
      return ", to use it: --best";
    case RunError::Remedy::last_model:
      return ", to use it: leave --best out";
    case RunError::Remedy::resume:
      return fmt::format("; to resume from it: gpt train --resume {}", shell_word(problem.path().native()));
    case RunError::Remedy::init_from:
      return " with --init-from";
    case RunError::Remedy::keep_one:
      return ": --keep 1";
  }
  return {};
}

}  // namespace

std::string told(const std::exception& problem) {
  std::string_view text = problem.what();
  for (const std::string_view name : {"read: ", "dataset: ", "schedule: ", "load_gpt2: ", "save_gpt2: "}) {
    if (text.starts_with(name)) text.remove_prefix(name.size());
  }
  const auto* const of_run = dynamic_cast<const RunError*>(&problem);
  return std::string(text) + (of_run != nullptr ? flag_for(*of_run) : "");
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view plain = "%+,-./:=@_";
  const auto is_plain = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           static_cast<unsigned char>(c) >= 0x80 || plain.find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, is_plain)) return std::string(text);
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace gpt
