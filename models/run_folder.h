// A run folder: what a training leaves behind, and all that sampling and judging need.
// - model.safetensors: weights, and in its metadata a copy of the other two: whole by itself, so replaced in one move
// - config.json: the model's configuration and which data it was trained on
// - tokenizer.json: the characters
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <gradus/models/gpt.h>
#include <gradus/models/tokenizer.h>

namespace gradus::models {

/// Which data a run saw, precise enough to make the same split again.
struct RunData {
  std::string source;     // a file's path, or the name of a bundled text
  bool documents = true;  // one a line; otherwise running text
  double held_out = 0.1;
  std::uint64_t seed = 42;
  std::string fingerprint;  // of the text, to notice that it changed

  friend bool operator==(const RunData&, const RunData&) = default;
};

/// A short text that differs for different texts.
std::string fingerprint(std::string_view text);

struct Run {
  GPT model;
  CharTokenizer tokenizer;
  RunData data;
};

/// Makes the folder if it is not there and proves that files can be written in it. Throws Error that says why not.
void prepare_run_folder(const std::filesystem::path& folder);

/// Writes the three files, each in one move and the model last: whatever interrupts it, the folder holds the old run or
/// the new one. Throws Error when the disk does not allow it.
void save_run(const std::filesystem::path& folder, const GPT& model, const CharTokenizer& tokenizer,
              const RunData& data);

/// Reads a run; config.json and tokenizer.json are needed only where the model file carries no copy of them (weights
/// from elsewhere). Throws Error that names the file that is missing, damaged or does not fit the others.
Run load_run(const std::filesystem::path& folder);

}  // namespace gradus::models
