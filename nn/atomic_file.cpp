// POSIX calls, because the standard library neither tells why a write failed nor can flush a file to the disk.
#include <gradus/nn/atomic_file.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <gradus/core/check.h>

namespace gradus {

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  namespace fs = std::filesystem;
  std::error_code ignored;  // what is wrong with the path, open() says below
  if (fs::exists(path_, ignored)) {
    // Replacing a device or a pipe by a file would do harm: /dev/null, say.
    check(fs::is_regular_file(path_, ignored), "save: '{}' exists and is not a file; choose another name", path);
    if (const fs::path real = fs::canonical(path_, ignored); !ignored) path_ = real.string();
  }
  static std::atomic<unsigned> count{0};
  temporary_ = fmt::format("{}.{}.{}.tmp", path_, ::getpid(), count.fetch_add(1));
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_with(errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, std::size_t count) {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_with(written < 0 ? errno : EIO);
    next += written;
    count -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with(errno);
  ::close(descriptor_);
  descriptor_ = -1;
  // The new name is on the disk once its folder is; the file is good either way, so a failure here is no error.
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  if (const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

void AtomicFile::fail_with(int error) const {
  fail("save: cannot write '{}': {}; check the folder and the free space, or choose another place", path_,
       std::generic_category().message(error));
}

}  // namespace gradus
