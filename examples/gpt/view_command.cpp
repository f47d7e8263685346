// What of a run's settings differs from its preset, as flags.
#include <fmt/format.h>

#include <filesystem>

#include "hints.h"
#include "view_parts.h"

namespace gpt {
namespace {

Json settings_of(TrainArguments arguments) {
  arguments.resolve();
  return gradus::models::detail::parse_json(arguments.to_json(), "settings");
}

// A page is shown to others, whom the folders of this machine do not concern.
std::string without_folder(const std::string& file) {
  return file.starts_with(bundled_prefix) ? file : std::filesystem::path(file).filename().string();
}

std::string word_of(const std::string& key, const Json& value) {
  if (!value.is_string()) return shell_word(gradus::models::detail::dump(value));
  const bool is_path = key == "data" || key == "held-out" || key == "init-from" || key == "tokenizer";
  return shell_word(is_path ? without_folder(value.get<std::string>()) : value.get<std::string>());
}

}  // namespace

std::string command_of(const TrainArguments& recipe) {
  TrainArguments plain;
  plain.preset = recipe.preset;
  const Json preset = settings_of(plain);
  // What the preset makes of another budget and rate: warm-up and the end of the decay follow from them.
  plain.steps = recipe.steps, plain.seconds = recipe.seconds, plain.tokens = recipe.tokens;
  plain.epochs = recipe.epochs, plain.lr = recipe.lr;
  const Json follows = settings_of(plain);
  const char* const source = find_preset(recipe.preset.value_or("names")).source;
  const Json now = gradus::models::detail::parse_json(recipe.to_json(), "settings");
  std::string command = "gpt train";
  for (const auto& [key, value] : now.items()) {
    const bool is_own = key == "steps" || key == "seconds" || key == "tokens" || key == "epochs" || key == "lr";
    const Json& usual = is_own ? preset : follows;
    const bool default_source = key == "data" && source != nullptr && value == source;
    const bool default_preset = key == "preset" && value == "names";
    // The number of batches was worked out from the data where nobody gave it.
    if (default_source || default_preset || key == "eval-batches" || value == false) continue;
    if (key != "preset" && usual.contains(key) && usual[key] == value) continue;
    for (const Json& one : value.is_array() ? value : Json::array({value})) {
      command += one == true ? fmt::format(" --{}", key) : fmt::format(" --{} {}", key, word_of(key, one));
    }
  }
  return command;
}

}  // namespace gpt
