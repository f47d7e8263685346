// GPT: names, counts, what may influence what, and that it learns.
#include <gradus/models/gpt/gpt.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/watch.h>
#include <gradus/models/gpt/cost.h>
#include <gradus/nn/optim/adam.h>
#include <gradus/nn/optim/sgd.h>

#include "../../nn/support.h"
#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::small_config;

std::vector<std::string> names(const GPT& model) {
  std::vector<std::string> result;
  for (const auto& [name, parameter] : model.named_parameters()) result.push_back(name);
  return result;
}

std::vector<double> row(const Tensor& x, Index i) {
  const std::vector<double> all = x.to_vector();
  const auto width = static_cast<std::ptrdiff_t>(x.size(-1));
  return {all.begin() + i * width, all.begin() + (i + 1) * width};
}

TEST(GPT, ParametersAreNamedAsInGpt2) {
  GPTConfig config = small_config();
  config.n_layer = 1;
  EXPECT_THAT(names(GPT(config)),
              ElementsAre("wte.weight", "wpe.weight", "h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.attn.c_attn.weight",
                          "h.0.attn.c_attn.bias", "h.0.attn.c_proj.weight", "h.0.attn.c_proj.bias", "h.0.ln_2.weight",
                          "h.0.ln_2.bias", "h.0.mlp.c_fc.weight", "h.0.mlp.c_fc.bias", "h.0.mlp.c_proj.weight",
                          "h.0.mlp.c_proj.bias", "ln_f.weight", "ln_f.bias"));
  config.tie_weights = false;
  EXPECT_EQ(names(GPT(config)).back(), "lm_head.weight");
  EXPECT_THAT(names(GPT(GPTConfig::microgpt(27))),
              ElementsAre("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight",
                          "h.0.mlp.c_fc.weight", "h.0.mlp.c_proj.weight", "lm_head.weight"));
}

TEST(GPT, ParameterCounts) {
  EXPECT_EQ(GPTConfig::gpt2("124M").num_parameters(), 124'439'808);
  EXPECT_EQ(GPTConfig::gpt2("350M").num_parameters(), 354'823'168);
  EXPECT_EQ(GPTConfig::gpt2("774M").num_parameters(), 774'030'080);
  EXPECT_EQ(GPTConfig::gpt2("1558M").num_parameters(), 1'557'611'200);
  EXPECT_EQ(GPT(GPTConfig::microgpt(27)).num_parameters(), 4192);
  EXPECT_EQ(GPT(GPTConfig::shakespeare_char_cpu()).num_parameters(), 804'096);
  // The formula against models that were made, for every switch that changes the count.
  for (int bits = 0; bits < 64; ++bits) {
    GPTConfig config = small_config();
    config.bias = bits & 1;
    config.norm_gain = bits & 2;
    config.norm = bits & 4 ? NormKind::rms : NormKind::layer;
    config.tie_weights = bits & 8;
    config.embedding_norm = bits & 16;
    config.final_norm = bits & 32;
    EXPECT_EQ(GPT(config).num_parameters(), config.num_parameters()) << bits;
  }
}

TEST(GPT, InitialWeights) {
  manual_seed(1);
  GPTConfig config = small_config(100, 32);
  config.n_embd = 64;
  const GPT model(config);
  for (const auto& [name, parameter] : model.named_parameters()) {
    const double std = parameter.rank() == 2 ? std::sqrt(var(parameter).item()) : 0;
    const double wanted = name.ends_with("c_proj.weight") ? 0.02 / 2 : 0.02;
    if (parameter.rank() == 2) {
      EXPECT_NEAR(std, wanted, 0.1 * wanted) << name;
    } else {
      EXPECT_EQ(parameter.to_vector(),
                std::vector<double>(static_cast<std::size_t>(parameter.numel()), name.ends_with("bias") ? 0 : 1))
          << name;
    }
  }
  const GPT micro(GPTConfig::microgpt(27));
  EXPECT_NEAR(std::sqrt(var(micro.h[0].mlp.c_proj.weight).item()), 0.08, 0.008);
}

TEST(GPT, LossAtTheStartIsThatOfGuessing) {
  manual_seed(2);
  const GPT model(small_config(50));
  std::vector<std::int32_t> tokens(8), targets(8);
  for (int i = 0; i < 8; ++i) {
    tokens[static_cast<std::size_t>(i)] = i * 5 % 50;
    targets[static_cast<std::size_t>(i)] = i * 7 % 50;
  }
  EXPECT_NEAR(cross_entropy(model(tokens, 2, 4), targets).item(), std::log(50.0), 0.05);
}

TEST(GPT, TiedHeadIsTheTokenTable) {
  GPT model(small_config());
  EXPECT_EQ(model.lm_head.weight.node_ptr(), model.wte.weight.node_ptr());
  model.to(DType::f64);
  EXPECT_EQ(model.lm_head.weight.node_ptr(), model.wte.weight.node_ptr());
  const std::vector<std::int32_t> tokens{3, 1}, targets{1, 4};
  cross_entropy(model(tokens, 1, 2), targets).backward();
  // Token 7 is neither read nor a target, so its row has a gradient only through the head.
  double through_head = 0;
  for (const double g : row(model.wte.weight.grad(), 7)) through_head += std::abs(g);
  EXPECT_GT(through_head, 0);
}

// Every path that a gradient takes back: the tied table, both residuals of a block, positions, norms, biases.
TEST(GPT, GradientsEqualDifferences) {
  manual_seed(6);
  GPTConfig gpt2{.vocab_size = 5, .block_size = 4, .n_layer = 2, .n_head = 2, .n_embd = 4};
  GPTConfig microgpt = GPTConfig::microgpt(5);
  microgpt.block_size = microgpt.n_embd = 4;
  for (const GPTConfig& config : {gpt2, microgpt}) {
    GPT model(config);
    model.to(DType::f64);
    gradus::testing::randomize(model);
    const std::vector<std::int32_t> tokens{1, 0, 1, 3, 4, 2}, targets{0, 1, 2, 4, 2, 0};
    const std::vector<Index> lengths{4, 2};
    gradus::testing::expect_gradients(model, {},
                                      [&](const auto&) { return cross_entropy(model(tokens, lengths), targets); });
  }
}

TEST(GPT, LaterTokensDoNotChangeEarlierLogits) {
  manual_seed(3);
  for (const GPTConfig& config : {small_config(), GPTConfig::microgpt(11)}) {
    GPT model(config);
    model.to(DType::f64);
    const std::vector<std::int32_t> a{1, 2, 3, 4, 5, 6}, b{1, 2, 3, 9, 0, 10};
    const Tensor x = model(a, 1, 6), y = model(b, 1, 6);
    for (Index t = 0; t < 3; ++t) EXPECT_EQ(row(x, t), row(y, t)) << t;
    EXPECT_NE(row(x, 3), row(y, 3));
    const std::vector<std::int32_t> swapped{2, 1, 3};  // earlier ones do matter
    EXPECT_NE(row(model(swapped, 1, 3), 2), row(x, 2));
  }
}

TEST(GPT, PackedDocumentsAreSeparateSequences) {
  manual_seed(4);
  GPT model(small_config());
  model.to(DType::f64);
  const std::vector<std::vector<std::int32_t>> documents{{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10, 0, 1}, {2, 2}};
  std::vector<std::int32_t> tokens;
  std::vector<Index> lengths;
  for (const auto& document : documents) {
    tokens.insert(tokens.end(), document.begin(), document.end());
    lengths.push_back(static_cast<Index>(document.size()));
  }
  const Tensor packed = model(tokens, lengths);
  EXPECT_EQ(packed.shape(), (Shape{14, 11}));
  Index at = 0;
  for (const auto& document : documents) {
    const auto length = static_cast<Index>(document.size());
    const Tensor alone = model(document, 1, length);
    EXPECT_EQ(alone.shape(), (Shape{1, length, 11}));
    for (Index t = 0; t < length; ++t, ++at) {
      const auto x = row(packed, at), y = row(alone, t);
      for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-13);
    }
  }
}

TEST(GPT, LearnsATinyBatchByHeart) {
  manual_seed(5);
  for (const GPTConfig& config : {small_config(), GPTConfig::microgpt(11)}) {
    GPT model(config);
    optim::AdamW optimizer(model.parameters(), {.lr = 0.02, .weight_decay = 0});
    const std::vector<std::int32_t> tokens{1, 2, 3, 4, 9, 8, 7, 6}, targets{2, 3, 4, 5, 8, 7, 6, 5};
    double loss = 0;
    for (int i = 0; i < 200; ++i) {
      const Tensor mean = cross_entropy(model(tokens, 2, 4), targets);
      mean.backward();
      optimizer.step();
      optimizer.zero_grad();
      loss = mean.item();
    }
    EXPECT_LT(loss, 0.05);
  }
}

TEST(GPT, ACopyHasItsOwnModeAndSharesTheWeights) {
  for (const bool rms : {false, true}) {
    GPTConfig config = small_config();
    config.norm = rms ? NormKind::rms : NormKind::layer;
    config.embedding_norm = rms;
    config.dropout = 0.5;
    const GPT model(config);
    GPT copy = model;
    copy.eval();
    for (const auto& [name, part] : model.named_modules()) EXPECT_TRUE(part->training()) << name;
    for (const auto& [name, part] : copy.named_modules()) EXPECT_FALSE(part->training()) << name;
    EXPECT_EQ(copy.wte.weight.node_ptr(), model.wte.weight.node_ptr());
    EXPECT_EQ(copy.h[0].mlp.c_fc.weight.node_ptr(), model.h[0].mlp.c_fc.weight.node_ptr());
  }
}

TEST(GPT, DropoutOnlyWhileTraining) {
  GPTConfig config = small_config();
  config.dropout = 0.5;
  GPT model(config);
  const std::vector<std::int32_t> tokens{1, 2, 3, 4};
  EXPECT_NE(model(tokens, 1, 4).to_vector(), model(tokens, 1, 4).to_vector());
  model.eval();
  EXPECT_EQ(model(tokens, 1, 4).to_vector(), model(tokens, 1, 4).to_vector());
}

TEST(GPT, AttentionDropoutOnlyWhileTraining) {
  GPTConfig config = small_config();
  config.attn_dropout = 0.5;
  manual_seed(1);
  GPT model(config);
  manual_seed(1);
  const GPT without(small_config());
  const std::vector<std::int32_t> tokens{1, 2, 3, 4, 5, 6};
  const std::vector<Index> lengths{4, 2};
  EXPECT_NE(model(tokens, lengths).to_vector(), model(tokens, lengths).to_vector());
  EXPECT_NE(model(tokens, 1, 6).to_vector(), without(tokens, 1, 6).to_vector());
  model.eval();
  EXPECT_EQ(model(tokens, 1, 6).to_vector(), without(tokens, 1, 6).to_vector());
}

TEST(GPTConfig, OlderFilesHaveNoAttentionDropout) {
  std::string text = small_config().to_json();
  const std::string field = ",\n  \"attn_dropout\": 0.0";
  ASSERT_NE(text.find(field), std::string::npos) << text;
  text.erase(text.find(field), field.size());
  EXPECT_EQ(GPTConfig::from_json(text), small_config());
  GPTConfig config = small_config();
  config.attn_dropout = 0.25;
  EXPECT_EQ(GPTConfig::from_json(config.to_json()).attn_dropout, 0.25);
}

TEST(GPTConfig, OlderFilesCheckpointNoActivations) {
  std::string text = small_config().to_json();
  const std::string field = ",\n  \"checkpoint_activations\": false";
  ASSERT_NE(text.find(field), std::string::npos) << text;
  text.erase(text.find(field), field.size());
  EXPECT_EQ(GPTConfig::from_json(text), small_config());
  GPTConfig config = small_config();
  config.checkpoint_activations = true;
  EXPECT_TRUE(GPTConfig::from_json(config.to_json()).checkpoint_activations);
}

// Of the ops on this thread, how many had the name, and the most memory in use.
struct Observer : OpWatcher {
  explicit Observer(std::string_view op = "") : name(op) {}
  void on_forward(const char* op, const Tensor&, Inputs) override {
    if (op == name) ++count;
    look();
  }
  void on_backward(const Node&, bool) override { look(); }
  void look() { most = std::max(most, memory_stats().bytes_in_use); }

  std::string name;
  int count = 0;
  std::size_t most = 0;
};

struct Outcome {
  std::vector<std::vector<std::uint64_t>> bits;  // of the loss and of all gradients
  std::size_t memory;
};

Outcome train_twice(const GPTConfig& config, Index B, Index T) {
  manual_seed(4);
  GPT model(config);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(B * T));
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i * i % 11);
  Outcome outcome{};
  const std::size_t before = memory_stats().bytes_in_use;
  Observer observer;
  for (int i = 0; i < 2; ++i) {  // the second adds to the gradients of the first
    const Tensor loss = cross_entropy(model(tokens, B, T), tokens);
    loss.backward();
    outcome.bits.push_back(gradus::testing::bits(loss));
  }
  outcome.memory = observer.most - before;
  for (const Tensor& parameter : model.parameters()) outcome.bits.push_back(gradus::testing::bits(parameter.grad()));
  return outcome;
}

TEST(GPT, CheckpointedActivationsGiveTheSameBits) {
  GPTConfig config = small_config();
  const auto check = [&] {
    config.checkpoint_activations = false;
    const Outcome expected = train_twice(config, 3, 7);
    config.checkpoint_activations = true;
    EXPECT_EQ(train_twice(config, 3, 7).bits, expected.bits);
  };
  check();
  config.dropout = 0.3;
  check();
  config.attn_dropout = 0.2;
  check();
  config = GPTConfig::microgpt(11);
  check();
}

TEST(GPT, CheckpointedActivationsTakeLessMemory) {
  GPTConfig config{.vocab_size = 11, .block_size = 64, .n_layer = 8, .n_head = 2, .n_embd = 32};
  const Outcome plain = train_twice(config, 8, 64);
  const double estimated = cost_of(config, DType::f32, 8 * 64).activations;
  config.checkpoint_activations = true;
  const Outcome again = train_twice(config, 8, 64);
  EXPECT_EQ(again.bits, plain.bits);
  EXPECT_LT(again.memory, plain.memory / 2);
  // What is spared, as `gpt info` knows it.
  const double spared = estimated - cost_of(config, DType::f32, 8 * 64).activations;
  EXPECT_NEAR(static_cast<double>(plain.memory - again.memory) / spared, 1, 0.25);
}

TEST(GPT, ActivationsAreCheckpointedInTrainingOnly) {
  GPTConfig config = small_config();
  config.checkpoint_activations = true;
  config.dropout = 0.5;
  std::optional<GPT> model(config);
  const std::vector<std::int32_t> tokens{1, 2, 3, 4};
  const Tensor weight = model->wte.weight;
  const auto checkpoints = [&] {
    Observer observer("checkpoint");
    (*model)(tokens, 1, 4);
    return observer.count;
  };
  EXPECT_EQ(checkpoints(), config.n_layer);
  model->eval();
  EXPECT_EQ(checkpoints(), 0);
  model->train();
  {
    const NoGrad off;
    EXPECT_EQ(checkpoints(), 0);
  }
  model->set_checkpoint_activations(false);
  EXPECT_EQ(checkpoints(), 0);
  model->set_checkpoint_activations(true);
  // backward() needs the model as it was, but not the model.
  const Tensor loss = sum((*model)(tokens, 1, 4));
  model->eval();
  model.reset();
  EXPECT_NO_THROW(loss.backward());
  EXPECT_TRUE(weight.grad().defined());
}

TEST(GPT, MistakesInACall) {
  const GPT model(small_config());
  const std::vector<std::int32_t> nine(9, 1), outside{1, 11}, negative{-1};
  const std::vector<Index> short_lengths{4, 4}, long_lengths{8, 2}, zero{0, 9}, none;
  EXPECT_THAT(error_of([&] { model(nine, 1, 9); }), AllOf(HasSubstr("9 tokens"), HasSubstr("to 8")));
  EXPECT_THAT(error_of([&] { model(nine, 2, 4); }), HasSubstr("9 tokens"));
  EXPECT_THAT(error_of([&] { model(nine, short_lengths); }), HasSubstr("add up to 8"));
  EXPECT_THAT(error_of([&] { model(nine, long_lengths); }), HasSubstr("more than the 9"));
  EXPECT_THAT(error_of([&] { model(nine, zero); }), HasSubstr("0 tokens"));
  EXPECT_NE(error_of([&] { model({}, none); }), "");
  EXPECT_NE(error_of([&] { model(nine, Index{1} << 40, Index{1} << 40); }), "");
  EXPECT_THAT(error_of([&] { model(outside, 1, 2); }), AllOf(HasSubstr("token 11"), HasSubstr("0 .. 10")));
  EXPECT_THAT(error_of([&] { model(negative, 1, 1); }), HasSubstr("token -1"));
}

TEST(GPTConfig, MistakesAreExplained) {
  const auto error = [](auto change) {
    GPTConfig config = small_config();
    change(config);
    return error_of([&] { GPT{config}; });
  };
  EXPECT_THAT(error([](GPTConfig& c) { c.n_embd = 64, c.n_head = 5; }),
              HasSubstr("width 64 cannot be split evenly among 5 heads; use 4"));
  EXPECT_THAT(error([](GPTConfig& c) { c.n_head = 0; }), HasSubstr("n_head"));
  EXPECT_THAT(error([](GPTConfig& c) { c.n_layer = 0; }), HasSubstr("n_layer"));
  EXPECT_THAT(error([](GPTConfig& c) { c.vocab_size = 0; }), HasSubstr("vocab_size"));
  EXPECT_THAT(error([](GPTConfig& c) { c.block_size = -3; }), HasSubstr("block_size"));
  EXPECT_THAT(error([](GPTConfig& c) { c.n_embd = 0; }), HasSubstr("n_embd"));
  EXPECT_THAT(error([](GPTConfig& c) { c.dropout = 1; }), HasSubstr("dropout"));
  EXPECT_THAT(error([](GPTConfig& c) { c.dropout = std::nan(""); }), HasSubstr("dropout"));
  EXPECT_THAT(error([](GPTConfig& c) { c.attn_dropout = 1; }), HasSubstr("attn_dropout"));
  EXPECT_THAT(error([](GPTConfig& c) { c.init_std = INFINITY; }), HasSubstr("init_std"));
  EXPECT_THAT(error([](GPTConfig& c) { c.n_embd = 1 << 20, c.n_layer = 10'000; }), HasSubstr("parameters"));
  EXPECT_THAT(error_of([] { GPTConfig::gpt2("3B"); }), HasSubstr("124M"));
}

TEST(GPTConfig, Json) {
  for (const GPTConfig& config : {GPTConfig::gpt2("1558M"), GPTConfig::microgpt(27), GPTConfig::shakespeare_char()}) {
    EXPECT_EQ(GPTConfig::from_json(config.to_json()), config);
  }
  const std::string good = small_config().to_json();
  const auto change = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("\"n_layer\": 2", "\"n_layer\": 2.5"), "c.json"); }),
              AllOf(HasSubstr("c.json"), HasSubstr("n_layer"), HasSubstr("2.5")));
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("n_layer", "layers")); }), HasSubstr("n_layer"));
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("{", "{\"x\": 1,")); }), HasSubstr("\"x\""));
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("gelu_tanh", "gelu")); }), HasSubstr("gelu_erf"));
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("\"bias\": true", "\"bias\": \"yes\"")); }),
              HasSubstr("bias"));
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("\"n_embd\": 8", "\"n_embd\": 1e30")); }),
              HasSubstr("n_embd"));
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("\"n_head\": 2", "\"n_head\": 3"), "c.json"); }),
              HasSubstr("c.json"));
  EXPECT_NE(error_of([&] { GPTConfig::from_json(good.substr(0, 40)); }), "");
  constexpr std::size_t deep = 1'000'000;  // shown whole, it once overflowed the stack
  EXPECT_THAT(error_of([&] { GPTConfig::from_json(change("true", std::string(deep, '[') + std::string(deep, ']'))); }),
              HasSubstr("nested"));
}

// What `gpt info` says, against what a step takes.
TEST(Cost, MemoryAndWork) {
  const GPTConfig config{.vocab_size = 100, .block_size = 64, .n_layer = 3, .n_head = 4, .n_embd = 64};
  const GPT model(config);
  constexpr Index sequences = 32, tokens = sequences * 64;
  const Cost cost = cost_of(config, DType::f32, tokens);
  EXPECT_EQ(cost.weights, static_cast<double>(4 * model.num_parameters()));
  EXPECT_EQ(cost.cache, 2.0 * 3 * 64 * 64 * 4);
  EXPECT_EQ(cost.forward_flops, 2.0 * (3 * 12 * 64 * 64 + 100 * 64) + 3 * 2 * 64 * 65);
  const std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens), 7);
  const std::size_t before = memory_stats().bytes_in_use;
  const Tensor loss = cross_entropy(model(ids, sequences, 64), ids);
  const auto kept = static_cast<double>(memory_stats().bytes_in_use - before);
  GPTConfig again = config;
  again.checkpoint_activations = true;
  EXPECT_EQ(cost_of(again, DType::f32, tokens).training_flops,
            4 * cost.forward_flops - 2.0 * 100 * 64);  // the head is computed once
  const double logits = 4.0 * tokens * 100;  // counted twice: their gradient comes when the blocks' are still there
  EXPECT_NEAR(kept / (cost.activations - logits), 1.08, 0.08);  // the pool rounds sizes up
}

}  // namespace
}  // namespace gradus::models
