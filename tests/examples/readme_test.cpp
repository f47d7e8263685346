// The code in the front pages is a program of examples/, and what it prints is what the pages say: the first ```cpp
// block must be first_steps.cpp, and the ```text block after it its output.
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "../support.h"

namespace {

using gradus::testing::output_of;
using gradus::testing::read;

// The first block that opens with ```language at or after `position`, which moves behind it.
std::string block(const std::string& page, const std::string& language, std::size_t& position) {
  const std::string opening = "```" + language + "\n";
  const std::size_t begin = page.find(opening, position);
  EXPECT_NE(begin, std::string::npos) << "no " << opening;
  if (begin == std::string::npos) return {};
  const std::size_t end = page.find("```", begin + opening.size());
  position = end + 3;
  return page.substr(begin + opening.size(), end - begin - opening.size());
}

class FrontPage : public testing::TestWithParam<const char*> {};

TEST_P(FrontPage, ShowsFirstStepsAndItsOutput) {
  const std::string page = read(std::string(GRADUS_SOURCE_DIR "/") + GetParam());
  std::size_t position = 0;
  EXPECT_EQ(block(page, "cpp", position), read(GRADUS_SOURCE_DIR "/examples/first_steps.cpp"));
  EXPECT_EQ(block(page, "text", position), output_of("first_steps"));
}

// The second ```cpp block stands, line by line, in a test of its own.
TEST_P(FrontPage, ShowsGradcheckAsItIsTested) {
  const std::string page = read(std::string(GRADUS_SOURCE_DIR "/") + GetParam());
  const std::string tested = read(GRADUS_SOURCE_DIR "/tests/nn/gradcheck_test.cpp");
  std::size_t position = 0;
  block(page, "cpp", position);
  std::istringstream lines(block(page, "cpp", position));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_NE(tested.find(line.substr(0, line.find("  //"))), std::string::npos) << line;  // comments are translated
  }
  EXPECT_GT(count, 10);
}

INSTANTIATE_TEST_SUITE_P(Pages, FrontPage, testing::Values("README.md", "README.ko.md"),
                         [](const auto& page) { return page.index == 0 ? "English" : "Korean"; });

}  // namespace
