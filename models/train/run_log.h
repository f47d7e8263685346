// log.jsonl: one JSON object per step, each on a line, which other programs can plot while the training runs. Where the
// training has settings, they come first: {"settings": {..}}.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <gradus/core/runtime/platform.h>
#include <gradus/core/shape.h>

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

/// Writes a log. The first flush() replaces a log that is there. stage() and replace() do it in two steps, so that a
/// checkpoint can be written between them.
class RunLog {
 public:
  /// Begins anew, with the settings (a JSON object, in one line) if there are any.
  explicit RunLog(std::filesystem::path path, std::string_view settings = "{}");
  /// Continues after the line with the fingerprint `line`, see last(), and removes the lines after it. If the log has
  /// no such line, it is damaged or another run's: the next flush() or replace() then renames it to aside().
  void go_on_after(const std::string& line);
  /// Where the old log is moved; empty if it stays.
  const std::filesystem::path& aside() const { return aside_; }

  void write(const LogLine& line);
  /// Writes the lines so far to the file. Throws Error when the disk does not allow it; a later flush() goes on behind
  /// what was written.
  void flush();
  /// flush(), and waits until it is on the disk. Call it before a checkpoint is saved, so that the log is not behind
  /// it.
  void sync();
  /// Writes the whole log beside the one that is there.
  void stage();
  /// Renames what was staged over the log.
  void replace();
  /// The last line's fingerprint.
  const std::string& last() const { return last_; }

 private:
  void require(std::error_code error) const;  // throws Error if there is one
  std::filesystem::path staged() const;

  std::filesystem::path path_, aside_;
  std::string pending_;  // lines that have not reached the file, or all lines while there is no file yet
  std::string last_;
  platform::File file_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
