// The code in the front pages is a program of examples/, and what it prints is what the pages say: the first ```cpp
// block must be first_steps.cpp, and the ```text block after it its output.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) output.append(buffer.data(), n);
  return output;
}

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
  EXPECT_EQ(block(page, "text", position), output_of(GRADUS_BIN_DIR "/first_steps"));
}

INSTANTIATE_TEST_SUITE_P(Pages, FrontPage, testing::Values("README.md", "README.ko.md"),
                         [](const auto& page) { return page.index == 0 ? "English" : "Korean"; });

}  // namespace
