// The program gpt as a user meets it: what it prints, its exit status, and one line on stderr for what goes wrong.
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <thread>

#include <gradus/core/ops.h>
#include <gradus/models/run_folder.h>

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
                           "sample 20: ", "of 20 are new", "saved in run", "gpt sample run", "tokens/s", "thread"}) {
    EXPECT_THAT(trained.out, HasSubstr(part));
  }
  EXPECT_THAT(last_line(trained.out), MatchesRegex("held-out loss [0-9]\\.[0-9][0-9][0-9][0-9]\n"));

  const Result sampled = gpt({"sample", "run", "--prompt", "ma", "--count", "3", "--max-tokens", "5"});
  EXPECT_EQ(sampled.status, 0);
  EXPECT_TRUE(std::regex_match(sampled.out, std::regex("(ma[^\n]{0,5}\n){3}"))) << sampled.out;
  EXPECT_EQ(gpt({"sample", "run", "--seed", "3"}).out, gpt({"sample", "run", "--seed", "3"}).out);

  const Result judged = gpt({"eval", "run"});
  EXPECT_EQ(judged.status, 0) << judged.err;
  const std::string loss = last_line(trained.out).substr(std::string("held-out loss ").size(), 6);
  EXPECT_THAT(judged.out, AllOf(HasSubstr("held-out loss       " + loss), HasSubstr("perplexity"), HasSubstr("bits"),
                                HasSubstr("accuracy"), HasSubstr("95 % sure")));
  EXPECT_THAT(gpt({"eval", "run", "--json"}).out, StartsWith("{\"held_out_loss\": " + loss.substr(0, 4)));
}

TEST_F(Command, TheRunFolderAndInfo) {
  ASSERT_EQ(train({"--out", "run", "--quiet", "--eval-every", "1"}).status, 0);
  for (const char* file : {"config.json", "tokenizer.json", "model.safetensors", "best.safetensors",
                           "train_state.safetensors", "log.jsonl", "loss.svg"}) {
    EXPECT_TRUE(std::filesystem::exists(folder / "run" / file)) << file;
  }
  const std::string svg = read(folder / "run/loss.svg");
  EXPECT_THAT(svg, AllOf(StartsWith("<svg"), HasSubstr("held out"), HasSubstr("</svg>")));
  const Result info = gpt({"info", "run"});
  EXPECT_EQ(info.status, 0) << info.err;
  EXPECT_THAT(info.out,
              AllOf(HasSubstr("1,264"), HasSubstr("attn.c_attn"), HasSubstr("generate 2,496 FLOPs, to train 7,488"),
                    HasSubstr("memory"), HasSubstr("3 steps"), HasSubstr("held-out loss")));
  std::istringstream log(read(folder / "run/log.jsonl"));
  int lines = 0;
  for (std::string line; std::getline(log, line); ++lines) {
    const auto json = nlohmann::json::parse(line);
    for (const char* field : {"step", "tokens", "train_loss", "lr", "grad_norm", "tokens_per_second", "val_loss"}) {
      EXPECT_TRUE(json.contains(field)) << field;
    }
  }
  EXPECT_EQ(lines, 3);
}

TEST_F(Command, OnATerminalAPanelIsDrawnInPlace) {
  if (gradus::testing::emulated()) GTEST_SKIP() << "too slow for a panel";
  const auto on_terminal = [&](const std::string& environment) {
    const std::string command = fmt::format(
        "cd {} && {} script -qec '{}/gpt train --layers 1 --width 8 --heads 2 --seconds 0.6 --out run --overwrite "
        "--samples 0' /dev/null",
        folder.path().native(), environment, GRADUS_BIN_DIR);
    const auto result = gradus::testing::run(command);
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  };
  const std::string panel = on_terminal("LC_ALL=C.UTF-8");
  EXPECT_THAT(panel, AllOf(HasSubstr("\x1b[33mheld-out "), HasSubstr("learning rate"), HasSubstr("gradient norm"),
                           HasSubstr("tokens/s"), HasSubstr(" left"), HasSubstr("samples"), HasSubstr("\xE2\xA3")));
  EXPECT_TRUE(std::regex_search(panel, std::regex("\x1b\\[[0-9]+A\r")));
  const std::string plain = on_terminal("LC_ALL=C NO_COLOR=1");
  EXPECT_THAT(plain, AllOf(HasSubstr("*"), HasSubstr("held-out "), ::testing::Not(HasSubstr("\x1b[33m"))));
  EXPECT_TRUE(std::ranges::all_of(plain, [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
  const Result piped = train({"--out", "piped"});
  EXPECT_THAT(piped.out, AllOf(HasSubstr("step 1/3"), ::testing::Not(HasSubstr("\x1b"))));
}

TEST_F(Command, ConfigFileAndWeightsFromElsewhere) {
  write(folder / "config.json", R"({"steps": 5, "lr": 0.002, "seed": 9, "threads": 1, "quiet": true, "samples": 0})");
  ASSERT_EQ(train({"--config", "config.json", "--out", "run"}).status, 0);
  const auto saved = nlohmann::json::parse(read(folder / "run/config.json"))["train"];
  EXPECT_EQ(saved["steps"], 3);  // flags win
  EXPECT_EQ(saved["lr"], 0.002);
  EXPECT_EQ(saved["seed"], 9);
  EXPECT_EQ(saved["preset"], "names");
  // A run's config.json is such a file.
  ASSERT_EQ(gpt({"train", "--config", "run/config.json", "--out", "again", "--quiet"}).status, 0);
  EXPECT_EQ(read(folder / "again/model.safetensors"), read(folder / "run/model.safetensors"));
  write(folder / "bad.json", R"({"learning": 1})");
  expect_error(train({"--config", "bad.json"}), 1, "bad.json: there is no field \"learning\"");
  write(folder / "bad.json", R"({"lr": "fast"})");
  expect_error(train({"--config", "bad.json"}), 1, "\"lr\" is \"fast\"");
  write(folder / "bad.json", R"({"accumulation": 2.5})");
  expect_error(train({"--config", "bad.json"}), 1, "\"accumulation\" is 2.5, a whole number is needed");
  write(folder / "bad.json", "{\n  \"lr\": 0.1,\n}\n");
  expect_error(train({"--config", "bad.json"}), 1, "bad.json: this is not JSON from line 3, byte 1 on");
  write(folder / "bad.json", R"({"lr": 1e999})");
  expect_error(train({"--config", "bad.json"}), 1, "bad.json: it holds a number that is too large");

  const Result tuned = gpt({"train", "--init-from", "run/model.safetensors", "--data", "bundled:names", "--steps", "1",
                            "--lr", "1e-12", "--seed", "9", "--out", "tuned", "--quiet"});
  EXPECT_EQ(tuned.status, 0) << tuned.err;
  const auto loss = [&](const char* run) { return nlohmann::json::parse(gpt({"eval", run, "--json"}).out); };
  EXPECT_NEAR(loss("tuned")["held_out_loss"].get<double>(), loss("run")["held_out_loss"].get<double>(), 1e-6);
  // The type comes with the weights, the length of the sequences does not, and eval judges as training did.
  const Result wide = train(
      {"--dtype", "f64", "--context", "16", "--data", "bundled:names", "--format", "text", "--out", "wide", "--quiet"});
  ASSERT_EQ(wide.status, 0) << wide.err;
  const Result cut = gpt({"train", "--init-from", "wide/model.safetensors", "--data", "bundled:names", "--format",
                          "text", "--context", "4", "--steps", "1", "--out", "cut", "--quiet"});
  ASSERT_EQ(cut.status, 0) << cut.err;
  EXPECT_EQ(load_run(folder / "cut").model.dtype(), DType::f64);
  EXPECT_EQ(cut.out, fmt::format("held-out loss {:.4f}\n", loss("cut")["held_out_loss"].get<double>()));
  expect_error(train({"--init-from", "wide/train_state.safetensors"}), 1, "--init-from wide/model.safetensors");
  expect_error(train({"--init-from", "run/model.safetensors", "--layers", "2"}), 1, "--layers is 2");
  expect_error(train({"--init-from", "none.safetensors"}), 1, "none.safetensors");
  expect_error(train({"--init-from", "run"}), 1, "name a file of weights, such as 'run/model.safetensors'");
}

TEST_F(Command, OutputThatCannotBeWrittenIsAnError) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const auto error = [&](const char* count) {
    const auto result = gradus::testing::run(fmt::format("cd {} && {}/gpt sample run --count {} 2>&1 > /dev/full",
                                                         folder.path().native(), GRADUS_BIN_DIR, count));
    EXPECT_EQ(result.status, 1);
    return result.output;
  };
  EXPECT_THAT(error("2"), HasSubstr("not all of the output could be written"));
  EXPECT_THAT(error("2000"), HasSubstr("No space left on device"));
}

TEST_F(Command, SamplesInEveryWay) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const Result probs = gpt({"sample", "run", "--temperature", "0", "--show-probs", "--max-tokens", "4"});
  EXPECT_EQ(probs.status, 0) << probs.err;
  EXPECT_THAT(probs.out, HasSubstr(" %  |"));
  EXPECT_EQ(gpt({"sample", "run", "--count", "9"}).out, gpt({"sample", "run", "--count", "9", "--no-cache"}).out);
  const std::string one = gpt({"sample", "run", "--count", "1", "--seed", "4", "--max-tokens", "40"}).out;
  const std::string stop = one.substr(2, 2);
  EXPECT_EQ(gpt({"sample", "run", "--count", "1", "--seed", "4", "--max-tokens", "40", "--stop", stop}).out,
            one.substr(0, one.find(stop)) + "\n");
  const auto drawn = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"sample", "run", "--count", "3", "--max-tokens", "20"});
    return gpt(flags);
  };
  const std::string likeliest = drawn({"--temperature", "0"}).out;
  EXPECT_NE(drawn({}).out, likeliest);
  EXPECT_EQ(drawn({"--top-k", "1"}).out, likeliest);
  EXPECT_EQ(drawn({"--top-p", "1e-9"}).out, likeliest);
  EXPECT_EQ(drawn({"--min-p", "1"}).out, likeliest);
  EXPECT_NE(drawn({"--temperature", "0", "--repetition-penalty", "1e6"}).out, likeliest);
  const auto shown = [&](const char* cache) {
    return gpt({"sample", "run", "--count", "1", "--show-probs", "--seed", "3", cache}).out;
  };
  EXPECT_EQ(shown("--no-cache"), shown("--show-probs"));
}

// A model so sure of the wrong characters that e^loss is infinite, which JSON cannot say.
TEST_F(Command, APerplexityWithoutEndIsNullInJson) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  models::Run run = load_run(folder / "run");
  for (const auto& [name, parameter] : run.model.named_parameters()) {
    if (name == "wte.weight") parameter.copy_(parameter * 1e5);
  }
  save_run(folder / "run", run.model, run.tokenizer, run.data, run.settings);
  const Result judged = gpt({"eval", "run", "--json"});
  EXPECT_EQ(judged.status, 0) << judged.err;
  const auto json = nlohmann::json::parse(judged.out);
  EXPECT_GT(json["held_out_loss"], 710);
  EXPECT_TRUE(json["perplexity"].is_null());
  EXPECT_TRUE(json["intervals"]["perplexity"]["high"].is_null());
  EXPECT_LE(json["intervals"]["accuracy"]["high"], 1);
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
  EXPECT_THAT(
      gpt({"eval", "runs/text", "--data", "other.txt"}).out,
      AllOf(HasSubstr("all of other.txt"), HasSubstr("\nloss                "), ::testing::Not(HasSubstr("held-out"))));
  write(folder / "text.txt", "changed");
  expect_error(gpt({"eval", "runs/text"}), 1, "--data");
}

TEST_F(Command, NothingIsReplacedUnasked) {
  write(folder / "names.txt", "anna\nberta\nclara\ndora\n");
  ASSERT_EQ(train({"--quiet"}).status, 0);
  const std::string bundled = read(folder / "runs/names/model.safetensors");
  ASSERT_EQ(train({"--data", "names.txt", "--quiet"}).status, 0);
  ASSERT_EQ(train({"--data", "names.txt", "--quiet"}).status, 0);
  EXPECT_EQ(read(folder / "runs/names/model.safetensors"), bundled);
  EXPECT_TRUE(std::filesystem::exists(folder / "runs/names-2/model.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(folder / "runs/names-3/model.safetensors"));
  const auto before = contents("runs");
  const Result there = train({"--out", "runs/names"});
  expect_error(there, 1, "'runs/names' holds a run");
  EXPECT_THAT(there.err, AllOf(HasSubstr("--resume runs/names"), HasSubstr("--overwrite")));
  EXPECT_EQ(contents("runs"), before);
  EXPECT_EQ(train({"--out", "runs/names", "--overwrite", "--seed", "1"}).status, 0);
  EXPECT_NE(read(folder / "runs/names/model.safetensors"), bundled);
  expect_error(train({"--overwrite"}), 2, "--out");
  expect_error(gpt({"train", "--resume", "runs/names", "--overwrite"}), 2, "--overwrite");
}

TEST_F(Command, FilesThatNoTrainingWroteStay) {
  for (const char* file : {"best.safetensors", "checkpoints/mine.safetensors", "model.safetensors"}) {
    std::filesystem::create_directories(folder / "mine/checkpoints");
    write(folder / "mine" / file, "mine");
    const auto before = contents("mine");
    expect_error(train({"--out", "mine"}), 1, "'mine' holds '");
    expect_error(train({"--out", "mine", "--overwrite"}), 1, "which no training wrote");
    EXPECT_EQ(contents("mine"), before);
    std::filesystem::remove_all(folder / "mine");
  }
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  write(folder / "run/notes.txt", "mine");
  write(folder / "run/checkpoints/mine.txt", "mine");
  ASSERT_EQ(train({"--out", "run", "--overwrite", "--quiet"}).status, 0);
  EXPECT_EQ(read(folder / "run/notes.txt"), "mine");
  EXPECT_EQ(read(folder / "run/checkpoints/mine.txt"), "mine");
}

TEST_F(Command, InfoTellsAModelFromALogThatGoesOn) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const std::string log = read(folder / "run/log.jsonl");
  const Result whole = gpt({"info", "run"});
  EXPECT_THAT(whole.out, ::testing::Not(HasSubstr("the log goes on")));
  std::string more = log.substr(log.rfind("{\"step\": 3"));
  write(folder / "run/log.jsonl", log + more.replace(9, 1, "7"));
  const Result behind = gpt({"info", "run"});
  EXPECT_THAT(behind.out, AllOf(HasSubstr("the saved model is of step 3, the log goes on to 7"), HasSubstr("3 steps")));
}

TEST_F(Command, AModelThatWentWrongReplacesNoGoodOne) {
  ASSERT_EQ(train({"--out", "good", "--quiet"}).status, 0);
  const auto good = contents("good");
  ASSERT_EQ(good.size(), 8U);
  const Result bad = train({"--out", "good", "--overwrite", "--steps", "1", "--lr", "1e38", "--warmup", "0"});
  expect_error(bad, 1, "held-out loss after step 1");
  EXPECT_THAT(bad.err, HasSubstr("nothing was saved, and what the folder held is as it was"));
  EXPECT_EQ(contents("good"), good);
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
  for (const char* command : {"train", "sample", "eval", "info", "check"}) {
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
  std::filesystem::create_directory(folder / "nothing");
  expect_error(train({"--data", "nothing"}), 1, "the folder 'nothing' has no file with text in it");
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
  const auto before = contents("run");
  expect_error(train({"--out", "run", "--overwrite", "--lr", "nan"}), 1, "learning rate");
  expect_error(train({"--out", "run", "--overwrite", "--lr", "1e38", "--steps", "50"}), 1, "step");
  EXPECT_EQ(contents("run"), before);
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
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const std::string run = fmt::format("run{}", signal);
    const pid_t pid =
        start({"train", "--seconds", "600", "--layers", "1", "--width", "8", "--heads", "2", "--out", run});
    while (read(folder / "out").find("step 1 ") == std::string::npos && running(pid)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ::kill(pid, signal);
    const Result stopped = finish(pid);
    EXPECT_EQ(stopped.status, 128 + signal);
    EXPECT_THAT(stopped.out, HasSubstr("stopped at step"));
    EXPECT_THAT(stopped.err, HasSubstr("stopping after this step; Ctrl-C once more leaves at once"));
    EXPECT_EQ(gpt({"eval", run}).status, 0);
  }
}

}  // namespace
}  // namespace gradus::models
