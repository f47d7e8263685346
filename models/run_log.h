// log.jsonl: a JSON object a line for each step, that other programs can plot while the training runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <gradus/core/platform.h>
#include <gradus/core/shape.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// One step; losses are in nats a token.
struct LogLine {
  Index step = 0;
  Index tokens = 0;  // seen up to here, this step's included
  double train_loss = 0, lr = 0, grad_norm = 0;
  double tokens_per_second = 0;
  std::optional<double> val_loss = {};  // where it was measured: after this step

  std::string to_json() const;
};

/// What a log says, up to the first line that is not whole (a training that was killed may have left one). Empty when
/// there is no file.
std::vector<LogLine> read_log(const std::filesystem::path& path);

/// Writes a log.
class RunLog {
 public:
  /// Keeps the lines of an earlier part of the run up to step `keep` and drops what was logged after that; 0 begins
  /// anew, with the first line that is flushed.
  RunLog(std::filesystem::path path, Index keep);

  /// Lines reach the file at once when `flush`, else some time later. Throws Error when the disk does not allow it.
  void write(const LogLine& line, bool flush);
  void flush();
  /// Brings all to the disk: before a checkpoint that is of a later step than the lines that are there.
  void sync();

 private:
  void require(std::error_code error) const;  // that there is none

  void open();

  std::filesystem::path path_;
  std::string pending_;
  platform::File file_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
