// The order of writing is what makes a kill at any moment harmless: the best model, then the checkpoint, then the last
// model. Whichever of them is missing or older, a checkpoint holds its own copy of the weights.
#include <gradus/models/checkpoint.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include <gradus/models/detail/json.h>
#include <gradus/models/detail/run_config.h>
#include <gradus/nn/safetensors.h>

namespace gradus::models {
namespace {

namespace fs = std::filesystem;
using detail::Json;
using detail::JsonReader;

constexpr const char* state_file = "train_state.safetensors";
constexpr const char* older_folder = "checkpoints";
constexpr const char* state_key = "state";
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

std::string state_json(const TrainerState& state, const HeldOut& held_out) {
  const Json json = {
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
        {"since_best", held_out.since_best}}}};
  return detail::dump(json);
}

void read_state(const std::string& text, const std::string& name, TrainerState& state, HeldOut& held_out) {
  const Json json = detail::parse_json(text, name);
  JsonReader reader(json, name);
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
  reader.finish();
}

Checkpoint load_file(const std::string& path) {
  const nn::TensorFile file = nn::read_tensors(path);
  const auto state = file.metadata.find(state_key);
  check(state != file.metadata.end(),
        "'{}' has weights but no state of a training; resume from a {}, or start a training from these weights with "
        "--init-from",
        path, state_file);
  nn::TensorFile weights;
  TrainerState trainer;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(model_prefix)) weights.tensors.emplace_back(name.substr(model_prefix.size()), tensor);
    if (name.starts_with(optimizer_prefix)) {
      trainer.optimizer.emplace_back(name.substr(optimizer_prefix.size()), tensor);
    }
  }
  check(weights.tensors.size() + trainer.optimizer.size() == file.tensors.size(),
        "'{}' has tensors that are neither the model's nor the optimizer's; it is not a {}", path, state_file);
  detail::RunConfig config = detail::read_config(file.metadata, weights.tensors, path);
  HeldOut held_out;
  read_state(state->second, fmt::format("{} ({})", path, state_key), trainer, held_out);
  GPT model(config.model);
  if (weights.tensors.front().second.dtype() == DType::f64) model.to(DType::f64);
  nn::load_state(model, weights, fmt::format("'{}'", path));
  return {std::move(model),           std::move(config.tokenizer), std::move(config.data),
          std::move(config.settings), std::move(trainer),          held_out};
}

}  // namespace

bool HeldOut::add(double loss, Index step) {
  if (best_step > 0 && !(loss < best)) {
    ++since_best;
    return false;
  }
  best = loss, best_step = step, since_best = 0;
  return true;
}

Checkpoint load_checkpoint(const fs::path& path) {
  std::error_code error;
  check(fs::exists(path, error), "there is no '{}' to resume from; name a folder that 'gpt train' has written",
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
      fail("{}; an older checkpoint is whole, to go on from it: --resume {}", problem.what(), older.back().native());
    }
    fail("{}; no older checkpoint is there to go on from", problem.what());
  }
}

RunWriter::RunWriter(fs::path folder, const CharTokenizer& tokenizer, RunData data, std::string settings, Index keep)
    : folder_(std::move(folder)),
      tokenizer_(tokenizer),
      data_(std::move(data)),
      settings_(std::move(settings)),
      keep_(keep),
      last_file_(folder_ / state_file) {
  check(keep >= 1, "save: {} checkpoints are to be kept; keep at least 1", keep);
}

void RunWriter::continue_from(const fs::path& path, Index step) {
  replaced_ = true;
  last_step_ = step;
  continued_from_ = step;
  if (!fs::is_directory(path)) last_file_ = path;
}

void RunWriter::replace_earlier_run() {
  if (replaced_) return;
  std::error_code not_there;
  for (const char* name : {state_file, best_file, older_folder}) fs::remove_all(folder_ / name, not_there);
  replaced_ = true;
}

void RunWriter::save_best(const GPT& model) {
  check_finite(model, folder_);
  replace_earlier_run();
  save_run(folder_, model, tokenizer_, data_, settings_, best_file);
}

// A second name for the last checkpoint, before its own name goes to the next one.
void RunWriter::keep_last() {
  if (keep_ == 1 || !last_step_ || !fs::exists(last_file_)) return;
  const fs::path place = folder_ / older_folder / older_name(*last_step_);
  std::error_code error;
  fs::create_directory(folder_ / older_folder, error);
  fs::create_hard_link(last_file_, place, error);
  if (error == std::errc::file_exists) return;         // resumed from this step
  if (error) fs::copy_file(last_file_, place, error);  // not every file system has links
  check(!error, "save: cannot keep the checkpoint of step {} as '{}': {}; make room, or use --keep 1", *last_step_,
        place.native(), error.message());
}

void RunWriter::save(const GPT& model, const TrainerState& trainer, const HeldOut& held_out) {
  check_finite(model, folder_);
  replace_earlier_run();
  if (last_step_ != trainer.steps) keep_last();
  nn::Metadata metadata = detail::to_metadata(model.config(), tokenizer_, data_, settings_);
  metadata.emplace(state_key, state_json(trainer, held_out));
  nn::NamedTensors tensors;
  for (const auto& [name, tensor] : model.named_state()) tensors.emplace_back(std::string(model_prefix) + name, tensor);
  for (const auto& [name, tensor] : trainer.optimizer) {
    tensors.emplace_back(std::string(optimizer_prefix) + name, tensor);
  }
  nn::save_tensors((folder_ / state_file).string(), tensors, metadata);
  last_step_ = trainer.steps;
  last_file_ = folder_ / state_file;
  save_run(folder_, model, tokenizer_, data_, settings_);
  std::vector<fs::path> older = older_checkpoints(folder_);
  std::error_code ignored;  // one too many does no harm
  if (continued_from_) {
    const auto is_later = [last = older_name(*continued_from_)](const fs::path& path) {
      return path.filename() > last;
    };
    const auto later = std::ranges::find_if(older, is_later);
    for (auto path = later; path != older.end(); ++path) fs::remove(*path, ignored);
    older.erase(later, older.end());
    continued_from_.reset();
  }
  for (std::size_t i = 0; std::cmp_less(i + static_cast<std::size_t>(keep_) - 1, older.size()); ++i) {
    fs::remove(older[i], ignored);
  }
}

}  // namespace gradus::models
