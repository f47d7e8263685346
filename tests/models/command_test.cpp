// The program gpt as a user meets it: what it prints, its exit status, and one line on stderr for what goes wrong.
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::read;
using testing::Result;
using ::testing::StartsWith;
using testing::write;

using Command = testing::Command;

TEST_F(Command, TrainsSamplesAndJudges) {
  const Result trained = train({"--out", "run"});
  EXPECT_EQ(trained.status, 0) << trained.err;
  EXPECT_EQ(trained.err, "");
  for (const char* part : {"held-out loss before training", "held-out loss after training", "sample  1: ",
                           "sample 20: ", "of 20 are new", "saved in run", "gpt sample run", "tokens/s", "threads"}) {
    EXPECT_THAT(trained.out, HasSubstr(part));
  }
  EXPECT_THAT(last_line(trained.out), MatchesRegex("held-out loss [0-9]\\.[0-9][0-9][0-9][0-9]\n"));

  const Result sampled = gpt({"sample", "run", "--prompt", "ma", "--count", "3", "--max-tokens", "5"});
  EXPECT_EQ(sampled.status, 0);
  EXPECT_TRUE(std::regex_match(sampled.out, std::regex("(ma[^\n]{0,5}\n){3}"))) << sampled.out;
  EXPECT_EQ(gpt({"sample", "run", "--seed", "3"}).out, gpt({"sample", "run", "--seed", "3"}).out);

  const Result judged = gpt({"eval", "run"});
  EXPECT_EQ(judged.status, 0) << judged.err;
  const std::string loss = last_line(trained.out).substr(std::string("held-out loss ").size());
  EXPECT_THAT(judged.out, AllOf(HasSubstr("held-out loss       " + loss.substr(0, 6) + "   95 % sure"),
                                HasSubstr("perplexity"), HasSubstr("bits")));
  EXPECT_THAT(gpt({"eval", "run", "--json"}).out, StartsWith("{\"held_out_loss\": " + loss.substr(0, 4)));
}

TEST_F(Command, ChecksGradients) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const Result trained = gpt({"check", "run", "--entries", "2", "--sequences", "2"});
  EXPECT_EQ(trained.status, 0) << trained.out;
  EXPECT_THAT(trained.out, AllOf(HasSubstr("h.0.attn.c_attn.weight"), HasSubstr("gradcheck passed")));
  const Result fresh = gpt({"check", "--shape", "gpt2", "--width", "8", "--heads", "2", "--entries", "2"});
  EXPECT_EQ(fresh.status, 0) << fresh.out;
  EXPECT_THAT(fresh.out, AllOf(HasSubstr("h.1.mlp.c_proj.bias"), HasSubstr("gradcheck passed")));
  EXPECT_EQ(gpt({"check", "--shape", "microgpt", "--entries", "2"}).status, 0);
  expect_error(gpt({"check", "none"}), 1, "none");
  expect_error(gpt({"check", "--width", "10", "--heads", "4"}), 1, "width 10 cannot be split");
  expect_error(gpt({"check", "run", "--shape", "gpt2"}), 2, "--shape");
}

TEST_F(Command, SameSeedSameModel) {
  train({"--out", "a", "--threads", "1", "--quiet"});
  const Result quiet = train({"--out", "b", "--threads", "2", "--quiet"});
  EXPECT_EQ(quiet.out, last_line(quiet.out));
  train({"--out", "c", "--seed", "1", "--quiet"});
  EXPECT_NE(read(folder / "a/model.safetensors"), "");
  EXPECT_EQ(read(folder / "a/model.safetensors"), read(folder / "b/model.safetensors"));
  EXPECT_NE(read(folder / "a/model.safetensors"), read(folder / "c/model.safetensors"));
}

TEST_F(Command, OwnTexts) {
  write(folder / "korean.txt", "\xED\x95\x9C\xEB\xB3\x84\n\xEB\xB3\x84\xED\x95\x98\n\xED\x95\x98\xEB\x8A\x98\n");
  const Result korean = train({"--data", "korean.txt", "--samples", "2"});
  EXPECT_EQ(korean.status, 0) << korean.err;
  EXPECT_THAT(korean.out, AllOf(HasSubstr("3 documents"), HasSubstr("of 2 are new")));
  EXPECT_TRUE(std::filesystem::exists(folder / "runs/korean/model.safetensors"));

  std::string text;
  for (int i = 0; i < 200; ++i) text += fmt::format("line {}\n", i);
  write(folder / "text.txt", text);
  const Result running = train({"--preset", "shakespeare", "--data", "text.txt", "--context", "16"});
  EXPECT_EQ(running.status, 0) << running.err;
  EXPECT_THAT(running.out, HasSubstr("the last tenth held out"));
  const Result judged = gpt({"eval", "runs/text", "--data", "text.txt"});
  EXPECT_EQ(last_line(judged.out).substr(20, 6), last_line(running.out).substr(14, 6));
  write(folder / "other.txt", "line 1\nline 2\n");
  EXPECT_THAT(gpt({"eval", "runs/text", "--data", "other.txt"}).out, HasSubstr("all of other.txt"));
  write(folder / "text.txt", "changed");
  expect_error(gpt({"eval", "runs/text"}), 1, "--data");
}

TEST_F(Command, AnotherTextsModelIsNotReplacedUnasked) {
  write(folder / "names.txt", "anna\nberta\nclara\ndora\n");
  ASSERT_EQ(train({"--quiet"}).status, 0);
  const std::string bundled = read(folder / "runs/names/model.safetensors");
  ASSERT_EQ(train({"--data", "names.txt", "--quiet"}).status, 0);
  ASSERT_EQ(train({"--data", "names.txt", "--quiet"}).status, 0);
  EXPECT_EQ(read(folder / "runs/names/model.safetensors"), bundled);
  EXPECT_TRUE(std::filesystem::exists(folder / "runs/names-2/model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder / "runs/names-3"));
}

TEST_F(Command, AModelThatWentWrongReplacesNoGoodOne) {
  ASSERT_EQ(train({"--out", "good", "--quiet"}).status, 0);
  const std::string good = read(folder / "good/model.safetensors");
  ASSERT_NE(good, "");
  EXPECT_EQ(train({"--out", "good", "--steps", "1", "--lr", "1e39", "--warmup", "0"}).status, 1);
  EXPECT_EQ(read(folder / "good/model.safetensors"), good);
}

TEST_F(Command, MistakesInTheCommandLine) {
  expect_error(gpt({}), 2, "subcommand");
  expect_error(gpt({"dance"}), 2, "dance");
  expect_error(gpt({"train", "--preset", "nonsense"}), 2, "nonsense");
  expect_error(gpt({"train", "--nonsense"}), 2, "--nonsense");
  expect_error(gpt({"train", "--lr", "fast"}), 2, "fast");
  expect_error(gpt({"train", "--threads", "0"}), 2, "--threads");
  expect_error(gpt({"train", "--dtype", "f16"}), 2, "f16 not in {f32,f64} (see gpt train --help)");
  expect_error(gpt({"sample", "x", "--seed", "-1"}), 2, "whole number");
  expect_error(gpt({"train", "--preset", "shakespeare"}), 2, "--data");
  expect_error(gpt({"sample"}), 2, "DIR");
  for (const char* command : {"train", "sample", "eval", "check"}) {
    const Result help = gpt({command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.out, AllOf(HasSubstr("Examples:"), HasSubstr("--threads")));
  }
}

TEST_F(Command, ValuesThatMakeNoSense) {
  for (const char* lr : {"nan", "inf", "-1", "0"}) expect_error(train({"--lr", lr}), 1, "learning rate");
  expect_error(train({"--width", "10", "--heads", "4"}), 1, "width 10 cannot be split");
  expect_error(train({"--layers", "0"}), 1, "n_layer");
  expect_error(train({"--context", "0"}), 1, "block_size");
  expect_error(train({"--batch", "0"}), 1, "batch_size");
  expect_error(train({"--dropout", "1"}), 1, "dropout");
  expect_error(train({"--seconds", "-5"}), 1, "seconds");
  expect_error(train({"--beta2", "1.5"}), 1, "beta");
  expect_error(train({"--temperature", "-1"}), 1, "temperature");
  EXPECT_FALSE(std::filesystem::exists(folder / "runs"));
}

TEST_F(Command, DataThatCannotBeUsed) {
  expect_error(train({"--data", "none.txt"}), 1, "none.txt");
  expect_error(train({"--data", "."}), 1, "folder");
  write(folder / "empty.txt", "");
  expect_error(train({"--data", "empty.txt"}), 1, "empty.txt");
  write(folder / "blank.txt", " \n \n");
  expect_error(train({"--data", "blank.txt"}), 1, "white space");
  write(folder / "latin.txt", "anna\nren\xE9\n");
  expect_error(train({"--data", "latin.txt"}), 1, "latin.txt: byte 0xe9 at offset 8 (line 2)");
  write(folder / "one.txt", "anna\n");
  expect_error(train({"--data", "one.txt"}), 1, "only one document");
  expect_error(train({"--data", "one.txt", "--format", "text"}), 1, "longer text");
  expect_error(train({"--data", "bundled:nonsense"}), 1, "bundled:names");
}

TEST_F(Command, AGoodModelSurvivesWhatFails) {
  ASSERT_EQ(train({"--out", "run"}).status, 0);
  const std::string good = read(folder / "run/model.safetensors");
  expect_error(train({"--out", "run", "--lr", "nan"}), 1, "learning rate");
  expect_error(train({"--out", "run", "--lr", "1e39", "--steps", "50"}), 1, "step");
  EXPECT_EQ(read(folder / "run/model.safetensors"), good);
  expect_error(gpt({"sample", "run", "--prompt", "a\xC3\xA9"}), 1, "U+00E9");
  expect_error(gpt({"sample", "run", "--prompt", "a\xFF"}), 1, "UTF-8");
  expect_error(gpt({"sample", "run", "--temperature", "nan"}), 1, "temperature");
  expect_error(gpt({"sample", "none"}), 1, "none");
  expect_error(train({"--out", "run/model.safetensors"}), 1, "model.safetensors");
  expect_error(train({"--out", "/proc/gradus"}), 1, "/proc/gradus");
  write(folder / "run/model.safetensors", good.substr(0, good.size() / 2));
  expect_error(gpt({"sample", "run"}), 1, "model.safetensors");
  expect_error(gpt({"eval", "run"}), 1, "model.safetensors");
}

TEST_F(Command, AnUnknownInstructionSetIsAnError) {
  expect_error(gpt({"train", "--steps", "1"}, "avx9"), 1, "avx9");
}

TEST_F(Command, CtrlCSavesTheModelSoFar) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string run = fmt::format("run{}", signal);
    const pid_t pid =
        start({"train", "--seconds", "600", "--layers", "1", "--width", "8", "--heads", "2", "--out", run});
    while (read(folder / "out").find("step 1 ") == std::string::npos && ::kill(pid, 0) == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ::kill(pid, signal);
    const Result stopped = finish(pid);
    EXPECT_EQ(stopped.status, 128 + signal);
    EXPECT_THAT(stopped.out, HasSubstr("stopped at step"));
    EXPECT_EQ(gpt({"eval", run}).status, 0);
  }
}

}  // namespace
}  // namespace gradus::models
