// Lines are appended; only beginning and resuming replace the file, in one move.
#include <gradus/models/train/line_file.h>

#include <gradus/core/check.h>
#include <gradus/models/text/identity.h>
#include <gradus/models/text/text.h>

namespace gradus::models {
std::string bytes_of(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) && std::filesystem::file_size(path, error) > 0 ? read_file(path) : "";
}

void each_line(std::string_view text, const std::function<bool(std::string_view, std::size_t)>& f) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos || !f(text.substr(begin, end + 1 - begin), end + 1)) return;
    begin = end + 1;
  }
}

LineFile::LineFile(std::filesystem::path path, std::string_view header, const char* what)
    : path_(std::move(path)), what_(what) {
  if (!header.empty()) pending_ = std::string(header) + "\n";
}

LineFile::Found LineFile::go_on_after(const std::string& line) {
  last_ = line;
  if (line.empty()) return Found::nowhere;
  // A program that was killed between stage() and replace() left the new file in staged(), not in path_.
  for (const Found place : {Found::in_place, Found::staged}) {
    const std::string text = bytes_of(place == Found::staged ? staged() : path_);
    std::size_t kept = 0;
    each_line(text, [&](std::string_view candidate, std::size_t next) {
      if (fingerprint(candidate) == line) kept = next;
      return kept == 0;
    });
    if (kept == 0) continue;
    pending_ = text.substr(0, kept);
    return place;
  }
  std::error_code error;
  if (std::filesystem::exists(path_, error)) aside_ = path_.native() + ".old";
  return Found::nowhere;
}

std::filesystem::path LineFile::staged() const {
  return path_.native() + ".new";
}

void LineFile::write(std::string_view line) {
  const std::string text = std::string(line) + '\n';
  last_ = fingerprint(text);
  pending_ += text;
}

void LineFile::flush() {
  if (!file_.is_open()) {
    stage();
    replace();
    return;
  }
  std::string_view rest = pending_;
  const std::error_code error = file_.write(rest);
  pending_.erase(0, pending_.size() - rest.size());
  require(error);
}

void LineFile::sync() {
  flush();
  require(file_.sync());
}

void LineFile::stage() {
  write_text(staged(), pending_);
}

void LineFile::replace() {
  std::error_code error;
  if (!aside_.empty()) std::filesystem::rename(path_, aside_, error);
  require(error);
  std::filesystem::rename(staged(), path_, error);
  require(error);
  pending_.clear();
  require(file_.open(path_, platform::File::Mode::append));
}

void LineFile::require(std::error_code error) const {
  check(!error, "{}: cannot write '{}': {}; check the folder and the free space", what_, path_.native(),
        error.message());
}

}  // namespace gradus::models
