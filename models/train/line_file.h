// LineFile: a file that grows by lines and knows its last one, so that a resumed training goes on right behind the line
// that its checkpoint tells of.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

#include <gradus/core/runtime/platform.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// The bytes of a file; none where there is no file.
std::string bytes_of(const std::filesystem::path& path);
/// Calls f(line with its end, where the next one begins) for each line of `text` that ends, until f returns false.
void each_line(std::string_view text, const std::function<bool(std::string_view, std::size_t)>& f);

/// The first flush() replaces a file that is there. stage() and replace() do it in two steps, so that a checkpoint can
/// be written between them.
class LineFile {
 public:
  /// Begins anew, with the line `header` unless it is empty. `what` names the file's purpose in errors.
  LineFile(std::filesystem::path path, std::string_view header, const char* what);

  /// Where go_on_after() found the line.
  enum class Found { nowhere, in_place, staged };
  /// Continues after the line with the fingerprint `line`, see last(), and removes the lines after it. If the file has
  /// no such line, it is damaged or another run's: the next flush() or replace() then renames it to aside(). An empty
  /// `line` begins anew.
  Found go_on_after(const std::string& line);
  /// Where the old file is moved; empty if it stays.
  const std::filesystem::path& aside() const { return aside_; }

  /// Adds a line, given without its end.
  void write(std::string_view line);
  /// Writes the lines so far to the file. Throws Error when the disk does not allow it; a later flush() goes on behind
  /// what was written.
  void flush();
  /// flush(), and waits until it is on the disk.
  void sync();
  /// Writes the whole file beside the one that is there.
  void stage();
  /// Renames what was staged over the file.
  void replace();
  /// Whether flush() has written to the file, or replace().
  bool is_open() const { return file_.is_open(); }
  /// The last line's fingerprint; empty where there is none but the header.
  const std::string& last() const { return last_; }

 private:
  void require(std::error_code error) const;  // throws Error if there is one
  std::filesystem::path staged() const;

  std::filesystem::path path_, aside_;
  const char* what_;
  std::string pending_;  // lines that have not reached the file, or all lines while there is no file yet
  std::string last_;
  platform::File file_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
