// A run folder: what a training leaves behind, and all that sampling, judging and going on need.
// - model.safetensors: the last weights, and in its metadata a copy of the next two: whole by itself
// - config.json: the model's configuration, which data it was trained on, and with what settings
// - tokenizer.json: the characters
// - best.safetensors: the weights with the lowest held-out loss so far, as model.safetensors
// - train_state.safetensors: all that training needs to go on; older ones in checkpoints/ (checkpoint.h)
// - log.jsonl: a line a step (run_log.h)
// - .lock: which process is training here
// Every file but the log is replaced in one move, so that whatever interrupts a save, the old one or the new is there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gradus/core/check.h>
#include <gradus/core/runtime/platform.h>
#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/tokenizer.h>
#include <gradus/models/train/run_error.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Which data a run saw, precise enough to make the same split again.
struct RunData {
  std::string source = {};  // a file's path, or the name of a bundled text
  bool documents = true;    // one a line; otherwise running text
  double held_out = 0.1;
  std::uint64_t seed = 42;
  std::string fingerprint = {};                    // of the text, to notice that it changed
  Index block_size = 0;                            // how long its sequences were at most; 0: as the model allows
  std::vector<std::string> more_sources = {};      // texts that came behind the first
  std::vector<std::string> held_out_sources = {};  // texts that were held out, instead of a fraction
  std::string held_out_fingerprint = {};           // of those
  bool distinct = true;                            // as DatasetOptions::distinct; false in folders that do not say
  bool keep_space = false;                         // as SplitOptions::keep_space
  Unknown unknown = Unknown::refuse;               // what became of characters that the tokenizer has not

  /// The source and those behind it.
  std::vector<std::string> sources() const;
  friend bool operator==(const RunData&, const RunData&) = default;
};

/// A short text that differs for different texts.
std::string fingerprint(std::string_view text);

/// What tells whether two texts are the same for a model: of the composed characters that it learns, whatever line
/// ends, byte order marks and composition the file has. Not equal to any fingerprint().
class TextIdentity {
 public:
  /// The next document, or the whole of a running text; composed.
  void add(std::string_view text);
  std::string text() const;
  /// Whether a text is one that text() gave, not one of fingerprint().
  static bool made(std::string_view text);

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;  // FNV-1a's first
};

inline constexpr const char* model_file = "model.safetensors";
inline constexpr const char* best_file = "best.safetensors";

/// Of which moment of its training a model is, where that is known.
struct Moment {
  std::optional<Index> step = {};
  std::optional<double> held_out_loss = {};

  friend bool operator==(const Moment&, const Moment&) = default;
};

/// What load_run reads.
struct Run {
  GPT model;
  CharTokenizer tokenizer;
  RunData data;
  std::string settings;  // a JSON object: what the training was told, as its program understands it
  Moment moment;
};

/// What is in a folder where a training is to begin.
struct FolderContents {
  bool run = false;        // one that may be gone on from or sampled
  std::string other = {};  // else the name of a file that no training wrote, if there is one
};
FolderContents look_into(const std::filesystem::path& folder);

/// Keeps other trainings out of a folder for as long as it lives; a process that ends, however, holds none. Throws
/// Error that names the process which trains there.
class RunLock {
 public:
  /// That another process has it.
  class Held : public RunError {
   public:
    using RunError::RunError;
  };

  explicit RunLock(const std::filesystem::path& folder);
  /// Whether another one keeps this process out.
  static bool is_held(const std::filesystem::path& folder);

 private:
  platform::File file_;
};

/// Makes the folder, and those it is in, if it is not there. Throws Error that says why not.
void make_folder(const std::filesystem::path& folder);

/// Makes the folder if it is not there, proves that files can be written in it and removes what killed programs left
/// half written; nothing else in this process may be writing there. Throws Error that says why not.
void prepare_run_folder(const std::filesystem::path& folder);

/// Throws Error that names a parameter with a NaN or an infinity, so that no good model is replaced by a ruined one.
void check_finite(const GPT& model, const std::filesystem::path& folder);

/// The same for a model that came from `file`, which is to blame.
void check_loaded(const GPT& model, const std::filesystem::path& file);

/// Writes config.json, tokenizer.json and last the weights, under the name `file`. Throws Error when the weights are
/// not finite or the disk does not allow it.
void save_run(const std::filesystem::path& folder, const GPT& model, const CharTokenizer& tokenizer,
              const RunData& data, const std::string& settings = "{}", const char* file = model_file,
              const Moment& moment = {});

/// What a model file says of its moment; nothing where there is no such file, or none that can be read.
Moment moment_of(const std::filesystem::path& file);

/// Reads a run; config.json and tokenizer.json are needed only where the model file carries no copy of them (weights
/// from elsewhere). Throws Error that names the file that is missing, damaged or does not fit the others, and
/// best.safetensors where that is whole and was not asked for.
Run load_run(const std::filesystem::path& folder, const char* file = model_file);

#pragma GCC visibility pop
}  // namespace gradus::models
