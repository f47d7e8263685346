// Lines are appended; only resuming rewrites the file, in one move, to take back what came after the checkpoint.
#include <gradus/models/run_log.h>

#include <gradus/models/detail/json.h>
#include <gradus/models/text.h>

namespace gradus::models {
namespace {

using detail::Json;

// Shows no line that is not whole: the last one of a program that was killed.
std::optional<LogLine> parse(std::string_view text) {
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

// Calls f(line, text up to its end) for each whole line until f returns false.
template <class F>
void each_line(std::string_view text, const F& f) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) return;
    const auto line = parse(text.substr(begin, end - begin));
    if (!line || !f(*line, end + 1)) return;
    begin = end + 1;
  }
}

std::string text_of(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) && std::filesystem::file_size(path, error) > 0 ? read_file(path) : "";
}

}  // namespace

std::string LogLine::to_json() const {
  // Shortest digits that read back as the same number: equal runs write equal bytes.
  std::string text = fmt::format(
      R"({{"step": {}, "tokens": {}, "train_loss": {}, "lr": {}, "grad_norm": {}, "tokens_per_second": {:.1f})", step,
      tokens, train_loss, lr, grad_norm, tokens_per_second);
  if (val_loss) text += fmt::format(R"(, "val_loss": {})", *val_loss);
  return text + "}";
}

std::vector<LogLine> read_log(const std::filesystem::path& path) {
  std::vector<LogLine> lines;
  each_line(text_of(path), [&](const LogLine& line, std::size_t) {
    lines.push_back(line);
    return true;
  });
  return lines;
}

RunLog::RunLog(std::filesystem::path path, Index keep) : path_(std::move(path)) {
  if (keep == 0) return;
  const std::string text = text_of(path_);
  std::size_t kept = 0;
  each_line(text, [&](const LogLine& line, std::size_t end) {
    if (line.step > keep) return false;
    kept = end;
    return true;
  });
  if (kept < text.size()) write_text(path_, std::string_view(text).substr(0, kept));
  open();
}

void RunLog::open() {
  require(file_.open(path_, platform::File::Mode::append));
}

void RunLog::write(const LogLine& line, bool flush_now) {
  pending_ += line.to_json();
  pending_ += '\n';
  if (flush_now) flush();
}

void RunLog::flush() {
  if (!file_.is_open()) {
    write_text(path_, "");
    open();
  }
  require(file_.write(pending_));
  pending_.clear();
}

void RunLog::sync() {
  flush();
  require(file_.sync());
}

void RunLog::require(std::error_code error) const {
  check(!error, "log: cannot write '{}': {}; check the folder and the free space", path_.native(), error.message());
}

}  // namespace gradus::models
