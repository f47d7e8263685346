// train_state.safetensors: everything that a training needs to go on to the same bits as if it had never stopped. One
// file, replaced in one move, so that its parts are always of the same step. Older ones stay in checkpoints/.
// - tensors "model.<parameter>", "optimizer.<number>.step", "optimizer.<number>.exp_avg",
// "optimizer.<number>.exp_avg_sq"
//   (numbers as decay_groups() lists the parameters)
// - metadata "config.json" and "tokenizer.json" as in model.safetensors, and "state": steps, tokens, seconds, where the
//   data stand, the generators, what the held-out loss has been, and the last line of the log
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/train/run_folder.h>
#include <gradus/models/train/run_log.h>
#include <gradus/models/train/trainer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// What judging on the way has found.
struct HeldOut {
  double first = 0;      // before the first step
  double best = 0;       // the lowest so far,
  Index best_step = 0;   // and where
  Index since_best = 0;  // measurements after it

  /// Takes in one more; whether it is the best.
  bool add(double loss, Index step);
  friend bool operator==(const HeldOut&, const HeldOut&) = default;
};

/// All that a training goes on from.
struct Checkpoint {
  GPT model;
  CharTokenizer tokenizer;
  RunData data;
  std::string settings;
  TrainerState trainer;
  HeldOut held_out;
  std::string log_end = {};  // fingerprint of the last line; empty: there was none
  // The line of the last step, where a signal ended the measurement of its held-out loss: that comes first when the run
  // goes on, and then the line belongs into the log.
  std::optional<LogLine> unmeasured = {};
};

/// `path`: a run folder, whose newest is read, or one file. Throws Error that names the file and what is wrong with it,
/// and the newest older checkpoint that is whole, if there is one.
Checkpoint load_checkpoint(const std::filesystem::path& path);
/// The run folder that such a path means: itself, or the one that a checkpoint's file is in.
std::filesystem::path run_folder_of(const std::filesystem::path& path);

/// The folder of a training under way: its log, its checkpoints, its last model and its best. A training that begins
/// anew in the folder of an earlier one replaces that with its own first save: the checkpoint in one move, and the rest
/// only after that. Until then nothing of it changes.
class RunWriter {
 public:
  /// `keep` checkpoints stay, the last one included.
  RunWriter(std::filesystem::path folder, const CharTokenizer& tokenizer, RunData data, std::string settings,
            Index keep);

  /// The run is the one that is there, and `checkpoint` was loaded from `path`: the folder or a file. With the next
  /// save, what the run kept of later steps goes, but for a best model, which gets another name. Returns what is known
  /// of the held-out loss: not the best, if its model is neither in best.safetensors nor the checkpoint's own.
  HeldOut continue_from(const std::filesystem::path& path, const Checkpoint& checkpoint);

  /// Lines reach the log with flush() and save(), but none before the first save if the log there is of an earlier run
  /// or of later steps.
  void log(const LogLine& line) { log_.write(line); }
  void flush();
  /// Checkpoint, then best.safetensors if no measurement was better than the one after this step, then
  /// model.safetensors. Throws Error, and leaves the checkpoint before as it was, for weights that are not finite and
  /// when the disk does not allow it.
  void save(const GPT& model, const TrainerState& trainer, const HeldOut& held_out,
            const std::optional<LogLine>& unmeasured = {});
  const std::filesystem::path& folder() const { return folder_; }
  /// Whether the next save replaces an earlier run.
  bool replaces_earlier_run() const { return replaces_; }
  /// Where the log goes with the next save, if it does not have the step that the run goes on from; else empty.
  const std::filesystem::path& log_aside() const { return log_.aside(); }
  /// The last step that was saved, and what to resume it from.
  std::optional<Index> last_saved() const { return last_step_; }
  std::filesystem::path resume_from() const;

 private:
  void keep_last();
  void set_best_aside();
  void remove_older();

  std::filesystem::path folder_;
  const CharTokenizer& tokenizer_;
  RunData data_;
  std::string settings_;
  Index keep_;
  RunLog log_;
  bool replaces_;
  bool log_waits_ = true;  // for the checkpoint that its lines belong to
  std::optional<Index> last_step_;
  std::filesystem::path last_file_;      // where the checkpoint of that step is
  std::optional<Index> continued_from_;  // until the first save after it
  bool other_best_ = false;              // best.safetensors is not of the steps before; also until then
  std::optional<double> own_best_;       // but the checkpoint gone on from was the best, with this loss
};

#pragma GCC visibility pop
}  // namespace gradus::models
