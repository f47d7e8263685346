// The examples that take gradients of gradients, at a small size.
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "../support.h"
#include "programs.h"

namespace {

using gradus::testing::last_number;
using gradus::testing::output_of;
using gradus::testing::ProgramResult;
using gradus::testing::read;
using gradus::testing::run_in;
using gradus::testing::TempFolder;

// What the program says at this size, once it has left its picture.
std::string output_at(const TempFolder& folder, const std::string& program, const std::string& scale) {
  const ProgramResult result = run_in(folder, program + " " + scale);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(read(folder / (program + ".svg")).ends_with("</svg>\n"));
  return result.output;
}

// -152.005 is from Basdevant et al. 1986, "Spectral and finite difference solutions of the Burgers equation". The
// network begins at an error of 0.59.
TEST(Burgers, KnowsTheExactSolutionAndComesNearer) {
  const TempFolder folder;
  const std::string text = output_at(folder, "burgers", "0.03");
  EXPECT_EQ(last_number(text, "exactly "), -152.0);
  EXPECT_LT(last_number(text, "exact solution: "), 0.53);
}

TEST(Sdf, FindsTheDistanceFromTheBorderAlone) {
  const TempFolder folder;
  const std::string text = output_at(folder, "sdf", "0.1");
  EXPECT_LT(last_number(text, "mean error of the distance: "), 0.04);
  EXPECT_GT(last_number(text, ", and "), 0.2);
}

TEST(WganGp, DrawsPointsNearerToTheData) {
  const TempFolder folder;
  const std::string text = output_at(folder, "wgan_gp", "0.05");
  EXPECT_LT(last_number(text, "before and "), last_number(text, "sliced Wasserstein distance ") / 4);
}

// All find the same minimum; Newton's method in the fewest iterations by far.
TEST(Newton, NeedsTheFewestIterations) {
  std::istringstream lines(output_of("newton"));
  const auto row = [&](const std::string& name) {
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(name)) return std::istringstream(line.substr(name.size()));
    }
    ADD_FAILURE() << "no row of " << name;
    return std::istringstream();
  };
  double losses[3] = {}, slope = 1;
  int iterations[3] = {}, passes[3] = {}, i = 0;
  for (const char* const name : {"gradient descent", "L-BFGS", "Newton and CG"}) {
    row(name) >> iterations[i] >> passes[i] >> losses[i] >> slope;
    EXPECT_LE(slope, 1e-8) << name;
    EXPECT_NEAR(losses[i], losses[0], 1e-12) << name;
    ++i;
  }
  EXPECT_GT(iterations[0], 1000);
  EXPECT_LT(iterations[1], 100);
  EXPECT_LT(iterations[2], 15);
  EXPECT_LT(passes[2], 100);
}

}  // namespace
