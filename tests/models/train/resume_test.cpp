// Trainings that are stopped, killed, or run out of disk, as programs: what is there afterwards goes on. GRADUS_SOAK=1
// repeats them as often as `make soak` says.
#include <sys/mount.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/run_log.h>

#include "../command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using testing::figure;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read;
using testing::Result;
using testing::times;
using testing::write;

using Arguments = std::vector<std::string>;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Arguments tiny{"train", "--layers", "1", "--width", "16", "--heads", "2", "--samples", "0"};

struct Resume : testing::Command {
  void SetUp() override {
    if (gradus::testing::emulated()) GTEST_SKIP() << "signals reach the emulator";
    std::string text;
    for (int i = 0; i < 400; ++i) text += fmt::format("line {} of {}\n", i * i, i);
    write(folder / "text.txt", text);
  }
  // The log without the one field that is a time.
  std::string log(const std::string& run) const {
    std::string all;
    for (LogLine line : read_log(folder / run / "log.jsonl")) {
      line.tokens_per_second = 0;
      all += line.to_json() + "\n";
    }
    return all;
  }
  bool has_checkpoint(const std::string& run) const {
    return std::filesystem::exists(folder / run / "train_state.safetensors");
  }
  void wait_for_checkpoint(const std::string& run, pid_t pid) const {
    while (!has_checkpoint(run) && running(pid)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  // That the best model is the one that the checkpoint tells of, and the log ends where it stands.
  void expect_consistent(const std::string& run) const {
    const Checkpoint checkpoint = load_checkpoint(folder / run);
    EXPECT_EQ(moment_of(folder / run / best_file), (Moment{checkpoint.held_out.best_step, checkpoint.held_out.best}));
    EXPECT_EQ(moment_of(folder / run / model_file).step, checkpoint.trainer.steps);
    const auto lines = read_log(folder / run / "log.jsonl");
    ASSERT_EQ(std::ssize(lines), checkpoint.trainer.steps);
    for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i].step, static_cast<Index>(i) + 1);
  }
  // Sends the signal after so many milliseconds.
  Result stop(const Arguments& arguments, int signal, Index milliseconds) const {
    const pid_t pid = start(arguments);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(pid, signal);
    return finish(pid);
  }
};

TEST_F(Resume, StoppedAnywhereItEndsWithTheSameBits) {
  const std::vector<Arguments> recipes{
      {"--dropout", "0.2", "--accumulation", "3", "--threads", "2", "--steps", "600", "--batch", "8"},
      {"--preset",       "shakespeare", "--data",       "text.txt", "--context", "16",     "--dropout",         "0.1",
       "--accumulation", "3",           "--threads",    "2",        "--tokens",  "250000", "--label-smoothing", "0.1",
       "--eval-every",   "37",          "--save-every", "5"},
      {"--dropout",  "0.1",    "--accumulation", "3", "--threads", "2", "--epochs", "0.8", "--dtype", "f64",
       "--schedule", "linear", "--eval-batches", "3", "--keep",    "1", "--batch",  "16",  "--seed",  "7"}};
  Generator random(static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
  std::vector<Index> milliseconds;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const Result whole = gpt(tiny + recipes[i] + Arguments{"--out", fmt::format("whole{}", i)});
    ASSERT_EQ(whole.status, 0) << whole.err;
    const auto time = std::chrono::steady_clock::now() - begin;
    milliseconds.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  }
  const int wanted = times(3, 25);
  int stopped = 0;
  std::string places;
  for (int i = 0; stopped < wanted; ++i) {
    ASSERT_LT(i, 500);
    const auto recipe = static_cast<std::size_t>(stopped) % recipes.size();
    const std::string run = fmt::format("run{}", i), whole = fmt::format("whole{}", recipe);
    const int signal = i % 2 == 0 ? SIGINT : SIGTERM;
    const Result first =
        stop(tiny + recipes[recipe] + Arguments{"--out", run}, signal, random.below(milliseconds[recipe] + 1));
    const bool done = first.status == 0 || first.out.find("loss after training") != std::string::npos;
    if (!has_checkpoint(run) || done) continue;  // the signal came before the first step, or after the last one
    ++stopped;
    EXPECT_EQ(first.status, 128 + signal);
    EXPECT_THAT(first.out, AllOf(HasSubstr("stopped at step"), HasSubstr("train --resume " + run)));
    const Checkpoint checkpoint = load_checkpoint(folder / run);
    const Index step = checkpoint.trainer.steps;
    const auto lines = read_log(folder / run / "log.jsonl");
    EXPECT_EQ(step, std::ssize(lines) + (checkpoint.unmeasured ? 1 : 0));
    places += fmt::format(" {}", step);
    const Result rest = gpt({"train", "--resume", run, "--samples", "0"});
    EXPECT_EQ(rest.status, 0) << rest.err;
    // The settings say "samples": 0 either way, so the files are equal to the last byte.
    EXPECT_EQ(read(folder / run / "model.safetensors"), read(folder / whole / "model.safetensors"));
    EXPECT_EQ(read(folder / run / "best.safetensors"), read(folder / whole / "best.safetensors"));
    EXPECT_GT(read(folder / run / "loss.svg").size(), 1000U);
    EXPECT_EQ(log(run), log(whole));
    std::filesystem::remove_all(folder / run);
  }
  if (!HasFailure()) {
    figure("resume", fmt::format("{} of {} stops over {} configurations end with the same bytes in model.safetensors "
                                 "and best.safetensors and the same log; stopped after the steps{}",
                                 stopped, wanted, recipes.size(), places));
  }
}

// Killed again and again, at moments that no save comes before, and stopped by a signal in between.
TEST_F(Resume, KilledAgainAndAgainItEndsWithTheSameBits) {
  const Arguments recipe{"--dropout", "0.2", "--accumulation", "3", "--steps", "900",
                         "--batch",   "8",   "--save-every",   "7"};
  ASSERT_EQ(gpt(tiny + recipe + Arguments{"--out", "whole"}).status, 0);
  Generator random(static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
  int ended = 0;
  Index longest = 300, reached = 0;  // a slow program is given longer, until it gets further
  for (int i = 0; i < 300; ++i) {
    const auto begin = has_checkpoint("run") ? Arguments{"train", "--resume", "run", "--samples", "0"}
                                             : tiny + recipe + Arguments{"--out", "run"};
    const Result result = stop(begin, i % 4 == 3 ? SIGTERM : SIGKILL, 30 + random.below(longest));
    if (result.status == 0) break;
    ASSERT_GE(result.status, 128) << result.err;
    ++ended;
    const Index now = has_checkpoint("run") ? load_checkpoint(folder / "run").trainer.steps : 0;
    if (now == reached) longest = std::min<Index>(longest * 3 / 2, 20'000);
    reached = now;
  }
  EXPECT_GT(ended, 0);
  ASSERT_EQ(gpt({"train", "--resume", "run", "--samples", "0"}).status, 0);
  EXPECT_EQ(read(folder / "run/model.safetensors"), read(folder / "whole/model.safetensors"));
  EXPECT_EQ(read(folder / "run/best.safetensors"), read(folder / "whole/best.safetensors"));
  EXPECT_EQ(log("run"), log("whole"));
  expect_consistent("run");
}

// At whatever moment: the folder holds the earlier run or the new one, and both go on.
TEST_F(Resume, KilledWhileItReplacesARunOneOfTheTwoIsThere) {
  const Arguments often{"--save-every", "1", "--eval-every", "1", "--eval-batches", "1"};
  int earlier = 0, newer = 0;
  for (int i = 0; i < times(6, 50); ++i) {
    std::filesystem::remove_all(folder / "run");
    ASSERT_EQ(gpt(tiny + often + Arguments{"--steps", "9", "--keep", "4", "--out", "run", "--quiet"}).status, 0);
    const auto before = contents("run");
    const pid_t pid =
        start(tiny + often + Arguments{"--steps", "1000000", "--seed", "7", "--out", "run", "--overwrite"});
    // The staged log is the beginning of the first save.
    while (!std::filesystem::exists(folder / "run/log.jsonl.new") && running(pid) &&
           load_run(folder / "run").data.seed != 7) {
    }
    std::this_thread::sleep_for(std::chrono::microseconds(1000 * i));
    ::kill(pid, SIGKILL);
    ASSERT_EQ(finish(pid).status, 128 + SIGKILL);
    const Checkpoint left = load_checkpoint(folder / "run");
    const bool replaced = left.data.seed == 7;
    ++(replaced ? newer : earlier);
    if (!replaced) {
      for (const auto& [name, bytes] : before) EXPECT_EQ(read(folder / "run" / name), bytes) << name;
    }
    const std::string steps = std::to_string(left.trainer.steps + 2);
    const Result rest = gpt({"train", "--resume", "run", "--steps", steps, "--warmup", "0", "--quiet"});
    EXPECT_EQ(rest.status, 0) << rest.err;
    expect_consistent("run");
  }
  if (!HasFailure()) {
    figure("kill -9 while a run is replaced",
           fmt::format("{} times the earlier run is whole, {} times the new one goes on", earlier, newer));
  }
}

TEST_F(Resume, AFullDiskAtTheFirstSaveLeavesTheRunThatWasToBeReplaced) {
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "9", "--save-every", "2", "--out", "run", "--quiet"}).status, 0);
  const auto before = contents("run");
  for (const rlim_t size : {2000U, 8000U, 20000U}) {
    file_size = size;
    const Result full = gpt(tiny + Arguments{"--steps", "9", "--seed", "7", "--out", "run", "--overwrite", "--quiet"});
    expect_error(full, 1, "File too large");
    EXPECT_THAT(full.err, HasSubstr("nothing was saved, and what the folder held is as it was"));
    EXPECT_EQ(contents("run"), before) << size;
  }
  file_size = 0;
  EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", "12", "--quiet"}).status, 0);
  expect_consistent("run");
}

TEST_F(Resume, WhereTheLogMeetsAFullDiskTheCheckpointIsNamed) {
  file_size = 100'000;
  const Result full = gpt(tiny + Arguments{"--steps", "1000000", "--save-every", "1000000", "--eval-every", "1000000",
                                           "--out", "run", "--quiet"});
  expect_error(full, 1, "run/log.jsonl': File too large");
  EXPECT_THAT(full.err, AllOf(HasSubstr("the last checkpoint is of step 1: "), HasSubstr("train --resume run")));
  const auto lines = read_log(folder / "run/log.jsonl");
  ASSERT_GT(lines.size(), 400U);
  for (std::size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i].step, static_cast<Index>(i) + 1);
  file_size = 0;
  EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", "4", "--warmup", "0", "--quiet"}).status, 0);
  expect_consistent("run");
}

TEST_F(Resume, OneTrainingAtATimeInAFolder) {
  const pid_t pid = start(tiny + Arguments{"--steps", "100000000", "--out", "run", "--save-every", "50"});
  wait_for_checkpoint("run", pid);
  const std::filesystem::path out = folder / "out";
  std::filesystem::rename(out, folder / "out of the first");  // the others write their own
  const std::string told = fmt::format("'run' is being trained by process {};", pid);
  expect_error(gpt({"train", "--resume", "run", "--steps", "9"}), 1, told);
  expect_error(gpt(tiny + Arguments{"--out", "run", "--overwrite", "--steps", "9"}), 1, told);
  ::kill(pid, SIGKILL);
  EXPECT_EQ(finish(pid).status, 128 + SIGKILL);
  const std::string more = std::to_string(load_checkpoint(folder / "run").trainer.steps + 2);
  EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", more, "--warmup", "0", "--quiet"}).status, 0);
  expect_consistent("run");
}

TEST_F(Resume, FromAnOlderCheckpointNothingChangesBeforeTheFirstSave) {
  ASSERT_EQ(
      gpt(tiny + Arguments{"--steps", "40", "--save-every", "3", "--keep", "9", "--out", "run", "--quiet"}).status, 0);
  std::set<std::filesystem::path> checkpoints;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run/checkpoints")) checkpoints.insert(entry);
  const std::string older = "run/older.safetensors";
  std::filesystem::copy_file(*checkpoints.begin(), folder / older);
  const auto before = contents("run");
  const Arguments back{"train", "--resume", older, "--eval-every", "1000000", "--save-every", "1000000"};
  const pid_t pid = start(back + Arguments{"--steps", "1000000"});
  while (read(folder / "out").find("step ") == std::string::npos && running(pid)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // several times the log would be flushed
  ::kill(pid, SIGKILL);
  ASSERT_EQ(finish(pid).status, 128 + SIGKILL);
  EXPECT_EQ(contents("run"), before);
  EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", "42", "--quiet"}).status, 0);
  expect_consistent("run");
  EXPECT_EQ(gpt(Arguments{"train", "--resume", older, "--steps", "30", "--lr", "1e-9", "--min-lr", "0", "--warmup", "0",
                          "--quiet"})
                .status,
            0);
  expect_consistent("run");
}

TEST_F(Resume, KilledAtAnyMomentItGoesOn) {
  Generator random(static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
  const Arguments more{"--save-every", "1", "--eval-every", "3", "--eval-batches", "1", "--steps", "1000000"};
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "1", "--out", "run", "--quiet"}).status, 0);
  Index steps = 1;
  const int rounds = times(4, 100);
  int half_written = 0;
  for (int i = 0; i < rounds; ++i) {
    const pid_t pid = start(Arguments{"train", "--resume", "run", "--quiet"} + more);
    // Each checkpoint is a file of its own. One round in four may end before the first one, while the program begins.
    const auto state = folder / "run/train_state.safetensors";
    const auto before = std::filesystem::last_write_time(state);
    while (i % 4 != 0 && std::filesystem::last_write_time(state) == before && running(pid)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(200'000)));
    ::kill(pid, SIGKILL);
    const Result killed = finish(pid);
    ASSERT_EQ(killed.status, 128 + SIGKILL) << killed.err;
    const Checkpoint checkpoint = load_checkpoint(folder / "run");
    EXPECT_GE(checkpoint.trainer.steps, i % 4 != 0 ? steps + 1 : steps);
    steps = checkpoint.trainer.steps;
    const auto is_temporary = [](const auto& entry) { return entry.path().extension() == ".tmp"; };
    const std::filesystem::directory_iterator files(folder / "run");
    half_written += std::any_of(begin(files), end(files), is_temporary) ? 1 : 0;
    load_run(folder / "run");
    load_run(folder / "run", best_file);
    EXPECT_GE(read_log(folder / "run/log.jsonl").size(), static_cast<std::size_t>(steps));
  }
  EXPECT_GT(steps, 1);
  const Result last = gpt({"train", "--resume", "run", "--samples", "0", "--steps", std::to_string(steps + 3)});
  EXPECT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(read_log(folder / "run/log.jsonl").size(), static_cast<std::size_t>(steps + 3));
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run")) {
    EXPECT_NE(entry.path().extension(), ".tmp");
  }
  if (!HasFailure()) {
    figure("kill -9", fmt::format("{} of {} times the folder loads and the run goes on, up to step {}; {} times a file "
                                  "was half written",
                                  rounds, rounds, steps, half_written));
  }
}

TEST_F(Resume, ASecondCtrlCLeavesAtOnce) {
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "3", "--out", "run", "--quiet"}).status, 0);
  const auto before = contents("run");
  // Steps of many seconds, so that the first signal cannot end the run by itself.
  const pid_t pid = start({"train", "--resume", "run", "--steps", "9", "--accumulation", "50000"});
  while (read(folder / "out").find("resumed") == std::string::npos && running(pid)) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ::kill(pid, SIGTERM);
  while (read(folder / "err").empty() && running(pid)) std::this_thread::yield();
  EXPECT_TRUE(running(pid));
  ::kill(pid, SIGINT);
  const Result left = finish(pid);
  EXPECT_EQ(left.status, 128 + SIGINT);
  EXPECT_THAT(left.err, HasSubstr("Ctrl-C once more leaves at once"));
  EXPECT_EQ(contents("run"), before);
}

// A daemon may be started so. The files then opened must not get the numbers of what is printed to.
TEST_F(Resume, ClosedStandardStreamsDoNoHarm) {
  const std::string train = fmt::format("cd {} && {}/gpt train --layers 1 --width 16 --heads 2 --context 8 --batch 4 ",
                                        folder.path().native(), GRADUS_BIN_DIR);
  for (const char* const closed : {"<&- >&-", ">&-", "<&- >&- 2>&-"}) {
    // Exit status 1: not all of the output could be written.
    const auto ended = gradus::testing::run(train + "--steps 200 --out run --overwrite " + closed);
    EXPECT_EQ(ended.status, 1) << closed;
    std::vector<Index> damaged;
    EXPECT_EQ(read_log(folder / "run/log.jsonl", &damaged).size(), 200U) << closed;
    EXPECT_TRUE(damaged.empty()) << closed;
    expect_consistent("run");
    EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", "201", "--quiet"}).status, 0) << closed;
  }
}

TEST_F(Resume, ADamagedLogIsKept) {
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "9", "--out", "run", "--quiet"}).status, 0);
  const std::string log = read(folder / "run/log.jsonl");
  const auto damaged_at = [&](std::size_t place) {
    std::string bad = log;
    bad[place] = 'X';
    write(folder / "run/log.jsonl", bad);
    return bad;
  };
  std::string damaged = damaged_at(log.find("\"step\": 4") + 2);
  const Result told = gpt({"info", "run"});
  EXPECT_THAT(told.out, AllOf(HasSubstr("1 of its lines cannot be read, the first is line 5"), HasSubstr("9 steps")));
  Result more = gpt({"train", "--resume", "run", "--steps", "10", "--quiet"});
  EXPECT_EQ(more.err, "");
  EXPECT_TRUE(read(folder / "run/log.jsonl").starts_with(damaged));
  damaged = read(folder / "run/log.jsonl");
  damaged[damaged.size() - 3] = 'X';
  write(folder / "run/log.jsonl", damaged);
  more = gpt({"train", "--resume", "run", "--steps", "11", "--quiet"});
  EXPECT_EQ(more.status, 0);
  EXPECT_THAT(more.err, HasSubstr("the log in 'run' has no line of step 10"));
  EXPECT_EQ(read(folder / "run/log.jsonl.old"), damaged);
  EXPECT_EQ(read_log(folder / "run/log.jsonl").size(), 1U);
}

// What is left behind an earlier checkpoint that a run goes on from belongs to another run.
TEST_F(Resume, FromAnOlderCheckpointTheLaterOnesGo) {
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "12", "--save-every", "3", "--eval-every", "12", "--keep", "9", "--out",
                                 "run", "--quiet"})
                .status,
            0);
  const auto older = folder / "run/checkpoints";
  std::filesystem::copy_file(older / "step-000000000003.safetensors", folder / "run/third.safetensors");
  const auto names = [&] {
    std::set<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(older)) all.insert(entry.path().stem());
    return all;
  };
  ASSERT_EQ(names(), (std::set<std::string>{"step-000000000001", "step-000000000003", "step-000000000006",
                                            "step-000000000009"}));
  const Arguments more{"--steps", "7", "--save-every", "2", "--quiet"};
  ASSERT_EQ(gpt(Arguments{"train", "--resume", "run/checkpoints/step-000000000006.safetensors"} + more).status, 0);
  EXPECT_EQ(names(), (std::set<std::string>{"step-000000000001", "step-000000000003", "step-000000000006"}));
  std::filesystem::remove(older / "step-000000000003.safetensors");
  ASSERT_EQ(gpt(Arguments{"train", "--resume", "run/third.safetensors"} + more).status, 0);
  EXPECT_EQ(names(), (std::set<std::string>{"step-000000000001", "step-000000000003", "step-000000000004",
                                            "step-000000000006"}));
  EXPECT_EQ(load_checkpoint(older / "step-000000000003.safetensors").trainer.steps, 3);
  EXPECT_EQ(load_checkpoint(folder / "run").trainer.steps, 7);
}

TEST_F(Resume, AFullDiskLeavesTheCheckpointBefore) {
  const std::filesystem::path disk = folder / "disk";
  std::filesystem::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "only root may mount a small disk";
  struct Unmount {
    const std::filesystem::path& place;
    ~Unmount() { ::umount(place.c_str()); }
  } const unmount{disk};
  // Each step's log and one more checkpoint kept fill it sooner or later.
  const Result full = gpt(tiny + Arguments{"--steps", "100000", "--save-every", "1", "--keep", "1000", "--out",
                                           "disk/run", "--eval-batches", "1"});
  expect_error(full, 1, "No space left on device");
  EXPECT_THAT(full.err,
              AllOf(HasSubstr("disk/run"), HasSubstr("the last checkpoint is of step"), HasSubstr("--resume")));
  const Index steps = load_checkpoint(disk / "run").trainer.steps;
  EXPECT_GT(steps, 1);
  EXPECT_THAT(full.err, HasSubstr(fmt::format("of step {}:", steps)));
  load_run(disk / "run");
  std::filesystem::remove_all(disk / "run/checkpoints");
  const Result rest = gpt({"train", "--resume", "disk/run", "--keep", "1", "--samples", "0", "--warmup", "0", "--steps",
                           std::to_string(steps + 2)});
  EXPECT_EQ(rest.status, 0) << rest.err;
}

TEST_F(Resume, AReadOnlyFolderIsAnErrorBeforeTheFirstStep) {
  const std::filesystem::path disk = folder / "disk";
  std::filesystem::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=4m") != 0) GTEST_SKIP() << "only root may mount a disk";
  struct Unmount {
    const std::filesystem::path& place;
    ~Unmount() { ::umount(place.c_str()); }
  } const unmount{disk};
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "3", "--out", "disk/run", "--quiet"}).status, 0);
  const std::string state = read(disk / "run/train_state.safetensors");
  ASSERT_EQ(::mount("none", disk.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  expect_error(gpt({"train", "--resume", "disk/run", "--steps", "9"}), 1, "Read-only file system");
  expect_error(gpt(tiny + Arguments{"--steps", "3", "--out", "disk/run", "--overwrite"}), 1, "Read-only file system");
  EXPECT_EQ(read(disk / "run/train_state.safetensors"), state);
}

TEST_F(Resume, AVanishedFolderIsAnError) {
  const pid_t pid = start(tiny + Arguments{"--steps", "100000000", "--out", "run", "--save-every", "50"});
  wait_for_checkpoint("run", pid);
  std::filesystem::rename(folder / "run", folder / "moved");
  const Result result = finish(pid);
  expect_error(result, 1, "'run/");
  EXPECT_THAT(result.err, AllOf(HasSubstr("No such file or directory"), HasSubstr("the last checkpoint was of step "),
                                HasSubstr("but 'run' is not there any more"), Not(HasSubstr("--resume"))));
  EXPECT_GE(load_checkpoint(folder / "moved").trainer.steps, 1);
}

TEST_F(Resume, WhatMayChangeAndWhatMayNot) {
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "4", "--out", "run", "--data", "text.txt", "--quiet"}).status, 0);
  const Result done = gpt({"train", "--resume", "run"});
  EXPECT_EQ(done.status, 0);
  EXPECT_THAT(done.out, HasSubstr("nothing is left to do after 4 steps"));
  expect_error(gpt({"train", "--resume", "run", "--layers", "2"}), 1, "--layers cannot change");
  expect_error(gpt({"train", "--resume", "run", "--out", "other"}), 2, "--out");
  expect_error(gpt({"train", "--resume", "none"}), 1, "none");
  const Result more = gpt({"train", "--resume", "run", "--epochs", "1", "--lr", "0.001", "--samples", "0"});
  EXPECT_EQ(more.status, 0) << more.err;
  EXPECT_THAT(more.out, AllOf(HasSubstr("resumed after step 4"), HasSubstr("rate 0.001")));
  EXPECT_GT(read_log(folder / "run/log.jsonl").back().step, 4);
  std::filesystem::rename(folder / "text.txt", folder / "elsewhere.txt");
  expect_error(gpt({"train", "--resume", "run", "--steps", "30"}), 1, "text.txt");
  EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", "30", "--data", "elsewhere.txt", "--quiet"}).status, 0);
  write(folder / "elsewhere.txt", "other\ntext\n");
  expect_error(gpt({"train", "--resume", "run", "--steps", "40"}), 1, "has changed since");

  const std::string good = read(folder / "run/train_state.safetensors");
  write(folder / "run/train_state.safetensors", good.substr(0, good.size() / 2));
  expect_error(gpt({"train", "--resume", "run"}), 1, "an older checkpoint is whole");
}

TEST_F(Resume, PatienceEndsARun) {
  const Result early = gpt(tiny + Arguments{"--steps", "100000", "--eval-every", "2", "--patience", "3", "--lr", "0.3",
                                            "--eval-batches", "2", "--out", "run"});
  EXPECT_EQ(early.status, 0) << early.err;
  EXPECT_THAT(early.out, AllOf(HasSubstr("stopped early: 3 measurements"), HasSubstr("the best was")));
  const auto lines = read_log(folder / "run/log.jsonl");
  double best = 1e9;
  Index best_step = 0;
  for (const LogLine& line : lines) {
    if (line.val_loss && *line.val_loss < best) best = *line.val_loss, best_step = line.step;
  }
  EXPECT_EQ(lines.back().step, best_step + 6);
  const HeldOut held_out = load_checkpoint(folder / "run").held_out;
  EXPECT_EQ(held_out.best, best);
  EXPECT_EQ(held_out.best_step, best_step);
  const Result judged = gpt({"eval", "run", "--json"}), best_judged = gpt({"eval", "run", "--json", "--best"});
  EXPECT_NE(judged.out, best_judged.out);
}

TEST_F(Resume, ANonFiniteLossNamesTheOpAndTheLastGoodCheckpoint) {
  ASSERT_EQ(gpt(tiny + Arguments{"--steps", "20", "--out", "run", "--quiet"}).status, 0);
  const std::string model = read(folder / "run/model.safetensors");
  const Result bad = gpt({"train", "--resume", "run", "--steps", "90", "--lr", "1e38", "--schedule", "constant"});
  expect_error(bad, 1, "of step 22 is");
  EXPECT_THAT(bad.err, AllOf(HasSubstr("its result ("), HasSubstr("; in "),
                             HasSubstr("the last checkpoint is of step 20: "), HasSubstr("train --resume run")));
  EXPECT_EQ(read(folder / "run/model.safetensors"), model);
  EXPECT_EQ(load_checkpoint(folder / "run").trainer.steps, 20);
}

// A signal while the held-out loss is measured ends that, and the run that goes on measures it first.
TEST_F(Resume, StoppedWhileItMeasuresItEndsWithTheSameBits) {
  std::string text;
  for (int i = 0; i < 400'000; ++i) text += static_cast<char>('a' + (i * 7 + i / 11) % 20);
  write(folder / "long.txt", text);
  const Arguments recipe{"--data",  "long.txt", "--format",         "text", "--context",    "16",
                         "--steps", "4",        "--eval-batches",   "0",    "--eval-every", "2",
                         "--batch", "4",        "--held-out-share", "0.9"};
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(gpt(tiny + recipe + Arguments{"--out", "whole", "--quiet"}).status, 0);
  const auto time = std::chrono::steady_clock::now() - begin;
  const Index whole = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  int measuring = 0;
  for (Index i = 0; i < 12 && measuring < 2; ++i) {  // nearly all of the time goes to three measurements
    std::filesystem::remove_all(folder / "run");
    const Result first = stop(tiny + recipe + Arguments{"--out", "run"}, SIGINT, whole * (45 + 4 * i) / 100);
    if (first.status == 0 || !has_checkpoint("run")) continue;
    EXPECT_EQ(first.status, 128 + SIGINT);
    measuring += load_checkpoint(folder / "run").unmeasured ? 1 : 0;
    const Result rest = gpt({"train", "--resume", "run", "--samples", "0"});
    EXPECT_EQ(rest.status, 0) << rest.err;
    EXPECT_EQ(log("run"), log("whole"));
    EXPECT_EQ(read(folder / "run/model.safetensors"), read(folder / "whole/model.safetensors"));
    EXPECT_EQ(read(folder / "run/best.safetensors"), read(folder / "whole/best.safetensors"));
    expect_consistent("run");
  }
  EXPECT_GT(measuring, 0);
}

// Stopped and continued: what lies between is not the run's time.
TEST_F(Resume, StoppedTimeDoesNotCount) {
  constexpr double stopped = 3;  // seconds
  const pid_t pid = start(tiny + Arguments{"--seconds", "1", "--out", "run"});
  wait_for_checkpoint("run", pid);
  ::kill(pid, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::duration<double>(stopped));
  ::kill(pid, SIGCONT);
  ASSERT_EQ(finish(pid).status, 0);
  EXPECT_LT(load_checkpoint(folder / "run").trainer.seconds, stopped);
}

}  // namespace
}  // namespace gradus::models
