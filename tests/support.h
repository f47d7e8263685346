// What the tests share: catching error texts, comparing values and bits, a folder for files, programs' output, and
// settings that go back when a test ends.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>  // mkdtemp
#include <sys/wait.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <gradus/core/runtime/buffer.h>
#include <gradus/core/runtime/cpu.h>
#include <gradus/core/runtime/parallel.h>
#include <gradus/core/tensor.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GRADUS_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GRADUS_TEST_SANITIZED 1
#endif
#endif

namespace gradus::testing {

#ifdef GRADUS_TEST_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// Whether the programs run on an emulated processor (make test-arm): ten to fifty times slower, and the emulator, not
/// the system, handles processes. Tests skip then that are about moments, signals and processes, not about numbers.
inline bool emulated() {
  return std::getenv("GRADUS_EMULATED") != nullptr;
}

/// The text of the Error that `f` throws, empty if it throws none.
template <class F>
std::string error_if_any(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

/// The text of the Error that `f` throws; the test fails if there is none.
template <class F>
std::string error_of(F f) {
  const std::string error = error_if_any(f);
  if (error.empty()) ADD_FAILURE() << "no Error was thrown";
  return error;
}

inline void expect_contains(const std::string& text, std::string_view part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
}

/// NaN equals itself here, and 0 differs from -0.
inline std::vector<std::uint64_t> bits(const std::vector<double>& values) {
  std::vector<std::uint64_t> all;
  all.reserve(values.size());
  for (const double value : values) all.push_back(std::bit_cast<std::uint64_t>(value));
  return all;
}
inline std::vector<std::uint64_t> bits(const Tensor& x) {
  return bits(x.to_vector());
}

/// NaN and infinities agree with themselves alone.
inline void expect_close(const Tensor& x, const std::vector<double>& expected, double tolerance = 1e-12) {
  const std::vector<double> values = x.to_vector();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] == expected[i] || (std::isnan(values[i]) && std::isnan(expected[i]))) continue;
    EXPECT_NEAR(values[i], expected[i], tolerance) << "at " << i;
  }
}

inline void expect_close(const Tensor& x, const Tensor& expected, double tolerance = 1e-12) {
  EXPECT_EQ(x.shape(), expected.shape()) << fmt::format("{} and {}", x.shape(), expected.shape());
  expect_close(x, expected.to_vector(), tolerance);
}

class WithThreads {
 public:
  explicit WithThreads(int threads) : before_(num_threads()) { set_num_threads(threads); }
  ~WithThreads() { set_num_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_;
};

class WithInstructionSet {
 public:
  explicit WithInstructionSet(std::string_view name) : before_(instruction_set()) { set_instruction_set(name); }
  ~WithInstructionSet() { set_instruction_set(before_); }
  WithInstructionSet(const WithInstructionSet&) = delete;
  WithInstructionSet& operator=(const WithInstructionSet&) = delete;

 private:
  std::string_view before_;
};

/// The instruction sets that a test goes through by itself: all that there are; under GRADUS_ISA that one alone, since
/// `make isa` starts every program with each.
inline std::vector<std::string_view> tested_instruction_sets() {
  if (std::getenv("GRADUS_ISA") != nullptr) return {instruction_set()};
  return available_instruction_sets();
}

/// f(dtype), or a generic f<float>() and f<double>(), with each of those instruction sets.
template <class F>
void everywhere(const F& f) {
  for (const std::string_view isa : tested_instruction_sets()) {
    const WithInstructionSet guard(isa);
    for (const DType dtype : {DType::f32, DType::f64}) {
      SCOPED_TRACE(fmt::format("{} {}", isa, dtype));
      if constexpr (std::is_invocable_v<const F&, DType>) {
        f(dtype);
      } else {
        dispatch(dtype, f);
      }
    }
  }
}

/// Blocks of the pool hold NaN when they are handed out next: what an op does not write shows.
inline void poison_the_pool() {
  constexpr std::size_t largest = 4096, step = 64, blocks = 8;
  for (std::size_t bytes = step; bytes <= largest; bytes += step) {
    std::array<void*, blocks> taken{};
    for (void*& block : taken) std::memset(block = pool_allocate(bytes), 0xff, bytes);
    for (void* const block : taken) pool_free(block, bytes);
  }
}

/// Whether freed blocks are kept for the next use; under AddressSanitizer they are not.
inline bool pool_keeps_blocks() {
  constexpr std::size_t bytes = 1000;
  pool_free(pool_allocate(bytes), bytes);
  const std::size_t before = memory_stats().system_allocations;
  pool_free(pool_allocate(bytes), bytes);
  return memory_stats().system_allocations == before;
}

/// A new folder under the system's temporary one, deleted with everything in it at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gradus-test-XXXXXX").string();
    const char* const made = ::mkdtemp(name.data());
    if (made == nullptr) throw Error("TempFolder: cannot make " + name);
    path_ = made;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
    return names;
  }

 private:
  std::filesystem::path path_;
};

inline void write(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// The file's bytes; empty if it cannot be opened.
inline std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct ProgramResult {
  int status;  // exit status, or 128 + the signal that ended it
  std::string output;
};

/// What a command for the shell prints, and its exit status.
inline ProgramResult run(const std::string& command) {
  ProgramResult result{-1, {}};
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw Error("run: cannot start " + command);
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

/// What a program of build/bin prints, stderr included; the test fails unless it ends well.
inline std::string output_of(const std::string& program_and_arguments, const std::string& environment = "") {
  const ProgramResult result = run(environment + " " + GRADUS_BIN_DIR "/" + program_and_arguments + " 2>&1");
  EXPECT_EQ(result.status, 0) << program_and_arguments << " failed:\n" << result.output;
  return result.output;
}

}  // namespace gradus::testing
