// train_state.safetensors: everything that a training needs to end with the same bits when it is resumed. One
// file, replaced in one move, so that its parts are always of the same step. Older ones stay in checkpoints/.
// - tensors "model.<parameter>", and "optimizer.<number>.step" and the optimizer's moments, with AdamW
//   "optimizer.<number>.exp_avg" and "optimizer.<number>.exp_avg_sq" (numbered in the optimizer's order of parameters)
//   (the model's LoRAs stand here by themselves; model.safetensors and best.safetensors have them merged)
// - metadata "config.json" and "tokenizer.json" as in model.safetensors, and "state": steps, tokens, seconds, the
//   dataset's position, the generators, what the held-out loss has been, a fingerprint of the log's last line, the
//   unmeasured line if there is one, which optimizer it is if not AdamW, and the recording's last line like the log's
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <variant>

#include <gradus/models/train/recording.h>
#include <gradus/models/train/run_folder.h>
#include <gradus/models/train/run_log.h>
#include <gradus/models/train/trainer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// What the evaluations during training have found.
struct HeldOut {
  double first = 0;      // before the first step
  double best = 0;       // the lowest so far,
  Index best_step = 0;   // and where
  Index since_best = 0;  // measurements after it

  /// Adds a held-out loss; returns whether it is the lowest so far.
  bool add(double loss, Index step);
  friend bool operator==(const HeldOut&, const HeldOut&) = default;
};

/// All that a training resumes from.
struct Checkpoint {
  GPT model;
  AnyTokenizer tokenizer;
  RunData data;
  std::string settings;
  TrainerState trainer;
  HeldOut held_out;
  std::string log_end = {};  // fingerprint of the last line; empty: there was none
  // The log line of the last step, if a signal ended the measurement of its held-out loss. A resumed run measures first
  // and then writes this line to the log.
  std::optional<LogLine> unmeasured = {};
  std::string record_end = {};  // fingerprint of the recording's last line; empty: there was none
};

/// `path`: a run folder, whose newest is read, or one file. Throws Error that names the file and what is wrong with it,
/// and the newest older checkpoint that is whole, if there is one.
Checkpoint load_checkpoint(const std::filesystem::path& path);
/// The run folder that such a path means: itself, or the one that a checkpoint's file is in.
std::filesystem::path run_folder_of(const std::filesystem::path& path);

/// The folder of a training under way: its log, its checkpoints, its last model and its best. A training that begins
/// anew in the folder of an earlier one replaces that with its own first save: the checkpoint in one move, then the
/// rest. Before that save nothing in the folder changes.
class RunWriter {
 public:
  /// `keep` checkpoints stay, the last one included.
  RunWriter(std::filesystem::path folder, const Tokenizer& tokenizer, RunData data, std::string settings, Index keep);

  /// Keeps a recording of the training in step with the log and the checkpoints. Without one, a recording in the folder
  /// goes when an earlier run is replaced, and stays as it is when a run is resumed. Call it before continue_from().
  void keep(Recording& recording) { recording_ = &recording; }

  /// Continues the run of this folder from `checkpoint`, which was loaded from `path`: the folder or a file. The next
  /// save removes the checkpoints of later steps and renames a best model of later steps. Returns the checkpoint's
  /// held-out state, but without the best if its weights are neither in best.safetensors nor the checkpoint's own.
  HeldOut continue_from(const std::filesystem::path& path, const Checkpoint& checkpoint);

  /// Lines reach the log and the recording with flush() and save(). Before the first save, flush() writes only if the
  /// run was resumed from the folder's newest checkpoint.
  void log(const LogLine& line) { log_.write(line); }
  void flush();
  /// Writes the checkpoint, then best.safetensors if this step has the lowest held-out loss, then model.safetensors.
  /// Throws Error for weights that are not finite and when the disk does not allow it. The checkpoint before stays as
  /// it was until the new one is complete.
  void save(const GPT& model, const TrainerState& trainer, const HeldOut& held_out,
            const std::optional<LogLine>& unmeasured = {});
  const std::filesystem::path& folder() const { return folder_; }
  /// Whether the next save replaces an earlier run.
  bool replaces_earlier_run() const { return std::holds_alternative<Replacing>(state_); }
  /// The path to which the next save moves the log, if it lacks the step that the run resumes from; else empty.
  const std::filesystem::path& log_aside() const { return log_.aside(); }
  /// The last step that was saved, and what to resume it from.
  std::optional<Index> last_saved() const { return last_ ? std::optional(last_->step) : std::nullopt; }
  std::filesystem::path resume_from() const;

 private:
  // Before the first save the run is one of the first three, after it the last.
  struct New {};
  struct Replacing {};  // an earlier run is in the folder
  struct Resumed {
    Index from = 0;
    bool from_newest = true;              // the folder's own checkpoint, which its log belongs to
    bool other_best = false;              // best.safetensors is of a later step or another run
    std::optional<double> own_best = {};  // the checkpoint's loss, if it was the best
  };
  struct Saved {};
  struct Last {
    Index step = 0;
    std::filesystem::path file;
  };

  // Whether lines must not reach the log before the next save.
  bool log_waits() const;
  void keep_last();
  void set_best_aside(Resumed& resumed);
  void save_models(const GPT& model, const HeldOut& held_out, Index step);
  void remove_older();

  std::filesystem::path folder_;
  const Tokenizer& tokenizer_;
  RunData data_;
  std::string settings_;
  Index keep_;
  RunLog log_;
  Recording* recording_ = nullptr;
  std::string record_end_;  // of a recording that this part of the run does not continue
  std::variant<New, Replacing, Resumed, Saved> state_;
  std::optional<Last> last_;  // the checkpoint that was saved last, or resumed from
};

#pragma GCC visibility pop
}  // namespace gradus::models
