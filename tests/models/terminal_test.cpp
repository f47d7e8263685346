// gpt train and where its output goes: the panel on a terminal, pipes whose reader has gone, keys and signals.
#include <gradus/models/text.h>

#include <chrono>
#include <thread>

#include <gradus/models/checkpoint.h>

#include "command.h"

namespace gradus::models {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::read;
using testing::Result;
using testing::write;

const std::string tiny = "--layers 1 --width 8 --heads 2";

struct Terminal : testing::Command {
  void SetUp() override {
    if (gradus::testing::emulated()) GTEST_SKIP() << "signals reach the emulator";
  }
  // What gpt writes to a terminal of 80 columns, UTF-8.
  std::string on_terminal(const std::string& arguments) const {
    const auto result =
        gradus::testing::run(fmt::format("cd {} && LC_ALL=C.UTF-8 script -qec '{}/gpt {}' /dev/null < /dev/null",
                                         folder.path().native(), GRADUS_BIN_DIR, arguments));
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  }
};

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
        on_terminal(fmt::format("train --data wide.txt --format {} {} --context 16 --steps 30 --batch 2 --eval-every 3 "
                                "--samples 0 --out wide-{}",
                                format, tiny, format));
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

// GRADUS_SOAK=1: a twentieth of this run is more than an hour, so that the second line is one of those of every minute.
TEST_F(Terminal, APipeHearsOfALongRunEveryMinute) {
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

TEST_F(Terminal, TheReaderMayGo) {
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

TEST_F(Terminal, CtrlCEndsTheSamplesAfterTheTraining) {
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

TEST_F(Terminal, ThePictureShowsWhatWasMeasuredAsItGoes) {
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
