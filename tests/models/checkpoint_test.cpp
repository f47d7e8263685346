// Checkpoints and the log: what is saved comes back, what is damaged is named, older ones rotate and are offered.
#include <gradus/models/checkpoint.h>

#include <gradus/models/evaluate.h>
#include <gradus/models/run_log.h>
#include <gradus/nn/safetensors.h>

#include <set>

#include "command.h"

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
  RunData info{"lines.txt", true, 0.1, 42, "abc"};
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
  return fmt::format("{} {} {} {} {}", data.source, data.documents, data.held_out, data.seed, data.fingerprint);
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
                    HasSubstr("--resume " + (older / "step-000000000004.safetensors").native())));
  write(older / "step-000000000004.safetensors", "x");
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }), HasSubstr("step-000000000003.safetensors"));
  std::filesystem::remove_all(older);
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }), HasSubstr("no older checkpoint"));
  std::filesystem::remove(folder / "train_state.safetensors");
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }), HasSubstr("has no train_state.safetensors"));
  EXPECT_THAT(error_of([&] { load_checkpoint(folder / "none"); }), HasSubstr("none"));
  EXPECT_THAT(error_of([&] { load_checkpoint(folder / "model.safetensors"); }), HasSubstr("--init-from"));
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
    earlier.writer->save_best(earlier.model);
    for (int i = 0; i < 2; ++i) earlier.step(), earlier.save();
  }
  Writing run(folder.path());
  EXPECT_EQ(load_checkpoint(folder.path()).trainer.steps, 2);
  run.step(5);
  run.save();
  EXPECT_EQ(load_checkpoint(folder.path()).trainer.steps, 5);
  EXPECT_FALSE(std::filesystem::exists(folder / "best.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder / "checkpoints"));
  run.writer->save_best(run.model);
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
  EXPECT_THAT(error_of([&] { run.writer->save_best(run.model); }), HasSubstr("'wte.weight'"));
  EXPECT_EQ(read(folder / "model.safetensors"), model);
  EXPECT_EQ(read(folder / "train_state.safetensors"), state);
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
  const std::string mine = fmt::format("model.safetensors.{}.0.tmp", ::getpid());
  for (const std::string& name : {std::string("model.safetensors.4194305.3.tmp"), mine, std::string("notes.tmp")}) {
    write(folder / name, "x");
  }
  prepare_run_folder(folder.path());
  EXPECT_EQ(files(folder.path()), (std::set<std::string>{mine, "notes.tmp"}));
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
  {
    RunLog log(path, 0);
    for (Index step = 1; step <= 5; ++step) log.write(line(step), false);
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
  {
    RunLog log(path, 3);
    log.write(line(4), true);
    EXPECT_EQ(read(path), text(1, 4));
  }
  {
    RunLog log(path, 9);  // nothing to take back
    log.write(line(5), true);
  }
  EXPECT_EQ(read(path), text(1, 5));
  RunLog anew(path, 0);
  anew.write(line(1), false);
  EXPECT_EQ(read(path), text(1, 5));  // what is there stays until the first line that is flushed
  anew.flush();
  EXPECT_EQ(read(path), text(1, 1));
  EXPECT_TRUE(read_log(folder / "none").empty());
  EXPECT_THAT(error_of([&] { RunLog(folder / "none/log.jsonl", 0).sync(); }), HasSubstr("none/log.jsonl"));
}

}  // namespace
}  // namespace gradus::models
