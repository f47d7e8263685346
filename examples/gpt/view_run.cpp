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

void read_snapshots(ViewRun& view, Index last) {
  const fs::path place = models::snapshot_folder(view.folder);
  for (const Index step : models::snapshots_in(place)) {
    if (step > last) break;  // of a training under way, or left by one that was killed
    models::Snapshot snapshot = models::load_snapshot(place / models::snapshot_name(step));
    if (!snapshot.weights.empty() && step < last) {
      const gradus::nn::init::Skip skip;
      models::GPT model(view.config);
      gradus::nn::load_state(model, {snapshot.weights, {}}, fmt::format("the snapshot of step {}", step));
      model.eval();
      view.states.push_back({step, std::move(model)});
    }
    snapshot.weights.clear();
    view.snapshots.push_back(std::move(snapshot));
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

ViewRun read_view_run(const std::string& folder, const std::vector<std::string>& sources, bool quiet) {
  models::Run run = models::load_run(folder);
  run.model.eval();
  ViewRun view{.folder = folder,
               .config = run.model.config(),
               .tokenizer = run.tokenizer,
               .data_origin = run.data,
               .settings = run.settings};
  view.recipe.fill_from(run.settings, folder + "/config.json");
  view.options = view.recipe.resolve().train;
  view.log = models::read_log(view.folder / "log.jsonl");
  const Index step = run.moment.step.value_or(view.log.empty() ? 0 : view.log.back().step);
  std::erase_if(view.log, [&](const models::LogLine& line) { return line.step > step; });
  view.record = models::read_record(folder);
  if (view.record) std::erase_if(view.record->lines, [&](const auto& line) { return line.step > step; });
  view.running = models::RunLock::is_held(folder);
  read_snapshots(view, step);
  view.states.push_back({step, std::move(run.model)});
  try {
    view.data = data_of(run, folder, sources, quiet);
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
