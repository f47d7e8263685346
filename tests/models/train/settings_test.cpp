// What gpt train makes of its settings: paths, files of settings, and what goes on when a run is resumed.
#include <nlohmann/json.hpp>
#include <regex>

#include <gradus/models/train/checkpoint.h>

#include "../command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read;
using testing::Result;
using testing::write;

struct Settings : testing::Command {
  Result in(const std::string& place, const std::string& arguments) const {
    const auto result = gradus::testing::run(
        fmt::format("cd {} && {}/gpt {} 2>&1", (folder / place).native(), GRADUS_BIN_DIR, arguments));
    return {result.status, result.output, {}};
  }
  nlohmann::json saved(const std::string& run) const {
    return nlohmann::json::parse(read(folder / run / "config.json"))["train"];
  }
};

TEST_F(Settings, PathsHoldInEveryFolder) {
  std::string text;
  for (int i = 0; i < 90; ++i) text += fmt::format("line {}\n", i);
  write(folder / "text.txt", text);
  std::filesystem::create_directories(folder / "deep/er");
  ASSERT_EQ(train({"--data", "text.txt", "--out", "run", "--quiet"}).status, 0);
  const Result resumed = in("deep/er", "train --resume ../../run --steps 5 --samples 0");
  EXPECT_EQ(resumed.status, 0) << resumed.out;
  EXPECT_EQ(saved("run")["data"], (folder / "text.txt").native());
  const Result again = in("deep", "train --config ../run/config.json --out copy --quiet");
  EXPECT_EQ(again.status, 0) << again.out;
  ASSERT_EQ(train({"--init-from", "run/model.safetensors", "--data", "text.txt", "--out", "tuned", "--quiet"}).status,
            0);
  const Result tuned = in("deep", "train --config ../tuned/config.json --out tuned --quiet");
  EXPECT_EQ(tuned.status, 0) << tuned.out;
}

TEST_F(Settings, ARunHasANameHoweverItsFolderIsWritten) {
  ASSERT_EQ(train({"--out", "run/", "--quiet", "--keep", "99", "--save-every", "1"}).status, 0);
  const auto title = [&] { return read(folder / "run/loss.svg"); };
  EXPECT_THAT(title(), HasSubstr(">run</text>"));
  for (const auto& [place, path, shown] :
       std::vector<std::array<std::string, 3>>{{"run", ".", "."},
                                               {"run", "train_state.safetensors", "."},
                                               {"run/checkpoints", "..", ".."},
                                               {"run/checkpoints", "step-000000000002.safetensors", ".."},
                                               {".", "run/checkpoints/step-000000000002.safetensors", "run"}}) {
    write(folder / "run/loss.svg", "");
    const Result resumed = in(place, fmt::format("train --resume {} --steps 9 --samples 0", path));
    EXPECT_EQ(resumed.status, 0) << resumed.out;
    EXPECT_THAT(resumed.out, HasSubstr(fmt::format("saved in {};", shown)));
    EXPECT_EQ(load_checkpoint(folder / "run").trainer.steps, 9);
    if (path.find("step-") != std::string::npos) {
      EXPECT_THAT(title(), HasSubstr(">run</text>"));
    }
  }
}

TEST_F(Settings, WhatBelongsToAChangedValueChangesWithIt) {
  ASSERT_EQ(gpt({"train", "--layers", "1", "--width", "8", "--heads", "2", "--steps", "20", "--warmup", "4", "--lr",
                 "0.01", "--min-lr", "0.001", "--out", "run", "--quiet"})
                .status,
            0);
  const Result nothing = gpt({"train", "--resume", "run", "--steps", "3"});
  EXPECT_EQ(nothing.status, 0) << nothing.err;
  EXPECT_THAT(nothing.out, HasSubstr("nothing is left to do after 20 steps"));
  const Result epoch = gpt({"train", "--resume", "run", "--epochs", "0.001"});
  EXPECT_EQ(epoch.status, 0) << epoch.err;
  const Result slower = gpt({"train", "--resume", "run", "--steps", "25", "--lr", "0.0005", "--samples", "0"});
  EXPECT_EQ(slower.status, 0) << slower.err;
  EXPECT_DOUBLE_EQ(saved("run")["min-lr"].get<double>(), 0.00005);
  EXPECT_EQ(saved("run")["warmup"], 4);
  const Result said = gpt({"train", "--resume", "run", "--lr", "0.0005", "--min-lr", "0.1", "--steps", "30"});
  expect_error(said, 2, "--min-lr is 0.1");
  expect_error(gpt({"train", "--resume", "run", "--steps", "30", "--warmup", "40"}), 2, "shorten the warm-up");
}

// Some epochs of a short list are fewer steps than the preset's warm-up.
TEST_F(Settings, AShortListNeedsNoSettings) {
  write(folder / "short.txt", "anna\nberta\ncarla\n");
  const Result trained = gpt({"train", "--data", "short.txt", "--quiet"});
  EXPECT_EQ(trained.status, 0) << trained.err;
  expect_error(gpt({"train", "--data", "short.txt", "--warmup", "50"}), 1, "shorten the warm-up");
}

TEST_F(Settings, PatienceThatEndedARunIsToldWhenItIsResumed) {
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"train"};
    all.insert(all.end(), more.begin(), more.end());
    return gpt(all);
  };
  ASSERT_EQ(run({"--layers", "1", "--width", "8", "--heads", "2", "--steps", "100000", "--eval-every", "1",
                 "--eval-batches", "1", "--patience", "2", "--lr", "0.3", "--out", "run", "--quiet"})
                .status,
            0);
  const Index steps = load_checkpoint(folder / "run").trainer.steps;
  const Result again = run({"--resume", "run", "--samples", "0"});
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.out, AllOf(HasSubstr(fmt::format("patience ended this run at step {};", steps)),
                               HasSubstr("--patience 4"), Not(HasSubstr("nothing is left"))));
  EXPECT_EQ(run({"--resume", "run", "--samples", "0", "--patience", "4", "--quiet"}).status, 0);
  EXPECT_GT(load_checkpoint(folder / "run").trainer.steps, steps);
}

// One list has them all: what a run keeps can be said by a flag and by a file, and the help tells it.
TEST_F(Settings, AreFlagsFieldsAndHelpAlike) {
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  const std::string help = gpt({"train", "--help"}).out;
  const auto settings = nlohmann::json::parse(read(folder / "run/config.json"))["train"];
  EXPECT_GT(settings.size(), 30U);
  // A run that goes on takes what it has.
  std::vector<std::string> flags{"train", "--resume", "run", "--quiet"};
  for (const auto& [name, value] : settings.items()) {
    EXPECT_THAT(help, HasSubstr("--" + name + " "));
    if (name == "data" || value.is_boolean()) continue;
    flags.insert(flags.end(), {"--" + name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  const Result by_flags = gpt(flags);
  EXPECT_EQ(by_flags.status, 0) << by_flags.err;
  const Result by_file = gpt({"train", "--resume", "run", "--config", "run/config.json", "--quiet"});
  EXPECT_EQ(by_file.status, 0) << by_file.err;
  for (const char* fixed : {"preset", "format", "keep-space", "held-out-share", "layers", "width", "heads", "context",
                            "dropout", "dtype", "seed"}) {
    const auto old = settings[fixed];
    nlohmann::json other = old;
    if (old.is_boolean()) {
      other = !old.get<bool>();
    } else if (old.is_number_integer()) {
      other = old.get<int>() + 2;
    } else if (old.is_number()) {
      other = 0.3;
    } else {
      other =
          std::map<std::string, std::string>{{"preset", "microgpt"}, {"format", "text"}, {"dtype", "f64"}}.at(fixed);
    }
    write(folder / "other.json", nlohmann::json{{fixed, other}}.dump());
    expect_error(gpt({"train", "--resume", "run", "--config", "other.json"}), 1,
                 fmt::format("--{} cannot change when a run is resumed", fixed));
  }
}

// How a step computes, not what: it may begin in the middle of a run, and what comes out has the same bits.
TEST_F(Settings, CheckpointedActivationsMayBeginWhenARunIsResumed) {
  const auto weights = [&](const std::string& run) {
    std::vector<std::vector<std::uint64_t>> all;
    for (const Tensor& parameter : load_run(folder / run).model.parameters()) {
      all.push_back(gradus::testing::bits(parameter));
    }
    return all;
  };
  const auto in_model = [&](const std::string& run) { return load_run(folder / run).model.config(); };
  const std::string flag = "--checkpoint-activations";
  ASSERT_EQ(train({"--dropout", "0.2", "--out", "plain", "--quiet"}).status, 0);
  ASSERT_EQ(train({"--dropout", "0.2", "--out", "again", "--quiet", flag}).status, 0);
  EXPECT_FALSE(in_model("plain").checkpoint_activations);
  EXPECT_TRUE(in_model("again").checkpoint_activations);
  EXPECT_EQ(saved("again")["checkpoint-activations"], true);
  EXPECT_EQ(weights("again"), weights("plain"));

  const auto go_on = [&](std::vector<std::string> more, const char* steps = "9") {
    more.insert(more.begin(), {"train", "--steps", steps, "--samples", "0", "--quiet"});
    const Result resumed = gpt(more);
    EXPECT_EQ(resumed.status, 0) << resumed.err;
  };
  go_on({"--resume", "plain", flag});
  go_on({"--resume", "again"});  // the run has it
  EXPECT_TRUE(in_model("plain").checkpoint_activations);
  EXPECT_TRUE(in_model("again").checkpoint_activations);
  EXPECT_EQ(weights("again"), weights("plain"));
  write(folder / "off.json", R"({"checkpoint-activations": false})");
  go_on({"--resume", "again", "--config", "off.json"}, "10");
  EXPECT_FALSE(in_model("again").checkpoint_activations);
}

// Flags are the command line's words; errors of the library have a remedy() in their place.
TEST_F(Settings, TheLibraryNamesNoFlag) {
  const std::regex flag("\"[^\"\\n]*(--[a-z]|gpt (train|sample))");
  const std::filesystem::path models = std::filesystem::path(GRADUS_SOURCE_DIR) / "models";
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(models)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    std::smatch found;
    const std::string source = read(entry.path());
    if (std::regex_search(source, found, flag)) ADD_FAILURE() << entry.path() << ": " << found.str();
  }
  EXPECT_GT(files, 20);
}

TEST_F(Settings, NumbersThatDoNotFit) {
  for (const char* threads : {"4294967297", "0", "-1"}) {
    write(folder / "bad.json", fmt::format(R"({{"threads": {}}})", threads));
    expect_error(train({"--config", "bad.json"}), 2, fmt::format("threads is {}, it must be from 1 to 256", threads));
  }
  write(folder / "bad.json", R"({"samples": 1000001})");
  expect_error(train({"--config", "bad.json"}), 2, "samples is 1000001, it must be from 0 to 1000000");
  const char* const huge = "9223372036854775807";
  expect_error(train({"--eval-batches", huge}), 2, "eval-batches is 9223372036854775807");
  expect_error(train({"--batch", huge, "--accumulation", huge, "--epochs", "1"}), 2, "--batch is 9223372036854775807");
  expect_error(train({"--accumulation", huge, "--epochs", "1"}), 2, "accumulation");
  EXPECT_FALSE(std::filesystem::exists(folder / "runs"));
}

TEST_F(Settings, AFieldThatIsThereTwiceIsAnError) {
  write(folder / "bad.json", "{\"steps\": 2,\n \"lr\": 0.1, \"steps\": 3}");
  expect_error(train({"--config", "bad.json"}), 1, "bad.json: there is a second field \"steps\"; remove one of them");
  ASSERT_EQ(train({"--out", "run", "--quiet"}).status, 0);
  // The same name in two objects is none.
  EXPECT_EQ(train({"--config", "run/config.json", "--out", "again", "--quiet"}).status, 0);
}

}  // namespace
}  // namespace gradus::models
