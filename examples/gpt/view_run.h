// ViewRun: everything that `gpt view` shows a run from - its model, its log, its recording and its data.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/train/recording.h>
#include <gradus/models/train/run_folder.h>
#include <gradus/models/train/run_log.h>

#include "data.h"
#include "train_arguments.h"
#include "view_json.h"

namespace gpt {

/// The model as it stood after a step.
struct ViewState {
  gradus::Index step;
  gradus::models::GPT model;
};

struct ViewRun {
  std::filesystem::path folder;
  gradus::models::GPTConfig config;
  gradus::models::AnyTokenizer tokenizer;
  gradus::models::RunData data_origin;
  TrainArguments recipe = {};                 // the run's own settings, resolved
  gradus::models::TrainOptions options = {};  // and as a trainer takes them
  std::optional<Data> data = {};              // none if its text is not there any more
  std::vector<gradus::models::LogLine> log = {};
  std::optional<gradus::models::Record> record = {};
  std::vector<gradus::models::Snapshot> snapshots = {};                   // without their weights
  std::map<gradus::Index, std::filesystem::file_time_type> written = {};  // when those were
  std::vector<ViewState> states = {};  // those whose weights are there, ascending; the last is the model
  Json baselines = {};                 // see baselines_part(); they are those of the data
  bool running = false;                // whether a training is writing here
  Json left_out = Json::array();       // sentences, see told()

  const gradus::models::GPT& model() const { return states.back().model; }
  gradus::Index step() const { return states.back().step; }
};

/// Reads a run. `sources` names its text where that lies elsewhere now. What cannot be read but the model is told in
/// left_out. Takes out of `before`, the same run as it was read earlier, what has not changed since: data and
/// snapshots. Throws Error where there is no model.
ViewRun read_view_run(const std::string& folder, const std::vector<std::string>& sources, bool quiet,
                      ViewRun* before = nullptr);
/// Reads log and recording anew: those of a training under way go on behind its last checkpoint.
void read_progress(ViewRun& run);

}  // namespace gpt
