// microgpt_replay on a few words against a plain-Python program of the same rules, a scalar at a time: the losses, the
// samples, and one line on stderr for what goes wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include <gradus/core/runtime/cpu.h>

#include "../support.h"

namespace gradus::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* words = "emma\nolivia\nava\nnicknames\nzo\namelia\nalexander\n";

// Printed by microgpt.py's algorithm, rewritten for a check and run with CPython 3.11 on `words`, with
// random.seed(3), n_layer 2, n_embd 8, n_head 2, block_size 5, num_steps 30. Two of the words are longer than that
// context. At seed 42 and the sizes of microgpt.py the same program printed that one's losses to the last digit.
constexpr const char* flags = "--seed 3 --layers 2 --width 8 --heads 2 --context 5 --steps 30";
const std::vector<double> python_losses{
    2.7898203750682455, 2.8505734274160117, 2.7924531045235077, 2.9141223976317776, 2.520810794838151,
    2.8700987288300657, 2.6761173061612276, 2.437789352543156,  2.4807080388286242, 2.4952535184192834,
    2.6887190544184194, 2.2648373879592607, 2.615688688297416,  2.4632008238934757, 2.279828040510844,
    2.21815496386779,   2.3664927252605965, 2.524539398430018,  2.0473303291707428, 2.437283743259738,
    2.3091666705358445, 2.133098303009621,  1.9773884632530374, 2.2803171927046657, 2.3995722338943177,
    1.8945954240816165, 2.323129642314479,  2.2197896626577682, 2.044412468064915,  1.845930875152983};
constexpr const char* python_samples =
    "sample  1: avvni\n"
    "sample  2: liimi\n"
    "sample  3: ev\n"
    "sample  4: am\n"
    "sample  5: emxa\n"
    "sample  6: emini\n"
    "sample  7: al\n"
    "sample  8: omoli\n"
    "sample  9: a\n"
    "sample 10: nva\n"
    "sample 11: ammam\n"
    "sample 12: xolol\n"
    "sample 13: xla\n"
    "sample 14: aloam\n"
    "sample 15: snir\n"
    "sample 16: dmii\n"
    "sample 17: zaicv\n"
    "sample 18: aiva\n"
    "sample 19: a\n"
    "sample 20: oivek\n";

struct Replay : ::testing::Test {
  Replay() { write(folder / "words.txt", words); }
  ProgramResult run_with(const std::string& arguments, const std::string& environment = "") const {
    return run("cd " + folder.path().string() + " && " + environment + " " GRADUS_BIN_DIR "/microgpt_replay " +
               arguments + " 2>&1");
  }
  void expect_error(const std::string& arguments, int status, const std::string& text) const {
    const ProgramResult result = run_with(arguments);
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, AllOf(StartsWith("microgpt_replay: "), HasSubstr(text)));
    EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
  }

  const TempFolder folder;
};

TEST_F(Replay, LossesAndSamplesArePythons) {
  for (const std::string_view isa : tested_instruction_sets()) {
    SCOPED_TRACE(isa);
    const ProgramResult result =
        run_with(std::string("--data words.txt --losses losses.txt ") + flags, "GRADUS_ISA=" + std::string(isa));
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("documents 7, vocabulary 16, parameters 1832\n"));
    ASSERT_NE(result.output.find("sample"), std::string::npos);
    EXPECT_EQ(result.output.substr(result.output.find("sample")), python_samples);

    std::istringstream lines(read(folder / "losses.txt"));
    std::size_t step = 0;
    for (double loss = 0; lines >> step >> loss;) {
      ASSERT_LE(step, python_losses.size());
      EXPECT_NEAR(loss, python_losses[step - 1], 1e-12) << "step " << step;
    }
    EXPECT_EQ(step, python_losses.size());
  }
}

TEST_F(Replay, MistakesAreOneSentence) {
  expect_error("", 2, "--data");
  for (const char* flag : {"--steps", "--layers", "--width", "--heads", "--context"}) {
    for (const char* value : {" 0", " -3", " many"})
      expect_error(std::string("--data words.txt ") + flag + value, 2, flag);
  }
  for (const char* seed : {"-7", "1.5", "18446744073709551616", "''"}) {
    expect_error(std::string("--data words.txt --seed ") + seed, 2, "--seed");
  }
  expect_error("--data words.txt --nonsense", 2, "--nonsense");
  expect_error("--data words.txt --width 10 --heads 4", 1, "width 10 cannot be split");
  expect_error("--data none.txt", 1, "none.txt");
  expect_error("--data .", 1, "folder");
  write(folder / "empty.txt", "");
  expect_error("--data empty.txt", 1, "empty.txt");
  write(folder / "blank.txt", " \n \n");
  expect_error("--data blank.txt", 1, "white space");
  expect_error("--data words.txt --losses none/losses.txt", 1, "none/losses.txt");
  EXPECT_EQ(folder.files().size(), 3U);
}

}  // namespace
}  // namespace gradus::testing
