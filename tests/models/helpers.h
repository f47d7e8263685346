// What the tests of models share: small models and data.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/dataset.h>

#include "../support.h"

namespace gradus::models::testing {

using gradus::testing::error_if_any;
using gradus::testing::error_of;
using gradus::testing::expect_close;
using gradus::testing::pool_keeps_blocks;
using gradus::testing::read;
using gradus::testing::TempFolder;
using gradus::testing::write;

inline GPTConfig small_config(Index vocab_size = 11, Index block_size = 8) {
  return {.vocab_size = vocab_size, .block_size = block_size, .n_layer = 2, .n_head = 2, .n_embd = 8};
}

/// A file of the reference data beside the sources, which not every machine has; GRADUS_SHARED names another folder.
inline std::filesystem::path shared(const std::string& file) {
  const char* const folder = std::getenv("GRADUS_SHARED");
  return std::filesystem::path(folder != nullptr ? folder : GRADUS_SOURCE_DIR "/../shared") / file;
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
