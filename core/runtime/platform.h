// All that gradus asks of the operating system beyond the C++ standard library: memory in large pages, processors,
// fork(), files that outlast a power cut, and the compiler's names of types. POSIX only; a system without it needs its
// own platform.cpp.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

namespace gradus::platform {
#pragma GCC visibility push(default)

/// `bytes` of memory aligned to 64, or null when there is none left. std::free gives it back.
void* allocate(std::size_t bytes);

/// Gives the system what lies free between the blocks of the C library's heap, where that library can.
void release_free_memory();

/// How many processors this process may use, at least 1: under taskset or in a container fewer than there are.
int processors();

/// How many bytes of memory this process can still have without the system running short: of the machine and of its
/// container, whichever is less; at least 1. 0: the system does not tell. `root` stands before the paths of the files
/// that tell it.
std::size_t available_memory(const std::string& root = "");

/// Has `in_child` called in each child that fork() makes from now on. False when the system has no memory for that.
bool after_fork(void (*in_child)());

/// Has `before` called before each fork() from now on, and `after` after it in parent and child. False when the system
/// has no memory for that.
bool around_fork(void (*before)(), void (*after)());

/// Keeps the shared object that this library is part of loaded until the program ends, whatever dlclose() is asked:
/// threads may be running its code, and have destructors of it to call when they end. Does nothing in a program.
void keep_loaded();

/// "gradus::nn::Linear" for what typeid(..).name() gives.
std::string type_name(const char* mangled);

long process_id();
bool process_exists(long id);

/// A file by the system's own calls, whose errors say what went wrong; those of standard streams do not.
class File {
 public:
  enum class Mode { read, create, append };  // create refuses a file that exists, append makes one that does not

  File() = default;
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] std::error_code open(const std::filesystem::path& path, Mode mode);
  bool is_open() const { return descriptor_ >= 0; }
  /// Opens or makes a file that one process at a time can have so, until close() or its end, however it ends, and puts
  /// `text` into it as far as the disk allows. operation_would_block: another one has it.
  [[nodiscard]] std::error_code lock(const std::filesystem::path& path, std::string_view text);
  /// All that is left, to the end of `bytes`; file_too_large once those are more than `most`, for what never ends.
  [[nodiscard]] std::error_code read(std::string& bytes, std::size_t most = std::numeric_limits<std::size_t>::max());
  /// Takes away from `bytes` what was written: all, or where it fails as much as reached the file.
  [[nodiscard]] std::error_code write(std::string_view& bytes);
  /// Waits until what was written is on the disk.
  [[nodiscard]] std::error_code sync();
  void close();

 private:
  int descriptor_ = -1;
};

/// For programs, first thing: gives standard input, output and error that were closed a place where nothing can be read
/// or written, so that no file gets their numbers and with them what is meant for a terminal.
void reserve_standard_streams();

/// Waits until the names in `folder` are on the disk.
std::error_code sync_folder(const std::filesystem::path& folder);

#pragma GCC visibility pop
}  // namespace gradus::platform
