// Everything that gradus asks of the operating system beyond the C++ standard library: memory in large pages, the
// number of processors, the machine's name, fork(), files that survive a power cut; also readable names of types. POSIX
// only; another system needs its own platform.cpp.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace gradus::platform {
#pragma GCC visibility push(default)

/// `bytes` of memory aligned to 64, or null when there is none left. std::free gives it back.
void* allocate(std::size_t bytes);

/// Returns free memory between the blocks of the C library's heap to the system, if that library can.
void release_free_memory();

/// How many processors this process may use, at least 1; under taskset or in a container fewer than the machine has.
int processors();

/// How many bytes this process can still allocate before the machine or its container, whichever comes first, is full.
/// 0 means that the system does not tell; a known number is at least 1. `root` is put before the paths of the system's
/// files, for tests.
std::size_t available_memory(const std::string& root = "");

/// Calls `in_child` in each child that fork() makes from now on. False if the system has no memory for that.
bool after_fork(void (*in_child)());

/// Calls `before` before each fork() from now on, and `after` after it in parent and child. False if the system has no
/// memory for that.
bool around_fork(void (*before)(), void (*after)());

/// Keeps the shared object with this library loaded until the program ends, even after dlclose(): its threads may be
/// running its code and call its destructors when they end. Does nothing in a program that links the library
/// statically.
void keep_loaded();

/// The readable form of what typeid(..).name() gives: "gradus::nn::Linear".
std::string type_name(const char* mangled);

/// The name of this machine in its network; "this machine" where the system does not tell.
std::string host_name();

long process_id();
bool process_exists(long id);

/// A file opened by POSIX calls, because std::fstream does not say why an operation failed.
class File {
 public:
  enum class Mode { read, create, append };  // create refuses a file that exists, append makes one that does not

  File() = default;
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] std::error_code open(const std::filesystem::path& path, Mode mode);
  bool is_open() const { return descriptor_ >= 0; }
  /// Opens or creates a file and locks it for this process until close() or the end of the process; then writes `text`
  /// into it, as much as the disk takes. operation_would_block: another process has the lock.
  [[nodiscard]] std::error_code lock(const std::filesystem::path& path, std::string_view text);
  /// Whether another process has that lock. The file stays as it is.
  static bool is_locked(const std::filesystem::path& path);
  /// Reads the rest of the file and appends it to `bytes`. file_too_large when `bytes` grows past `most`, for files
  /// that never end.
  [[nodiscard]] std::error_code read(std::string& bytes, std::size_t most = std::numeric_limits<std::size_t>::max());
  /// Writes `bytes` and removes from it what was written: everything, or on failure the part that reached the file.
  [[nodiscard]] std::error_code write(std::string_view& bytes);
  /// Waits until what was written is on the disk.
  [[nodiscard]] std::error_code sync();
  void close();

 private:
  int descriptor_ = -1;
};

/// A regular file's bytes as memory, read-only: the system reads them when they are used.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { swap(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    swap(other);
    return *this;
  }
  ~MappedFile();

  [[nodiscard]] std::error_code open(const std::filesystem::path& path);
  const void* data() const { return data_; }  // null before open() and for an empty file
  std::size_t size() const { return size_; }

 private:
  void swap(MappedFile& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// For the first line of a program: opens standard input, output and error if they are closed, on /dev/null for
/// reading, so that writing to them fails. Otherwise the next file could get one of their numbers, and with it the
/// output that a terminal should show.
void reserve_standard_streams();

/// Waits until the entries of `folder` (new and renamed files) are on the disk.
std::error_code sync_folder(const std::filesystem::path& folder);

#pragma GCC visibility pop
}  // namespace gradus::platform
