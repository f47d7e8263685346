// Which texts gpt learns from and is judged by: several, folders, standard input; the same text in other bytes; runs of
// before; what is held out; characters that weights do not know; memory.
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include <gradus/core/ops.h>
#include <gradus/core/runtime/platform.h>
#include <gradus/models/gpt/change_vocabulary.h>
#include <gradus/models/text/byte_tokenizer.h>
#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/run_folder.h>
#include <gradus/models/train/run_log.h>

#include "../command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read;
using testing::Result;
using testing::write;

using Arguments = std::vector<std::string>;

struct Texts : testing::Command {
  Result tiny(Arguments more) const {
    Arguments all{"train", "--layers", "1", "--width", "8", "--heads", "2", "--context", "8", "--samples", "0"};
    all.insert(all.end(), more.begin(), more.end());
    return gpt(all);
  }
  RunData data(const std::string& run) const { return load_run(folder / run).data; }
  std::string running_text(int lines = 60) const {
    std::string text;
    for (int i = 0; i < lines; ++i) text += fmt::format("line {} of {}\n", i * 37 % 100, i);
    return text;
  }
  // `command` of a shell in the test's folder, where $gpt is the program.
  gradus::testing::ProgramResult shell(const std::string& command) const {
    return gradus::testing::run(
        fmt::format("cd {} && gpt={}/gpt && ({}) 2>&1", folder.path().native(), GRADUS_BIN_DIR, command));
  }
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

TEST_F(Texts, AreTheSameWhateverTheirBytes) {
  const std::string composed = "Ren\xC3\xA9", decomposed = "Rene\xCC\x81";
  for (const char* format : {"lines", "text"}) {
    const std::string text = running_text() + composed + "\n", run = std::string("run_") + format;
    write(folder / "text.txt", text);
    ASSERT_EQ(tiny({"--data", "text.txt", "--format", format, "--steps", "2", "--out", run, "--quiet"}).status, 0);
    const std::string judged = gpt({"eval", run, "--json"}).out;
    for (const std::string& same :
         {replaced(text, "\n", "\r\n"), "\xEF\xBB\xBF" + text, replaced(text, composed, decomposed)}) {
      write(folder / "text.txt", same);
      EXPECT_EQ(gpt({"eval", run, "--json"}).out, judged);
      EXPECT_EQ(gpt({"train", "--resume", run, "--steps", "2", "--quiet"}).status, 0);
    }
    write(folder / "text.txt", text + "more\n");
    expect_error(gpt({"eval", run}), 1, "is not the text");
    expect_error(gpt({"train", "--resume", run}), 1, "has changed since the run in");
    expect_error(gpt({"train", "--resume", run, "--data", "text.txt"}), 1, "is not the text that the run in");
  }
}

// Written by a version that knew texts by their bytes and split lines one by one: the second half of a run ends with
// the weights that it had then. Compilers differ in the last bits.
TEST_F(Texts, RunsOfBeforeGoOnAsTheyBegan) {
  const std::filesystem::path before = std::filesystem::path(GRADUS_SOURCE_DIR) / "tests/models/data";
  for (const std::string kind : {"old_lines", "old_text"}) {
    std::filesystem::create_directory(folder / kind);
    std::filesystem::copy_file(before / (kind + ".safetensors"), folder / kind / "step.safetensors");
    const std::string text = read(before / (kind + ".txt"));  // its lines ended with "\r\n" then
    write(folder / (kind + ".txt"), kind == "old_text" ? text : replaced(text, "\n", "\r\n"));
    const Result more = gpt({"train", "--resume", kind + "/step.safetensors", "--data", kind + ".txt", "--quiet"});
    ASSERT_EQ(more.status, 0) << more.err;
    const models::Run run = load_run(folder / kind);
    std::filesystem::create_directory(folder / (kind + "_end"));
    std::filesystem::copy_file(before / (kind + "_end.safetensors"), folder / (kind + "_end") / model_file);
    const models::Run expected = load_run(folder / (kind + "_end"));
    EXPECT_EQ(run.moment.step, 12);
    EXPECT_FALSE(run.data.distinct);
    const auto weights = run.model.named_parameters(), old = expected.model.named_parameters();
    for (std::size_t i = 0; i < old.size(); ++i) {
      testing::expect_close(weights[i].second, old[i].second.to_vector(), 1e-5);
    }
    EXPECT_EQ(gpt({"eval", kind}).status, 0);
  }
}

TEST_F(Texts, SeveralFilesFoldersAndStandardInput) {
  std::filesystem::create_directories(folder / "texts/deep/.hidden");
  write(folder / "texts/b.txt", "anna\nberta\n");
  write(folder / "texts/deep/a.txt", "carla\ndora");
  write(folder / "texts/deep/.hidden/no.txt", "hidden\n");
  write(folder / "texts/empty.txt", "");
  write(folder / "texts/blank.txt", " \n");
  write(folder / "more.txt", "emil\nfrida\n");
  write(folder / "all.txt", "anna\nberta\ncarla\ndora\nemil\nfrida\n");
  const auto fingerprint_of = [&](const Arguments& texts, const std::string& format) {
    Arguments all{"--steps",          "1",  "--out", "run", "--overwrite", "--quiet", "--format", format,
                  "--held-out-share", "0.4"};
    all.insert(all.end(), texts.begin(), texts.end());
    const Result result = tiny(all);
    EXPECT_EQ(result.status, 0) << result.err;
    return data("run").fingerprint;
  };
  const std::string whole = fingerprint_of({"--data", "all.txt"}, "lines");
  EXPECT_EQ(fingerprint_of({"--data", "texts", "--data", "more.txt"}, "lines"), whole);
  EXPECT_EQ(data("run").sources(), (std::vector<std::string>{folder / "texts", folder / "more.txt"}));
  EXPECT_EQ(gpt({"eval", "run"}).status, 0);
  EXPECT_EQ(gpt({"check", "run", "--entries", "1"}).status, 0);
  EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", "2", "--quiet"}).status, 0);
  EXPECT_EQ(gpt({"train", "--config", "run/config.json", "--out", "again", "--quiet"}).status, 0);
  EXPECT_EQ(data("again").fingerprint, whole);
  const std::string running = fingerprint_of({"--data", "texts/b.txt", "--data", "texts/deep/a.txt"}, "text");
  write(folder / "joined.txt", "anna\nberta\ncarla\ndora");
  EXPECT_EQ(fingerprint_of({"--data", "joined.txt"}, "text"), running);

  const auto piped = shell("cat all.txt | $gpt train --data - --steps 1 --layers 1 --width 8 --heads 2 --samples 0");
  EXPECT_EQ(piped.status, 0) << piped.output;
  EXPECT_EQ(data("runs/stdin").fingerprint, whole);
  expect_error(gpt({"eval", "runs/stdin"}), 1, "give it once more with --data");
  expect_error(gpt({"train", "--resume", "runs/stdin"}), 1, "give it once more with --data");
  expect_error(gpt({"train", "--resume", "runs/stdin", "--steps", "2"}), 1, "once more with --data");
  EXPECT_EQ(gpt({"eval", "runs/stdin", "--data", "all.txt"}).status, 0);
  EXPECT_EQ(shell("cat all.txt | $gpt train --resume runs/stdin --data - --steps 2 --quiet").status, 0);
  EXPECT_EQ(shell("$gpt eval runs/stdin --data - < all.txt").status, 0);
  EXPECT_THAT(shell("$gpt train --data - < /dev/null").output, HasSubstr("standard input is empty"));
  write(folder / "texts/latin.txt", "ren\xE9\n");
  expect_error(tiny({"--data", "texts", "--steps", "1"}), 1, "texts/latin.txt: byte 0xe9");
}

TEST_F(Texts, AreHeldOutAsSaid) {
  std::string names, others;
  for (int i = 0; i < 50; ++i) names += fmt::format("name{}\n", i);
  for (int i = 45; i < 65; ++i) others += fmt::format("name{}\n", i);
  write(folder / "names.txt", names);
  write(folder / "others.txt", others);
  const Result share = tiny({"--data", "names.txt", "--held-out-share", "0.3", "--steps", "1", "--out", "share"});
  EXPECT_EQ(share.status, 0) << share.err;
  EXPECT_THAT(share.out, HasSubstr("30 % at random held out"));
  EXPECT_EQ(data("share").held_out, 0.3);
  const Result own = tiny({"--data", "names.txt", "--held-out", "others.txt", "--steps", "1", "--out", "own"});
  EXPECT_EQ(own.status, 0) << own.err;
  EXPECT_THAT(own.out,
              AllOf(HasSubstr("others.txt held out"), HasSubstr("5 documents of those held out are trained on")));
  const Result judged = gpt({"eval", "own"});
  EXPECT_THAT(judged.out, AllOf(HasSubstr("all of " + (folder / "others.txt").native()), HasSubstr("held-out loss")));
  EXPECT_EQ(last_line(judged.out).substr(20, 6), last_line(own.out).substr(14, 6));
  EXPECT_THAT(gpt({"eval", "own", "--data", "names.txt"}).out,
              AllOf(HasSubstr("the model was trained on this text"), Not(HasSubstr("held-out"))));
  EXPECT_EQ(gpt({"train", "--resume", "own", "--steps", "2", "--quiet"}).status, 0);
  write(folder / "others.txt", names);
  expect_error(gpt({"train", "--resume", "own", "--steps", "3"}), 1, "with --held-out");
  expect_error(tiny({"--data", "names.txt", "--held-out", "others.txt", "--held-out-share", "0.5"}), 2,
               "leave one out");
  for (const char* none : {"0", "1", "nan"}) {
    expect_error(tiny({"--data", "names.txt", "--held-out-share", none}), 2, "--held-out-share is");
  }
  expect_error(gpt({"train", "--resume", "share", "--held-out-share", "0.2"}), 1, "--held-out-share cannot change");
  expect_error(gpt({"train", "--resume", "share", "--held-out", "others.txt"}), 1, "--held-out cannot change");
}

TEST_F(Texts, CopiesAndWhiteSpaceAreTold) {
  write(folder / "two.txt", replaced(std::string(50, 'x'), "x", "anna\nberta\n"));
  const Result two = tiny({"--data", "two.txt", "--steps", "60", "--lr", "0.05", "--out", "two"});
  EXPECT_EQ(two.status, 0) << two.err;
  EXPECT_THAT(two.out, HasSubstr("98 documents repeat others"));
  const auto judged = nlohmann::json::parse(gpt({"eval", "two", "--json"}).out);
  EXPECT_GT(judged["held_out_loss"].get<double>(), 0.5);  // what it was never shown; 0.16 with copies of it in training
  write(folder / "one.txt", "anna\nanna\nanna\n");
  expect_error(tiny({"--data", "one.txt", "--steps", "1"}), 1, "all 3 documents are alike");

  write(folder / "space.txt", "  if\n    then\nend\n\n  \nelse \n");
  const Result dropped = tiny({"--data", "space.txt", "--steps", "1", "--out", "dropped"});
  EXPECT_THAT(dropped.out, AllOf(HasSubstr("3 documents lost white space"), HasSubstr("--keep-space"),
                                 HasSubstr("4 documents, 13 characters")));
  const Result kept = tiny({"--data", "space.txt", "--steps", "1", "--out", "kept", "--keep-space"});
  EXPECT_THAT(kept.out, AllOf(Not(HasSubstr("lost white space")), HasSubstr("4 documents, 20 characters")));
  EXPECT_EQ(gpt({"eval", "kept"}).status, 0);
  EXPECT_EQ(gpt({"train", "--resume", "kept", "--steps", "2", "--quiet"}).status, 0);
  // Prompts lose what the data lose.
  const auto sample = [&](const char* run, const char* prompt) {
    const Result result = gpt({"sample", run, "--prompt", prompt, "--count", "1", "--max-tokens", "1"});
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  };
  EXPECT_TRUE(sample("dropped", "  if").starts_with("if"));
  EXPECT_TRUE(sample("kept", "  if").starts_with("  if"));
}

TEST_F(Texts, PromptsAreReadAsDataAre) {
  write(folder / "text.txt", running_text());
  ASSERT_EQ(tiny({"--data", "text.txt", "--format", "text", "--steps", "1", "--out", "run", "--quiet"}).status, 0);
  const auto sample = [&](Arguments more) {
    more.insert(more.begin(), {"sample", "run", "--max-tokens", "3"});
    return gpt(more);
  };
  const std::string expected = sample({"--prompt", "line 1\nline 2\n"}).out;
  ASSERT_TRUE(expected.starts_with("line 1\nline 2\n"));
  EXPECT_EQ(sample({"--prompt", "line 1\r\nline 2\r\n"}).out, expected);
  // The last newline of a file is its editor's.
  const std::string without_end = sample({"--prompt", "line 1\nline 2"}).out;
  write(folder / "prompt.txt", "\xEF\xBB\xBFline 1\r\nline 2\r\n");
  EXPECT_EQ(sample({"--prompt-file", "prompt.txt"}).out, without_end);
  EXPECT_EQ(shell("$gpt sample run --max-tokens 3 --prompt-file - < prompt.txt").output, without_end);
  EXPECT_EQ(shell("echo line 1 | $gpt sample run --max-tokens 3 --prompt-file -").output,
            sample({"--prompt", "line 1"}).out);
  write(folder / "prompt.txt", "line 1\nline 2\n\n");
  EXPECT_EQ(sample({"--prompt-file", "prompt.txt"}).out, expected);
  write(folder / "prompt.txt", "line 1\nline 2");
  EXPECT_EQ(sample({"--prompt-file", "prompt.txt"}).out, without_end);
  expect_error(sample({"--prompt-file", "none.txt"}), 1, "none.txt");
  expect_error(sample({"--prompt-file", "prompt.txt", "--prompt", "a"}), 2, "leave one out");
  expect_error(sample({"--prompt", "line X"}), 1, "'X'");
  EXPECT_TRUE(sample({"--prompt", "line X", "--unknown", "skip"}).out.starts_with("line "));
  EXPECT_TRUE(sample({"--prompt", "lineX1", "--unknown", "replace"}).out.starts_with("line 1"));
  write(folder / "other.txt", "line X of 1\n");
  expect_error(gpt({"eval", "run", "--data", "other.txt"}), 1, "'X'");
  EXPECT_THAT(gpt({"eval", "run", "--data", "other.txt", "--unknown", "skip"}).out,
              HasSubstr("1 character that the model does not know was left out (X)"));
  write(folder / "other.txt", "XXX");
  expect_error(gpt({"eval", "run", "--data", "other.txt", "--unknown", "skip"}), 1, "knows no character of the text");
}

TEST_F(Texts, FineTuningTakesFormatContextAndCharacters) {
  write(folder / "text.txt", running_text());
  write(folder / "new.txt", replaced(running_text(), "line", "z\xC3\xA9ro"));
  ASSERT_EQ(tiny({"--data", "text.txt", "--format", "text", "--steps", "3", "--out", "run", "--quiet"}).status, 0);
  const auto tune = [&](Arguments more) {
    more.insert(more.begin(), {"train", "--init-from", "run/model.safetensors", "--steps", "1", "--lr", "1e-12",
                               "--out", "tuned", "--overwrite", "--samples", "0"});
    return gpt(more);
  };
  const Result same = tune({"--data", "text.txt", "--context", "4"});
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_THAT(same.out, AllOf(HasSubstr("the last tenth held out"), HasSubstr("context 4, ")));
  models::Run run = load_run(folder / "run"), cropped = load_run(folder / "tuned");
  run.model.eval(), cropped.model.eval();
  EXPECT_EQ(cropped.data.format, models::TextFormat::text);
  EXPECT_EQ(cropped.model.config().block_size, 4);
  EXPECT_EQ(cropped.model.wpe.weight.shape(), (Shape{4, 8}));
  const std::vector<std::int32_t> tokens{1, 2, 3};
  testing::expect_close(cropped.model(tokens, 1, 3), run.model(tokens, 1, 3), 1e-5);
  EXPECT_THAT(gpt({"info", "tuned"}).out, HasSubstr("context 4,"));
  expect_error(tune({"--data", "text.txt", "--context", "16"}), 1, "--context is 16");

  expect_error(tune({"--data", "new.txt"}), 1, "3 characters that the weights of");
  for (const auto& [what, told] : {std::pair{"skip", "were left out"}, std::pair{"replace", "were replaced"}}) {
    const Result result = tune({"--data", "new.txt", "--unknown", what});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_THAT(result.out, AllOf(HasSubstr("characters that the model does not know"), HasSubstr(told)));
    EXPECT_EQ(load_run(folder / "tuned").tokenizer, run.tokenizer);
    EXPECT_EQ(gpt({"eval", "tuned"}).status, 0);
    EXPECT_EQ(gpt({"train", "--resume", "tuned", "--steps", "2", "--quiet"}).status, 0);
  }
  const Result added = tune({"--data", "new.txt", "--unknown", "add"});
  EXPECT_EQ(added.status, 0) << added.err;
  const models::Run grown = load_run(folder / "tuned");
  EXPECT_EQ(grown.tokenizer.vocab_size(), run.tokenizer.vocab_size() + 3);  // z, é and r
  const auto row = [](const models::Run& of, const char* text) {
    return embedding(of.model.wte.weight, of.tokenizer.encode(text));
  };
  testing::expect_close(row(grown, "line 1"), row(run, "line 1"), 1e-6);
  // To lines: the boundary is a new token.
  const Result lines = tune({"--data", "text.txt", "--format", "lines"});
  EXPECT_EQ(lines.status, 0) << lines.err;
  EXPECT_TRUE(load_run(folder / "tuned").tokenizer.has_boundary());
}

TEST_F(Texts, MeasuringIsCappedAndSaysHowSureItIs) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += static_cast<char>('a' + (i * 7 + i / 11) % 20);
  write(folder / "text.txt", text);
  const Arguments base{"--data",           "text.txt", "--format",    "text",  "--steps", "1",
                       "--held-out-share", "0.9",      "--overwrite", "--out", "run"};
  const auto with = [&](Arguments more) {
    more.insert(more.begin(), base.begin(), base.end());
    return tiny(more);
  };
  const Result capped = with({});
  EXPECT_EQ(capped.status, 0) << capped.err;
  EXPECT_THAT(last_line(capped.out), ::testing::MatchesRegex("held-out loss [0-9.]+ \\+/- 0\\.0[0-9]+\n"));
  EXPECT_THAT(capped.out, HasSubstr("sequences spread over the held-out part"));
  EXPECT_THAT(last_line(with({"--eval-batches", "0"}).out), Not(HasSubstr("+/-")));
  const Result judged = gpt({"eval", "run", "--sequences", "10"});
  EXPECT_THAT(judged.out, HasSubstr("in 10 of 22,"));
}

TEST_F(Texts, LinesMayEndWithCarriageReturnsAlone) {
  EXPECT_EQ(normalize_text("a\rb\r"), "a\nb\n");
  EXPECT_EQ(normalize_text("a\rb\n"), "a\rb\n");
  EXPECT_EQ(split_documents("a\r\rb\r"), (std::vector<std::string>{"a", "b"}));
  for (const char* format : {"lines", "text"}) {
    write(folder / "text.txt", running_text());
    ASSERT_EQ(tiny({"--data", "text.txt", "--format", format, "--steps", "1", "--out", "run", "--overwrite", "--quiet"})
                  .status,
              0);
    const std::string fingerprint = data("run").fingerprint, judged = gpt({"eval", "run", "--json"}).out;
    write(folder / "text.txt", replaced(running_text(), "\n", "\r"));
    EXPECT_EQ(gpt({"eval", "run", "--json"}).out, judged);
    write(folder / "other.txt", "line 1\rline \xC3\xA9\r");
    expect_error(gpt({"eval", "run", "--data", "other.txt"}), 1, "other.txt, line 2: character 6, ");
  }
}

TEST_F(Texts, WithoutAnEndAreRefused) {
  write(folder / "long.txt", "a");
  std::filesystem::resize_file(folder / "long.txt", std::uintmax_t{1} << 40);  // a hole: no disk is needed
  expect_error(tiny({"--data", "long.txt"}), 1, "'long.txt' is longer than ");
  expect_error(gpt({"train", "--config", "long.txt"}), 1, "'long.txt' is longer than ");
  expect_error(tiny({"--data", "/dev/zero"}), 1, "'/dev/zero' is a device that does not end; name a file");
  platform::File file;
  write(folder / "short.txt", "0123456789");
  std::string bytes;
  ASSERT_FALSE(file.open(folder / "short.txt", platform::File::Mode::read));
  EXPECT_EQ(file.read(bytes, 9), std::errc::file_too_large);
}

TEST_F(Texts, ASignalWhileOneIsReadEndsWithASentence) {
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0666), 0);
  ASSERT_EQ(tiny({"--steps", "1", "--out", "run", "--quiet"}).status, 0);
  const std::vector<std::pair<Arguments, std::string>> commands{
      {{"train", "--data", "pipe", "--out", "new"}, "stopped before the training began; nothing was saved"},
      {{"eval", "run", "--data", "pipe"}, "stopped before all was evaluated"}};
  for (const auto& [command, told] : commands) {
    const pid_t pid = start(command);
    const int writer = ::open((folder / "pipe").c_str(), O_WRONLY);  // returns once gpt reads
    ASSERT_EQ(::write(writer, "anna\n", 5), 5);
    ::kill(pid, SIGINT);
    const Result result = finish(pid);
    ::close(writer);
    EXPECT_EQ(result.status, 128 + SIGINT);
    EXPECT_THAT(result.err, HasSubstr("gpt: " + told));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
}

TEST_F(Texts, BatchesThatWereAskedForFitTheBudget) {
  std::string text;
  for (int i = 0; i < 12000; ++i) text += fmt::format("line {} of {}\n", i * 37 % 1000, i);
  write(folder / "text.txt", text);
  const Result all = tiny({"--data", "text.txt", "--seconds", "0.001", "--eval-batches", "0", "--out", "run"});
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_THAT(all.out, HasSubstr("so that it takes no more than a quarter of the 0.001 seconds"));
  EXPECT_THAT(all.out, HasSubstr("held-out loss before training "));
  EXPECT_THAT(all.out, HasSubstr(" +/- "));
  const Result few = tiny({"--data", "text.txt", "--seconds", "0.001", "--eval-batches", "2", "--out", "few"});
  EXPECT_THAT(few.out, Not(HasSubstr("a quarter of")));
}

TEST_F(Texts, MoreMemoryThanThereIsIsRefusedBeforeTheFirstStep) {
  if (platform::available_memory() == 0) GTEST_SKIP() << "the system does not tell";
  write(folder / "text.txt", running_text());
  const Result normal = tiny({"--data", "text.txt", "--steps", "1", "--batch", "900", "--out", "run"});
  EXPECT_THAT(gpt({"train", "--data", "text.txt", "--context", "512", "--width", "8", "--heads", "2", "--layers", "1",
                   "--steps", "1", "--out", "wide"})
                  .out,
              HasSubstr("--context 14 does as well and takes less memory"));
  EXPECT_THAT(normal.out, AllOf(HasSubstr("memory   about "), HasSubstr("a batch is more than the")));
  expect_error(
      gpt({"train", "--data", "text.txt", "--out", "huge", "--batch", "1000000", "--width", "1024", "--layers", "100"}),
      1, "this training needs about ");
  expect_error(gpt({"train", "--data", "text.txt", "--out", "huge", "--context", "16777216", "--width", "1024"}), 1,
               "this training needs about ");
  EXPECT_FALSE(std::filesystem::exists(folder / "huge"));
}

// Whatever a run's tokens are, an error about its data is that error.
TEST_F(Texts, OfByteTokensThatAreTooShortSaySo) {
  manual_seed(1);
  const GPT model({.vocab_size = 256, .block_size = 8, .n_layer = 1, .n_head = 1, .n_embd = 8});
  make_folder(folder / "bytes");
  save_run(folder / "bytes", model, ByteTokenizer(false),
           {.source = "text.txt", .format = TextFormat::text, .block_size = 8});
  write(folder / "short.txt", "a");
  const Result result = gpt({"eval", "bytes", "--data", "short.txt"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("short.txt"), ::testing::Not(HasSubstr("not characters"))));
}

}  // namespace
}  // namespace gradus::models
