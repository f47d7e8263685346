// gpt train and where its output goes: the panel on a terminal, pipes whose reader has gone, keys and signals.
#include <gradus/models/text/text.h>

#include <chrono>
#include <regex>
#include <thread>

#include <gradus/models/train/checkpoint.h>

#include "pty.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read;
using testing::Result;
using testing::Window;
using testing::write;

const std::string tiny = "--layers 1 --width 8 --heads 2";

using Terminal = testing::TerminalCommand;

struct Pipe : testing::Command {
  void SetUp() override {
    if (gradus::testing::emulated()) GTEST_SKIP() << "signals reach the emulator";
  }
};

std::vector<std::string> tiny_training(std::vector<std::string> more) {
  std::vector<std::string> all{"train", "--layers", "1", "--width", "8", "--heads", "2"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

const std::regex up("\x1b\\[[0-9]+A");

// The most columns that a line of `text` takes, where each of its characters takes one.
std::size_t widest_line(const std::string& text) {
  std::size_t widest = 0, width = 0;
  for (const char c : std::regex_replace(text, std::regex("\x1b\\[[0-9]*[a-zA-Z]"), "")) {
    if (c == '\n' || c == '\r') width = 0;
    if (static_cast<unsigned char>(c) >= 0x20 && (static_cast<unsigned char>(c) & 0xC0) != 0x80) ++width;
    widest = std::max(widest, width);
  }
  return widest;
}

TEST(Text, WidthOnATerminal) {
  for (const char32_t one : {U'a', U'~', U'\u00E9', U'\u0416', U'\u2801', U'\u2501'}) EXPECT_EQ(display_width(one), 1);
  for (const char32_t two : {U'\uD55C', U'\u3042', U'\u6F22', U'\uFF21', U'\U0001F600'}) {
    EXPECT_EQ(display_width(two), 2) << static_cast<std::uint32_t>(two);
  }
  for (const char32_t none : {U'\u0301', U'\u200B', U'\t', U'\x1B'}) EXPECT_EQ(display_width(none), 0);
  EXPECT_EQ(display_width(U'\U0001FBFB'), 2);  // not assigned in Unicode 14
}

TEST(Text, Printable) {
  EXPECT_EQ(printable("a\tb\r\nc\x1b[2Jd\x7f\xC2\x9B"
                      "e\xE2\x80\xA8"
                      "f"),
            "a b  c [2Jd  e f");
  EXPECT_EQ(printable("\xED\x95\x9C \xE2\xA0\x81"), "\xED\x95\x9C \xE2\xA0\x81");
  EXPECT_EQ(printable("a\xFF"
                      "b\xED\x95"),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(printable(""), "");
}

// Samples of this text are long, wide, and full of what moves the cursor.
TEST_F(Terminal, NoLineOfThePanelIsWiderThanIt) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "\xED\x95\x9C\xEA\xB8\x80\t\xED\x95\x9C\xEA\xB8\x80\x1b[9m\xEA\xB8\x80\xED\x95\x9C";
  write(folder / "wide.txt", text);
  for (const char* format : {"text", "lines"}) {
    if (format == std::string("lines")) write(folder / "wide.txt", text + "\n" + text + ".");
    const std::string shown =
        all_of(tiny_training({"--data", "wide.txt", "--format", format, "--context", "16", "--steps", "30", "--batch",
                              "2", "--eval-every", "3", "--samples", "0", "--out", fmt::format("wide-{}", format)}));
    const std::size_t begin = shown.find("\x1b[1mwide"), end = shown.rfind("held-out loss after");
    ASSERT_LT(begin, end);
    int samples = 0, widest = 0, width = 0;
    for (std::size_t i = begin; i < end;) {
      if (shown[i] == '\x1b') {  // only colors, to the line's end, and up to the first line
        const std::size_t stop = shown.find_first_not_of("[0123456789;", i + 1);
        ASSERT_THAT(shown[stop], ::testing::AnyOf('m', 'K', 'A')) << shown.substr(i, 10);
        ASSERT_NE(shown.substr(i, 4), "\x1b[9m");
        i = stop + 1;
        continue;
      }
      const auto byte = static_cast<unsigned char>(shown[i]);
      ASSERT_NE(byte, '\t');
      if (byte == '\n') width = 0;
      const bool hangul = byte >= 0xEA && byte <= 0xED;
      if (byte >= 0x20 && (byte & 0xC0) != 0x80) width += hangul ? 2 : 1;
      samples += hangul ? 1 : 0;
      widest = std::max(widest, width);
      ++i;
    }
    EXPECT_LE(widest, 79);
    EXPECT_GE(widest, 78);
    EXPECT_GT(samples, 0);
  }
}

TEST_F(Terminal, APanelIsDrawnInPlace) {
  const std::vector<std::string> training =
      tiny_training({"--steps", "400", "--out", "run", "--overwrite", "--samples", "0"});
  const std::string panel = all_of(training);
  EXPECT_THAT(panel, AllOf(HasSubstr("\x1b[33mheld-out "), HasSubstr("learning rate"), HasSubstr("gradient norm"),
                           HasSubstr("tokens/s"), HasSubstr(" left"), HasSubstr("samples"), HasSubstr("\xE2\xA3")));
  EXPECT_TRUE(std::regex_search(panel, up));
  const std::string plain = all_of(training, {}, {"LC_ALL=C", "NO_COLOR=1"});
  EXPECT_THAT(plain, AllOf(HasSubstr("*"), HasSubstr("held-out ")));
  EXPECT_TRUE(std::regex_search(plain, up));
  EXPECT_FALSE(std::regex_search(plain, std::regex("\x1b\\[[0-9]*m")));
  EXPECT_TRUE(std::ranges::all_of(plain, [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
  EXPECT_THAT(all_of(training, {}, {"NO_COLOR="}), HasSubstr("\x1b[33mheld-out "));  // set to nothing is not set
}

TEST_F(Terminal, TheFigureOfPartOfTheDataSaysHowSureItIs) {
  std::string text;
  for (int i = 0; i < 12000; ++i) text += fmt::format("line {} of {}\n", i * 37 % 1000, i);
  write(folder / "text.txt", text);
  const std::vector<std::string> training =
      tiny_training({"--data", "text.txt", "--steps", "30", "--eval-batches", "2", "--out", "run", "--samples", "0"});
  EXPECT_TRUE(std::regex_search(all_of(training), std::regex("\x1b\\[33mheld-out [0-9.]+ \\+/- [0-9.]+")));
}

TEST_F(Terminal, ATerminalThatCannotMoveItsCursorGetsLines) {
  const std::vector<std::string> training =
      tiny_training({"--steps", "40", "--out", "run", "--overwrite", "--samples", "2"});
  for (const char* term : {"TERM=dumb", "TERM="}) {
    EXPECT_THAT(all_of(training, {}, {term}), AllOf(Not(HasSubstr("\x1b")), HasSubstr("\nstep 40/40  loss")));
  }
}

TEST_F(Terminal, ASmallWindowGetsLinesAndANarrowOneANarrowPanel) {
  const std::vector<std::string> training =
      tiny_training({"--seconds", "0.4", "--out", "run", "--overwrite", "--samples", "0"});
  for (const Window window : {Window{80, 6}, Window{80, 1}, Window{8, 24}, Window{1, 1}}) {
    EXPECT_THAT(all_of(training, window), AllOf(Not(HasSubstr("\x1b")), HasSubstr("\nstep 1 ")));
  }
  const std::string narrow = all_of(training, {30, 24});
  const std::string panel = narrow.substr(narrow.find("\x1b[1mrun"));
  EXPECT_LE(widest_line(panel.substr(0, panel.rfind("\x1b[K"))), 29U);
}

TEST_F(Terminal, AWindowMayChangeItsSizeAtAnyTime) {
  open(tiny_training({"--steps", "1000000000", "--eval-every", "1000000000", "--eval-batches", "1", "--out", "run"}),
       {100, 30});
  const std::string title = "\x1b[1mrun";
  ASSERT_TRUE(wait_for("A\r" + title)) << shown();
  // What a narrower window may have wrapped is left as it is, and a new panel begins below.
  std::size_t before = shown().size();
  resize(40, 30);
  ASSERT_TRUE(wait_for("\n" + title, before)) << shown().substr(before);
  std::size_t begin = shown().find("\n" + title, before);
  ASSERT_TRUE(wait_for("A\r" + title, begin));
  EXPECT_LE(widest_line(shown().substr(begin, shown().rfind('\n') - begin)), 39U);
  // A lower one cannot show the panel.
  before = shown().size() - 1;  // with the end of the line that is there
  resize(40, 6);
  ASSERT_TRUE(wait_for("\nstep ", before)) << shown().substr(before);
  begin = shown().find("\nstep ", before);
  // A larger one has it again, below the lines.
  resize(100, 30);
  ASSERT_TRUE(wait_for("\n\n" + title, begin)) << shown().substr(begin);
  const std::string lines = shown().substr(begin, shown().find("\n\n" + title, begin) - begin);
  EXPECT_FALSE(std::regex_search(lines, up)) << lines;
  type("\x03");  // Ctrl-C
  EXPECT_EQ(close(), 128 + SIGINT);
  EXPECT_THAT(shown(), HasSubstr("stopped at step"));
}

TEST_F(Terminal, ControlCharactersThatAModelLearnedAreShown) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "a\x1b\x07\xC2\x9B";
  write(folder / "text.txt", text);
  const std::string trained = all_of(
      tiny_training({"--data", "text.txt", "--format", "text", "--context", "8", "--steps", "3", "--out", "run"}));
  const auto has_control = [](const std::string& shown) {
    return std::ranges::any_of(shown, [](char c) { return c == '\x07'; }) ||
           shown.find("\xC2\x9B") != std::string::npos;
  };
  EXPECT_FALSE(has_control(trained));
  EXPECT_THAT(trained.substr(trained.find("a sample at")),
              AllOf(HasSubstr("\\x1b"), HasSubstr("\\x07"), Not(HasSubstr("\x1b"))));
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{}, {"--count", "2"}, {"--show-probs"}}) {
    std::vector<std::string> command{"sample", "run", "--max-tokens", "50"};
    command.insert(command.end(), more.begin(), more.end());
    const std::string shown = all_of(command);
    EXPECT_THAT(shown, AllOf(HasSubstr("\\x1b"), HasSubstr("\\x07"), HasSubstr("\\x9b"), Not(HasSubstr("\x1b"))));
    EXPECT_FALSE(has_control(shown));
  }
  EXPECT_THAT(gpt({"sample", "run", "--max-tokens", "50"}).out, AllOf(HasSubstr("\x1b"), HasSubstr("\x07")));
  open({"sample", "no\x1b[2Jfolder"});
  EXPECT_EQ(close(), 1);
  EXPECT_THAT(shown(), HasSubstr("'no\\x1b[2Jfolder'"));
}

// GRADUS_SOAK=1: a twentieth of this run is more than an hour, so that the second line is one of those of every minute.
TEST_F(Pipe, APipeHearsOfALongRunEveryMinute) {
  if (testing::times(0, 1) == 0) GTEST_SKIP() << "takes a minute; make soak runs it";
  const pid_t pid =
      start({"train", "--layers", "1", "--width", "8", "--heads", "2", "--seconds", "100000", "--out", "run"});
  const auto lines = [&] {
    const std::string out = read(folder / "out");
    int count = 0;
    for (std::size_t i = out.find("\nstep "); i != std::string::npos; i = out.find("\nstep ", i + 1)) ++count;
    return count;
  };
  for (int i = 0; i < 3000 && lines() < 2 && running(pid); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(lines(), 2);
  ::kill(pid, SIGKILL);
  finish(pid);
}

TEST_F(Pipe, TheReaderMayGo) {
  // The first loop ends when `true` has: from then on the pipe has no reader.
  const std::string script = fmt::format(
      "cd {} && (trap '' PIPE; while echo x; do :; done 2> /dev/null; trap - PIPE; "
      "{}/gpt train {} --steps 40 --samples 3 --out run 2> err; echo $? > status) | true",
      folder.path().native(), GRADUS_BIN_DIR, tiny);
  gradus::testing::run(script);
  EXPECT_EQ(read(folder / "status"), "1\n");
  EXPECT_THAT(read(folder / "err"), HasSubstr("not all of the output could be written"));
  ASSERT_TRUE(std::filesystem::exists(folder / "run/train_state.safetensors"));
  EXPECT_EQ(load_checkpoint(folder / "run").trainer.steps, 40);
}

TEST_F(Pipe, CtrlCEndsTheSamplesAfterTheTraining) {
  const pid_t pid = start({"train", "--layers", "1", "--width", "8", "--heads", "2", "--steps", "1", "--samples",
                           "1000000", "--out", "run"});
  while (read(folder / "out").find("held-out loss after training") == std::string::npos && running(pid)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(pid, SIGINT);
  const Result ended = finish(pid);
  EXPECT_EQ(ended.status, 128 + SIGINT);
  EXPECT_EQ(ended.err, "");
  EXPECT_THAT(ended.out, Not(HasSubstr("sample 1")));
}

TEST_F(Pipe, ThePictureShowsWhatWasMeasuredAsItGoes) {
  const pid_t pid = start({"train", "--layers", "1", "--width", "8", "--heads", "2", "--steps", "100000000",
                           "--save-every", "100000000", "--eval-every", "20", "--eval-batches", "1", "--out", "run"});
  const auto drawn = [&] { return read(folder / "run/loss.svg").find("held out") != std::string::npos; };
  for (int i = 0; i < 6000 && !drawn() && running(pid); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(drawn());
  EXPECT_TRUE(running(pid));
  ::kill(pid, SIGKILL);
  finish(pid);
}

}  // namespace
}  // namespace gradus::models
