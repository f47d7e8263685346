#include <gradus/nn/files/atomic_file.h>

#include <atomic>
#include <filesystem>

#include <gradus/core/check.h>

namespace gradus {

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  namespace fs = std::filesystem;
  std::error_code ignored;  // if the path is wrong, open() below reports it
  if (fs::exists(path_, ignored)) {
    // Replacing a device or a pipe by a file would do harm: /dev/null, say.
    check(fs::is_regular_file(path_, ignored), "save: '{}' exists and is not a file; choose another name", path);
    if (const fs::path real = fs::canonical(path_, ignored); !ignored) path_ = real.string();
  }
  static std::atomic<unsigned> count{0};
  std::error_code error;
  do {  // a killed process with the same number may have left this file; in containers numbers repeat
    temporary_ = fmt::format("{}.{}.{}.tmp", path_, platform::process_id(), count.fetch_add(1));
    error = file_.open(temporary_, platform::File::Mode::create);
  } while (error == std::errc::file_exists);
  require(error);
}

AtomicFile::~AtomicFile() {
  if (!file_.is_open()) return;
  file_.close();
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::write(const void* bytes, std::size_t count) {
  std::string_view rest(static_cast<const char*>(bytes), count);
  require(file_.write(rest));
}

void AtomicFile::commit() {
  require(file_.sync());
  std::error_code error;
  std::filesystem::rename(temporary_, path_, error);
  require(error);
  file_.close();
  // The new name survives a crash once the folder is on the disk. The file is whole either way, so a failure to sync
  // the folder is no error.
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  platform::sync_folder(folder.empty() ? "." : folder);
}

void AtomicFile::require(std::error_code error) const {
  check(!error, "save: cannot write '{}': {}; check the folder, the free space and ulimit -f, or choose another place",
        path_, error.message());
}

}  // namespace gradus
