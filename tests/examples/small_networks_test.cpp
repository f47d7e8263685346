// scalar_graph and moons, run as a user would run them: the numbers they print are the ones micrograd prints, and the
// classifier separates its moons with every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include <gradus/core/cpu.h>

#include "../support.h"

namespace {

using gradus::testing::output_of;

TEST(ScalarGraph, PrintsMicrogradsNumbers) {
  EXPECT_EQ(output_of("scalar_graph"), "24.7041\n138.8338\n645.5773\n");
}

TEST(Moons, ReachesAHundredPercent) {
  for (const std::string_view isa : gradus::available_instruction_sets()) {
    const std::string text = output_of("moons", "GRADUS_ISA=" + std::string(isa));
    EXPECT_NE(text.find("100 points, 337 parameters"), std::string::npos) << text;
    EXPECT_NE(text.find("step   0"), std::string::npos) << text;
    const std::size_t last = text.find("step 100");
    ASSERT_NE(last, std::string::npos) << text;
    const std::string line = text.substr(last, text.find('\n', last) - last);
    EXPECT_TRUE(line.ends_with("accuracy 100%")) << line;
    EXPECT_NE(text.find("####"), std::string::npos) << "the picture is missing";
  }
}

TEST(Moons, PrintsTheSameAtAnyNumberOfThreads) {
  EXPECT_EQ(output_of("moons", "GRADUS_NUM_THREADS=1"), output_of("moons", "GRADUS_NUM_THREADS=3"));
}

TEST(Examples, PrintWhatTheyPromise) {
  EXPECT_EQ(output_of("xor"), "00 01 10 11 -> 0.001 0.999 0.999 0.001\n");
  const std::string custom = output_of("custom");
  EXPECT_NE(custom.find("gradcheck passed"), std::string::npos) << custom;
  EXPECT_NE(custom.find("gradcheck failed: 12 of 12"), std::string::npos) << custom;
}

TEST(Microgpt, TrainsInAtMostItsNumberOfLines) {
  const std::string text = output_of("microgpt");
  EXPECT_NE(text.find("parameters 4192"), std::string::npos) << text;
  EXPECT_NE(text.find("sample 20: "), std::string::npos) << text;
  std::ifstream file(GRADUS_SOURCE_DIR "/examples/microgpt.cpp");
  EXPECT_LE(std::count(std::istreambuf_iterator<char>(file), {}, '\n'), 243);
}

}  // namespace
