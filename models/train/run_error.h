// RunError: an Error about a run with its remedy, for which a program names its own command or flag.
#pragma once

#include <filesystem>
#include <string>

#include <gradus/core/check.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// The message says all that a person needs; `remedy` is for a program.
class RunError : public Error {
 public:
  enum class Remedy {
    other_folder,  // to train in another folder
    best_model,    // to use best.safetensors, which is whole
    last_model,    // to use model.safetensors, which is whole
    resume,        // to resume from `path`
    init_from,     // to begin a new training with these weights
    keep_one       // to keep one checkpoint only
  };

  RunError(const std::string& message, Remedy remedy, std::filesystem::path path = {})
      : Error(message), remedy_(remedy), path_(std::move(path)) {}

  Remedy remedy() const { return remedy_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  Remedy remedy_;
  std::filesystem::path path_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
