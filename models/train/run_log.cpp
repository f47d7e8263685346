// What the lines of the log say.
#include <gradus/models/train/run_log.h>

#include <gradus/models/detail/json.h>

namespace gradus::models {
namespace {

using detail::Json;

constexpr const char* settings_key = "settings";

bool is_settings(std::string_view text) {
  const std::optional<Json> json = detail::try_parse_json(text);
  return json && json->is_object() && json->size() == 1 && json->contains(settings_key);
}

std::string header_of(std::string_view settings) {
  const Json json = detail::parse_json(settings, "settings");
  return json.empty() ? "" : detail::dump(Json{{settings_key, json}});
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
  each_line(bytes_of(path), [&](std::string_view text, std::size_t) {
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

RunLog::RunLog(std::filesystem::path path, std::string_view settings)
    : lines_(std::move(path), header_of(settings), "log") {}

}  // namespace gradus::models
