// Options that make other models than GPT-2: heads of another width, blocks without residual connections, no norms, an
// activation that is a polynomial. Each is computed as written out here, has the gradients of differences, and acts in
// all that is done with a GPT.
#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/watch.h>
#include <gradus/models/generate/generate.h>
#include <gradus/models/gpt/cost.h>
#include <gradus/models/gpt/gpt2.h>

#include "../../nn/support.h"
#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::small_config;
using testing::TempFolder;

GPTConfig with(const std::function<void(GPTConfig&)>& change, GPTConfig config = small_config()) {
  change(config);
  return config;
}

void make_polynomial(GPTConfig& config) {
  config.activation = nn::Activation::polynomial;
  config.activation_coefficients = {0.1, 0.5, 0.3, -0.02};
}

// Each option by itself, then all of them.
std::vector<GPTConfig> changed(const GPTConfig& base) {
  std::vector<GPTConfig> configs{with([](auto& c) { c.head_size = 3; }, base),
                                 with([](auto& c) { c.head_size = 5, c.n_head = 3; }, base),
                                 with([](auto& c) { c.residual = false; }, base),
                                 with([](auto& c) { c.norm = NormKind::none; }, base), with(make_polynomial, base)};
  configs.push_back(with(
      [](auto& c) {
        make_polynomial(c);
        c.head_size = 3, c.residual = false, c.norm = NormKind::none;
      },
      base));
  return configs;
}

const std::vector<std::int32_t> tokens{1, 0, 1, 3, 4, 2};
const std::vector<std::int32_t> targets{0, 1, 2, 4, 2, 0};
const std::vector<Index> lengths{4, 2};

// Smaller numbers than N(0, 1): without norms a cubic of a cubic is large.
void randomize(const GPT& model) {
  gradus::testing::randomize(model);
  const NoGrad no_grad;
  for (const Tensor& parameter : model.parameters()) parameter.copy_(parameter * 0.3);
}

GPT random_model(const GPTConfig& config) {
  manual_seed(6);
  GPT model(config);
  model.to(DType::f64);
  randomize(model);
  return model;
}

TEST(GPTOptions, GradientsEqualDifferences) {
  for (const GPTConfig& config : changed({.vocab_size = 5, .block_size = 4, .n_layer = 2, .n_head = 2, .n_embd = 4})) {
    SCOPED_TRACE(config.to_json());
    const GPT model = random_model(config);
    gradus::testing::expect_gradients(model, {},
                                      [&](const auto&) { return cross_entropy(model(tokens, lengths), targets); });
  }
}

// The block as it is written in its comment, with attention head by head.
Tensor plain_block(const GPT& model, const Tensor& x) {
  const GPTConfig& config = model.config();
  const Block& block = model.h[0];
  const Index D = config.head_size, T = x.size(0), A = config.n_head * D;
  const Tensor qkv = linear(x, block.attn.c_attn.weight, block.attn.c_attn.bias);
  std::vector<Tensor> heads;
  for (Index head = 0; head < config.n_head; ++head) {
    const auto part = [&](Index which) {
      return reshape(slice(qkv, 1, which * A + head * D, which * A + (head + 1) * D), {1, 1, T, D});
    };
    heads.push_back(reshape(scaled_dot_product_attention(part(0), part(1), part(2), {.causal = true}), {T, D}));
  }
  const Tensor y = linear(concat(heads, 1), block.attn.c_proj.weight, block.attn.c_proj.bias);
  const Tensor hidden = linear(y, block.mlp.c_fc.weight, block.mlp.c_fc.bias);
  const Tensor activated = 0.1 + 0.5 * hidden + 0.3 * hidden * hidden - 0.02 * hidden * hidden * hidden;
  return linear(activated, block.mlp.c_proj.weight, block.mlp.c_proj.bias);
}

TEST(GPTOptions, AllTogetherAreWhatTheirNamesSay) {
  const GPTConfig config = changed(with([](auto& c) { c.n_layer = 1; })).back();
  const GPT model = random_model(config);
  const std::vector<std::int32_t> positions{0, 1, 2, 3, 4, 5};
  const Tensor x = model.wte(tokens) + model.wpe(positions);
  const Tensor expected = linear(plain_block(model, x), model.lm_head.weight);
  testing::expect_close(model(tokens, std::vector<Index>{6}), expected);
}

TEST(GPTOptions, CachedEqualsUncached) {
  for (const GPTConfig& config : changed(small_config())) {
    SCOPED_TRACE(config.to_json());
    GPT model = random_model(config);
    model.eval();
    const NoGrad no_grad;
    const Tensor whole = model.head(model.features(tokens, std::array<Index, 1>{6}));
    Cache cache;
    Cache* const caches[] = {&cache};
    std::vector<Tensor> rows;
    for (const std::int32_t token : tokens) {
      rows.push_back(model.head(model.features(std::array{token}, std::array<Index, 1>{1}, caches)));
    }
    testing::expect_close(concat(rows), whole);
  }
}

TEST(GPTOptions, CountsOfParametersAndOfWork) {
  for (int bits = 0; bits < 32; ++bits) {
    GPTConfig config = small_config();
    config.bias = bits & 1, config.norm_gain = bits & 2, config.residual = bits & 4;
    if (bits & 8) config.norm = NormKind::none;
    if (bits & 16) config.head_size = 7, config.n_head = 3, config.lora_rank = 2;
    EXPECT_EQ(GPT(config).num_parameters(), config.num_parameters()) << bits;
  }
  const GPTConfig config = with([](auto& c) { c.head_size = 10; });  // 20 wide, 8 are a token
  const Cost cost = cost_of(config, DType::f32, 8);
  EXPECT_EQ(cost.forward_flops, 2.0 * (2 * (4 * 8 * 20 + 2 * 8 * 32) + 11 * 8) + 2 * 2 * 20 * 9);
  EXPECT_EQ(cost.cache, 2.0 * 2 * 8 * 20 * 4);
}

// As MemoryAndWork of gpt_test.cpp, for what these options keep.
TEST(GPTOptions, MemoryOfAStep) {
  const GPTConfig base{.vocab_size = 100, .block_size = 64, .n_layer = 3, .n_head = 4, .n_embd = 64};
  constexpr Index sequences = 32, count = sequences * 64;
  for (const GPTConfig& config : changed(base)) {
    SCOPED_TRACE(config.to_json());
    const GPT model(config);
    const std::vector<std::int32_t> ids(static_cast<std::size_t>(count), 7);
    const std::size_t before = memory_stats().bytes_in_use;
    const Tensor loss = cross_entropy(model(ids, sequences, 64), ids);
    const auto kept = static_cast<double>(memory_stats().bytes_in_use - before);
    const double logits = 4.0 * count * 100;
    EXPECT_NEAR(kept / (cost_of(config, DType::f32, count).activations - logits), 1.08, 0.12);
  }
}

TEST(GPTOptions, CheckpointedActivationsLoRAsAndNarrowWeights) {
  for (GPTConfig config : changed(small_config())) {
    SCOPED_TRACE(config.to_json());
    const auto gradients = [&](bool again) {
      config.checkpoint_activations = again;
      const GPT model = random_model(config);
      cross_entropy(model(tokens, lengths), targets).backward();
      std::vector<double> all;
      for (const Tensor& parameter : model.parameters()) {
        for (const double value : parameter.grad().to_vector()) all.push_back(value);
      }
      return all;
    };
    EXPECT_EQ(gradients(true), gradients(false));

    GPT model = random_model(config);
    model.add_lora(2, 4);
    model.to(DType::f64);
    randomize(model);
    testing::expect_close(model.merged()(tokens, lengths), model(tokens, lengths));

    GPT plain = random_model(config);
    plain.to(DType::f32);
    const NoGrad no_grad;
    const std::vector<double> wide = plain(tokens, lengths).to_vector();
    const std::vector<double> narrow = plain.narrowed(NarrowType::bf16)(tokens, lengths).to_vector();
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < wide.size(); ++i) {
      largest = std::max(largest, std::abs(wide[i]));
      difference = std::max(difference, std::abs(wide[i] - narrow[i]));
    }
    EXPECT_GT(difference, 0);
    EXPECT_LT(difference, 0.05 * largest);
  }
}

TEST(GPTOptions, JsonAndOlderFiles) {
  for (const GPTConfig& config : changed(small_config())) {
    EXPECT_EQ(GPTConfig::from_json(config.to_json()), config);
  }
  std::string text = small_config().to_json();
  for (const std::string field :
       {",\n  \"head_size\": 0", ",\n  \"residual\": true", ",\n  \"activation_coefficients\": []"}) {
    ASSERT_NE(text.find(field), std::string::npos) << text;
    text.erase(text.find(field), field.size());
  }
  EXPECT_EQ(GPTConfig::from_json(text), small_config());
  std::string wrong = with(make_polynomial).to_json();
  wrong.replace(wrong.find("0.1"), 3, "\"a\"");
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(wrong, "c.json"); }),
              AllOf(HasSubstr("c.json"), HasSubstr("activation_coefficients"), HasSubstr("a list of numbers")));
}

TEST(GPTOptions, MistakesAreExplained) {
  const auto error = [](const std::function<void(GPTConfig&)>& change) {
    return error_of([&] { with(change).validate(); });
  };
  EXPECT_THAT(error([](auto& c) { c.head_size = -1; }), HasSubstr("head_size is -1"));
  EXPECT_THAT(error([](auto& c) { c.head_size = 1 << 20, c.n_head = 1 << 20; }), HasSubstr("use less"));
  with([](auto& c) { c.head_size = 3, c.n_head = 9; }).validate();  // more heads than numbers in a token
  EXPECT_THAT(error([](auto& c) { c.activation = nn::Activation::polynomial; }),
              HasSubstr("polynomial with 0 activation_coefficients; give from 1 to 17"));
  EXPECT_THAT(error([](auto& c) { c.activation_coefficients = {1, 2}; }), HasSubstr("there are 2"));
  EXPECT_THAT(error([](auto& c) {
                make_polynomial(c);
                c.activation_coefficients[1] = INFINITY;
              }),
              HasSubstr("activation_coefficients has inf"));
  EXPECT_THAT(error([](auto& c) { c.lora_rank = 4, c.head_size = 1; }), HasSubstr("at most 2, the smallest width"));
  EXPECT_THAT(error_of([] { nn::MLP(4, {.activation = nn::Activation::polynomial}); }), HasSubstr("0 coefficients"));
  EXPECT_THAT(error_of([] { nn::apply(nn::Activation::polynomial, ones({1})); }), HasSubstr("needs its coefficients"));
  EXPECT_THAT(error_of([] { nn::polynomial(ones({1}), {}); }), HasSubstr("no coefficients"));
}

TEST(GPTOptions, AConstantPolynomialHasNoSlope) {
  Tensor x = tensor({2.0, -1.0});
  x.requires_grad(true);
  const Tensor y = nn::polynomial(x, std::array{0.75});
  EXPECT_EQ(y.to_vector(), (std::vector<double>{0.75, 0.75}));
  sum(y).backward();
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{0, 0}));
}

TEST(GPTOptions, WhatGPT2sFilesCannotSayIsRefused) {
  const TempFolder folder;
  const auto error = [&](const std::function<void(GPTConfig&)>& change) {
    return error_of([&] { save_gpt2(folder / "x", GPT(with(change))); });
  };
  EXPECT_THAT(error([](auto& c) { c.head_size = 3; }), HasSubstr("its heads are 3 wide"));
  EXPECT_THAT(error([](auto& c) { c.residual = false; }), HasSubstr("no residual connections"));
  EXPECT_THAT(error([](auto& c) { c.norm = NormKind::none; }), HasSubstr("it has no norms"));
  EXPECT_THAT(error(make_polynomial), HasSubstr("polynomial of its own"));
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
  save_gpt2(folder / "y", GPT(with([](auto& c) { c.head_size = 4; })));  // as n_embd / n_head says
}

}  // namespace
}  // namespace gradus::models
