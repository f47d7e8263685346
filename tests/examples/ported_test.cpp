// examples/networks: each program trains for a short time as a user would run it, and is hardly longer than its
// original in PyTorch.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "../support.h"

namespace {

using gradus::testing::ProgramResult;
using gradus::testing::read;
using gradus::testing::run;

// In a folder of its own, because some leave a picture.
ProgramResult trained(const gradus::testing::TempFolder& folder, const std::string& program) {
  return run("cd " + folder.path().string() + " && " GRADUS_BIN_DIR "/" + program + " 2>&1");
}

void expect_prints(const std::string& program, const std::string& text) {
  const gradus::testing::TempFolder folder;
  const ProgramResult result = trained(folder, program);
  EXPECT_EQ(result.status, 0) << program << "\n" << result.output;
  EXPECT_NE(result.output.find(text), std::string::npos) << program << "\n" << result.output;
}

TEST(Ported, DqnPlays) {
  expect_prints("dqn 0.1", "episode  20  mean reward of the last 20: ");
}
TEST(Ported, ReinforcePlays) {
  expect_prints("reinforce 0.1", "episode  50  mean reward of the last 50: ");
}
TEST(Ported, PinnComesCloseToTheSine) {
  expect_prints("pinn 0.01", "largest error against sin(x): ");
}
TEST(Ported, SkipgramFindsWordsOfAKind) {
  expect_prints("skipgram 0.1", "\ncat: ");
}
TEST(Ported, L1FindsTheWeightsThatMatter) {
  expect_prints("l1", "penalty 0.2: 4 of 20 weights are not 0");
}
TEST(Ported, MdnDraws) {
  const gradus::testing::TempFolder folder;
  const ProgramResult result = trained(folder, "mdn 0.01");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_NE(result.output.find("negative log likelihood of new points "), std::string::npos) << result.output;
  EXPECT_TRUE(read(folder / "mdn.svg").ends_with("</svg>\n"));
}

// Lines that are neither blank nor a comment.
int code_lines(const std::filesystem::path& path, const std::string& comment) {
  std::ifstream file(path);
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos && line.compare(first, comment.size(), comment) != 0) ++count;
  }
  return count;
}

TEST(Ported, IsHardlyLongerThanItsOriginal) {
  const std::filesystem::path folder(GRADUS_SOURCE_DIR "/examples/networks");
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string name = entry.path().stem().string();
    const int ours = code_lines(entry.path(), "//"), theirs = code_lines(folder / "pytorch" / (name + ".py"), "#");
    EXPECT_LE(ours, 1.3 * theirs) << name << ": " << ours << " lines, the original has " << theirs;
    ++found;
  }
  EXPECT_GE(found, 6);
}

}  // namespace
