// One training under way: steps, measurements of the held-out loss, checkpoints, the log, the picture and the panel,
// until a budget is used up, patience ends, or a signal comes.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/generate/sampling.h>
#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/evaluate.h>
#include <gradus/models/train/recording.h>
#include <gradus/models/train/unsuspended_clock.h>

#include "data.h"
#include "loss_history.h"
#include "panel.h"
#include "view_process.h"

namespace gpt {

struct SessionOptions {
  std::string name, command, settings;
  gradus::Index eval_every, eval_sequences;  // 0: see the flags of gpt train
  bool quick_eval;                           // whether fewer sequences do where the budget is short
  gradus::Index patience, save_every, keep;  // 0: see the flags of gpt train
  bool quiet, record;
  std::optional<int> view;  // the port of a page that shows the training
  gradus::models::GenerateOptions samples;
};

class Session {
 public:
  /// Keeps references to all but the options.
  Session(const std::filesystem::path& folder, gradus::models::GPT& model, Data& data, gradus::models::Trainer& trainer,
          SessionOptions options);

  /// Goes on from the checkpoint at `path`, whose contents these are.
  void resume(const std::filesystem::path& path, const gradus::models::Checkpoint& checkpoint);
  /// Returns the signal that ended it, or 0. Throws Error, with the last checkpoint to resume from, for what goes
  /// wrong.
  int run();
  /// Leaves the page of --view to be looked at until Ctrl-C, and says where it is.
  void keep_page();
  /// As last measured: "2.3216", with "+/- 0.0101" behind it where only some of the held-out part was evaluated.
  std::string held_out_loss() const;

 private:
  void run_steps();
  void step();
  void begin();
  std::vector<std::string> few_samples();
  void go_on_from_the_end();
  // Measures if that is due, and keeps what the step has led to. A signal ends a measurement; the step is then saved
  // without it.
  void complete(gradus::models::LogLine line, bool look_is_due);
  gradus::models::Evaluation measured_on(gradus::Index sequences);
  void plan_measuring();
  void measure();
  bool look(gradus::models::LogLine& line);  // whether it is the best
  bool look_is_due(double progress_before) const;
  bool save_is_due(bool measured) const;
  void save();
  void draw_picture(bool measured);
  bool over() const;
  void report_end(int signal);
  void show_page();
  void tell_page(const std::string& address);
  std::string how_to_resume() const;
  std::string what_is_left() const;

  std::filesystem::path folder_;
  gradus::models::GPT& model_;
  Data& data_;
  gradus::models::Trainer& trainer_;
  SessionOptions options_;
  gradus::models::RunWriter writer_;
  std::optional<gradus::models::Recording> recording_;
  gradus::models::HeldOut held_out_;
  LossHistory history_;
  Panel panel_;
  std::optional<ViewProcess> view_;
  double loss_ = 0;                                    // held-out, as last measured,
  gradus::Index measured_ = -1;                        // after this step,
  gradus::Index judged_ = 0;                           // sequences that were evaluated
  double margin_ = 0;                                  // see Evaluation
  double measuring_ = 0;                               // seconds spent measuring
  std::optional<gradus::models::LogLine> unmeasured_;  // see Checkpoint
  gradus::models::RunningClock clock_;
  double counted_ = 0;          // up to when the trainer knows how much time was spent
  std::string page_;            // its address
  bool picture_fails_ = false;  // and that was said
  std::chrono::steady_clock::time_point saved_, logged_, drawn_;
};

}  // namespace gpt
