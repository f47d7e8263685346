// AtomicFile: a file that appears complete under its name or not at all. It is written beside its place, under a
// temporary name, and moved there by commit().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include <gradus/core/runtime/platform.h>

namespace gradus {
#pragma GCC visibility push(default)

/// Every failure to write or rename (no such folder, no permission, a full disk) throws Error with the system's
/// message. After a failure, or if the object is destroyed without commit(), the temporary file is removed and an older
/// file of that name is unchanged.
class AtomicFile {
 public:
  /// `path` may name a new file or a regular file to replace; a symbolic link is followed.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, std::size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Writes everything to the disk and renames the file to its name.
  void commit();

 private:
  void require(std::error_code error) const;  // throws Error if there is one

  std::string path_, temporary_;
  platform::File file_;
};

#pragma GCC visibility pop
}  // namespace gradus
