// The weights file says it all; config.json and tokenizer.json are there for people and other programs.
#include <gradus/models/train/run_folder.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/detail/run_config.h>
#include <gradus/nn/init.h>

namespace gradus::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* lock_file = ".lock";

// Which process gave the name, if it is one of AtomicFile's: "model.safetensors.PID.N.tmp". 0: it is none.
long writer_of(const std::string& name) {
  constexpr std::string_view ending = ".tmp";
  if (!name.ends_with(ending)) return 0;
  const std::size_t number = name.rfind('.', name.size() - ending.size() - 1);
  const std::size_t process = number == std::string::npos ? number : name.rfind('.', number - 1);
  if (process == std::string::npos) return 0;
  long pid = 0;
  const auto [end, error] = std::from_chars(name.data() + process + 1, name.data() + number, pid);
  return error == std::errc{} && end == name.data() + number && pid > 0 ? pid : 0;
}

// A file with this process's number must be of a dead process that had the same number, as is common in containers:
// this process has written nothing yet.
bool is_left_behind(const std::string& name) {
  const long writer = writer_of(name);
  return writer > 0 && (writer == platform::process_id() || !platform::process_exists(writer));
}

// The number of the process that holds the lock; it may not have written it yet.
std::string holder_of(const fs::path& path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return "(unknown)";
  }
}

std::string first_not_finite(const GPT& model) {
  for (const auto& [name, parameter] : model.named_parameters()) {
    const bool finite = dispatch(parameter.dtype(), [&values = parameter]<class T>() {
      return std::ranges::all_of(values.template data<T>(), [](T value) { return std::isfinite(value); });
    });
    if (!finite) return name;
  }
  return {};
}

}  // namespace

FolderContents look_into(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / detail::state_file, error)) return {.run = true};
  if (const fs::path model = folder / model_file; fs::exists(model, error)) {
    try {
      if (nn::read_metadata(model.string()).contains(detail::config_file)) return {.run = true};
    } catch (const Error&) {
      return {.other = model_file};  // damaged, or another program's
    }
  }
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    // Files left by a training that ended before its first save.
    const bool staged = name == std::string(detail::log_file) + ".new" ||
                        name == std::string(detail::record_file) + ".new" || name == detail::staged_snapshots;
    const bool ours = name.starts_with('.') || staged || writer_of(name) > 0;
    if (!ours) return {.other = name};
  }
  return {};
}

RunLock::RunLock(const fs::path& folder) {
  const fs::path path = folder / lock_file;
  const std::error_code error = file_.lock(path, std::to_string(platform::process_id()));
  if (error == std::errc::operation_would_block) {
    throw Held(fmt::format("'{}' is being trained by process {}; wait until that has ended, or train in another folder",
                           folder.native(), holder_of(path)),
               RunError::Remedy::other_folder);
  }
  // Not every file system has locks; there two trainings in one folder go unnoticed.
  check(!error || error == std::errc::no_lock_available || error == std::errc::not_supported ||
            error == std::errc::function_not_supported,
        "cannot lock '{}': {}; choose a place that may be written to", path.native(), error.message());
}

bool RunLock::is_held(const fs::path& folder) {
  return platform::File::is_locked(folder / lock_file);
}

void prepare_run_folder(const fs::path& folder) {
  make_folder(folder);
  std::error_code error;
  for (const fs::path& place : {folder, folder / detail::older_folder, folder / detail::snapshots_folder}) {
    for (const auto& entry : fs::directory_iterator(place, error)) {
      if (is_left_behind(entry.path().filename())) fs::remove(entry.path(), error);
    }
  }
  // Whether a write will succeed, permissions alone do not tell: the disk may be full or read-only.
  const fs::path probe = folder / ".probe";
  write_text(probe, "gradus\n");
  fs::remove(probe, error);
}

void check_finite(const GPT& model, const fs::path& folder) {
  const std::string name = first_not_finite(model);
  check(name.empty(),
        "save: '{}' holds values that are not finite, so nothing was written and what '{}' held is as it was; the "
        "last step was too large: train with a smaller learning rate",
        name, folder.native());
}

void check_loaded(const GPT& model, const fs::path& file) {
  const std::string name = first_not_finite(model);
  check(name.empty(),
        "'{}': '{}' holds values that are not finite; the file is damaged or its training went wrong, so use another",
        file.native(), name);
}

void save_run(const fs::path& folder, const GPT& model, const Tokenizer& tokenizer, const RunData& data,
              const std::string& settings, const char* file, const Moment& moment) {
  check_finite(model, folder);
  nn::Metadata metadata = detail::to_metadata(model.config(), tokenizer, data, settings);
  for (const auto& [name, text] : metadata) {
    std::error_code error;
    const bool is_there = fs::file_size(folder / name, error) == text.size() && read_file(folder / name) == text;
    if (!is_there) write_text(folder / name, text);
  }
  detail::add_moment(metadata, moment);
  nn::save_safetensors((folder / file).string(), model, metadata);
}

namespace {

Run read_run(const std::string& path) {
  const nn::TensorFile tensors = nn::read_tensors(path);
  detail::RunConfig config = detail::read_config(tensors.metadata, tensors.tensors, path);
  const nn::init::Skip skip;
  GPT model(config.model);
  const auto is_f64 = [](const auto& entry) { return entry.second.dtype() == DType::f64; };
  if (std::ranges::any_of(tensors.tensors, is_f64)) model.to(DType::f64);
  nn::load_state(model, tensors, fmt::format("'{}'", path));
  check_loaded(model, path);
  return {std::move(model), std::move(config.tokenizer), std::move(config.data), std::move(config.settings),
          detail::moment_in(tensors.metadata)};
}

bool is_whole(const std::string& path) {
  try {
    read_run(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Moment moment_of(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  try {
    return detail::moment_in(nn::read_metadata(file.string()));
  } catch (const Error&) {
    return {};
  }
}

Run load_run(const fs::path& folder, const char* file) {
  const fs::path path = folder / file;
  std::error_code error;
  if (fs::is_regular_file(folder, error)) {
    const fs::path parent = folder.has_parent_path() ? folder.parent_path() : ".";
    check(!look_into(parent).run, "'{}' is a file; name the folder that it is in: '{}'", folder.native(),
          parent.native());
    fail("'{}' is a file; name the folder of a run, one that a training has written", folder.native());
  }
  check(fs::is_directory(folder, error), "there is no folder '{}'; name one that a training has written",
        folder.native());
  try {
    check(fs::exists(path, error), "'{}' has no {}", folder.native(), file);
    return read_run(path.string());
  } catch (const Error& problem) {
    const bool wants_best = file == std::string_view(best_file);
    const fs::path other = folder / (wants_best ? model_file : best_file);
    if (fs::exists(other, error) && is_whole(other.string())) {
      throw RunError(fmt::format("{}; '{}' is whole", problem.what(), other.native()),
                     wants_best ? RunError::Remedy::last_model : RunError::Remedy::best_model);
    }
    if (fs::exists(path, error)) throw;
    if (!wants_best && fs::exists(folder / detail::state_file, error)) {
      throw RunError(fmt::format("{}; it can be made again from the last checkpoint", problem.what()),
                     RunError::Remedy::resume, folder);
    }
    fail("{}; name a folder that a training has written", problem.what());
  }
}

}  // namespace gradus::models
