// The presets, one table.
#include "presets.h"

#include <fmt/format.h>

#include <array>

#include <gradus/core/check.h>

namespace gpt {
namespace {

using gradus::models::GPTConfig;
using gradus::models::TextFormat;
using gradus::optim::Schedule;

// Names and other short lines, for a budget in seconds, so that it fits any machine.
const Preset names = {
    .name = "names",
    .summary = "short lines, such as names: a small GPT trained for 20 seconds",
    .source = "bundled:names",
    .format = TextFormat::lines,
    .model = {.block_size = 32, .n_layer = 2, .n_head = 4, .n_embd = 64, .dropout = 0.1, .bias = false},
    .train = {.seconds = 20,
              .batch_size = 64,
              .lr = 4e-3,
              .min_lr = 0,
              .warmup = 50,
              .schedule = Schedule::cosine,
              .weight_decay = 0.1,
              .beta1 = 0.9,
              .beta2 = 0.99,
              .clip = 1},
    .epochs = 40,  // a short list is learned by heart within seconds: 1,678 Korean names lose 0.7 nats in 20
    .temperature = 0.8,
};

// Karpathy's microgpt.py.
const Preset microgpt = {
    .name = "microgpt",
    .summary = "microgpt.py's model and recipe: 4,192 parameters on its data, 1,000 names one by one",
    .source = "bundled:names",
    .format = TextFormat::lines,
    .model = GPTConfig::microgpt(1),
    .train = {.steps = 1000,
              .batch_size = 1,
              .lr = 0.01,
              .min_lr = 0,
              .warmup = 0,
              .schedule = Schedule::linear,
              .weight_decay = 0,
              .beta1 = 0.85,
              .beta2 = 0.99,
              .clip = 0},
    .epochs = 0,
    .temperature = 0.5,
};

// nanoGPT's README, "I only have a macbook": its recipe for a CPU.
const Preset shakespeare = {
    .name = "shakespeare",
    .summary = "running text by nanoGPT's recipe for a CPU: 2,000 steps of 12 windows of 64 characters",
    .source = nullptr,
    .format = TextFormat::text,
    .model = GPTConfig::shakespeare_char_cpu(1),
    .train = {.steps = 2000,
              .batch_size = 12,
              .lr = 1e-3,
              .min_lr = 1e-4,
              .warmup = 100,
              .schedule = Schedule::cosine,
              .weight_decay = 0.1,
              .beta1 = 0.9,
              .beta2 = 0.99,
              .clip = 1},
    .epochs = 0,
    .temperature = 0.8,
};

// After nanoGPT's config/finetune_shakespeare.py.
const Preset finetune = {
    .name = "finetune",
    .summary = "running text for a GPT-2 that --init-from names: ten minutes at a small learning rate",
    .source = nullptr,
    .format = TextFormat::text,
    .model = GPTConfig::gpt2("124M"),
    .train = {.seconds = 600,
              .batch_size = 1,
              .accumulation = 8,
              .lr = 3e-5,
              .min_lr = 3e-6,
              .warmup = 10,
              .schedule = Schedule::cosine,
              .weight_decay = 0.1,
              .beta1 = 0.9,
              .beta2 = 0.95,
              .clip = 1},
    .epochs = 0,
    .temperature = 0.8,
};

GPTConfig within_4_gb() {
  GPTConfig config = GPTConfig::gpt2("124M");
  config.dropout = 0;
  config.checkpoint_activations = true;
  return config;
}

// nanoGPT's config/train_gpt2.py, with steps of 16 windows where it has 480 on eight GPUs, and half its rate.
const Preset gpt2 = {
    .name = "gpt2",
    .summary = "running text for GPT-2's 124M parameters from scratch: 20,000 steps of 16 windows of 1,024 tokens",
    .source = nullptr,
    .format = TextFormat::text,
    .model = within_4_gb(),
    .train = {.steps = 20'000,
              .batch_size = 1,
              .accumulation = 16,
              .lr = 3e-4,
              .min_lr = 3e-5,
              .warmup = 500,
              .schedule = Schedule::cosine,
              .weight_decay = 0.1,
              .beta1 = 0.9,
              .beta2 = 0.95,
              .clip = 1},
    .epochs = 0,
    .temperature = 0.8,
    .tokenizer = "bpe:50257",
};

const std::array<Preset, 5> all = {names, microgpt, shakespeare, gpt2, finetune};

}  // namespace

std::span<const Preset> presets() {
  return all;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> result;
  result.reserve(std::size(all));
  for (const Preset& preset : all) result.emplace_back(preset.name);
  return result;
}

const Preset& find_preset(std::string_view name) {
  for (const Preset& preset : all) {
    if (preset.name == name) return preset;
  }
  gradus::fail("there is no preset '{}'; use one of {}", name, fmt::join(preset_names(), ", "));
}

}  // namespace gpt
