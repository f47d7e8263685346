#include <gradus/core/runtime/platform.h>

#include <cxxabi.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace gradus::platform {
namespace {

std::error_code last_error() {
  return {errno, std::generic_category()};
}

}  // namespace

void* allocate(std::size_t bytes) {
#if defined(__linux__)
  // Large blocks ask for large pages: 512 times fewer page faults, and a matrix whose rows lie a page or more apart
  // stays within reach of the processor's page table cache.
  constexpr std::size_t large_page = std::size_t{1} << 21;
  if (bytes >= 2 * large_page) {
    void* const block = std::aligned_alloc(large_page, (bytes + large_page - 1) / large_page * large_page);
    if (block != nullptr) ::madvise(block, bytes, MADV_HUGEPAGE);  // a wish; small pages serve as well
    return block;
  }
#endif
  constexpr std::size_t alignment = 64;
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void release_free_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

int processors() {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

#if defined(__linux__)
namespace {

// The number after `key` in a file of lines "key number", or the only number of the file if `key` is empty. No number
// for "max" and for a missing key.
std::optional<std::size_t> number_in(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const char* const text = line.c_str() + key.size();
    char* end = nullptr;
    const unsigned long long number = std::strtoull(text, &end, 10);
    if (end != text) return static_cast<std::size_t>(number);
  }
  return std::nullopt;
}

// The names of the files in a control group's folder.
struct GroupFiles {
  const char *limit, *use;
  std::string_view cache;  // in memory.stat
};

// The memory that a control group leaves: its limit minus what is in use and cannot be dropped.
std::optional<std::size_t> left_in(const std::string& folder, const GroupFiles& files) {
  const auto limit = number_in(folder + files.limit, ""), use = number_in(folder + files.use, "");
  if (!limit || !use) return std::nullopt;
  const std::size_t dropped = std::min(number_in(folder + "memory.stat", files.cache).value_or(0), *use);
  return *limit - std::min(*limit, *use - dropped);
}

// The memory left by the control group that `list` names after `kind`, and by each group around it up to `root`.
std::size_t left_in_groups(const std::string& list, std::string_view kind, const std::string& root,
                           const GroupFiles& files) {
  std::string path;
  std::ifstream file(list);
  for (std::string line; path.empty() && std::getline(file, line);) {
    const std::size_t found = line.find(kind);
    if (found != std::string::npos) path = line.substr(found + kind.size());
  }
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (bool more = true; more;) {
    if (path == "/") path.clear();
    least = std::min(least, left_in(root + path + "/", files).value_or(least));
    more = !path.empty();
    path.erase(std::min(path.rfind('/'), path.size()));
  }
  return least;
}

}  // namespace
#endif

std::size_t available_memory([[maybe_unused]] const std::string& root) {
#if defined(__linux__)
  std::size_t least = std::numeric_limits<std::size_t>::max();
  constexpr std::size_t kilobyte = 1024;
  if (const auto free = number_in(root + "/proc/meminfo", "MemAvailable:")) least = *free * kilobyte;
  const std::string list = root + "/proc/self/cgroup", groups = root + "/sys/fs/cgroup";
  // Lines are "0::/path" in version 2, "5:memory:/path" in version 1.
  least = std::min(least, left_in_groups(list, "0::", groups, {"memory.max", "memory.current", "inactive_file "}));
  least = std::min(least, left_in_groups(list, ":memory:", groups + "/memory",
                                         {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "}));
  return least == std::numeric_limits<std::size_t>::max() ? 0 : std::max<std::size_t>(1, least);
#else
  return 0;
#endif
}

bool after_fork(void (*in_child)()) {
  return ::pthread_atfork(nullptr, nullptr, in_child) == 0;
}

bool around_fork(void (*before)(), void (*after)()) {
  return ::pthread_atfork(before, after, after) == 0;
}

void keep_loaded() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<void*>(&keep_loaded), &self) == 0 || self.dli_fname == nullptr) return;
  // The handle is not closed. There is none for the program itself, which is not unloaded either.
  static_cast<void>(::dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE));
}

std::string type_name(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> plain(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                          &std::free);
  return status == 0 ? plain.get() : mangled;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "this machine";
  return name.data();
}

long process_id() {
  return ::getpid();
}
bool process_exists(long id) {
  return std::in_range<pid_t>(id) && (::kill(static_cast<pid_t>(id), 0) == 0 || errno != ESRCH);
}

std::error_code File::open(const std::filesystem::path& path, Mode mode) {
  close();
  const int flags = mode == Mode::read     ? O_RDONLY
                    : mode == Mode::create ? O_WRONLY | O_CREAT | O_EXCL
                                           : O_WRONLY | O_CREAT | O_APPEND;
  descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  return descriptor_ < 0 ? last_error() : std::error_code();
}

std::error_code File::lock(const std::filesystem::path& path, std::string_view text) {
  close();
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return last_error();
  // is_locked() of another process has the lock for a moment.
  bool locked = false;
  for (int tries = 0; tries < 50 && !locked; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno != EWOULDBLOCK && errno != EINTR) break;
  }
  if (!locked) {
    const std::error_code error = last_error();
    close();
    return error;
  }
  if (::ftruncate(descriptor_, 0) == 0) static_cast<void>(write(text));
  return {};
}

bool File::is_locked(const std::filesystem::path& path) {
  File file;
  if (file.open(path, Mode::read)) return false;
  return ::flock(file.descriptor_, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::error_code File::read(std::string& bytes, std::size_t most) {
  for (constexpr std::size_t chunk = 1 << 16;;) {
    const std::size_t size = bytes.size();
    bytes.resize(size + chunk);
    const ssize_t got = ::read(descriptor_, bytes.data() + size, chunk);
    const std::error_code error = got < 0 ? last_error() : std::error_code();
    bytes.resize(size + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (error == std::errc::interrupted) continue;
    if (error || got == 0) return error;
    if (bytes.size() > most) return std::make_error_code(std::errc::file_too_large);
  }
}

std::error_code File::write(std::string_view& bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    if (written == 0) return std::make_error_code(std::errc::io_error);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::error_code File::sync() {
  return ::fsync(descriptor_) == 0 ? std::error_code() : last_error();
}

void File::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

std::error_code MappedFile::open(const std::filesystem::path& path) {
  *this = MappedFile();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return last_error();
  struct stat about {};
  std::error_code error = ::fstat(descriptor, &about) == 0 ? std::error_code() : last_error();
  if (!error && !S_ISREG(about.st_mode)) error = std::make_error_code(std::errc::invalid_argument);
  if (!error && about.st_size > 0) {
    void* const memory =
        ::mmap(nullptr, static_cast<std::size_t>(about.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (memory == MAP_FAILED) {
      error = last_error();
    } else {
      data_ = memory;
      size_ = static_cast<std::size_t>(about.st_size);
    }
  }
  ::close(descriptor);
  return error;
}

void reserve_standard_streams() {
  int descriptor = 0;
  while (descriptor >= 0 && descriptor <= STDERR_FILENO) descriptor = ::open("/dev/null", O_RDONLY);
  if (descriptor > STDERR_FILENO) ::close(descriptor);
}

std::error_code sync_folder(const std::filesystem::path& folder) {
  File file;
  if (const std::error_code error = file.open(folder, File::Mode::read)) return error;
  return file.sync();
}

}  // namespace gradus::platform
