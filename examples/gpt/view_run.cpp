#include "view_run.h"

#include <algorithm>

#include <gradus/nn/files/safetensors.h>
#include <gradus/nn/init.h>

#include "hints.h"
#include "run_text.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;

// Of the same layers and matrices as the recording, so that a page can put them in one row.
bool belongs(const models::Snapshot& snapshot, const ViewRun& view) {
  if (!view.snapshots.empty() && snapshot.activations.layers != view.snapshots.front().activations.layers) return false;
  if (!view.record) return view.snapshots.empty() || snapshot.matrices == view.snapshots.front().matrices;
  return std::ranges::equal(snapshot.matrices, view.record->matrices, {}, {}, &models::Record::Matrix::name);
}

void read_snapshot(ViewRun& view, Index step, Index last) {
  const fs::path path = models::snapshot_folder(view.folder) / models::snapshot_name(step);
  const fs::file_time_type written = fs::last_write_time(path);
  models::Snapshot snapshot = models::load_snapshot(path);
  gradus::check(snapshot.step == step, "'{}' says that it is of step {}; the file is damaged", path.native(),
                snapshot.step);
  gradus::check(belongs(snapshot, view), "'{}' is of a model with other layers; the file is another run's",
                path.native());
  std::optional<models::GPT> model;
  if (!snapshot.weights.empty() && step < last) {
    const gradus::nn::init::Skip skip;
    model.emplace(view.config);
    gradus::nn::load_state(*model, {snapshot.weights, {}}, fmt::format("the snapshot of step {}", step));
    models::check_loaded(*model, path);
    model->eval();
  }
  snapshot.weights.clear();
  if (model) view.states.push_back({step, std::move(*model)});
  view.snapshots.push_back(std::move(snapshot));
  view.written[step] = written;
}

// Whether a snapshot could be taken from an earlier reading.
bool take_snapshot(ViewRun& view, Index step, Index last, ViewRun& before) {
  std::error_code error;
  const fs::path path = models::snapshot_folder(view.folder) / models::snapshot_name(step);
  const auto written = before.written.find(step);
  if (written == before.written.end() || fs::last_write_time(path, error) != written->second) return false;
  const auto snapshot = std::ranges::find(before.snapshots, step, &models::Snapshot::step);
  const auto state = std::ranges::find(before.states, step, &ViewState::step);
  // The last state is the model; a snapshot of its step has no state of its own.
  const bool has_state = state != before.states.end() && std::next(state) != before.states.end();
  if (snapshot == before.snapshots.end() || !has_state || step >= last || !belongs(*snapshot, view)) return false;
  view.states.push_back(std::move(*state));
  view.snapshots.push_back(std::move(*snapshot));
  view.written[step] = written->second;
  return true;
}

void read_snapshots(ViewRun& view, Index last, ViewRun* before) {
  for (const Index step : models::snapshots_in(models::snapshot_folder(view.folder))) {
    if (step > last) break;  // of a training under way, or left by one that was killed
    try {
      if (before == nullptr || !take_snapshot(view, step, last, *before)) read_snapshot(view, step, last);
    } catch (const std::exception& problem) {  // of the file system, too: a training removes snapshots
      view.left_out.push_back(told(fmt::format("The snapshot of step {} cannot be read: {}", step, problem.what()),
                                   fmt::format("{} 스텝의 스냅샷을 읽을 수 없습니다: {}", step, problem.what())));
    }
  }
}

// The run's text and what it held out. Throws Error where either is not there, or is another one by now.
Data data_of(const models::Run& run, const std::string& folder, const std::vector<std::string>& sources, bool quiet) {
  const models::RunData& info = run.data;
  const bool named = !sources.empty();
  Text text = read_texts_of_run(named ? sources : info.sources(), named, folder, info, info.fingerprint, quiet);
  gradus::check(text.known, "'{}' is not the text that the run in '{}' learned from; name that with --data",
                name_of(text.files), folder);
  std::optional<Text> held_out;
  if (!info.held_out_sources.empty()) {
    held_out =
        read_texts_of_run(info.held_out_sources, false, folder, info, info.held_out_fingerprint, quiet, held_out_flag);
  }
  return make_data(std::move(text), std::move(held_out), info, run.tokenizer, quiet);
}

// Log and recording; what a training that was killed has written behind its last checkpoint, at `step`, is of no model.
void read_lines(ViewRun& view, std::optional<Index> step) {
  view.log = models::read_log(view.folder / "log.jsonl");
  view.record = models::read_record(view.folder);
  if (view.running || !step) return;
  std::erase_if(view.log, [&](const models::LogLine& line) { return line.step > *step; });
  if (view.record) std::erase_if(view.record->lines, [&](const auto& line) { return line.step > *step; });
}

void tell_what_is_missing(ViewRun& view) {
  const std::string resume = fmt::format("gpt train --resume {} --record on", shell_word(view.folder.native()));
  if (!view.record) {
    view.left_out.push_back(told(
        fmt::format("The training was not recorded: no updates, norms, histograms or activations. A new training "
                    "records them, and this one from here on with: {}",
                    resume),
        fmt::format(
            "학습을 기록하지 않아 업데이트, 노름, 히스토그램, 활성값이 없습니다. 새로 학습하면 기록되고, 이 학습은 "
            "다음 명령으로 이제부터 기록합니다: {}",
            resume)));
  }
}

}  // namespace

void read_progress(ViewRun& view) {
  read_lines(view, view.step());
}

ViewRun read_view_run(const std::string& folder, const std::vector<std::string>& sources, bool quiet, ViewRun* before) {
  const bool running = models::RunLock::is_held(folder);
  models::Run run = models::load_run(folder);
  run.model.eval();
  ViewRun view{.folder = folder, .config = run.model.config(), .tokenizer = run.tokenizer, .data_origin = run.data};
  view.recipe.fill_from(run.settings, folder + "/config.json");
  view.options = view.recipe.resolve().train;
  view.running = running;
  if (before != nullptr && (before->config != view.config || before->data_origin != view.data_origin ||
                            before->tokenizer != view.tokenizer)) {
    before = nullptr;  // another run is in the folder now
  }
  read_lines(view, run.moment.step);
  const Index step = run.moment.step.value_or(view.log.empty() ? 0 : view.log.back().step);
  read_snapshots(view, step, before);
  view.states.push_back({step, std::move(run.model)});
  try {
    const bool same = before != nullptr && before->data;
    view.data = same ? std::move(before->data) : data_of(run, folder, sources, quiet);
    if (same) view.baselines = std::move(before->baselines);
  } catch (const gradus::Error& problem) {
    view.left_out.push_back(
        told(fmt::format("Without its data there are no texts, baselines and calibration: {}", told(problem)),
             fmt::format("데이터가 없어 텍스트, 기준선, 보정이 없습니다. --data로 데이터의 위치를 알려 주세요: {}",
                         told(problem))));
  }
  tell_what_is_missing(view);
  return view;
}

}  // namespace gpt
