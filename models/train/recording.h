// Recording: how each matrix of a model fares while it is trained, for `gpt view`.
// - record.jsonl: first {"matrices": [{"name": "h.0.attn.c_attn.weight", "shape": [192, 64]}, ..]}, then a line for
// each
//   recorded step: {"step": n, "grad_norm": [..], "weight_norm": [..], "update_ratio": [..]}, in the order of the
//   matrices; a number that is not finite is null
// - snapshots/step-N.safetensors: see snapshot.h
// Which steps are recorded depends on their numbers and the model's size alone, and what is recorded on the weights,
// the gradients and fixed data: a training that was stopped and resumed leaves the same bytes as one that was not.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/train/line_file.h>
#include <gradus/models/train/snapshot.h>
#include <gradus/models/train/trainer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Which steps a recording of so many matrices has a line for: every one up to 100, every tenth up to 10,000, every
/// hundredth up to 100,000 and so on, since a line costs some percent of a step. With more than 70 matrices there are
/// ten times fewer, or a hundred times, so that a million steps take at most 8 MB.
bool is_recorded(Index step, Index matrices);
/// 0, 1, 2, 5, 10, 20, 50, ..
bool has_snapshot(Index step);
/// A model with more parameters is too large for its snapshots to keep the weights: 20 of them, as a million steps
/// have, are to take at most 40 MB.
inline constexpr Index most_kept_parameters = 1'000'000;

/// The recording of a training under way. Norms are of all elements; the ratio of an update is std(update) /
/// std(weight before it), of a matrix with more than 4,096 elements by at most so many that lie evenly.
class Recording : public StepWatcher {
 public:
  /// Keeps references to the model and the dataset; activations are those on the first 512 held-out tokens. `sampler`
  /// makes the samples of a snapshot, without touching the default generator. Nothing is written yet.
  Recording(std::filesystem::path folder, const GPT& model, const Dataset& dataset,
            std::function<std::vector<std::string>()> sampler);

  /// Takes the snapshot of step 0. For a training that begins anew, before its first step.
  void begin();
  /// Continues behind the line with the fingerprint `end` (see end()) at `step`. Lines and snapshots of later steps go
  /// when something is written next. An empty `end` begins a recording in the midst of a training.
  void go_on_after(const std::string& end, Index step);

  void before_update(Index step) override;
  void after_update(Index step) override;

  /// Writes what was recorded so far. Throws Error when the disk does not allow it.
  void flush();
  /// flush(), and waits until it is on the disk. For the moment before a checkpoint is saved.
  void sync();
  /// The two halves of a first flush(), to write a checkpoint between them; see LineFile.
  void stage();
  void replace();
  /// Instead of replace(), where the checkpoint could not be written.
  void unstage();
  /// The last line's fingerprint, which a checkpoint keeps.
  const std::string& end() const { return lines_.last(); }

  /// Removes what a recording has left in a folder.
  static void remove(const std::filesystem::path& folder);

 private:
  struct Matrix {
    std::string name;
    Tensor weight;
    Tensor before;  // the elements that the update is measured on, as they were before it
    double grad_norm = 0;
  };
  void take_snapshot(Index step);
  void write_snapshots(const std::filesystem::path& place);

  std::filesystem::path folder_;
  const GPT& model_;
  std::function<std::vector<std::string>()> sampler_;
  Batch batch_;
  std::vector<Matrix> matrices_;
  std::vector<std::vector<Index>> of_gradients_;
  LineFile lines_;
  std::vector<Snapshot> pending_;
  Index step_ = 0;              // the last one seen
  bool staged_counts_ = false;  // what a killed program has staged belongs to this run
};

/// What record.jsonl says. A last line that does not end is left out, and so are lines that are damaged.
struct Record {
  struct Matrix {
    std::string name;
    std::vector<Index> shape;
  };
  struct Line {
    Index step = 0;
    std::vector<double> grad_norm, weight_norm, update_ratio;  // an entry per matrix; NaN where there was no number
  };
  std::vector<Matrix> matrices;
  std::vector<Line> lines;
};
/// Nothing where the folder has no recording.
std::optional<Record> read_record(const std::filesystem::path& folder);
/// Where a run folder has its snapshots.
std::filesystem::path snapshot_folder(const std::filesystem::path& folder);

#pragma GCC visibility pop
}  // namespace gradus::models
