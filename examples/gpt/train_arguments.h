// What `gpt train` can be told: by flags, by a file with the same names (--config), by an earlier run (--resume), and
// last by the preset. All of it together, resolved, is what a run keeps as its settings.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "presets.h"

namespace gpt {

constexpr gradus::Index most_warmup = 10;  // a warm-up that nobody asked for takes at most a tenth of the steps

template <class T>
using Given = std::optional<T>;  // empty: not said

// The types of settings.
using Word = std::string;
using Texts = std::vector<std::string>;
using Real = double;
using Whole = gradus::Index;
using Seed = std::uint64_t;

struct TrainArguments {
  std::string program;
  // How this call is made; not part of a run's settings.
  Given<std::string> config, resume, out;
  Given<gradus::Index> threads;
  std::optional<int> view;  // the port of --view
  bool quiet = false, overwrite = false;
  // Settings: train_settings.def lists them.
#define SETTING(type, member, ...) Given<type> member;
#include "train_settings.def"
#undef SETTING

  /// Takes what was not said from a JSON object with the names of the flags. Throws Error that names the file, `name`,
  /// for an unknown name and a value of the wrong kind.
  void fill_from(const std::string& json, const std::string& name);
  /// The same from the settings of the run that is resumed. Throws Error for flags that would make it another model or
  /// other data.
  void resume_from(const std::string& settings);
  /// Takes the sizes of a model whose weights training begins with, and the format of what it learned. Throws Error for
  /// flags that say what those weights cannot be.
  void adopt(const gradus::models::GPTConfig& model, gradus::models::TextFormat text);
  /// Takes what is still open from the preset; returns it with everything put in. Throws Error for what no model or
  /// training can have.
  Preset resolve();
  /// The settings, one JSON object.
  std::string to_json() const;
};

/// Throws Error that names the flag of a size that no model can have.
void check_sizes(const gradus::models::GPTConfig& model);

void add_train_options(CLI::App& command, TrainArguments& arguments);

}  // namespace gpt
