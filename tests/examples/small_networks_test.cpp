// scalar_graph and moons, run as a user would run them: the numbers they print are the ones micrograd prints, and the
// classifier separates its moons with every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include <gradus/core/runtime/cpu.h>

#include "../support.h"

namespace {

using gradus::testing::output_of;
using gradus::testing::ProgramResult;
using gradus::testing::read;
using gradus::testing::run;
using gradus::testing::tested_instruction_sets;

TEST(ScalarGraph, PrintsMicrogradsNumbers) {
  EXPECT_EQ(output_of("scalar_graph"), "24.7041\n138.8338\n645.5773\n");
}

// In a folder of its own, because it leaves a picture.
std::string moons(const std::string& environment) {
  const gradus::testing::TempFolder folder;
  return output_of("moons", "cd " + folder.path().string() + " && " + environment);
}

TEST(Moons, ReachesAHundredPercent) {
  for (const std::string_view isa : tested_instruction_sets()) {
    const std::string text = moons("GRADUS_ISA=" + std::string(isa));
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
  EXPECT_EQ(moons("GRADUS_NUM_THREADS=1"), moons("GRADUS_NUM_THREADS=3"));
}

TEST(Examples, PrintWhatTheyPromise) {
  EXPECT_EQ(output_of("xor"), "00 01 10 11 -> tensor([0.001, 0.999, 0.999, 0.001], shape (4))\n");
  const std::string custom = output_of("custom");
  EXPECT_NE(custom.find("gradcheck passed"), std::string::npos) << custom;
  EXPECT_NE(custom.find("gradcheck failed: 12 of 12"), std::string::npos) << custom;
}

TEST(Examples, DrawWhatTheyPromise) {
  const gradus::testing::TempFolder folder;
  const auto run_there = [&](const std::string& program) {
    return run("cd " + folder.path().string() + " && " GRADUS_BIN_DIR "/" + program + " 2>&1");
  };
  for (const auto& [program, pictures] : {std::pair{"graph", std::vector{"neuron.svg", "gpt.svg"}},
                                          {"sine", {"sine.svg"}},
                                          {"ladder 30", {"ladder.svg"}}}) {
    const ProgramResult result = run_there(program);
    EXPECT_EQ(result.status, 0) << program << "\n" << result.output;
    for (const char* const picture : pictures) EXPECT_TRUE(read(folder / picture).ends_with("</svg>\n")) << picture;
  }
}

// 100 pictures, each with a bar as far to the right as its label says, in MNIST's format.
TEST(Digits, ReadsMnistsFiles) {
  const gradus::testing::TempFolder folder;
  std::string images("\0\0\x08\x03\0\0\0\x64\0\0\0\x1c\0\0\0\x1c", 16), labels("\0\0\x08\x01\0\0\0\x64", 8);
  for (int i = 0; i < 100; ++i) {
    labels += static_cast<char>(i % 10);
    for (int p = 0; p < 28 * 28; ++p) images += p % 28 / 2 == i % 10 + 2 ? '\xff' : '\0';
  }
  gradus::testing::write(folder / "images", images);
  gradus::testing::write(folder / "labels", labels);
  gradus::testing::write(folder / "short", images.substr(0, 5000));
  const auto digits = [&](const std::string& arguments) {
    return run("cd " + folder.path().string() + " && " GRADUS_BIN_DIR "/digits " + arguments + " 2>&1");
  };
  const ProgramResult read = digits("images labels");
  EXPECT_EQ(read.status, 0) << read.output;
  EXPECT_NE(read.output.find("100 digits read, 20 of them held out"), std::string::npos) << read.output;
  EXPECT_NE(read.output.find("ConvNet"), std::string::npos) << read.output;
  for (const auto& [arguments, error] : {std::pair{"labels images", "is it a file of labels?"},
                                         {"short labels", "'short': its shape (100, 28, 28) needs 78400 bytes"},
                                         {"none labels", "'none': there is no such file"},
                                         {"images", "digits: got 1 arguments"}}) {
    const ProgramResult result = digits(arguments);
    EXPECT_EQ(result.status, 1) << arguments;
    EXPECT_NE(result.output.find(error), std::string::npos) << result.output;
  }
}

TEST(Microgpt, TrainsInAtMostItsNumberOfLines) {
  const std::string text = output_of("microgpt");
  EXPECT_NE(text.find("parameters 4192"), std::string::npos) << text;
  EXPECT_NE(text.find("sample 20: "), std::string::npos) << text;
  std::ifstream file(GRADUS_SOURCE_DIR "/examples/microgpt.cpp");
  EXPECT_LE(std::count(std::istreambuf_iterator<char>(file), {}, '\n'), 243);
}

}  // namespace
