// The recording of a training: its numbers against own loops, that it changes no bit, and that stopping, killing,
// resuming and replacing leave the files that they should.
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include <gradus/models/generate/generate.h>
#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/recording.h>
#include <gradus/nn/files/safetensors.h>

#include "../command.h"

namespace gradus::models {
namespace {

using testing::Command;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read;
using testing::Result;
using testing::small_config;
using testing::TempFolder;
using testing::times;
using testing::words;
using testing::write;

double norm_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

double std_of(const std::vector<double>& x) {
  double mean = 0, sum = 0;
  for (const double value : x) mean += value / static_cast<double>(x.size());
  for (const double value : x) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

// A training with a recording, which copies weights and gradients on its own.
struct Recorded : StepWatcher {
  explicit Recorded(const std::filesystem::path& folder, bool records = true, const GPTConfig* config = nullptr)
      : lines(words(20)),
        data(lines, CharTokenizer::from_documents(lines), {.block_size = 8}),
        model(config != nullptr ? *config : small_config(data.tokenizer().vocab_size())),
        trainer(model, data, TrainOptions{.steps = 100, .batch_size = 3, .lr = 1e-2, .clip = 0.1}) {
    if (records) {
      recording.emplace(folder, model, data, [this] { return generate(model, data.tokenizer(), "", 2); });
      recording->begin();
    }
    trainer.watch(this);
  }
  void before_update(Index step) override {
    before.clear(), gradients.clear();
    for (const auto& [name, weight] : model.named_parameters()) {
      before[name] = weight.to_vector();
      gradients[name] = weight.grad().to_vector();
    }
    if (recording) recording->before_update(step);
  }
  void after_update(Index step) override {
    if (recording) recording->after_update(step);
  }

  std::vector<std::string> lines;
  DocumentDataset data;
  GPT model;
  Trainer trainer;
  std::optional<Recording> recording;
  std::map<std::string, std::vector<double>> before, gradients;
};

TEST(Recording, NumbersAreThoseOfOwnLoops) {
  const TempFolder folder;
  manual_seed(1);
  Recorded run(folder.path());
  for (int step = 1; step <= 3; ++step) {
    run.trainer.step();
    run.recording->flush();
    const auto record = read_record(folder.path());
    ASSERT_TRUE(record);
    ASSERT_EQ(std::ssize(record->lines), step);
    const Record::Line& line = record->lines.back();
    EXPECT_EQ(line.step, step);
    std::size_t i = 0;
    for (const auto& [name, weight] : run.model.named_parameters()) {
      if (weight.rank() < 2) continue;
      ASSERT_EQ(record->matrices[i].name, name);
      EXPECT_THAT(record->matrices[i].shape, ElementsAre(weight.size(0), weight.size(1)));
      std::vector<double> update = weight.to_vector();
      EXPECT_NEAR(line.weight_norm[i], norm_of(update), 1e-4 * norm_of(update)) << name;
      for (std::size_t k = 0; k < update.size(); ++k) update[k] -= run.before[name][k];
      const double ratio = std_of(update) / std_of(run.before[name]), slope = norm_of(run.gradients[name]);
      EXPECT_NEAR(line.grad_norm[i], slope, 1e-4 * slope) << name;
      EXPECT_NEAR(line.update_ratio[i], ratio, 1e-3 * ratio) << name;
      ++i;
    }
    EXPECT_EQ(i, record->matrices.size());
  }
}

// The ratio of step 2 once more from what two snapshots have kept; rounding to 16 bits is most of the difference.
TEST(Recording, SnapshotsTellTheSameUpdates) {
  const TempFolder folder;
  manual_seed(1);
  Recorded run(folder.path());
  run.trainer.step(), run.trainer.step();
  run.recording->flush();
  const auto record = read_record(folder.path());
  const auto place = snapshot_folder(folder.path());
  EXPECT_THAT(snapshots_in(place), ElementsAre(0, 1, 2));
  const Snapshot one = load_snapshot(place / snapshot_name(1)), two = load_snapshot(place / snapshot_name(2));
  EXPECT_EQ(two.step, 2);
  for (std::size_t i = 0; i < record->matrices.size(); ++i) {
    const auto of = [&](const Snapshot& snapshot) {
      for (const auto& [name, weight] : snapshot.weights) {
        if (name == record->matrices[i].name) return weight.to_vector();
      }
      ADD_FAILURE() << record->matrices[i].name;
      return std::vector<double>();
    };
    const std::vector<double> then = of(one);
    std::vector<double> update = of(two);
    for (std::size_t k = 0; k < update.size(); ++k) update[k] -= then[k];
    const double ratio = std_of(update) / std_of(then);
    EXPECT_NEAR(record->lines[1].update_ratio[i], ratio, 0.01 * ratio);
  }
}

TEST(Recording, ChangesNoBitOfTheTraining) {
  const TempFolder folder;
  std::vector<std::string> ends;
  GPTConfig config = small_config(6);
  config.dropout = 0.1;
  for (const bool records : {false, true}) {
    manual_seed(1);
    Recorded run(folder.path(), records, &config);
    for (int step = 0; step < 12; ++step) run.trainer.step();
    std::string end = run.trainer.state().generator + run.trainer.state().dataset.generator;
    for (const Tensor& parameter : run.model.parameters()) {
      EXPECT_FALSE(parameter.grad().defined());
      for (const float x : parameter.data<float>()) end += fmt::format(" {}", x);
    }
    EXPECT_TRUE(run.model.training());
    ends.push_back(end);
  }
  EXPECT_EQ(ends[0], ends[1]);
}

TEST(Recording, StepsAreChosenByTheirNumber) {
  const auto chosen = [](auto is, Index from, Index to) {
    Index count = 0;
    for (Index step = from; step <= to; ++step) count += is(step) ? 1 : 0;
    return count;
  };
  const auto few = [](Index step) { return is_recorded(step, 14); };
  EXPECT_EQ(chosen(few, 0, 100), 100);
  EXPECT_EQ(chosen(few, 101, 10'000), 990);
  EXPECT_EQ(chosen(few, 10'001, 100'000), 900);
  EXPECT_FALSE(few(101));
  EXPECT_TRUE(few(110));
  EXPECT_FALSE(few(10'010));
  for (const Index matrices : {14, 50, 300, 2000, 20'000}) {
    const Index lines = chosen([&](Index step) { return is_recorded(step, matrices); }, 0, 1'000'000);
    EXPECT_LE(lines * matrices * 39, 8'000'000) << matrices;
    EXPECT_GE(lines, 2) << matrices;
  }
  std::vector<Index> snapshots;
  for (Index step = 0; step <= 200; ++step) {
    if (has_snapshot(step)) snapshots.push_back(step);
  }
  EXPECT_THAT(snapshots, ElementsAre(0, 1, 2, 5, 10, 20, 50, 100, 200));
}

// Of a matrix with more elements than are measured every second one counts here, and its norm still counts all.
TEST(Recording, LargeMatricesAreMeasuredEvenly) {
  const TempFolder folder;
  GPTConfig config = small_config(6);
  config.n_embd = 44, config.n_layer = 1;
  manual_seed(1);
  Recorded run(folder.path(), true, &config);
  run.trainer.step();
  run.recording->flush();
  const auto record = read_record(folder.path());
  const auto found = std::ranges::find(record->matrices, std::string("h.0.attn.c_attn.weight"), &Record::Matrix::name);
  const auto i = static_cast<std::size_t>(found - record->matrices.begin());
  std::vector<double> update, then;
  const std::vector<double> now = run.model.h[0].attn.c_attn.weight.to_vector();
  ASSERT_GT(now.size(), 4096U);
  for (std::size_t k = 0; k < now.size(); k += 2) {
    then.push_back(run.before[found->name][k]);
    update.push_back(now[k] - then.back());
  }
  EXPECT_NEAR(record->lines[0].update_ratio[i], std_of(update) / std_of(then), 1e-4 * std_of(update) / std_of(then));
  EXPECT_NEAR(record->lines[0].weight_norm[i], norm_of(now), 1e-4 * norm_of(now));
}

TEST(Snapshot, HistogramsCountEveryNumberOnce) {
  const std::vector<double>& edges = histogram_edges();
  EXPECT_TRUE(std::ranges::is_sorted(edges));
  manual_seed(3);
  Tensor x = randn({3000}) * 0.02;
  const auto values = x.data<float>();
  values[0] = 0, values[1] = 1e-12F, values[2] = -1e-12F, values[3] = 1e5F, values[4] = -1e5F, values[5] = 0.5F;
  const std::vector<Index> counts = histogram(x);
  ASSERT_EQ(counts.size() + 1, edges.size());
  std::vector<Index> own(counts.size());
  for (const float value : values) {
    std::size_t bin = 0;
    while (bin + 1 < own.size() && value >= edges[bin + 1]) ++bin;
    ++own[bin];
  }
  EXPECT_EQ(counts, own);
  values[9] = std::numeric_limits<float>::quiet_NaN();  // no number, so in no bin
  Index counted = 0;
  for (const Index count : histogram(x)) counted += count;
  EXPECT_EQ(counted, 2999);
}

// Lists that are shorter than the layers would be read beyond their ends.
TEST(Snapshot, DamagedListsAreRefused) {
  const TempFolder folder;
  Recorded run(folder.path());
  run.trainer.step();
  run.recording->flush();
  const auto path = snapshot_folder(folder.path()) / snapshot_name(1);
  const nn::TensorFile file = nn::read_tensors(path.string());
  const nlohmann::json whole = nlohmann::json::parse(file.metadata.at("snapshot"));
  const auto refuses = [&](const char* place, const nlohmann::json& value) {
    nlohmann::json damaged = whole;
    damaged[nlohmann::json::json_pointer(place)] = value;
    nn::save_tensors(folder / "damaged", file.tensors, {{"snapshot", damaged.dump()}});
    EXPECT_THAT(error_of([&] { load_snapshot(folder / "damaged"); }), HasSubstr("the file is damaged")) << place;
  };
  for (const char* const list : {"mean", "std", "saturated", "never_fire"}) {
    refuses(("/activations/" + std::string(list)).c_str(), {1.0});
    refuses(("/activations/" + std::string(list)).c_str(), 1.0);
  }
  refuses("/weights", whole["weights"][0]);
  refuses("/weights/0", {1, 2, 3});
  refuses("/weights/0/0", -1);
  refuses("/weights/0/0", 1e300);
  refuses("/gradients", nlohmann::json::array({whole["gradients"][0]}));
  refuses("/matrices", nlohmann::json::array({"one"}));
  refuses("/step", 1e300);
  refuses("/step", nullptr);
  refuses("/samples", 3);
}

TEST(Recording, AHeaderThatNamesNothingIsNone) {
  const TempFolder folder;
  for (const char* const matrices : {R"([{"name": 1, "shape": [2, 2]}])", R"([{"name": "a", "shape": "b"}])",
                                     R"([{"name": "a", "shape": [1e300]}])", R"([{"name": "a"}])", "3"}) {
    write(folder / "record.jsonl", fmt::format("{{\"matrices\": {}}}\n", matrices));
    EXPECT_FALSE(read_record(folder.path()).has_value()) << matrices;
  }
}

TEST(Snapshot, ComesBack) {
  const TempFolder folder;
  Recorded run(folder.path());
  run.trainer.step();
  run.recording->flush();
  const Snapshot first = load_snapshot(snapshot_folder(folder.path()) / snapshot_name(0)),
                 second = load_snapshot(snapshot_folder(folder.path()) / snapshot_name(1));
  EXPECT_EQ(second.samples, generate(run.model, run.data.tokenizer(), "", 2));
  EXPECT_THAT(second.activations.layers, ElementsAre("h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp"));
  EXPECT_TRUE(first.of_gradients.empty());
  ASSERT_EQ(second.of_gradients.size(), second.matrices.size());
  std::size_t i = 0;
  for (const auto& [name, weight] : run.model.named_parameters()) {
    if (weight.rank() < 2) continue;
    EXPECT_EQ(second.of_weights[i], histogram(weight));
    EXPECT_EQ(second.of_gradients[i++], histogram(tensor(run.gradients[name])));
  }
  const nn::NamedTensors whole = run.model.named_state();
  EXPECT_EQ(second.weights.size(), whole.size());
  for (const auto& [name, weight] : whole) {
    const auto found = std::ranges::find(second.weights, name, &nn::NamedTensors::value_type::first);
    ASSERT_NE(found, second.weights.end());
    const std::vector<double> all = weight.to_vector(), kept = found->second.to_vector();
    for (std::size_t k = 0; k < all.size(); ++k) EXPECT_NEAR(kept[k], all[k], 5e-4 * std::abs(all[k]) + 1e-7);
  }
  Snapshot large{.step = 5, .weights = {{"w", full({2, 2}, 1e6)}}};
  save_snapshot(folder / "large", large);
  EXPECT_NEAR(load_snapshot(folder / "large").weights[0].second.to_vector()[0], 1e6, 4e3);
  nn::save_tensors(folder / "other", {{"w", zeros({1})}});
  EXPECT_THAT(error_of([&] { load_snapshot(folder / "other"); }), HasSubstr("is no snapshot"));
}

// One unit of ReLU that no token lifts above 0, and one that always fires.
TEST(Snapshot, UnitsThatNeverFire) {
  GPTConfig config = small_config();
  config.n_layer = 1, config.activation = nn::Activation::relu;
  manual_seed(5);
  const GPT model(config);
  const auto bias = model.h[0].mlp.c_fc.bias.data<float>();
  std::ranges::fill(bias, 10.F);
  bias[3] = -10, bias[7] = -10;
  const Activations seen = activations_of(model, {.tokens = {1, 2, 3, 4}, .targets = {}, .lengths = {3, 1}});
  EXPECT_DOUBLE_EQ(seen.never_fire[1], 2.0 / 32);
  EXPECT_DOUBLE_EQ(seen.saturated[1], 2.0 / 32);
  EXPECT_TRUE(std::isnan(seen.never_fire[0]));
}

// The program, whose run folders are compared.
struct RecordCommand : Command {
  const std::vector<std::string> recipe{
      "train",   "--layers",  "1", "--width",      "16",  "--heads",      "2",  "--batch", "4",   "--dropout", "0.1",
      "--quiet", "--samples", "0", "--eval-every", "500", "--save-every", "40", "--steps", "2300"};
  std::map<std::string, std::string> recording(const std::string& run) const {
    std::map<std::string, std::string> files = contents(run);
    std::erase_if(files, [](const auto& file) {
      return !file.first.starts_with("record.jsonl") && !file.first.starts_with("snapshots");
    });
    return files;
  }
  std::vector<std::string> with(const std::vector<std::string>& more) const {
    std::vector<std::string> all = recipe;
    if (std::ranges::find(more, "--steps") != more.end()) all.resize(all.size() - 2);  // those of the recipe
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  bool has_checkpoint(const std::string& run) const {
    return std::filesystem::exists(folder / run / "train_state.safetensors");
  }
};

TEST_F(RecordCommand, StoppedOrKilledAndResumedItIsTheSame) {
  if (gradus::testing::emulated()) GTEST_SKIP() << "signals reach the emulator";
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(gpt(with({"--out", "whole"})).status, 0);
  const auto time = std::chrono::steady_clock::now() - begin;
  const auto whole = recording("whole");
  ASSERT_EQ(whole.size(), 13U);  // record.jsonl and the snapshots of 0, 1, 2, .. 2000
  Generator random(static_cast<std::uint64_t>(begin.time_since_epoch().count()));
  int stopped = 0;
  for (int i = 0; stopped < times(4, 40) && i < 200; ++i) {
    const std::string run = fmt::format("run{}", i);
    const int signal = i % 2 == 0 ? SIGKILL : SIGINT;
    const pid_t pid = start(with({"--out", run}));
    std::this_thread::sleep_for(time * static_cast<double>(random.below(1000)) / 1000);
    ::kill(pid, signal);
    const bool ended = finish(pid).status == 0;
    if (ended || !has_checkpoint(run)) continue;
    ++stopped;
    // Nothing that the checkpoint covers is missing.
    const Checkpoint checkpoint = load_checkpoint(folder / run);
    const auto record = read_record(folder / run);
    ASSERT_TRUE(record);
    Index last = 0;
    for (const Record::Line& line : record->lines) last = std::max(last, line.step);
    const Index due = checkpoint.trainer.steps < 100 ? checkpoint.trainer.steps : checkpoint.trainer.steps / 10 * 10;
    EXPECT_GE(last, due);
    const Result rest = gpt({"train", "--resume", run, "--quiet"});
    EXPECT_EQ(rest.status, 0) << rest.err;
    EXPECT_EQ(recording(run), whole) << signal << " at step " << checkpoint.trainer.steps;
    EXPECT_EQ(read(folder / run / "model.safetensors"), read(folder / "whole/model.safetensors"));
  }
  EXPECT_GT(stopped, 0);
}

TEST_F(RecordCommand, AnOlderCheckpointCutsIt) {
  ASSERT_EQ(gpt(with({"--out", "run", "--steps", "100", "--keep", "4"})).status, 0);
  const auto whole = recording("run");
  const std::string older = "run/checkpoints/step-000000000040.safetensors";
  std::filesystem::copy(folder / "run", folder / "whole", std::filesystem::copy_options::recursive);
  ASSERT_EQ(gpt({"train", "--resume", older, "--quiet"}).status, 0);
  EXPECT_EQ(recording("run"), whole);
  ASSERT_EQ(gpt({"train", "--resume", "whole" + older.substr(3), "--steps", "45", "--warmup", "0", "--quiet"}).status,
            0);
  EXPECT_EQ(read_record(folder / "whole")->lines.back().step, 45);
  EXPECT_THAT(snapshots_in(folder / "whole/snapshots"), ElementsAre(0, 1, 2, 5, 10, 20));
}

TEST_F(RecordCommand, OffWritesNothingAndReplacesAnOldOne) {
  ASSERT_EQ(gpt(with({"--out", "run", "--steps", "20", "--record", "off"})).status, 0);
  EXPECT_TRUE(recording("run").empty());
  // It may begin in the midst of a training.
  ASSERT_EQ(gpt({"train", "--resume", "run", "--steps", "30", "--record", "on", "--quiet"}).status, 0);
  auto record = read_record(folder / "run");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->lines.front().step, 21);
  EXPECT_THAT(snapshots_in(folder / "run/snapshots"), ElementsAre());
  // Left out for a while, it goes on behind what is there.
  ASSERT_EQ(gpt({"train", "--resume", "run", "--steps", "40", "--record", "off", "--quiet"}).status, 0);
  ASSERT_EQ(gpt({"train", "--resume", "run", "--steps", "50", "--record", "on", "--quiet"}).status, 0);
  record = read_record(folder / "run");
  std::vector<Index> steps;
  for (const Record::Line& line : record->lines) steps.push_back(line.step);
  EXPECT_THAT(steps, ElementsAre(21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50));
  EXPECT_THAT(snapshots_in(folder / "run/snapshots"), ElementsAre(50));
  // A new training replaces it.
  ASSERT_EQ(gpt(with({"--out", "run", "--overwrite", "--steps", "7"})).status, 0);
  ASSERT_EQ(gpt(with({"--out", "other", "--steps", "7"})).status, 0);
  EXPECT_EQ(recording("run"), recording("other"));
  ASSERT_EQ(gpt(with({"--out", "run", "--overwrite", "--steps", "7", "--record", "off"})).status, 0);
  EXPECT_TRUE(recording("run").empty());
  // So an old run, which has none, goes on.
  EXPECT_EQ(gpt({"train", "--resume", "run", "--steps", "9", "--quiet"}).status, 0);
}

TEST_F(RecordCommand, TheModelIsTheSameWithAndWithoutIt) {
  ASSERT_EQ(gpt(with({"--out", "on", "--steps", "60"})).status, 0);
  ASSERT_EQ(gpt(with({"--out", "off", "--steps", "60", "--record", "off"})).status, 0);
  const auto numbers = [&](const char* run) {
    std::string all;
    for (const auto& [name, weight] : load_run(folder / run).model.named_state()) {
      for (const double x : weight.to_vector()) all += fmt::format("{} ", x);
    }
    return all;
  };
  EXPECT_EQ(numbers("on"), numbers("off"));
}

}  // namespace
}  // namespace gradus::models
