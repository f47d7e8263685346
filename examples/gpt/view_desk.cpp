// Weights come with the checkpoints of a training and everything that hangs on them is computed anew then. In between
// the log and the recording grow; they are read as often as takes a small part of the time.
#include "view_desk.h"

#include <utility>

namespace gpt {
namespace {

namespace fs = std::filesystem;
using gradus::models::detail::dump;
using Clock = std::chrono::steady_clock;

fs::file_time_type time_of_model(const std::string& folder) {
  std::error_code error;
  const auto time = fs::last_write_time(fs::path(folder) / gradus::models::model_file, error);
  return error ? fs::file_time_type() : time;
}

std::uintmax_t size_of_log(const std::string& folder) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(fs::path(folder) / "log.jsonl", error);
  return error ? 0 : size;
}

}  // namespace

// Versions of a server that is started later are larger, so that a page which stayed open sees the difference.
Desk::Desk(ViewWish wish)
    : wish_(std::move(wish)),
      version_(
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()) {
  read();
}

std::string Desk::document(const std::string& known) {
  const std::lock_guard lock(mutex_);
  follow();
  if (known == std::to_string(version_)) return dump(Json{{"unchanged", true}, {"version", version_}});
  return text_;
}

std::string Desk::answer(const std::string& text) {
  const std::lock_guard lock(mutex_);
  follow();
  return dump(typed_part(*run_, text));
}

void Desk::follow() {
  // Asked first: a training saves before it lets go of its folder.
  const bool running = gradus::models::RunLock::is_held(wish_.folder);
  if (!run_ || time_of_model(wish_.folder) != model_) {
    read();
  } else if (running && size_of_log(wish_.folder) != logged_ && Clock::now() >= next_look_) {
    take_progress();
  }
  if (running == document_["run"]["running"].get<bool>()) return;
  run_->running = running;
  take_progress();  // what a training that was killed has logged behind its last checkpoint goes
}

void Desk::read() {
  const fs::file_time_type written = time_of_model(wish_.folder);
  const std::uintmax_t logged = size_of_log(wish_.folder);
  std::optional<ViewRun> before = std::exchange(run_, std::nullopt);  // none where an error stops this halfway
  ViewRun run = read_view_run(wish_.folder, wish_.sources, wish_.quiet, before ? &*before : nullptr);
  document_ = document_of(run, wish_.text);
  run_.emplace(std::move(run));
  model_ = written;
  logged_ = logged;
  changed();
}

void Desk::take_progress() {
  constexpr int share = 50;  // of the time is at most taken by this
  const Clock::time_point start = Clock::now();
  logged_ = size_of_log(wish_.folder);
  read_progress(*run_);
  update_progress(document_, *run_);
  changed();
  next_look_ = Clock::now() + share * (Clock::now() - start);
}

void Desk::changed() {
  document_["run"]["serve"] = true;
  document_["version"] = ++version_;
  text_ = dump(document_);
}

}  // namespace gpt
