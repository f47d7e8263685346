// Lines are appended; only beginning and resuming replace the file, in one move.
#include <gradus/models/train/run_log.h>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/identity.h>
#include <gradus/models/text/text.h>

namespace gradus::models {
namespace {

using detail::Json;

constexpr const char* settings_key = "settings";

bool is_settings(std::string_view text) {
  const std::optional<Json> json = detail::try_parse_json(text);
  return json && json->is_object() && json->size() == 1 && json->contains(settings_key);
}

// Calls f(line, where the next one begins) for each line that ends, until f returns false.
template <class F>
void each_line(std::string_view text, const F& f) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos || !f(text.substr(begin, end + 1 - begin), end + 1)) return;
    begin = end + 1;
  }
}

std::string text_of(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) && std::filesystem::file_size(path, error) > 0 ? read_file(path) : "";
}

}  // namespace

std::string LogLine::to_json() const {
  // Shortest digits that read back as the same number: equal losses are equal texts.
  std::string text = fmt::format(
      R"({{"step": {}, "tokens": {}, "train_loss": {}, "lr": {}, "grad_norm": {}, "tokens_per_second": {:.1f})", step,
      tokens, train_loss, lr, grad_norm, tokens_per_second);
  if (val_loss) text += fmt::format(R"(, "val_loss": {})", *val_loss);
  return text + "}";
}

std::optional<LogLine> LogLine::from_json(std::string_view text) {
  const std::optional<Json> json = detail::try_parse_json(text);
  if (!json || !json->is_object()) return std::nullopt;
  const auto number = [&](const char* key) -> std::optional<double> {
    const auto found = json->find(key);
    return found != json->end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
  };
  const auto step = number("step"), tokens = number("tokens"), loss = number("train_loss"), lr = number("lr"),
             norm = number("grad_norm"), speed = number("tokens_per_second");
  constexpr double largest = 0x1p53;
  if (!step || !tokens || !loss || !lr || !norm || !speed || !(*step >= 0 && *step < largest) ||
      !(*tokens >= 0 && *tokens < largest)) {
    return std::nullopt;
  }
  return LogLine{static_cast<Index>(*step), static_cast<Index>(*tokens), *loss, *lr, *norm, *speed, number("val_loss")};
}

std::vector<LogLine> read_log(const std::filesystem::path& path, std::vector<Index>* damaged) {
  std::vector<LogLine> lines;
  Index number = 0;
  each_line(text_of(path), [&](std::string_view text, std::size_t) {
    ++number;
    if (const std::optional<LogLine> line = LogLine::from_json(text)) {
      lines.push_back(*line);
    } else if (damaged != nullptr && !(number == 1 && is_settings(text))) {
      damaged->push_back(number);
    }
    return true;
  });
  return lines;
}

RunLog::RunLog(std::filesystem::path path, std::string_view settings) : path_(std::move(path)) {
  const Json json = detail::parse_json(settings, "settings");
  if (!json.empty()) pending_ = detail::dump(Json{{settings_key, json}}) + "\n";
}

void RunLog::go_on_after(const std::string& line) {
  last_ = line;
  if (line.empty()) return;
  // A program that was killed between stage() and replace() left the new log in staged(), not in path_.
  for (const std::filesystem::path& place : {path_, staged()}) {
    const std::string text = text_of(place);
    std::size_t kept = 0;
    each_line(text, [&](std::string_view candidate, std::size_t next) {
      if (fingerprint(candidate) == line) kept = next;
      return kept == 0;
    });
    if (kept == 0) continue;
    pending_ = text.substr(0, kept);
    return;
  }
  std::error_code error;
  if (std::filesystem::exists(path_, error)) aside_ = path_.native() + ".old";
}

std::filesystem::path RunLog::staged() const {
  return path_.native() + ".new";
}

void RunLog::write(const LogLine& line) {
  const std::string text = line.to_json() + '\n';
  last_ = fingerprint(text);
  pending_ += text;
}

void RunLog::flush() {
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

void RunLog::sync() {
  flush();
  require(file_.sync());
}

void RunLog::stage() {
  write_text(staged(), pending_);
}

void RunLog::replace() {
  std::error_code error;
  if (!aside_.empty()) std::filesystem::rename(path_, aside_, error);
  require(error);
  std::filesystem::rename(staged(), path_, error);
  require(error);
  pending_.clear();
  require(file_.open(path_, platform::File::Mode::append));
}

void RunLog::require(std::error_code error) const {
  check(!error, "log: cannot write '{}': {}; check the folder and the free space", path_.native(), error.message());
}

}  // namespace gradus::models
