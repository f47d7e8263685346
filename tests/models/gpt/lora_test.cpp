// A part of a GPT that is trained: LoRAs, or its last blocks.
#include <gradus/models/gpt/cost.h>
#include <gradus/models/gpt/gpt.h>
#include <gradus/models/gpt/gpt2.h>
#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/trainer.h>
#include <gradus/nn/files/safetensors.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../helpers.h"

namespace gradus::models {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::small_config;
using testing::TempFolder;
using testing::words;

std::vector<double> logits(GPT& model) {
  const bool mode = model.training();
  model.eval();
  const NoGrad no_grad;
  const std::vector<std::int32_t> tokens{1, 2, 3, 4};
  std::vector<double> result = model(tokens, 1, 4).to_vector();
  model.train(mode);
  return result;
}

std::set<std::string> trained(const GPT& model) {
  std::set<std::string> names;
  for (const auto& [name, parameter] : model.named_parameters()) {
    if (parameter.requires_grad()) names.insert(name);
  }
  return names;
}

struct Training {
  explicit Training(const GPTConfig& config) : model(config), trainer(model, data, {.steps = 8, .lr = 0.05}) {}

  DocumentDataset data{words(60), CharTokenizer(U"abcde", true), {.block_size = 8}};
  GPT model;
  Trainer trainer;
};

GPTConfig with_lora(Index rank = 2) {
  GPTConfig config = small_config(6);
  config.lora_rank = rank, config.lora_alpha = 8;
  return config;
}

TEST(PartlyTrained, OnlyLoRAsTrain) {
  manual_seed(1);
  GPT plain(small_config(6));
  manual_seed(1);
  Training training(with_lora());
  GPT& model = training.model;
  EXPECT_EQ(logits(model), logits(plain));
  EXPECT_EQ(model.num_parameters(), model.config().num_parameters());
  EXPECT_EQ(trained(model).size(), 2 * 4 * 2U);
  for (const std::string& name : trained(model)) EXPECT_THAT(name, HasSubstr(".lora."));
  for (int i = 0; i < 3; ++i) training.trainer.step();
  EXPECT_NE(logits(model), logits(plain));
  for (const auto& [name, parameter] : plain.named_parameters()) {
    const auto all = model.named_parameters();
    const auto same = std::ranges::find(all, name, &nn::NamedTensors::value_type::first);
    EXPECT_EQ(same->second.to_vector(), parameter.to_vector()) << name;
  }

  GPT merged = model.merged();
  EXPECT_EQ(merged.config(), plain.config());
  EXPECT_EQ(trained(merged).size(), plain.named_parameters().size());
  const std::vector<double> a = logits(merged), b = logits(model);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
  const std::vector<double> once = logits(model);
  training.trainer.step();
  EXPECT_EQ(logits(merged), a);  // a copy
  EXPECT_NE(logits(model), once);
}

TEST(PartlyTrained, LoRAsLearnWithCheckpointedActivations) {
  std::vector<std::vector<double>> results;
  for (const bool again : {false, true}) {
    manual_seed(1);
    GPTConfig config = with_lora();
    config.checkpoint_activations = again;
    Training training(config);
    for (int i = 0; i < 3; ++i) training.trainer.step();
    results.push_back(logits(training.model));
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(PartlyTrained, ACheckpointGoesOnWithTheSameBits) {
  const TempFolder folder;
  const CharTokenizer tokenizer(U"abcde", true);
  manual_seed(1);
  Training one(with_lora());
  for (int i = 0; i < 3; ++i) one.trainer.step();
  HeldOut held_out;
  held_out.add(1.5, 3);
  RunWriter writer(folder.path(), tokenizer, {"text"}, "{}", 2);
  writer.save(one.model, one.trainer.state(), held_out);
  for (const char* const file : {model_file, best_file}) {  // merged, for sampling
    GPT saved = load_run(folder.path(), file).model;
    EXPECT_EQ(saved.config(), small_config(6));
    GPT merged = one.model.merged();
    EXPECT_EQ(logits(saved), logits(merged));
  }

  const Checkpoint checkpoint = load_checkpoint(folder.path());
  EXPECT_EQ(checkpoint.model.config(), with_lora());
  Training two(with_lora());
  for (std::size_t i = 0; i < two.model.parameters().size(); ++i) {
    two.model.parameters()[i].copy_(checkpoint.model.parameters()[i]);
  }
  two.trainer.set_state(checkpoint.trainer);
  for (int i = 0; i < 3; ++i) {
    one.trainer.step();
    two.trainer.step();
  }
  EXPECT_EQ(logits(two.model), logits(one.model));

  // A best model that was lost is written anew, merged too.
  std::filesystem::remove(folder / best_file);
  RunWriter again(folder.path(), tokenizer, {"text"}, "{}", 2);
  again.continue_from(folder.path(), checkpoint);
  HeldOut later = held_out;
  later.add(2, 6);
  again.save(two.model, two.trainer.state(), later);
  GPT best = load_run(folder.path(), best_file).model, merged = checkpoint.model.merged();
  EXPECT_EQ(logits(best), logits(merged));
}

TEST(PartlyTrained, TheLastBlocks) {
  for (const bool tied : {true, false}) {
    GPTConfig config = small_config(6);
    config.n_layer = 3, config.tie_weights = tied;
    manual_seed(1);
    Training training(config);
    GPT& model = training.model;
    model.train_last(2);
    std::set<std::string> expected{"ln_f.weight", "ln_f.bias"};
    if (!tied) expected.insert("lm_head.weight");
    for (const auto& [name, parameter] : model.named_parameters()) {
      if (name.starts_with("h.1.") || name.starts_with("h.2.")) expected.insert(name);
    }
    EXPECT_EQ(trained(model), expected);
    std::vector<std::vector<double>> before;
    for (const Tensor& parameter : model.parameters()) before.push_back(parameter.to_vector());
    training.trainer.step();
    const nn::NamedTensors named = model.named_parameters();
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(named[i].second.to_vector() != before[i], expected.contains(named[i].first)) << named[i].first;
    }
  }
  GPT model(small_config());
  EXPECT_THAT(error_of([&] { model.train_last(3); }), HasSubstr("choose from 1 to 2"));
  EXPECT_THAT(error_of([&] { model.train_last(0); }), HasSubstr("choose from 1 to 2"));
}

TEST(PartlyTrained, LoRAsAreExportedMerged) {
  const TempFolder folder;
  manual_seed(1);
  Training training(with_lora());
  for (int i = 0; i < 2; ++i) training.trainer.step();
  save_gpt2(folder.path(), training.model);
  GPT loaded = load_gpt2(folder.path()).model, merged = training.model.merged();
  EXPECT_EQ(logits(loaded), logits(merged));
}

TEST(PartlyTrained, CostsLessMemory) {
  GPTConfig config = GPTConfig::gpt2("124M");
  const double whole = cost_of(config, DType::f32, 256).training;
  const auto last = [&](Index blocks) { return cost_of(config, DType::f32, 256, false, blocks).training; };
  EXPECT_LT(last(12), whole);  // the tables are not trained
  EXPECT_LT(last(1), whole - 3 * cost_of(config, DType::f32, 256).weights * 0.9);
  EXPECT_NEAR(last(3) - last(2), last(2) - last(1), 1);
  config.lora_rank = 8;
  const double weights = cost_of(config, DType::f32, 256).weights;
  EXPECT_LT(cost_of(config, DType::f32, 256).training, whole - weights);
}

TEST(PartlyTrained, WhatMakesNoSenseIsAnError) {
  GPT model(small_config());
  EXPECT_THAT(error_of([&] { model.add_lora(9, 8); }), HasSubstr("lora_rank is 9, it must be at most 8"));
  EXPECT_THAT(error_of([&] { model.add_lora(0, 8); }), HasSubstr("it must be at least 1"));
  EXPECT_THAT(error_of([&] { model.add_lora(1, 0); }), HasSubstr("lora_alpha is 0"));
  EXPECT_EQ(trained(model).size(), model.named_parameters().size());
  model.add_lora(8, 8);
  EXPECT_THAT(error_of([&] { model.add_lora(1, 8); }), HasSubstr("it has LoRAs of rank 8"));
}

}  // namespace
}  // namespace gradus::models
