// What the core tests share: catching error texts, comparing bits, and settings that go back when a test ends.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/cpu.h>
#include <gradus/core/gradcheck.h>
#include <gradus/core/parallel.h>
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

/// The text of the Error that `f` throws; the test fails if there is none.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
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

inline void expect_close(const Tensor& x, const std::vector<double>& expected, double tolerance = 1e-12) {
  const std::vector<double> values = x.to_vector();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << "at " << i;
}

/// EXPECT_TRUE(passes(gradcheck(f, x))) shows the report where EXPECT_TRUE(gradcheck(f, x)) shows only "false".
inline ::testing::AssertionResult passes(const GradcheckReport& report) {
  return ::testing::AssertionResult(report.passed) << to_string(report);
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

}  // namespace gradus::testing
