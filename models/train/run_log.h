// log.jsonl: one JSON object per step, each on a line, which other programs can plot while the training runs. Where the
// training has settings, they come first: {"settings": {..}}.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/shape.h>
#include <gradus/models/train/line_file.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// One step; losses are in nats per token.
struct LogLine {
  Index step = 0;
  Index tokens = 0;  // seen up to here, this step's included
  double train_loss = 0, lr = 0, grad_norm = 0;
  double tokens_per_second = 0;
  std::optional<double> val_loss = {};  // where it was measured: after this step

  std::string to_json() const;
  /// Nothing unless `text` is a JSON object with the numbers of a line (val_loss may be absent).
  static std::optional<LogLine> from_json(std::string_view text);
};

/// What a log says; a last line that does not end is left out (a training that was killed may have left one). Empty
/// when there is no file. `damaged`: the numbers, from 1, of lines that cannot be read, which are passed over. The
/// settings are no step: they are passed over too.
std::vector<LogLine> read_log(const std::filesystem::path& path, std::vector<Index>* damaged = nullptr);

/// Writes a log; see LineFile.
class RunLog {
 public:
  /// Begins anew, with the settings (a JSON object, in one line) if there are any.
  explicit RunLog(std::filesystem::path path, std::string_view settings = "{}");
  void go_on_after(const std::string& line) { lines_.go_on_after(line); }
  const std::filesystem::path& aside() const { return lines_.aside(); }

  void write(const LogLine& line) { lines_.write(line.to_json()); }
  void flush() { lines_.flush(); }
  /// Call it before a checkpoint is saved, so that the log is not behind it.
  void sync() { lines_.sync(); }
  void stage() { lines_.stage(); }
  void replace() { lines_.replace(); }
  const std::string& last() const { return lines_.last(); }

 private:
  LineFile lines_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
