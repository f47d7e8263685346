// Run folders: what is saved comes back, and what is damaged is named.
#include <gradus/models/train/run_folder.h>

#include <gradus/models/gpt/change_vocabulary.h>
#include <gradus/models/gpt/gpt2.h>
#include <gradus/nn/files/safetensors.h>

#include <set>
#include <sstream>

#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read;
using testing::small_config;
using testing::TempFolder;
using testing::write;

const CharTokenizer tokenizer(U"abcdefghij", true);
const RunData data{"names \xFF.txt", TextFormat::lines, 0.25, 7, fingerprint("text")};

std::vector<double> logits(const GPT& model) {
  const std::vector<std::int32_t> tokens{1, 2, 3};
  return model(tokens, 1, 3).to_vector();
}

TEST(RunFolder, RoundTrip) {
  const TempFolder folder;
  for (const DType dtype : {DType::f32, DType::f64}) {
    manual_seed(1);
    GPT model(small_config());
    model.to(dtype);
    prepare_run_folder(folder / "a/b");
    save_run(folder / "a/b", model, tokenizer, data);
    const models::Run run = load_run(folder / "a/b");
    EXPECT_EQ(run.model.config(), model.config());
    EXPECT_EQ(run.model.dtype(), dtype);
    EXPECT_EQ(logits(run.model), logits(model));
    EXPECT_EQ(run.tokenizer, tokenizer);
    EXPECT_EQ(run.data.seed, 7U);
    EXPECT_EQ(run.data.held_out, 0.25);
    EXPECT_EQ(run.data.fingerprint, data.fingerprint);
  }
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "a/b")) files.insert(entry.path().filename());
  EXPECT_EQ(files, (std::set<std::string>{"config.json", "model.safetensors", "tokenizer.json"}));
}

// A resumed training that looks into a file must drop what it would have dropped.
TEST(RunFolder, ReadingAModelDrawsNoNumbers) {
  const TempFolder folder;
  GPT model(small_config());
  prepare_run_folder(folder / "run");
  save_run(folder / "run", model, tokenizer, data);
  save_gpt2(folder / "gpt2", model, tokenizer);
  const std::string before = default_generator().state();
  load_run(folder / "run");
  EXPECT_EQ(default_generator().state(), before);
  const GPT2 loaded = load_gpt2(folder / "gpt2");
  EXPECT_EQ(default_generator().state(), before);
  cut_vocabulary(loaded.model, 5);
  EXPECT_EQ(default_generator().state(), before);
}

// GPT-2's names, shapes and values, as Python reads them from the file.
TEST(RunFolder, PythonReadsTheModel) {
  const std::string python = "/usr/bin/python3";
  if (!std::filesystem::exists(python)) GTEST_SKIP() << "there is no " << python;
  for (const DType dtype : {DType::f32, DType::f64}) {
    const TempFolder folder;
    GPT model(small_config());
    model.to(dtype);
    save_run(folder.path(), model, tokenizer, data);
    const auto read = gradus::testing::run(
        fmt::format("{} {}/tests/models/read_model.py {}", python, GRADUS_SOURCE_DIR, (folder / model_file).native()));
    ASSERT_EQ(read.status, 0);
    std::set<std::string> names;
    std::istringstream lines(read.output);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string name, type, word;
      words >> name >> type;
      names.insert(name);
      EXPECT_EQ(type, dtype == DType::f32 ? "F32" : "F64");
      const auto all = model.named_parameters();
      const auto found = std::ranges::find(all, name, &nn::NamedTensors::value_type::first);
      ASSERT_NE(found, all.end()) << name;
      Shape shape;
      while (words >> word && word != ":") shape.push_back(std::stoll(word));
      EXPECT_EQ(shape, found->second.shape()) << name;
      std::vector<double> values;
      while (words >> word) values.push_back(std::strtod(word.c_str(), nullptr));
      EXPECT_EQ(values, found->second.to_vector()) << name;
    }
    std::set<std::string> expected{"wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias"};
    for (const char* block : {"h.0.", "h.1."}) {
      for (const char* part : {"ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"}) {
        for (const char* kind : {".weight", ".bias"}) expected.insert(fmt::format("{}{}{}", block, part, kind));
      }
    }
    EXPECT_EQ(names, expected);
  }
}

// The moment in which a new run of another shape has replaced the two small files, but not yet the model.
TEST(RunFolder, AnInterruptedSaveLeavesTheOldRun) {
  const TempFolder folder;
  const GPT model(small_config());
  save_run(folder.path(), model, tokenizer, data);
  GPTConfig other = small_config(3);
  other.n_embd = 16;
  const TempFolder newer;
  save_run(newer.path(), GPT(other), CharTokenizer(U"xy", true), data);
  for (const char* name : {"config.json", "tokenizer.json"}) write(folder / name, read(newer / name));
  const models::Run run = load_run(folder.path());
  EXPECT_EQ(run.tokenizer, tokenizer);
  EXPECT_EQ(logits(run.model), logits(model));
}

TEST(RunFolder, MissingAndDamagedFilesAreNamed) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { load_run(folder / "none"); }), HasSubstr("none"));
  EXPECT_THAT(error_of([&] { load_run(folder.path()); }), HasSubstr("model.safetensors"));
  const GPT model(small_config());
  save_run(folder.path(), model, tokenizer, data);
  const std::string good = read(folder / "model.safetensors");
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    write(folder / "model.safetensors", good.substr(0, size));
    EXPECT_THAT(error_of([&] { load_run(folder.path()); }), HasSubstr("model.safetensors")) << size;
  }
}

TEST(RunFolder, FlippedBitsAreAnErrorOrALoad) {
  const TempFolder folder;
  save_run(folder.path(), GPT(small_config()), tokenizer, data);
  const std::string good = read(folder / "model.safetensors");
  Generator generator(1);
  int errors = 0;
  for (int i = 0; i < 500; ++i) {
    std::string bad = good;
    constexpr Index header = 3000;  // where flips do harm; what follows are numbers
    char& byte = bad[static_cast<std::size_t>(generator.below(std::min(header, static_cast<Index>(bad.size()))))];
    byte = static_cast<char>(byte ^ (1 << generator.below(8)));
    write(folder / "model.safetensors", bad);
    const std::string error = testing::error_if_any([&] { load_run(folder.path()); });
    errors += error.empty() ? 0 : 1;
    EXPECT_THAT(error, ::testing::AnyOf("", HasSubstr(folder.path().native())));
  }
  EXPECT_GT(errors, 100);
}

TEST(RunFolder, WhereTheLastModelIsDamagedTheBestIsOffered) {
  const TempFolder folder;
  const GPT model(small_config());
  save_run(folder.path(), model, tokenizer, data);
  save_run(folder.path(), model, tokenizer, data, "{}", best_file);
  const std::string good = read(folder / "model.safetensors");
  write(folder / "model.safetensors", good.substr(0, good.size() - 1));
  EXPECT_THAT(error_of([&] { load_run(folder.path()); }),
              AllOf(HasSubstr("model.safetensors': the data_offsets"), HasSubstr("best.safetensors' is whole")));
  write(folder / "best.safetensors", good.substr(0, good.size() - 1));
  EXPECT_THAT(error_of([&] { load_run(folder.path()); }), ::testing::Not(HasSubstr("best.safetensors")));
  EXPECT_THAT(error_of([&] { load_run(folder.path(), best_file); }), HasSubstr("best.safetensors"));
}

// Weights without our metadata, as another program would write them.
struct ForeignWeights : ::testing::Test {
  ForeignWeights() : model(small_config()) {
    save_run(folder.path(), model, tokenizer, data);
    nn::save_safetensors((folder / "model.safetensors").string(), model);
  }
  std::string error() const {
    return error_of([&] { load_run(folder.path()); });
  }
  const TempFolder folder;
  const GPT model;
};

TEST_F(ForeignWeights, UseTheFilesBesideThem) {
  EXPECT_EQ(logits(load_run(folder.path()).model), logits(model));
}

TEST_F(ForeignWeights, FilesBesideThemMustBeThereAndFit) {
  const std::string config = read(folder / "config.json"), characters = read(folder / "tokenizer.json");
  const auto change = [](std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  };
  for (const char* name : {"config.json", "tokenizer.json"}) {
    const std::string whole = read(folder / name);
    std::filesystem::remove(folder / name);
    EXPECT_THAT(error(), HasSubstr(name));
    write(folder / name, whole.substr(0, whole.size() / 2));
    EXPECT_THAT(error(), HasSubstr(name));
    write(folder / name, whole);
  }
  write(folder / "config.json", change(config, "\"n_embd\": 8", "\"n_embd\": 1000"));
  EXPECT_THAT(error(), AllOf(HasSubstr("model.safetensors"), HasSubstr("config.json")));
  write(folder / "config.json", change(config, "\"n_layer\": 2", "\"n_layer\": 1"));
  EXPECT_THAT(error(), HasSubstr("h.1."));
  write(folder / "config.json", change(config, "\"n_head\": 2", "\"n_head\": 3"));
  EXPECT_THAT(error(), AllOf(HasSubstr("config.json"), HasSubstr("3 heads")));
  write(folder / "config.json", config);
  write(folder / "tokenizer.json", change(characters, "\"a\",", ""));
  EXPECT_THAT(error(), AllOf(HasSubstr("tokenizer.json"), HasSubstr("10 tokens")));
}

TEST(RunFolder, PlacesThatCannotBeWritten) {
  const TempFolder folder;
  write(folder / "file", "x");
  for (const auto& place : {folder / "file", folder / "file/below", std::filesystem::path("/proc/run")}) {
    EXPECT_THAT(error_of([&] { prepare_run_folder(place); }), HasSubstr(place.native()));
  }
  EXPECT_EQ(read(folder / "file"), "x");
}

TEST(RunFolder, FingerprintsDiffer) {
  EXPECT_EQ(fingerprint("a"), "af63dc4c8601ec8c");  // the published FNV-1a value
  EXPECT_NE(fingerprint("ab"), fingerprint("ba"));
}

}  // namespace
}  // namespace gradus::models
