// The order of writing makes a kill at any moment harmless: the log, then the checkpoint, then the best model and the
// last. A log that replaces another is written beside it first and takes its place after the checkpoint. A checkpoint
// holds its own copy of the weights, and each new best comes with one, so that a best.safetensors that is missing or
// older can be written again.
#include <gradus/models/train/checkpoint.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/detail/run_config.h>
#include <gradus/nn/files/safetensors.h>
#include <gradus/nn/init.h>

namespace gradus::models {
namespace {

namespace fs = std::filesystem;
using detail::Json;
using detail::JsonReader;

using detail::older_folder;
using detail::state_file;
constexpr const char* state_key = "state";
constexpr const char* optimizer_key = "optimizer";
constexpr const char* record_key = "record_end";
constexpr std::string_view model_prefix = "model.", optimizer_prefix = "optimizer.";

// So that names sort as steps do.
std::string older_name(Index step) {
  return fmt::format("step-{:012}.safetensors", step);
}

// Oldest first.
std::vector<fs::path> older_checkpoints(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder / older_folder, none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("step-") && name.ends_with(".safetensors")) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

std::string state_json(const TrainerState& state, const HeldOut& held_out, const std::string& log_end,
                       const std::optional<LogLine>& unmeasured, const std::string& record_end) {
  Json json = {
      {"steps", state.steps},
      {"tokens", state.tokens},
      {"seconds", state.seconds},
      {"data",
       {{"epoch", state.dataset.epoch}, {"position", state.dataset.position}, {"generator", state.dataset.generator}}},
      {"generator", state.generator},
      {"held_out",
       {{"first", held_out.first},
        {"best", held_out.best},
        {"best_step", held_out.best_step},
        {"since_best", held_out.since_best}}},
      {"log_end", log_end}};
  if (unmeasured) json["unmeasured"] = unmeasured->to_json();
  if (state.optimizer_name != default_optimizer) json[optimizer_key] = state.optimizer_name;
  if (!record_end.empty()) json[record_key] = record_end;
  return detail::dump(json);
}

void read_state(const std::string& text, const std::string& name, Checkpoint& checkpoint) {
  const Json json = detail::parse_json(text, name);
  JsonReader reader(json, name);
  TrainerState& state = checkpoint.trainer;
  HeldOut& held_out = checkpoint.held_out;
  state.steps = reader.get<Index>("steps");
  state.tokens = reader.get<Index>("tokens");
  state.seconds = reader.get<double>("seconds");
  state.generator = reader.get<std::string>("generator");
  JsonReader data(reader.field("data"), name);
  state.dataset.epoch = data.get<Index>("epoch");
  state.dataset.position = data.get<Index>("position");
  state.dataset.generator = data.get<std::string>("generator");
  data.finish();
  JsonReader judged(reader.field("held_out"), name);
  held_out.first = judged.get<double>("first");
  held_out.best = judged.get<double>("best");
  held_out.best_step = judged.get<Index>("best_step");
  held_out.since_best = judged.get<Index>("since_best");
  judged.finish();
  checkpoint.log_end = reader.get<std::string>("log_end");
  if (json.contains("unmeasured")) {
    checkpoint.unmeasured = LogLine::from_json(reader.get<std::string>("unmeasured"));
    check(checkpoint.unmeasured && checkpoint.unmeasured->step == state.steps,
          "{}: \"unmeasured\" is not a line of step {}; the file is damaged", name, state.steps);
  }
  if (json.contains(optimizer_key)) state.optimizer_name = reader.get<std::string>(optimizer_key);
  if (json.contains(record_key)) checkpoint.record_end = reader.get<std::string>(record_key);
  reader.finish();
}

// A file's parts, before they are made into a model.
struct StateFile {
  nn::TensorFile weights;  // with the file's metadata
  nn::NamedTensors optimizer;
  std::string state;
};

StateFile read_state_file(const std::string& path) {
  nn::TensorFile file = nn::read_tensors(path);
  auto state = file.metadata.extract(state_key);
  if (state.empty()) {
    throw RunError(
        fmt::format("'{}' has weights but no state of a training; resume from a {}, or start a training from "
                    "these weights",
                    path, state_file),
        RunError::Remedy::init_from);
  }
  StateFile parts{{{}, std::move(file.metadata)}, {}, std::move(state.mapped())};
  for (const auto& [name, tensor] : file.tensors) {
    const bool is_weight = name.starts_with(model_prefix);
    check(is_weight || name.starts_with(optimizer_prefix),
          "'{}' has tensors that are neither the model's nor the optimizer's; it is not a {}", path, state_file);
    auto& part = is_weight ? parts.weights.tensors : parts.optimizer;
    part.emplace_back(name.substr((is_weight ? model_prefix : optimizer_prefix).size()), tensor);
  }
  return parts;
}

Checkpoint load_file(const std::string& path) {
  StateFile file = read_state_file(path);
  detail::RunConfig config = detail::read_config(file.weights.metadata, file.weights.tensors, path);
  const nn::init::Skip skip;
  GPT model(config.model);
  if (file.weights.tensors.front().second.dtype() == DType::f64) model.to(DType::f64);
  nn::load_state(model, file.weights, fmt::format("'{}'", path));
  check_loaded(model, path);
  Checkpoint checkpoint{std::move(model),       std::move(config.tokenizer),
                        std::move(config.data), std::move(config.settings),
                        TrainerState{},         {}};
  checkpoint.trainer.optimizer = std::move(file.optimizer);
  read_state(file.state, fmt::format("{} ({})", path, state_key), checkpoint);
  return checkpoint;
}

}  // namespace

bool HeldOut::add(double loss, Index step) {
  // A NaN is no best: nothing is lower, and it would stay for ever.
  if (std::isnan(loss) || (best_step > 0 && !(loss < best))) {
    ++since_best;
    return false;
  }
  best = loss, best_step = step, since_best = 0;
  return true;
}

Checkpoint load_checkpoint(const fs::path& path) {
  std::error_code error;
  check(fs::exists(path, error), "there is no '{}' to resume from; name a folder that a training has written",
        path.native());
  if (!fs::is_directory(path, error)) return load_file(path.string());
  try {
    check(fs::exists(path / state_file, error), "'{}' has no {}", path.native(), state_file);
    return load_file((path / state_file).string());
  } catch (const Error& problem) {
    std::vector<fs::path> older = older_checkpoints(path);
    for (; !older.empty(); older.pop_back()) {
      try {
        load_file(older.back().string());
      } catch (const Error&) {
        continue;  // damaged as well: the one before it may be whole
      }
      throw RunError(fmt::format("{}; an older checkpoint is whole: '{}'", problem.what(), older.back().native()),
                     RunError::Remedy::resume, older.back());
    }
    fail("{}; no older checkpoint is there to resume from", problem.what());
  }
}

fs::path run_folder_of(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return path;
  fs::path folder = fs::absolute(path).lexically_normal().parent_path();
  if (folder.filename() == older_folder) folder = folder.parent_path();
  return folder.lexically_proximate(fs::current_path());
}

RunWriter::RunWriter(fs::path folder, const Tokenizer& tokenizer, RunData data, std::string settings, Index keep)
    : folder_(std::move(folder)),
      tokenizer_(tokenizer),
      data_(std::move(data)),
      settings_(std::move(settings)),
      keep_(keep),
      log_(folder_ / detail::log_file, settings_) {
  if (look_into(folder_).run) state_ = Replacing{};
  check(keep >= 1, "save: {} checkpoints are to be kept; keep at least 1", keep);
}

HeldOut RunWriter::continue_from(const fs::path& path, const Checkpoint& checkpoint) {
  HeldOut held_out = checkpoint.held_out;
  const Index step = checkpoint.trainer.steps;
  const bool is_newest = fs::is_directory(path);
  last_ = Last{step, is_newest ? folder_ / state_file : path};
  Resumed& resumed = state_.emplace<Resumed>(Resumed{.from = step, .from_newest = is_newest});
  log_.go_on_after(checkpoint.log_end);
  record_end_ = checkpoint.record_end;
  if (recording_ != nullptr) recording_->go_on_after(checkpoint.record_end, step);
  const Moment best = moment_of(folder_ / best_file);
  if (held_out.best_step > 0 && best == Moment{held_out.best_step, held_out.best}) return held_out;
  std::error_code error;
  resumed.other_best = fs::exists(folder_ / best_file, error);
  if (held_out.best_step > 0 && held_out.best_step == step) {
    resumed.own_best = held_out.best;
    // What was best before it is of no use.
    resumed.other_best = resumed.other_best && !(best.held_out_loss >= resumed.own_best);
  } else {
    held_out.best = 0, held_out.best_step = 0, held_out.since_best = 0;
  }
  return held_out;
}

bool RunWriter::log_waits() const {
  const auto* const resumed = std::get_if<Resumed>(&state_);
  return resumed != nullptr ? !resumed->from_newest : !std::holds_alternative<Saved>(state_);
}

void RunWriter::flush() {
  if (log_waits()) return;
  log_.flush();
  if (recording_ != nullptr) recording_->flush();
}

fs::path RunWriter::resume_from() const {
  return !last_ || last_->file == folder_ / state_file ? folder_ : last_->file;
}

// Links the last checkpoint into checkpoints/ before the next save replaces it.
void RunWriter::keep_last() {
  if (keep_ == 1 || !last_ || !fs::exists(last_->file)) return;
  const fs::path place = folder_ / older_folder / older_name(last_->step);
  std::error_code error;
  fs::create_directory(folder_ / older_folder, error);
  fs::create_hard_link(last_->file, place, error);
  if (!error || error == std::errc::file_exists) return;  // it exists if the run was resumed from this step
  try {
    write_text(place, read_file(last_->file));  // not every file system has links
  } catch (const Error& problem) {
    throw RunError(fmt::format("save: cannot keep the checkpoint of step {}: {}; or keep one checkpoint only",
                               last_->step, problem.what()),
                   RunError::Remedy::keep_one);
  }
}

// Renames a best.safetensors of steps after the one that is resumed. If the checkpoint itself was the best, its weights
// become the new one.
void RunWriter::set_best_aside(Resumed& resumed) {
  const fs::path best = folder_ / best_file;
  if (resumed.other_best) {
    const Index step = moment_of(best).step.value_or(0);
    std::error_code error;
    fs::rename(best, folder_ / fmt::format("best.step-{}.safetensors", step), error);
    check(!error, "save: cannot rename '{}': {}; check the folder", best.native(), error.message());
    resumed.other_best = false;
  }
  if (resumed.own_best) {
    const Checkpoint last = load_file(last_->file.string());
    save_run(folder_, last.model.merged(), last.tokenizer, last.data, last.settings, best_file,
             {last_->step, resumed.own_best});
    resumed.own_best.reset();
  }
}

void RunWriter::save(const GPT& model, const TrainerState& trainer, const HeldOut& held_out,
                     const std::optional<LogLine>& unmeasured) {
  check_finite(model, folder_);
  if (auto* const resumed = std::get_if<Resumed>(&state_)) set_best_aside(*resumed);
  if (last_saved() != trainer.steps) keep_last();
  nn::Metadata metadata = detail::to_metadata(model.config(), tokenizer_, data_, settings_);
  metadata.emplace(state_key, state_json(trainer, held_out, log_.last(), unmeasured,
                                         recording_ != nullptr ? recording_->end() : record_end_));
  nn::NamedTensors tensors;
  for (const auto& [name, tensor] : model.named_state()) tensors.emplace_back(std::string(model_prefix) + name, tensor);
  for (const auto& [name, tensor] : trainer.optimizer) {
    tensors.emplace_back(std::string(optimizer_prefix) + name, tensor);
  }
  const bool logs = !log_.last().empty(), log_changes_place = logs && log_waits();
  const bool records = recording_ != nullptr, record_changes_place = records && log_waits();
  try {
    if (log_changes_place) log_.stage();
    if (record_changes_place) recording_->stage();
    if (logs && !log_waits()) log_.sync();
    if (records && !log_waits()) recording_->sync();
    nn::save_tensors((folder_ / state_file).string(), tensors, metadata);
  } catch (const Error&) {
    if (record_changes_place) recording_->unstage();
    throw;
  }
  last_ = Last{trainer.steps, folder_ / state_file};
  if (log_changes_place) log_.replace();
  if (record_changes_place) recording_->replace();
  remove_older();
  state_ = Saved{};
  save_models(model, held_out, trainer.steps);
}

// best.safetensors, if this step was the best, and model.safetensors.
void RunWriter::save_models(const GPT& trained, const HeldOut& held_out, Index step) {
  const GPT model = trained.merged();
  Moment moment{.step = step};
  if (held_out.best_step == step && step > 0) {
    moment.held_out_loss = held_out.best;
    save_run(folder_, model, tokenizer_, data_, settings_, best_file, moment);
  }
  save_run(folder_, model, tokenizer_, data_, settings_, model_file, moment);
}

// Removes obsolete checkpoints: of an earlier run, with its best model and its log if this one has none, of steps after
// the one resumed from, and the oldest beyond `keep`.
void RunWriter::remove_older() {
  std::vector<fs::path> older = older_checkpoints(folder_);
  std::error_code ignored;  // a file too many does no harm
  auto first = older.begin(), last = older.end();
  if (replaces_earlier_run()) {
    fs::remove(folder_ / best_file, ignored);
    if (log_.last().empty()) fs::remove(folder_ / detail::log_file, ignored);
    if (recording_ == nullptr) Recording::remove(folder_);
    last = first;
  } else {
    if (const auto* const resumed = std::get_if<Resumed>(&state_)) {
      last = std::ranges::find_if(older,
                                  [&](const fs::path& path) { return path.filename() > older_name(resumed->from); });
    }
    first = last - std::min(last - first, keep_ - 1);
  }
  std::for_each(older.begin(), first, [&](const fs::path& path) { fs::remove(path, ignored); });
  std::for_each(last, older.end(), [&](const fs::path& path) { fs::remove(path, ignored); });
  fs::remove(folder_ / older_folder, ignored);  // if it is empty
}

}  // namespace gradus::models
