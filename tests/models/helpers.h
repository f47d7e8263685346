// What the tests of models share: a folder that goes away, an error's text, small models and data.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gradus/core/check.h>
#include <gradus/models/dataset.h>
#include <gradus/models/gpt.h>

namespace gradus::models::testing {

class TempFolder {
 public:
  TempFolder() {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() / fmt::format("gradus-{}-{}", ::getpid(), count++);
    std::filesystem::create_directory(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The text of the Error that f throws; empty when it throws none.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline GPTConfig small_config(Index vocab_size = 11, Index block_size = 8) {
  return {.vocab_size = vocab_size, .block_size = block_size, .n_layer = 2, .n_head = 2, .n_embd = 8};
}

/// Ragged made-up words over a few letters.
inline std::vector<std::string> words(int count) {
  std::vector<std::string> result;
  for (int i = 0; i < count; ++i) {
    std::string word;
    for (int rest = i * 7919 + 13; rest > 0 && word.size() < 6; rest /= 5) word += static_cast<char>('a' + rest % 5);
    result.push_back(word + static_cast<char>('a' + i % 5));
  }
  return result;
}

}  // namespace gradus::models::testing
