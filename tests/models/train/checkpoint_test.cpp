// Checkpoints and the log: what is saved comes back, what is damaged is named, older ones rotate and are offered.
#include <limits>

#include <gradus/models/train/checkpoint.h>

#include <sys/wait.h>

#include <gradus/models/text/text.h>
#include <gradus/models/train/evaluate.h>
#include <gradus/models/train/run_log.h>
#include <gradus/nn/files/atomic_file.h>
#include <gradus/nn/files/safetensors.h>
#include <gradus/nn/optim/rmsprop.h>
#include <gradus/nn/optim/sgd.h>

#include <atomic>
#include <set>
#include <thread>

#include "../command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using testing::error_if_any;
using testing::error_of;
using testing::figure;
using ::testing::HasSubstr;
using testing::read;
using testing::small_config;
using testing::TempFolder;
using testing::times;
using testing::words;
using testing::write;

// A training of a few steps that writes into a folder.
struct Writing {
  explicit Writing(const std::filesystem::path& folder, Index keep = 2, DType dtype = DType::f32)
      : lines(words(20)),
        data(lines, CharTokenizer::from_documents(lines), {.block_size = 8}),
        model(small_config(data.tokenizer().vocab_size())) {
    model.to(dtype);
    trainer.emplace(model, data, TrainOptions{.steps = 100, .batch_size = 3});
    writer.emplace(folder, data.tokenizer(), info, R"({"steps":100})", keep);
  }
  void step(int count = 1) {
    for (; count > 0; --count) trainer->step();
  }
  void save() { writer->save(model, trainer->state(), held_out); }

  std::vector<std::string> lines;
  DocumentDataset data;
  GPT model;
  RunData info{"lines.txt", TextFormat::lines, 0.1, 42, "abc", 8};
  HeldOut held_out;
  std::optional<Trainer> trainer;
  std::optional<RunWriter> writer;
};

// All values, by name: a file has them in an order of its own.
std::vector<double> numbers(nn::NamedTensors tensors) {
  std::vector<double> all;
  std::ranges::sort(tensors, {}, &nn::NamedTensors::value_type::first);
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// All that a checkpoint holds, or a run, whose state is empty.
struct Contents {
  std::vector<double> model, optimizer;
  std::string rest;
  friend bool operator==(const Contents&, const Contents&) = default;
};

std::string text_of(const RunData& data) {
  return fmt::format("{} {} {} {} {}", data.source, name_of(data.format), data.held_out, data.seed, data.fingerprint);
}

Contents contents(const Checkpoint& c) {
  const TrainerState& t = c.trainer;
  return {numbers(c.model.named_state()), numbers(t.optimizer),
          fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", c.model.config().to_json(), c.tokenizer.to_json(),
                      text_of(c.data), c.settings, t.steps, t.tokens, t.seconds, t.dataset.epoch, t.dataset.position,
                      t.dataset.generator, t.generator, c.held_out.first, c.held_out.best, c.held_out.best_step,
                      c.held_out.since_best)};
}

Contents contents(const Run& run) {
  return {numbers(run.model.named_state()),
          {},
          fmt::format("{} {} {} {}", run.model.config().to_json(), run.tokenizer.to_json(), text_of(run.data),
                      run.settings)};
}

std::set<std::string> files(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST(Checkpoint, ComesBack) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const TempFolder folder;
    Writing run(folder.path(), 1, dtype);
    run.held_out.add(2.5, 1);
    run.held_out.add(2.6, 2);
    run.step(3);
    run.save();
    EXPECT_EQ(files(folder.path()),
              (std::set<std::string>{"config.json", "tokenizer.json", "model.safetensors", "train_state.safetensors"}));
    const TrainerState state = run.trainer->state();
    const Checkpoint loaded = load_checkpoint(folder.path());
    EXPECT_EQ(loaded.model.config(), run.model.config());
    EXPECT_EQ(loaded.model.dtype(), dtype);
    EXPECT_EQ(loaded.tokenizer, run.data.tokenizer());
    EXPECT_EQ(loaded.data, run.info);
    EXPECT_THAT(loaded.settings, HasSubstr("\"steps\": 100"));
    EXPECT_EQ(loaded.held_out, run.held_out);
    EXPECT_EQ(loaded.trainer.steps, 3);
    EXPECT_EQ(loaded.trainer.tokens, state.tokens);
    EXPECT_EQ(loaded.trainer.generator, state.generator);
    EXPECT_EQ(loaded.trainer.dataset.generator, state.dataset.generator);
    EXPECT_EQ(loaded.trainer.dataset.position, state.dataset.position);
    EXPECT_EQ(numbers(loaded.model.named_state()), numbers(run.model.named_state()));
    EXPECT_EQ(numbers(loaded.trainer.optimizer), numbers(state.optimizer));
    EXPECT_EQ(numbers(load_run(folder.path()).model.named_state()), numbers(run.model.named_state()));
  }
}

template <class Kind, class Options>
std::unique_ptr<optim::Optimizer> make(const GPT& model, const Options& options) {
  return std::make_unique<Kind>(optim::decay_groups(model, 0.01), options);
}

TEST(Checkpoint, CarriesAnyOptimizer) {
  using Make = std::unique_ptr<optim::Optimizer> (*)(const GPT& model);
  const std::pair<const char*, Make> kinds[] = {
      {"SGD", [](const GPT& model) { return make<optim::SGD>(model, optim::SGDOptions{}); }},
      {"SGD", [](const GPT& model) { return make<optim::SGD>(model, optim::SGDOptions{.momentum = 0.9}); }},
      {"RMSprop", [](const GPT& model) { return make<optim::RMSprop>(model, optim::RMSpropOptions{.momentum = 0.5}); }},
      {"Adam", [](const GPT& model) { return make<optim::Adam>(model, optim::AdamOptions{}); }},
  };
  for (const auto& [name, make_optimizer] : kinds) {
    const TempFolder folder;
    const TrainOptions options{.steps = 20, .batch_size = 3, .lr = 0.01};
    Writing whole(folder.path());
    whole.trainer.emplace(whole.model, whole.data, options, make_optimizer(whole.model));
    whole.step(3);
    whole.save();
    whole.step(3);

    Checkpoint half = load_checkpoint(folder.path());
    EXPECT_EQ(half.trainer.optimizer_name, name);
    Writing other(folder.path());
    EXPECT_THAT(error_of([&] { other.trainer->set_state(half.trainer); }),
                AllOf(HasSubstr(fmt::format("state belongs to {},", name)), HasSubstr("AdamW")));
    Trainer resumed(half.model, other.data, options, make_optimizer(half.model));
    resumed.set_state(half.trainer);
    for (int i = 0; i < 3; ++i) resumed.step();
    EXPECT_EQ(numbers(half.model.named_state()), numbers(whole.model.named_state())) << name;
    EXPECT_EQ(numbers(resumed.state().optimizer), numbers(whole.trainer->state().optimizer)) << name;
  }
}

TEST(Checkpoint, NamesTheOptimizerOnlyWhereItIsAnother) {
  const TempFolder folder;
  Writing run(folder.path());
  run.save();
  EXPECT_EQ(run.trainer->state().optimizer_name, default_optimizer);
  const auto state = [&] { return nn::read_metadata((folder / "train_state.safetensors").string()).at("state"); };
  EXPECT_THAT(state(), ::testing::Not(HasSubstr("\"optimizer\"")));  // as in files of before
  run.trainer.emplace(run.model, run.data, run.trainer->options(),
                      std::make_unique<optim::SGD>(run.model.parameters()));
  run.save();
  EXPECT_THAT(state(), HasSubstr("\"optimizer\":\"SGD\""));
}

TEST(Checkpoint, OlderOnesRotateAndAreOffered) {
  const TempFolder folder;
  Writing run(folder.path(), 3);
  for (int i = 0; i < 5; ++i) {
    run.step();
    run.save();
    run.save();  // the same step again is not one more
  }
  const auto older = folder / "checkpoints";
  EXPECT_EQ(files(older), (std::set<std::string>{"step-000000000003.safetensors", "step-000000000004.safetensors"}));
  EXPECT_EQ(load_checkpoint(folder.path()).trainer.steps, 5);
  EXPECT_EQ(load_checkpoint(older / "step-000000000003.safetensors").trainer.steps, 3);

  const std::string good = read(folder / "train_state.safetensors");
  write(folder / "train_state.safetensors", good.substr(0, good.size() - 1));
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }),
              AllOf(HasSubstr("train_state.safetensors"), HasSubstr("bytes"),
                    HasSubstr("is whole: '" + (older / "step-000000000004.safetensors").native())));
  write(older / "step-000000000004.safetensors", "x");
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }), HasSubstr("step-000000000003.safetensors"));
  std::filesystem::remove_all(older);
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }), HasSubstr("no older checkpoint"));
  std::filesystem::remove(folder / "train_state.safetensors");
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }), HasSubstr("has no train_state.safetensors"));
  EXPECT_THAT(error_of([&] { load_checkpoint(folder / "none"); }), HasSubstr("none"));
  EXPECT_THAT(error_of([&] { load_checkpoint(folder / "model.safetensors"); }),
              HasSubstr("start a training from these weights"));
  try {
    load_checkpoint(folder / "model.safetensors");
  } catch (const RunError& problem) {
    EXPECT_EQ(problem.remedy(), RunError::Remedy::init_from);
  }
}

TEST(Checkpoint, AFlippedByteIsFoundAndPlaced) {
  const TempFolder folder;
  Writing run(folder.path(), 1);
  run.step();
  run.save();
  std::string bad = read(folder / "train_state.safetensors");
  bad[bad.size() - 1000] = static_cast<char>(bad[bad.size() - 1000] ^ 4);
  write(folder / "train_state.safetensors", bad);
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }),
              AllOf(HasSubstr("train_state.safetensors"), HasSubstr("tensor 'optimizer."), HasSubstr("checksum")));
}

// GRADUS_SOAK=1: every truncation and 2,000 flips; `make soak` runs it under AddressSanitizer.
TEST(Checkpoint, DamageIsAnErrorOrACorrectLoad) {
  const TempFolder folder;
  Writing run(folder.path(), 1);
  run.step();
  run.save();
  int truncations = 0, flips = 0, errors = 0, loads = 0;
  for (const char* name : {"train_state.safetensors", "model.safetensors"}) {
    const bool state = std::string(name) == "train_state.safetensors";
    const auto load = [&] {
      return state ? contents(load_checkpoint(folder.path())) : contents(load_run(folder.path()));
    };
    const std::string good = read(folder / name);
    const Contents expected = load();
    const auto attempt = [&](const std::string& bytes, bool whole) {
      write(folder / name, bytes);
      Contents found;
      const std::string error = error_if_any([&] { found = load(); });
      if (error.empty()) {
        EXPECT_TRUE(found == expected) << found.rest << "\n" << expected.rest;
      } else {
        EXPECT_THAT(error, HasSubstr(name));
      }
      EXPECT_TRUE(whole || !error.empty());
      ++(error.empty() ? loads : errors);
    };
    for (std::size_t size = 0; size < good.size(); size += static_cast<std::size_t>(times(211, 1))) {
      attempt(good.substr(0, size), false);
      ++truncations;
    }
    Generator generator(1);
    for (int i = 0; i < times(100, 2000); ++i) {
      std::string bad = good;
      char& byte = bad[static_cast<std::size_t>(generator.below(static_cast<Index>(bad.size())))];
      byte = static_cast<char>(byte ^ (1 + generator.below(255)));
      attempt(bad, true);
      ++flips;
    }
    write(folder / name, good);
  }
  if (!HasFailure()) {
    figure("damage", fmt::format("{} truncations and {} flipped bytes of two files: {} errors that name the file, {} "
                                 "correct loads, no crash",
                                 truncations, flips, errors, loads));
  }
}

TEST(Checkpoint, ARunThatBeginsAnewReplacesAnEarlierOneWithItsFirstSave) {
  const TempFolder folder;
  {
    Writing earlier(folder.path());
    earlier.held_out.add(2, 1);
    for (int i = 0; i < 2; ++i) earlier.step(), earlier.save();
  }
  EXPECT_EQ(moment_of(folder / best_file), (Moment{1, 2.0}));
  Writing run(folder.path());
  EXPECT_EQ(load_checkpoint(folder.path()).trainer.steps, 2);
  EXPECT_TRUE(std::filesystem::exists(folder / "checkpoints/step-000000000001.safetensors"));
  run.step(5);
  run.save();
  EXPECT_EQ(load_checkpoint(folder.path()).trainer.steps, 5);
  EXPECT_FALSE(std::filesystem::exists(folder / "best.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder / "checkpoints"));
  run.step();
  run.held_out.add(1.5, 6);
  run.save();
  EXPECT_EQ(load_run(folder.path(), best_file).moment, (Moment{6, 1.5}));
  EXPECT_EQ(numbers(load_run(folder.path(), best_file).model.named_state()), numbers(run.model.named_state()));
}

TEST(Checkpoint, WeightsThatAreNotFiniteReplaceNothing) {
  const TempFolder folder;
  Writing run(folder.path());
  run.step();
  run.save();
  const std::string model = read(folder / "model.safetensors"), state = read(folder / "train_state.safetensors");
  run.step();
  run.model.wte.weight.data<float>()[0] = INFINITY;
  EXPECT_THAT(error_of([&] { run.save(); }), HasSubstr("'wte.weight'"));
  EXPECT_EQ(read(folder / "model.safetensors"), model);
  EXPECT_EQ(read(folder / "train_state.safetensors"), state);
}

TEST(HeldOut, NaNIsNoBestAndDoesNotStay) {
  HeldOut held_out;
  EXPECT_FALSE(held_out.add(std::numeric_limits<double>::quiet_NaN(), 1));
  EXPECT_EQ(held_out.best_step, 0);
  EXPECT_TRUE(held_out.add(3, 2));
  EXPECT_FALSE(held_out.add(std::numeric_limits<double>::quiet_NaN(), 3));
  EXPECT_TRUE(held_out.add(2, 4));
  EXPECT_EQ(held_out.best_step, 4);
}

TEST(HeldOut, CountsSinceTheBest) {
  HeldOut held_out;
  EXPECT_TRUE(held_out.add(3, 10));
  EXPECT_TRUE(held_out.add(2, 20));
  EXPECT_FALSE(held_out.add(2, 30));
  EXPECT_FALSE(held_out.add(NAN, 40));
  EXPECT_EQ(held_out.since_best, 2);
  EXPECT_EQ(held_out.best_step, 20);
  EXPECT_TRUE(held_out.add(1, 50));
  EXPECT_EQ(held_out.since_best, 0);
}

TEST(RunFolder, WhatKilledProgramsLeftIsRemoved) {
  const TempFolder folder;
  // One with this process's number is of a process before it: in a container each program may have the same.
  const std::string mine = fmt::format("model.safetensors.{}.0.tmp", ::getpid()),
                    gone = "model.safetensors.4194305.3.tmp",
                    living = fmt::format("model.safetensors.{}.0.tmp", ::getppid());
  std::filesystem::create_directory(folder / "checkpoints");
  for (const std::string& name : {gone, mine, living, std::string("notes.tmp"), "checkpoints/" + gone}) {
    write(folder / name, "x");
  }
  prepare_run_folder(folder.path());
  EXPECT_EQ(files(folder.path()), (std::set<std::string>{living, "notes.tmp", "checkpoints"}));
  EXPECT_EQ(files(folder / "checkpoints"), std::set<std::string>());
}

TEST(RunFolder, AKilledProgramOfTheSameNumberIsInNobodysWay) {
  const TempFolder folder;
  const std::string path = folder / "file";
  int number = 0;
  {
    const AtomicFile file(path);
    const std::string name = *files(folder.path()).begin();
    ASSERT_EQ(std::sscanf(name.c_str(), "file.%*d.%d.tmp", &number), 1) << name;
  }
  for (int i = 1; i <= 3; ++i) write(fmt::format("{}.{}.{}.tmp", path, ::getpid(), number + i), "x");
  write_text(path, "whole");
  EXPECT_EQ(read(path), "whole");
}

TEST(RunFolder, IsLockedWhileAProcessLives) {
  const TempFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    const RunLock lock(folder.path());
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(RunLock::is_held(folder.path()));
  EXPECT_THAT(error_of([&] { RunLock lock(folder.path()); }),
              AllOf(HasSubstr(folder.path().native()), HasSubstr(fmt::format("by process {};", other))));
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  EXPECT_FALSE(RunLock::is_held(folder.path()));
  RunLock lock(folder.path());
  ::close(ready[0]), ::close(ready[1]);
}

// Whoever asks has the lock for a moment, which keeps nobody from training, and leaves the file as it is.
TEST(RunFolder, AskingForTheLockKeepsNobodyOut) {
  const TempFolder folder;
  { const RunLock lock(folder.path()); }
  const std::string held = read(folder / ".lock");
  EXPECT_EQ(held, std::to_string(::getpid()));
  std::atomic<bool> over = false;
  std::thread asking([&] {
    while (!over) {
      RunLock::is_held(folder.path());
      std::this_thread::yield();
    }
  });
  std::string refused;
  for (int i = 0; i < 2000 && refused.empty(); ++i) {
    refused = error_if_any([&] { const RunLock lock(folder.path()); });
  }
  over = true;
  asking.join();
  EXPECT_EQ(refused, "");
  EXPECT_FALSE(RunLock::is_held(folder.path()));
  EXPECT_EQ(read(folder / ".lock"), held);
}

// A write beyond this size fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t size) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{size, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(RunLog, WhatReachedAFullDiskIsNotWrittenAgain) {
  const TempFolder folder;
  RunLog log(folder / "log.jsonl");
  std::string all;
  const auto write_line = [&](Index step) {
    const LogLine line{step, step, 1, 1, 1, 1};
    all += line.to_json() + "\n";
    log.write(line);
  };
  write_line(1);
  log.flush();
  for (Index step = 2; step <= 20; ++step) write_line(step);
  {
    const FileSizeLimit limit(1000);
    EXPECT_THAT(error_of([&] { log.flush(); }), AllOf(HasSubstr("log.jsonl"), HasSubstr("File too large")));
    EXPECT_EQ(read(folder / "log.jsonl"), all.substr(0, 1000));
  }
  log.flush();
  EXPECT_EQ(read(folder / "log.jsonl"), all);
}

// Where the file system has no links, here because it is another one.
TEST(Checkpoint, AnOlderOneThatIsCopiedIsWholeOrNotThere) {
  const TempFolder folder;
  const std::filesystem::path elsewhere = fmt::format("/dev/shm/gradus.{}.safetensors", ::getpid());
  Writing run(folder.path());
  run.step();
  run.save();
  std::error_code error;
  std::filesystem::copy_file(folder / "train_state.safetensors", elsewhere, error);
  if (error) GTEST_SKIP() << "there is no second file system to write to";
  struct Remove {
    const std::filesystem::path& path;
    ~Remove() { std::filesystem::remove(path); }
  } const remove{elsewhere};
  run.writer->continue_from(elsewhere, load_checkpoint(elsewhere));
  run.step();
  const auto older = folder / "checkpoints/step-000000000001.safetensors";
  const std::string state = read(elsewhere);
  {
    const FileSizeLimit limit(state.size() / 2);
    EXPECT_THAT(error_of([&] { run.save(); }), AllOf(HasSubstr("step 1"), HasSubstr("File too large")));
  }
  EXPECT_FALSE(std::filesystem::exists(older));
  EXPECT_EQ(read(folder / "train_state.safetensors"), state);
  run.save();
  EXPECT_EQ(read(older), state);
}

TEST(Checkpoint, TheBestModelIsTheOneThatTheCheckpointTellsOf) {
  const TempFolder folder;
  const auto go_on = [&](Writing& run, const std::filesystem::path& path) {
    const Checkpoint checkpoint = load_checkpoint(path);
    nn::load_state(run.model, {checkpoint.model.named_state(), {}}, "checkpoint");
    run.trainer->set_state(checkpoint.trainer);
    run.held_out = run.writer->continue_from(path, checkpoint);
  };
  const auto best = [&] { return moment_of(folder / best_file); };
  {
    Writing run(folder.path(), 9);
    for (Index step = 1; step <= 4; ++step) {
      run.step();
      run.held_out.add(step == 3 ? 9.0 : 5.0 - static_cast<double>(step), step);
      run.save();
    }
  }
  EXPECT_EQ(best(), (Moment{4, 1.0}));
  const std::string fourth = read(folder / best_file);
  {  // the best before step 2 was step 2's, and the checkpoint has it; step 4's gets another name
    Writing run(folder.path(), 9);
    go_on(run, folder / "checkpoints/step-000000000002.safetensors");
    EXPECT_EQ(read(folder / best_file), fourth);  // nothing changes before the first save
    run.step();
    run.held_out.add(4.5, 3);
    run.save();
    EXPECT_EQ(best(), (Moment{2, 3.0}));
    EXPECT_EQ(read(folder / "best.step-4.safetensors"), fourth);
    EXPECT_EQ(numbers(load_run(folder.path(), best_file).model.named_state()),
              numbers(load_checkpoint(folder / "checkpoints/step-000000000002.safetensors").model.named_state()));
    EXPECT_EQ(load_checkpoint(folder.path()).held_out, run.held_out);
  }
  std::filesystem::remove(folder / best_file);
  {  // neither there nor the checkpoint's own: the next one measured is the best
    Writing run(folder.path(), 9);
    go_on(run, folder.path());
    EXPECT_EQ(run.held_out.best_step, 0);
    run.step();
    run.held_out.add(7, 4);
    run.save();
    EXPECT_EQ(best(), (Moment{4, 7.0}));
  }
  // Killed between the checkpoint and the best model that comes with it.
  const std::string seventh = read(folder / best_file);
  {
    Writing run(folder.path(), 9);
    go_on(run, folder.path());
    run.step();
    run.held_out.add(6, 5);
    run.save();
    write(folder / best_file, seventh);
  }
  Writing run(folder.path(), 9);
  go_on(run, folder.path());
  run.step();
  run.held_out.add(8, 6);
  run.save();
  EXPECT_EQ(best(), (Moment{5, 6.0}));
  EXPECT_EQ(load_checkpoint(folder.path()).held_out.since_best, 1);
}

TEST(RunLog, GoesOnAfterTheStepThatIsKept) {
  const TempFolder folder;
  const auto path = folder / "log.jsonl";
  const auto line = [](Index step) {
    LogLine result{step, 10 * step, 1.0 / 3, 1e-3, 0.1 + 0.2, 123.456};
    if (step == 2) result.val_loss = 2.0 / 3;
    return result;
  };
  const auto text = [&](Index from, Index to) {
    std::string all;
    for (Index step = from; step <= to; ++step) all += line(step).to_json() + "\n";
    return all;
  };
  std::string third;
  {
    RunLog log(path);
    for (Index step = 1; step <= 5; ++step) {
      log.write(line(step));
      if (step == 3) third = log.last();
    }
    log.sync();
  }
  EXPECT_EQ(read(path), text(1, 5));
  EXPECT_THAT(read(path),
              HasSubstr(R"({"step": 2, "tokens": 20, "train_loss": 0.3333333333333333, "lr": 0.001, )"
                        R"("grad_norm": 0.30000000000000004, "tokens_per_second": 123.5, "val_loss": 0.6)"));
  write(path, text(1, 5) + R"({"step": 6, "tok)");
  const auto lines = read_log(path);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[1].train_loss, 1.0 / 3);
  EXPECT_EQ(lines[1].val_loss, 2.0 / 3);
  EXPECT_FALSE(lines[2].val_loss);
  std::string fourth;
  {
    RunLog log(path);
    log.go_on_after(third);
    log.write(line(4));
    fourth = log.last();
    EXPECT_EQ(read_log(path).size(), 5U);  // what is there stays until the first flush
    log.flush();
    EXPECT_EQ(read(path), text(1, 4));
  }
  {
    RunLog log(path);
    log.go_on_after(fourth);  // nothing to take back
    log.write(line(5));
    log.flush();
  }
  EXPECT_EQ(read(path), text(1, 5));
  {  // killed before replace(), the staged log is found by the one line that is only there
    RunLog log(path);
    log.go_on_after(third);
    LogLine other = line(4);
    other.tokens_per_second = 99;
    log.write(other);
    log.stage();
    EXPECT_EQ(read(path), text(1, 5));
    RunLog again(path);
    again.go_on_after(log.last());
    again.flush();
    EXPECT_EQ(read(path), text(1, 3) + other.to_json() + "\n");
  }
  // A damaged line is kept, one that should be there and is not moves the log out of the way.
  const std::string damaged = text(1, 1) + "{\"stXp\": 2}\n" + text(3, 5);
  write(path, damaged);
  std::vector<Index> numbers;
  EXPECT_EQ(read_log(path, &numbers).size(), 4U);
  EXPECT_EQ(numbers, std::vector<Index>{2});
  {
    RunLog log(path);
    log.go_on_after(fingerprint(text(4, 4)));
    EXPECT_EQ(log.aside(), "");
    log.flush();
  }
  EXPECT_EQ(read(path), text(1, 1) + "{\"stXp\": 2}\n" + text(3, 4));
  write(path, damaged);
  RunLog anew(path);
  anew.go_on_after(fingerprint(text(2, 2)));
  EXPECT_EQ(anew.aside(), path.native() + ".old");
  anew.write(line(1));
  EXPECT_EQ(read(path), damaged);
  anew.flush();
  EXPECT_EQ(read(path), text(1, 1));
  EXPECT_EQ(read(anew.aside()), damaged);
  EXPECT_TRUE(read_log(folder / "none").empty());
  EXPECT_THAT(error_of([&] { RunLog(folder / "none/log.jsonl").sync(); }), HasSubstr("none/log.jsonl"));
}

}  // namespace
}  // namespace gradus::models
