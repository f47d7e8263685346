// Run folders of version 0.1.0: what they hold is read as it was written, sampled, and trained on to the same end. They
// were made with GRADUS_ISA=avx2, by gcc in a release build; on other instruction sets and compilers, and with
// other flags, the last bits differ.
#include <gradus/core/runtime/cpu.h>
#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/run_folder.h>
#include <gradus/nn/files/safetensors.h>

#include <nlohmann/json.hpp>

#include "../command.h"

namespace gradus::models {
namespace {

namespace fs = std::filesystem;
using testing::read;
using testing::Result;
using testing::write;

using Arguments = std::vector<std::string>;

#if defined(__GNUC__) && !defined(__clang__) && defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
constexpr bool is_compiler_of_then = true;
#else
constexpr bool is_compiler_of_then = false;
#endif

// Where they were made.
constexpr const char* old_place = "/tmp/runs_of_today";

struct OldRuns : testing::Command {
  const fs::path data = fs::path(GRADUS_SOURCE_DIR) / "tests/models/data";
  const bool same_bits = is_compiler_of_then && std::ranges::count(available_instruction_sets(), "avx2") > 0;
  const char* const isa = same_bits ? "avx2" : nullptr;

  void SetUp() override {
    fs::copy_file(data / "old_lines.txt", folder / "lines.txt");
    fs::copy_file(data / "old_text.txt", folder / "text.txt");
    for (const char* text : {"judge.txt", "more.txt"}) fs::copy_file(data / "runs" / text, folder / text);
  }
  // What a run remembers, with the places of then.
  nlohmann::json config_of(const fs::path& file) const {
    std::string config = nn::read_metadata(file).at("config.json");
    const std::string here = folder.path();
    for (std::size_t at = 0; (at = config.find(here, at)) != std::string::npos;)
      config.replace(at, here.size(), old_place);
    return nlohmann::json::parse(config);
  }
  // The same without the fields that no run of then has: they came later.
  nlohmann::json config_without_later_fields(const fs::path& file) const {
    nlohmann::json config = config_of(file), then;
    for (const char* run : {"names", "tuned", "microgpt"})
      then.merge_patch(config_of(data / "runs" / run / "end.safetensors"));
    for (auto& [section, fields] : config.items())
      for (auto field = fields.begin(); field != fields.end();)
        field = then.at(section).contains(field.key()) ? std::next(field) : fields.erase(field);
    return config;
  }
  // Has the first half of a run go on to its end, and compares that with the end of then, the weights with those of
  // `end`.
  void expect_same_end(const std::string& run, const Arguments& texts, const char* end = "end.safetensors") const {
    fs::create_directory(folder / run);
    fs::copy_file(data / "runs" / run / "step.safetensors", folder / run / "step.safetensors");
    Arguments resume{"train", "--resume", run + "/step.safetensors", "--quiet"};
    resume.insert(resume.end(), texts.begin(), texts.end());
    const Result result = gpt(resume, isa);
    ASSERT_EQ(result.status, 0) << result.err;
    const fs::path now = folder / run / model_file, then = data / "runs" / run / "end.safetensors";
    EXPECT_EQ(config_without_later_fields(now), config_of(then));
    const nn::NamedTensors weights = nn::read_tensors(now).tensors;
    const nn::NamedTensors old = nn::read_tensors(data / "runs" / run / end).tensors;
    ASSERT_EQ(weights.size(), old.size());
    for (std::size_t i = 0; i < old.size(); ++i) {
      EXPECT_EQ(weights[i].first, old[i].first);
      testing::expect_close(weights[i].second, old[i].second.to_vector(), same_bits ? 0 : 1e-5);
    }
  }
  void expect_same_samples(const std::string& run) const {
    const std::string place = run + "_then";
    fs::create_directory(folder / place);
    fs::copy_file(data / "runs" / run / "end.safetensors", folder / place / model_file);
    const Result sampled = gpt({"sample", place, "--count", "5", "--seed", "3", "--max-tokens", "20"}, isa);
    EXPECT_EQ(sampled.status, 0) << sampled.err;
    EXPECT_EQ(sampled.out, read(data / "runs" / run / "samples.txt"));
    EXPECT_EQ(gpt({"info", place}).status, 0);
  }
};

TEST_F(OldRuns, Names) {
  expect_same_end("names", {"--data", "lines.txt"});
  expect_same_samples("names");
}

// Begun with other weights, and with every setting of the recipe. Its steps have several micro-batches, whose gradients
// are summed and whose dropout is seeded in another way since: it goes on, to other bits than then.
TEST_F(OldRuns, Tuned) {
  expect_same_end("tuned", {"--data", "text.txt", "--data", "more.txt"}, "end_by_micro_batch.safetensors");
  expect_same_samples("tuned");
}

TEST_F(OldRuns, MicrogptInF64) {
  expect_same_end("microgpt", {"--data", "lines.txt", "--held-out", "judge.txt"});
  expect_same_samples("microgpt");
  EXPECT_EQ(load_run(folder / "microgpt").model.dtype(), DType::f64);
}

}  // namespace
}  // namespace gradus::models
