// The programs of examples/networks at a small size, run as a user would run them; each is about as long as the PyTorch
// program that it was ported from.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "../support.h"
#include "programs.h"

namespace {

namespace fs = std::filesystem;
using gradus::testing::last_number;
using gradus::testing::ProgramResult;
using gradus::testing::read;
using gradus::testing::run_in;
using gradus::testing::TempFolder;

const fs::path networks = fs::path(GRADUS_SOURCE_DIR) / "examples/networks";

std::vector<std::string> programs() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(networks)) {
    if (entry.path().extension() == ".cpp") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

class Networks : public testing::TestWithParam<std::string> {};

TEST_P(Networks, RunAtASmallSize) {
  const TempFolder folder;
  const ProgramResult result = run_in(folder, GetParam() + " 0.05");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(std::regex_search(result.output, std::regex("[0-9]"))) << result.output;
  EXPECT_FALSE(std::regex_search(result.output, std::regex("\\bnan\\b"))) << result.output;
}

// Lines that are neither blank nor a comment.
double lines_of_code(const fs::path& file, const std::string& comment) {
  std::ifstream lines(file);
  EXPECT_TRUE(lines.good()) << file << " is missing";
  double count = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start != std::string::npos && line.compare(start, comment.size(), comment) != 0) ++count;
  }
  return count;
}

TEST_P(Networks, AreAboutAsLongAsInPyTorch) {
  const double ours = lines_of_code(networks / (GetParam() + ".cpp"), "//");
  EXPECT_LE(ours, 1.3 * lines_of_code(networks / "pytorch" / (GetParam() + ".py"), "#"));
}

INSTANTIATE_TEST_SUITE_P(Examples, Networks, testing::ValuesIn(programs()),
                         [](const auto& program) { return program.param; });

TEST(NetworksLearn, WhatTheyAreFor) {
  const TempFolder folder;
  EXPECT_LT(last_number(run_in(folder, "attention 0.21").output, "loss "), 1.5);
  EXPECT_GT(last_number(run_in(folder, "resnet 0.25").output, "new pictures "), 35);
  EXPECT_LT(last_number(run_in(folder, "lstm 0.1").output, "new names "), 2.6);
  const std::string flats = run_in(folder, "tabular").output;
  EXPECT_LT(last_number(flats, "epoch 20  off by "), last_number(flats, "mean price: off by ") / 3);
  const std::string digits = run_in(folder, "vae 0.2").output;
  EXPECT_LT(last_number(digits, "lost "), 60);
  EXPECT_TRUE(read(folder / "vae.svg").ends_with("</svg>\n"));
}

// Random actions keep the pole up for some 22 steps.
TEST(NetworksLearn, ToPlaySolveAndFind) {
  const TempFolder folder;
  EXPECT_GT(last_number(run_in(folder, "dqn 0.7").output, "last 10: "), 50);
  EXPECT_GT(last_number(run_in(folder, "reinforce 0.3").output, "last 30: "), 60);
  EXPECT_LT(last_number(run_in(folder, "pinn 0.3").output, "exact solution: "), 1e-3);
  EXPECT_TRUE(read(folder / "pinn.svg").ends_with("</svg>\n"));
  EXPECT_LT(last_number(run_in(folder, "mdn 0.2").output, "new points "), -0.3);
  EXPECT_TRUE(read(folder / "mdn.svg").ends_with("</svg>\n"));
  EXPECT_EQ(last_number(run_in(folder, "l1").output, "penalty 0.2: "), 4);
  EXPECT_LT(last_number(run_in(folder, "skipgram 0.3").output, "loss "), 2.3);
}

}  // namespace
