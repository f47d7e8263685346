// A run folder: what a training leaves behind, and all that is needed to sample, evaluate and resume.
// - model.safetensors: the last weights, and in its metadata a copy of the next two, so that it is enough by itself
// - config.json: the model's configuration, which data it was trained on, and with what settings
// - tokenizer.json: the tokenizer and its kind
// - best.safetensors: the weights with the lowest held-out loss so far, as model.safetensors
// - train_state.safetensors: all that training needs to resume; older ones in checkpoints/ (checkpoint.h)
// - log.jsonl: a line per step (run_log.h)
// - record.jsonl, snapshots/: what `gpt view` shows of the training (recording.h)
// - .lock: which process is training here
// Every file but the log and record.jsonl is replaced in one move, so that whatever interrupts a save, the old one or
// the new is there.
#pragma once

#include <filesystem>
#include <string>

#include <gradus/core/check.h>
#include <gradus/core/runtime/platform.h>
#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/data_origin.h>
#include <gradus/models/train/run_error.h>

namespace gradus::models {
#pragma GCC visibility push(default)

inline constexpr const char* model_file = "model.safetensors";
inline constexpr const char* best_file = "best.safetensors";

/// What load_run reads.
struct Run {
  GPT model;
  AnyTokenizer tokenizer;
  RunData data;
  std::string settings;  // a JSON object: the program's own options, which nothing here interprets
  Moment moment;
};

/// What is in a folder where a training is to begin.
struct FolderContents {
  bool run = false;        // one that may be resumed or sampled
  std::string other = {};  // else the name of a file that no training wrote, if there is one
};
FolderContents look_into(const std::filesystem::path& folder);

/// Keeps other trainings out of a folder while this object lives; the lock goes with the process, even if that crashes.
/// Throws Error that names the process which trains there.
class RunLock {
 public:
  /// Thrown when another process has the lock.
  class Held : public RunError {
   public:
    using RunError::RunError;
  };

  explicit RunLock(const std::filesystem::path& folder);
  /// Whether another process has the lock.
  static bool is_held(const std::filesystem::path& folder);

 private:
  platform::File file_;
};

/// Makes the folder if it is not there, proves that files can be written in it and removes what killed programs left
/// half written; nothing else in this process may be writing there. Throws Error that says why not.
void prepare_run_folder(const std::filesystem::path& folder);

/// Throws Error that names a parameter with a NaN or an infinity, so that no good model is replaced by a ruined one.
void check_finite(const GPT& model, const std::filesystem::path& folder);

/// The same for a model that was read from `file`, which the error names.
void check_loaded(const GPT& model, const std::filesystem::path& file);

/// Writes config.json, tokenizer.json and last the weights, under the name `file`. Throws Error when the weights are
/// not finite or the disk does not allow it.
void save_run(const std::filesystem::path& folder, const GPT& model, const Tokenizer& tokenizer, const RunData& data,
              const std::string& settings = "{}", const char* file = model_file, const Moment& moment = {});

/// What a model file says of its moment; nothing where there is no such file, or none that can be read.
Moment moment_of(const std::filesystem::path& file);

/// Reads a run; config.json and tokenizer.json are needed only where the model file carries no copy of them (weights
/// from elsewhere). Throws Error that names the file that is missing, damaged or does not fit the others, and the
/// other one of model.safetensors and best.safetensors if that can be read.
Run load_run(const std::filesystem::path& folder, const char* file = model_file);

#pragma GCC visibility pop
}  // namespace gradus::models
