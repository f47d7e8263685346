// The program gpt as a user meets it: what it prints, its exit status, and one line on stderr for what goes wrong.
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include <gradus/core/ops.h>
#include <gradus/core/version.h>
#include <gradus/models/train/run_folder.h>
#include <gradus/nn/files/safetensors.h>

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
using Arguments = std::vector<std::string>;

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
  std::string settings;
  ASSERT_TRUE(std::getline(log, settings));
  EXPECT_EQ(nlohmann::json::parse(settings)["settings"],
            nlohmann::json::parse(read(folder / "run/config.json"))["train"]);
  EXPECT_THAT(info.out, ::testing::Not(HasSubstr("damaged")));
  for (std::string line; std::getline(log, line); ++lines) {
    const auto json = nlohmann::json::parse(line);
    for (const char* field : {"step", "tokens", "train_loss", "lr", "grad_norm", "tokens_per_second", "val_loss"}) {
      EXPECT_TRUE(json.contains(field)) << field;
    }
  }
  EXPECT_EQ(lines, 3);
}

TEST_F(Command, APipeGetsLines) {
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
  expect_error(train({"--config", "bad.json"}), 1, "bad.json: unknown field \"learning\"");
  write(folder / "bad.json", R"({"lr": "fast"})");
  expect_error(train({"--config", "bad.json"}), 1, "\"lr\" is \"fast\"");
  write(folder / "bad.json", R"({"accumulation": 2.5})");
  expect_error(train({"--config", "bad.json"}), 1, "\"accumulation\" is 2.5, a whole number is needed");
  write(folder / "bad.json", "{\n  \"lr\": 0.1,\n}\n");
  expect_error(train({"--config", "bad.json"}), 1, "bad.json: it is not valid JSON at line 3, byte 1;");
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
  for (const char* others : {"0", "1", "3"}) {
    const std::string table = gpt({"sample", "run", "--count", "5", "--show-probs", "--alternatives", others}).out;
    int rows = 0;
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      if (line.find(" %  |") == std::string::npos) continue;
      EXPECT_EQ(std::ranges::count(line.substr(line.find('|')), '%'), std::stoi(others)) << line;
      ++rows;
    }
    EXPECT_GT(rows, 20);
  }
}

// A long text is tokenized once; where that cannot be kept, the training says so and goes on.
TEST_F(Command, TokensOfALongTextAreKept) {
  std::string line(63, 'a');
  std::string text;
  for (int i = 0; i < 260'000; ++i) text += line + '\n';
  write(folder / "long.txt", text);
  const auto trained = [&](const std::filesystem::path& cache) {
    ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
    const Result result = train({"--data", "long.txt", "--format", "text", "--tokenizer", "bytes", "--context", "8",
                                 "--eval-batches", "1", "--steps", "1", "--out", "run", "--overwrite"});
    ::unsetenv("XDG_CACHE_HOME");
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  };
  EXPECT_THAT(trained(folder / "cache"), Not(HasSubstr("are not kept")));
  EXPECT_FALSE(std::filesystem::is_empty(folder / "cache/gradus"));
  EXPECT_THAT(trained(folder / "long.txt"), HasSubstr("its tokens are not kept for later runs: "));
}

TEST_F(Command, WeightsMayBeNarrow) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const auto sampled = [&](const char* weights) {
    return gpt({"sample", "run", "--count", "9", "--weights", weights});
  };
  const auto loss = [&](const char* weights) {
    const Result result = gpt({"eval", "run", "--json", "--weights", weights});
    EXPECT_EQ(result.status, 0) << result.err;
    return nlohmann::json::parse(result.out).at("held_out_loss").get<double>();
  };
  const double whole = loss("f32");
  EXPECT_EQ(sampled("f32").out, gpt({"sample", "run", "--count", "9"}).out);
  for (const char* weights : {"bf16", "int8", "int4"}) {
    const Result result = sampled(weights);
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(std::ranges::count(result.out, '\n'), 9);
    EXPECT_NE(loss(weights), whole);
    EXPECT_NEAR(loss(weights), whole, 0.05);
  }
  expect_error(sampled("int3"), 2, "bf16");
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

TEST_F(Command, ProfilesAStep) {
  ASSERT_EQ(train({"--out", "run", "--quiet", "--batch", "5"}).status, 0);
  const auto before = contents("run");
  const Result profiled = gpt({"profile", "run", "--steps", "2", "--trace", "trace.json"});
  ASSERT_EQ(profiled.status, 0) << profiled.err;
  EXPECT_EQ(profiled.err, "");
  EXPECT_THAT(profiled.out, StartsWith("2 steps of 5 sequences, "));
  for (const char* part : {"\nlinear  ", "\ncross_entropy  ", "\nh.0.mlp.c_fc  ", "\noutside ops  ",
                           "\nof limit: F of ", "the trace is in trace.json; "}) {
    EXPECT_THAT(profiled.out, HasSubstr(part));
  }
  EXPECT_EQ(contents("run"), before);
  const auto trace = nlohmann::json::parse(read(folder / "trace.json"))["traceEvents"];
  std::map<std::string, int> attentions;
  for (const auto& event : trace) {
    if (event["name"].get<std::string>().starts_with("packed_attention")) ++attentions[event["cat"]];
  }
  EXPECT_EQ(attentions, (std::map<std::string, int>{{"forward", 2}, {"backward", 2}}));
  expect_error(gpt({"profile", "run", "--trace", "no/such/trace.json"}), 1, "no/such/trace.json");
  expect_error(gpt({"profile", "run", "--steps", "0"}), 2, "--steps is 0, it must be from 1 to 1000");
  expect_error(gpt({"profile"}), 2, "gpt profile needs DIR, the folder of a run");
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
  expect_error(gpt({"check", "--width", "10", "--heads", "4"}), 2, "--width 10 cannot be split");
  expect_error(gpt({"check", "run", "--shape", "gpt2"}), 2, "--shape");
  expect_error(gpt({"check", "--best"}), 2, "name its folder");
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
  EXPECT_THAT(whole.out, ::testing::Not(HasSubstr("the log reaches")));
  std::string more = log.substr(log.rfind("{\"step\": 3"));
  write(folder / "run/log.jsonl", log + more.replace(9, 1, "7"));
  const Result behind = gpt({"info", "run"});
  EXPECT_THAT(behind.out, AllOf(HasSubstr("the saved model is of step 3, the log reaches 7"), HasSubstr("3 steps")));
}

TEST_F(Command, AModelThatWentWrongReplacesNoGoodOne) {
  ASSERT_EQ(train({"--out", "good", "--quiet"}).status, 0);
  const auto good = contents("good");
  ASSERT_EQ(good.size(), 12U);
  const Result bad = train({"--out", "good", "--overwrite", "--steps", "1", "--lr", "1e38", "--warmup", "0"});
  expect_error(bad, 1, "held-out loss after step 1");
  EXPECT_THAT(bad.err, HasSubstr("nothing was saved, and what the folder held is as it was"));
  EXPECT_EQ(contents("good"), good);
}

TEST_F(Command, MistakesInTheCommandLine) {
  expect_error(gpt({}), 2, "name a command: train");
  expect_error(gpt({"dance"}), 2, "dance");
  expect_error(gpt({"--threads", "2", "train"}), 2, "--threads stands before any command");
  expect_error(gpt({"train", "--nonsense"}), 2, "--nonsense");
  expect_error(gpt({"sample", "x", "--steps", "3"}), 2, "--steps is a flag of gpt train, not of gpt sample");
  expect_error(gpt({"sample", "x", "--temperature", "-1"}), 2, "--temperature is -1");
  expect_error(gpt({"train", "--dtype", "f16"}), 2, "--dtype: 'f16' is not one of f32, f64");
  expect_error(gpt({"sample", "x", "--seed", "-1"}), 2, "--seed is -1, it must be from 0 to 4294967295");
  expect_error(gpt({"train", "--preset", "shakespeare"}), 2, "--data");
  expect_error(gpt({"train", "towns.txt"}), 2, "write --data towns.txt");
  expect_error(gpt({"sample"}), 2, "gpt sample needs DIR, the folder of a run");
  expect_error(gpt({"sample", "a", "b"}), 2, "'b' is one argument too many");
  for (const char* command : {"train", "sample", "eval", "info", "check", "profile", "tokenize"}) {
    const Result help = gpt({command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.out, AllOf(HasSubstr("Examples:"), HasSubstr("--threads")));
  }
  EXPECT_EQ(gpt({"help"}).out, gpt({"--help"}).out);
  EXPECT_EQ(gpt({"help", "sample"}).out, gpt({"sample", "--help"}).out);
  expect_error(gpt({"run", "sample"}), 2, "write gpt sample run");
  const Result version = gpt({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_EQ(version.out, fmt::format("gpt {}.{}.{}, a program of gradus\n", GRADUS_VERSION_MAJOR, GRADUS_VERSION_MINOR,
                                     GRADUS_VERSION_PATCH));
}

TEST_F(Command, WhatIsNearIsSuggested) {
  for (const auto& [wrong, meant] : std::vector<std::pair<Arguments, std::string>>{
           {{"tarin"}, "did you mean train?"},
           {{"evla", "run"}, "did you mean eval?"},
           {{"--verison"}, "did you mean --version?"},
           {{"train", "--step", "3"}, "did you mean --steps?"},
           {{"train", "-steps", "3"}, "did you mean --steps?"},
           {{"train", "--step=3"}, "did you mean --steps?"},
           {{"train", "--weight_decay", "0"}, "did you mean --weight-decay?"},
           {{"train", "--temp", "1"}, "did you mean --temperature?"},
           {{"sample", "run", "--samples", "3"}, "did you mean --count?"},
           {{"train", "--count", "3"}, "did you mean --samples?"},
           {{"train", "--batch-size", "3"}, "did you mean --batch?"},
           {{"train", "--learning_rate", "1"}, "did you mean --lr?"},
           {{"generate", "run"}, "did you mean sample?"},
           {{"sample", "run", "--promt", "a"}, "did you mean --prompt?"},
           {{"train", "--preset", "shakespare"}, "did you mean shakespeare?"},
           {{"train", "--format", "line"}, "did you mean lines?"},
           {{"check", "--shape", "gtp2"}, "did you mean gpt2?"}}) {
    expect_error(gpt(wrong), 2, meant);
  }
  write(folder / "bad.json", R"({"step": 3})");
  expect_error(train({"--config", "bad.json"}), 1, "bad.json: unknown field \"step\"; did you mean \"steps\"?");
  write(folder / "bad.json", R"({"batch_size": 3})");
  expect_error(train({"--config", "bad.json"}), 1, "did you mean \"batch\"?");
  for (const char* far : {"--zebra", "--x"}) {
    EXPECT_THAT(gpt({"train", far}).err, ::testing::Not(HasSubstr("did you mean")));
  }
}

// CLI11 would read them as octal, hexadecimal and more.
TEST_F(Command, NumbersAreDecimal) {
  ASSERT_EQ(train({"--steps", "010", "--width", "08", "--batch=010", "--seed", "017", "--lr", "00.5e-2", "--out", "run",
                   "--quiet"})
                .status,
            0);
  const auto saved = nlohmann::json::parse(read(folder / "run/config.json"))["train"];
  EXPECT_EQ(saved["steps"], 10);
  EXPECT_EQ(saved["width"], 8);
  EXPECT_EQ(saved["batch"], 10);
  EXPECT_EQ(saved["seed"], 17);
  EXPECT_EQ(saved["lr"], 0.005);
  EXPECT_EQ(std::ranges::count(gpt({"sample", "run", "--count", "010"}).out, '\n'), 10);
  EXPECT_EQ(gpt({"sample", "run", "--seed", "012"}).out, gpt({"sample", "run", "--seed", "12"}).out);
  EXPECT_EQ(gpt({"check", "run", "--entries", "010", "--sequences", "02"}).out,
            gpt({"check", "run", "--entries", "10", "--sequences", "2"}).out);
  for (const char* number : {"0x10", "1e3", "1,000", "1_000", "ten", "5k", "\xEF\xBC\x95", "1.5", "", "-", "+"}) {
    for (const char* flag : {"--steps", "--seed", "--threads", "--samples"})
      expect_error(train({flag, number}), 2, flag);
    expect_error(gpt({"sample", "run", "--top-k", number}), 2, "--top-k");
    expect_error(gpt({"check", "run", "--entries", number}), 2, "--entries");
  }
  for (const char* number : {"0x1p3", "nan", "inf", "-inf", "1,5", "fast", "1e400", "", "1.5.2"}) {
    for (const char* flag : {"--lr", "--seconds", "--dropout"}) expect_error(train({flag, number}), 2, flag);
    expect_error(gpt({"sample", "run", "--temperature", number}), 2, "--temperature");
  }
  expect_error(train({"--lr", "0,5"}), 2, "such as 0.5");
  expect_error(train({"--steps", "99999999999999999999"}), 2, "write a smaller one");
  write(folder / "bad.json", R"({"steps": 010})");
  expect_error(train({"--config", "bad.json"}), 1, "it is not valid JSON");
}

TEST_F(Command, EmptyAndMissingValuesAndThoseGivenTwice) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  for (const char* flag :
       {"--data", "--out", "--config", "--resume", "--init-from", "--preset", "--format", "--steps", "--tokenizer"}) {
    expect_error(gpt({"train", flag, ""}), 2, fmt::format("{} is empty", flag));
    expect_error(gpt({"train", fmt::format("{}=", flag), "x"}), 2, fmt::format("{} is empty", flag));
    expect_error(gpt({"train", flag}), 2, fmt::format("{} needs a value", flag));
    expect_error(gpt({"train", flag, "--lr", "1"}), 2, fmt::format("{} needs a value, but the flag --lr comes", flag));
  }
  for (const char* command : {"sample", "eval", "info", "check", "profile"})
    expect_error(gpt({command, ""}), 2, "DIR is empty");
  expect_error(gpt({"eval", "run", "--data", ""}), 2, "--data is empty");
  expect_error(gpt({"sample", "run", "--stop", ""}), 2, "--stop is empty");
  for (const char* setting : {"data", "out", "preset", "init-from"}) {
    write(folder / "bad.json", fmt::format(R"({{"{}": ""}})", setting));
    expect_error(gpt({"train", "--config", "bad.json"}), 1, fmt::format("\"{}\" is empty", setting));
  }
  // No prompt is one that says nothing.
  const std::string unprompted = gpt({"sample", "run"}).out;
  EXPECT_EQ(gpt({"sample", "run", "--prompt", ""}).out, unprompted);
  EXPECT_EQ(gpt({"sample", "run", "--prompt="}).out, unprompted);

  expect_error(gpt({"train", "--seed", "1", "--seed=2"}), 2, "--seed is given twice, with '1' and '2'");
  expect_error(gpt({"train", "--out", "a", "--out", "a"}), 2, "--out is given twice");
  expect_error(gpt({"sample", "run", "--prompt", "a", "--prompt", "b"}), 2, "--prompt is given twice");
  EXPECT_EQ(gpt({"sample", "run", "--best", "--best"}).status, 0);  // says the same
}

TEST_F(Command, ValuesThatMakeNoSense) {
  for (const char* lr : {"-1", "0"}) expect_error(train({"--lr", lr}), 2, "learning rate");
  expect_error(train({"--width", "10", "--heads", "4"}), 2, "--width 10 cannot be split");
  const std::map<std::string, std::string> wrong{
      {"--layers", "0"},   {"--context", "0"},     {"--batch", "0"},         {"--dropout", "1"},
      {"--seconds", "-5"}, {"--beta2", "1.5"},     {"--temperature", "-1"},  {"--accumulation", "0"},
      {"--min-lr", "9"},   {"--warmup", "-1"},     {"--weight-decay", "-1"}, {"--clip", "-1"},
      {"--epochs", "-1"},  {"--patience", "-1"},   {"--keep", "0"},          {"--label-smoothing", "1"},
      {"--tokens", "-1"},  {"--eval-every", "-1"}, {"--save-every", "-1"},   {"--heads", "9"}};
  for (const auto& [flag, value] : wrong) expect_error(train({flag, value}), 2, flag + " is " + value);
  EXPECT_FALSE(std::filesystem::exists(folder / "runs"));
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  for (const auto& [flag, value] : std::map<std::string, std::string>{{"--temperature", "-1"},
                                                                      {"--top-k", "-1"},
                                                                      {"--top-p", "0"},
                                                                      {"--min-p", "2"},
                                                                      {"--repetition-penalty", "0"}}) {
    expect_error(gpt({"sample", "run", flag, value}), 2, flag + " is " + value);
  }
  expect_error(gpt({"check", "--layers", "0"}), 2, "--layers is 0");
  expect_error(train({"--layers", "9999", "--width", "1048576", "--heads", "1"}), 2,
               "--layers, --width and --context make");
}

TEST_F(Command, NumbersOutOfTheirRangeAreToldInOneWay) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  for (const auto& [arguments, told] : std::vector<std::pair<Arguments, std::string>>{
           {{"train", "--threads", "0"}, "--threads is 0, it must be from 1 to "},
           {{"train", "--samples", "-1"}, "--samples is -1, it must be from 0 to 1000000"},
           {{"train", "--seed", "4294967296"}, "--seed is 4294967296, it must be from 0 to 4294967295"},
           {{"sample", "run", "--threads", "0"}, "--threads is 0, it must be from 1 to "},
           {{"sample", "run", "--max-tokens", "0"}, "--max-tokens is 0, it must be from 1 to 1000000000"},
           {{"sample", "run", "--count", "0"}, "--count is 0, it must be from 1 to 1000000"},
           {{"sample", "run", "--alternatives", "1001"}, "--alternatives is 1001, it must be from 0 to 1000"},
           {{"eval", "run", "--sequences", "-1"}, "--sequences is -1, it must be from 0 to "},
           {{"check", "run", "--sequences", "0"}, "--sequences is 0, it must be from 1 to 10000"},
           {{"check", "run", "--entries", "-1"}, "--entries is -1, it must be from 0 to "}}) {
    expect_error(gpt(arguments), 2, "gpt: " + told);
  }
}

TEST_F(Command, UnknownNeedsWeightsThatKnowSomething) {
  expect_error(train({"--unknown", "skip"}), 2, "name weights with --init-from");
  EXPECT_EQ(train({"--unknown", "refuse", "--out", "run", "--quiet"}).status, 0);
  EXPECT_THAT(gpt({"train", "--help"}).out, HasSubstr("Only with --init-from"));
  EXPECT_EQ(gpt({"train", "--config", "run/config.json", "--quiet"}).status, 0);
  nn::TensorFile weights = nn::read_tensors(folder / "run/model.safetensors");
  nn::save_tensors(folder / "bare.safetensors", weights.tensors, {});
  expect_error(train({"--init-from", "bare.safetensors", "--unknown", "skip"}), 2, "does not say which characters");
}

TEST_F(Command, TheCheckpointsOfARunNameItsFolder) {
  ASSERT_EQ(train({"--out", "runs/x", "--quiet", "--save-every", "1", "--keep", "2"}).status, 0);
  for (const char* place : {"runs/x/checkpoints", "runs/x/checkpoints/"}) {
    expect_error(gpt({"train", "--resume", place}), 1, "to resume from its last checkpoint: --resume runs/x, or");
  }
}

TEST_F(Command, OneIsNotSeveral) {
  write(folder / "two.txt", "anna\nb\n");
  const Result trained = train({"--data", "two.txt", "--context", "3", "--steps", "1", "--batch", "1", "--heads", "1",
                                "--threads", "1", "--samples", "1", "--seconds", "1", "--out", "run"});
  ASSERT_EQ(trained.status, 0) << trained.err;
  std::string told = trained.out;
  for (const Arguments& command : {Arguments{"info", "run"},
                                   {"eval", "run"},
                                   {"check", "run", "--sequences", "1"},
                                   {"profile", "run", "--threads", "1"},
                                   {"train", "--resume", "run"}}) {
    told += gpt(command).out;
  }
  const std::regex wrong("(^|[^0-9.,+]) ?1 [a-z]+s ");  // "1 layers"
  for (std::smatch found; std::regex_search(told, found, wrong); told = found.suffix()) {
    if (found.str().find("1 is ") == std::string::npos) ADD_FAILURE() << found.str() << "in\n" << trained.out;
  }
  EXPECT_THAT(trained.out, AllOf(HasSubstr("1 layer,"), HasSubstr("1 head,"), HasSubstr("(1 step, ")));
}

TEST_F(Command, TooFewSequencesDoNotTellHowSureALossIs) {
  std::string list;
  for (int i = 0; i < 100; ++i) list += fmt::format("name{}\n", i);
  write(folder / "list.txt", list);
  ASSERT_EQ(train({"--data", "list.txt", "--out", "run", "--quiet"}).status, 0);
  for (const char* few : {"1", "2", "9"}) {
    const Result judged = gpt({"eval", "run", "--sequences", few});
    EXPECT_THAT(judged.out,
                AllOf(HasSubstr("too few sequences to tell how sure this is"), ::testing::Not(HasSubstr("95 % sure"))));
    const auto json = nlohmann::json::parse(gpt({"eval", "run", "--sequences", few, "--json"}).out);
    EXPECT_TRUE(json["intervals"]["held_out_loss"]["low"].is_null());
  }
  EXPECT_THAT(gpt({"eval", "run"}).out, AllOf(HasSubstr("95 % sure"), ::testing::Not(HasSubstr("too few"))));
  const Result guess = train({"--data", "list.txt", "--eval-batches", "2", "--batch", "1"});
  EXPECT_THAT(guess.out, AllOf(HasSubstr("held-out loss about "), ::testing::Not(HasSubstr("+/-"))));
}

// As nohup and shells without job control start programs.
TEST_F(Command, SignalsThatWereIgnoredStaySo) {
  const std::string begin = fmt::format("cd {}; trap '' INT; {}/gpt train --layers 1 --width 8 --heads 2 --out ",
                                        folder.path().native(), GRADUS_BIN_DIR);
  const auto result = gradus::testing::run(
      begin +
      "run --seconds 600 > out 2> err & pid=$!; until grep -q 'step 1 ' out; do sleep 0.05; done; kill -INT $pid; "
      "sleep 0.3; grep -c stopping err; kill -TERM $pid; wait $pid; echo $?");
  EXPECT_EQ(result.output, "0\n143\n");
  std::string text;
  for (int i = 0; i < 3'000'000; ++i) text += "a line\n";
  write(folder / "large.txt", text);
  const auto reading = gradus::testing::run(begin + "large --data large.txt --steps 1 --quiet > out 2> err & pid=$!; " +
                                            "sleep 0.2; kill -INT $pid; wait $pid; echo $?");
  EXPECT_EQ(reading.output, "1\n");  // all lines are alike, which it has come to see
}

TEST_F(Command, TheEndOfATrainingNamesItsBestOnce) {
  ASSERT_EQ(train({"--out", "run", "--eval-every", "1", "--steps", "2"}).status, 0);
  const std::string out = read(folder / "out");
  EXPECT_THAT(out, ::testing::Not(HasSubstr("the best was")));
  EXPECT_THAT(gpt({"info", "run"}).out, HasSubstr(" at last, the best there was\n"));
  // A best that looks like the last one is not worth a line.
  const Result still = train({"--out", "still", "--eval-every", "1", "--steps", "9", "--lr", "1e-9"});
  EXPECT_THAT(still.out, ::testing::Not(HasSubstr("best")));
  EXPECT_THAT(gpt({"info", "still"}).out, HasSubstr(" at last, the best there was\n"));
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
  write(folder / "korean.txt", "\xB1\xE8\xBC\xF6\n\xC0\xCC\xBF\xB5\n");  // CP949
  expect_error(train({"--data", "korean.txt"}), 1, "iconv -f CP949 -t UTF-8");
  write(folder / "one.txt", "anna\n");
  expect_error(train({"--data", "one.txt"}), 1, "'one.txt' is one line, and each line is a document");
  std::string bytes;  // any, and a space and a line's end among them
  for (unsigned i = 1; i < 4000; ++i) bytes += static_cast<char>(i * i * 2654435761U >> 24);
  bytes.replace(10, 2, std::string(" \0", 2));
  write(folder / "any.dat", bytes);
  expect_error(train({"--data", "any.dat"}), 1, "is not UTF-8");
  expect_error(train({"--data", "one.txt", "--format", "text"}), 1,
               "one.txt: the part of the text to train on has 4 characters");
  std::filesystem::create_directory(folder / "run");
  for (const char* place : {"one.txt", "none.txt"}) {
    const Result result = train({"--init-from", place, "--data", "one.txt"});
    expect_error(result, 1, "gpt: --init-from: '");
    EXPECT_THAT(result.err, HasSubstr(place));
    expect_error(gpt({"train", "--resume", place}), 1, fmt::format("'{}'", place));
  }
  expect_error(train({"--data", "bundled:nonsense"}), 1, "bundled:names");
}

TEST_F(Command, FilesOfOtherKindsAreNamed) {
  using namespace std::string_literals;
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const std::string wide = "a\0n\0n\0a\0\n\0b\0e\0r\0t\0"s, hangul = "\x5C\xD5\x78\xC7\n\0\x5C\xD5 \0\x78\xC7"s;
  for (const auto& [bytes, kind] : std::vector<std::pair<std::string, std::string>>{
           {"\x1f\x8b\x08\0\0\0\0\0\0\3xyz"s, "it is packed with gzip"},
           {"PK\3\4\x14\0\0\0\0\0archive/data.pkl"s, "it is a zip archive"},
           {"\x80\2}q\0X"s, "it is a pickle"},
           {"GGUF\3\0\0\0\x23\1\0\0"s, "it is a GGUF file"},
           {R"({"metadata": {"total_size": 1}, "weight_map": {"wte.weight": "model-1.safetensors"}})",
            "it is an index of several files of weights"},
           {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "it is a Git LFS pointer"},
           {"BZh91AY&SY\x94"s, "it is packed with bzip2"},
           {"\xfd"
            "7zXZ\0\0\4"s,
            "it is packed with xz"},
           {"\x28\xb5\x2f\xfd\4"s, "it is packed with zstd"},
           {std::string(257, 'a') + "ustar", "it is a tar archive"},
           {"\x93NUMPY\1\0"s, "it is a NumPy array"},
           {"\xff\xfe" + wide, "it is text in UTF-16;"},
           {wide, "it is text in UTF-16LE"},
           {"\0"s + wide.substr(0, wide.size() - 1), "it is text in UTF-16BE"},
           {hangul, "it is text in UTF-16LE"}}) {
    write(folder / "other", bytes);
    expect_error(train({"--data", "other"}), 1, "other: " + kind);
    expect_error(train({"--data", "other", "--format", "text"}), 1, "other: " + kind);
    expect_error(gpt({"eval", "run", "--data", "other"}), 1, "other: " + kind);
    expect_error(train({"--config", "other"}), 1, "other: " + kind);
    expect_error(train({"--init-from", "other"}), 1, "other': " + kind);
    expect_error(train({"--resume", "other"}), 1, "other': " + kind);
    std::filesystem::create_directories(folder / "of_others");
    write(folder / "of_others/model.safetensors", bytes);
    for (const char* command : {"sample", "eval", "info", "check", "profile"}) {
      expect_error(gpt({command, "of_others"}), 1, "model.safetensors': " + kind);
    }
  }
  expect_error(train({"--data", "run/model.safetensors"}), 1, "it is a file of weights (safetensors), not text");
  expect_error(gpt({"sample", "run/model.safetensors"}), 1, "is a file; name the folder that it is in: 'run'");
  write(folder / "words", "anna\nberta\n");
  for (const char* command : {"sample", "eval", "info", "check", "profile"}) {
    expect_error(gpt({command, "words"}), 1, "'words' is a file; name the folder of a run");
  }
  expect_error(train({"--init-from", "words"}), 1, "words': it is text, not weights");
  expect_error(train({"--resume", "words"}), 1, "words': it is text, not weights");
  // Text that begins as one of them does is text.
  write(folder / "text.txt", "GGUF\nPAR1\nBZhang\nPK\n{\"a\": 1}\n");
  EXPECT_EQ(train({"--data", "text.txt", "--quiet"}).status, 0);
}

TEST_F(Command, AnotherTextNamesTheWayToIt) {
  write(folder / "a.txt", "anna\nberta\nclara\ndora\n");
  write(folder / "b.txt", "anna\nberta\nclara\n");
  ASSERT_EQ(train({"--data", "a.txt", "--out", "run", "--quiet"}).status, 0);
  const Result other = gpt({"train", "--resume", "run", "--data", "b.txt"});
  expect_error(other, 1, "'b.txt' is not the text that the run in 'run' learns from");
  EXPECT_THAT(other.err, HasSubstr("--init-from run/model.safetensors --data b.txt"));
  EXPECT_EQ(train({"--init-from", "run/model.safetensors", "--data", "b.txt", "--quiet"}).status, 0);

  std::filesystem::rename(folder / "a.txt", folder / "moved.txt");
  for (const Arguments& command :
       {Arguments{"train", "--resume", "run"}, {"eval", "run"}, {"check", "run"}, {"profile", "run"}}) {
    expect_error(gpt(command), 1, "the run in 'run' learned from it: where it lies elsewhere now, name it with --data");
  }
  EXPECT_EQ(gpt({"train", "--resume", "run", "--data", "moved.txt", "--steps", "4", "--quiet"}).status, 0);
  EXPECT_EQ(gpt({"check", "run", "--data", "moved.txt", "--entries", "1"}).status, 0);
  EXPECT_EQ(gpt({"profile", "run", "--data", "moved.txt"}).status, 0);
  write(folder / "moved.txt", "dora\nedda\n");
  expect_error(gpt({"train", "--resume", "run"}), 1, "moved.txt' has changed since the run in 'run' learned from it");
}

TEST_F(Command, AnUnknownCharacterIsShownWhereItStands) {
  write(folder / "a.txt", "anna\nberta\n");
  write(folder / "b.txt", "anna\n\n  ber\xC3\xA9\n");
  ASSERT_EQ(train({"--data", "a.txt", "--out", "lines", "--quiet"}).status, 0);
  const std::string place = "b.txt, line 3: character ";
  expect_error(gpt({"eval", "lines", "--data", "b.txt"}), 1, place);
  expect_error(gpt({"check", "lines", "--data", "b.txt"}), 1, place);
  expect_error(gpt({"profile", "lines", "--data", "b.txt"}), 1, place);
  for (const Arguments& command :
       {Arguments{"eval", "lines", "--data", "b.txt"}, {"sample", "lines", "--prompt", "X"}}) {
    EXPECT_THAT(gpt(command).err, HasSubstr("--unknown skip leaves such characters out, --unknown replace puts '?'"));
  }
  expect_error(gpt({"train", "--init-from", "lines/model.safetensors", "--data", "b.txt"}), 1,
               "do not know: \xC3\xA9 (the first in b.txt, line 3); choose --unknown");
  expect_error(gpt({"train", "--init-from", "lines/model.safetensors", "--data", "a.txt", "--held-out", "b.txt"}), 1,
               "(the first in b.txt, line 3)");
  write(folder / "a.txt", "a text of several words, and\nof two lines and more\n");
  ASSERT_EQ(train({"--data", "a.txt", "--format", "text", "--context", "8", "--out", "text", "--quiet"}).status, 0);
  write(folder / "b.txt", "a text\r\nof two\nline\xC3\xA9s\n");
  const Result judged = gpt({"eval", "text", "--data", "b.txt"});
  expect_error(judged, 1, "b.txt, line 3: character 5, '\xC3\xA9' (U+00E9)");
}

TEST_F(Command, AModelThatIsNotThereButItsBestIs) {
  ASSERT_EQ(train({"--out", "run", "--quiet", "--eval-every", "1"}).status, 0);
  const std::string model = read(folder / "run/model.safetensors"), best = read(folder / "run/best.safetensors");
  std::filesystem::remove(folder / "run/model.safetensors");
  for (const char* command : {"sample", "eval", "info", "check", "profile"}) {
    expect_error(gpt({command, "run"}), 1,
                 "'run' has no model.safetensors; 'run/best.safetensors' is whole, to use it: --best");
    EXPECT_EQ(gpt({command, "run", "--best"}).status, 0);
  }
  std::filesystem::remove(folder / "run/best.safetensors");
  expect_error(gpt({"sample", "run"}), 1, "gpt train --resume run");
  EXPECT_EQ(gpt({"train", "--resume", "run", "--quiet"}).status, 0);
  EXPECT_EQ(read(folder / "run/model.safetensors"), model);
  std::filesystem::remove(folder / "run/best.safetensors");
  expect_error(gpt({"sample", "run", "--best"}), 1, "'run/model.safetensors' is whole, to use it: leave --best out");
  write(folder / "run/best.safetensors", best.substr(0, best.size() / 2));
  expect_error(gpt({"info", "run", "--best"}), 1, "'run/model.safetensors' is whole, to use it: leave --best out");
}

TEST_F(Command, WeightsThatAreNotFiniteBlameTheirFile) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  for (const char* file : {"model.safetensors", "train_state.safetensors"}) {
    const std::string path = folder / "run" / file;
    nn::TensorFile tensors = nn::read_tensors(path);
    for (auto& [name, tensor] : tensors.tensors) {
      if (name.ends_with("wpe.weight")) tensor = tensor / 0.0;
    }
    tensors.metadata.erase("checksum");
    nn::save_tensors(path, tensors.tensors, tensors.metadata);
  }
  std::filesystem::remove(folder / "run/best.safetensors");
  const std::string blame = ".safetensors': 'wpe.weight' holds values that are not finite; the file is damaged";
  for (const char* command : {"sample", "eval", "info", "check", "profile"})
    expect_error(gpt({command, "run"}), 1, "model" + blame);
  expect_error(train({"--init-from", "run/model.safetensors", "--data", "bundled:names"}), 1, "model" + blame);
  expect_error(gpt({"train", "--resume", "run"}), 1, "state" + blame);
}

TEST_F(Command, LimitsOfTheSystemEndWithASentence) {
  const std::string long_name(300, 'a');
  std::string long_path;
  for (int i = 0; i < 1000; ++i) long_path += "folder/";
  for (const std::string& path : {long_name, long_path}) {
    for (const char* flag : {"--out", "--data", "--init-from", "--resume", "--config"}) {
      const Result result = gpt({"train", flag, path});
      expect_error(result, 2, "use a shorter one");
      EXPECT_LT(result.err.size(), 200U);
    }
    for (const char* command : {"sample", "eval", "info", "check", "profile"})
      expect_error(gpt({command, path}), 2, "use a shorter one");
  }
  write(folder / std::string(250, 'n'), "anna\nberta\n");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(train({"--data", std::string(250, 'n'), "--quiet"}).status, 0);

  file_size = 4000;
  expect_error(train({"--out", "limited"}), 1, "File too large; check the folder, the free space and ulimit -f");
  file_size = 0;
  if (gradus::testing::emulated()) return;  // an emulator brings a stack of its own
  stack_size = 64 << 10;
  expect_error(train({"--out", "small"}), 1, "the stack may not grow to 256 KB");
#ifndef __SANITIZE_THREAD__  // it needs more for itself
  stack_size = 256 << 10;
  EXPECT_EQ(train({"--out", "enough", "--quiet"}).status, 0);
#endif
}

TEST_F(Command, APictureThatCannotBeWrittenIsAWarning) {
  ASSERT_EQ(train({"--out", "ready", "--quiet"}).status, 0);
  std::filesystem::remove(folder / "ready/loss.svg");
  std::filesystem::create_directories(folder / "ready/loss.svg");
  const Result trained = gpt({"train", "--resume", "ready", "--steps", "6", "--quiet"});
  EXPECT_EQ(trained.status, 0);
  EXPECT_EQ(trained.out, last_line(trained.out));
  EXPECT_THAT(trained.err, AllOf(StartsWith("gpt: save: 'ready/loss.svg' exists and is not a file"),
                                 HasSubstr("the training continues without the picture\n")));
  EXPECT_EQ(std::ranges::count(trained.err, '\n'), 1);
}

TEST_F(Command, TrainingsStartedAtOnceEachHaveTheirOwnFolder) {
  constexpr int count = 8;
  std::string script = fmt::format("cd {}; ", folder.path().native());
  for (int seed = 1; seed <= count; ++seed) {
    script += fmt::format(
        "{}/gpt train --steps 2 --layers 1 --width 8 --heads 2 --threads 1 --quiet --seed {} > /dev/null 2>> errors & ",
        GRADUS_BIN_DIR, seed);
  }
  gradus::testing::run(script + "wait");
  EXPECT_EQ(read(folder / "errors"), "");
  std::set<int> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "runs")) {
    seeds.insert(nlohmann::json::parse(read(entry.path() / "config.json"))["train"]["seed"].get<int>());
    EXPECT_TRUE(std::filesystem::exists(entry.path() / "model.safetensors"));
  }
  EXPECT_EQ(seeds, (std::set<int>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(Command, AGoodModelSurvivesWhatFails) {
  ASSERT_EQ(train({"--out", "run"}).status, 0);
  const std::string good = read(folder / "run/model.safetensors");
  const auto before = contents("run");
  expect_error(train({"--out", "run", "--overwrite", "--lr", "0"}), 2, "learning rate");
  expect_error(train({"--out", "run", "--overwrite", "--lr", "1e38", "--steps", "50"}), 1, "step");
  EXPECT_EQ(contents("run"), before);
  expect_error(gpt({"sample", "run", "--prompt", "a\xC3\xA9"}), 1, "U+00E9");
  expect_error(gpt({"sample", "run", "--prompt", "a\xFF"}), 1, "UTF-8");
  expect_error(gpt({"sample", "run", "--temperature", "-1"}), 2, "temperature");
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
