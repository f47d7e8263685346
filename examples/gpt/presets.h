// The recipes of `gpt train`: which model, how it is trained, how samples are drawn. All of their numbers are here and
// in presets.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/train/trainer.h>

namespace gpt {

struct Preset {
  const char* name;
  const char* summary;
  const char* source;                 // the bundled text it learns from unless another is named; null: it has none
  gradus::models::TextFormat format;  // of its texts
  gradus::models::GPTConfig model;    // its vocab_size comes from the data
  gradus::models::TrainOptions train;
  double epochs;                    // at most so many times through the data, unless told how long; 0: no limit
  double temperature;               // of the samples that `gpt train` shows
  const char* tokenizer = nullptr;  // as --tokenizer; null: characters
};

std::span<const Preset> presets();
std::vector<std::string> preset_names();
/// `name` must be one of preset_names().
const Preset& find_preset(std::string_view name);

}  // namespace gpt
