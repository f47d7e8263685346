// GPT-2's files as Hugging Face's libraries have them: read, written, and the same results as a forward pass in plain
// loops.
#include <gradus/models/gpt/gpt2.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/gpt/change_vocabulary.h>

#include "../../nn/support.h"
#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read;
using testing::TempFolder;
using testing::write;
using Json = nlohmann::json;
namespace fs = std::filesystem;

// A GPT-2 in plain loops in f64, from the tensors of a file: what transformers' GPT2LMHeadModel computes.
class PlainGPT2 {
 public:
  PlainGPT2(const fs::path& weights, Json config) : config_(std::move(config)) {
    for (const auto& [name, tensor] : nn::read_tensors(weights.string()).tensors) {
      const std::string prefix = "transformer.";
      tensors_[name.starts_with(prefix) ? name.substr(prefix.size()) : name] = tensor.to_vector();
    }
  }

  // Logits after each token.
  std::vector<std::vector<double>> operator()(const std::vector<std::int32_t>& tokens) const {
    const std::size_t C = config_.at("n_embd"), V = config_.at("vocab_size"), layers = config_.at("n_layer");
    std::vector<std::vector<double>> x;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      std::vector<double> row(C);
      for (std::size_t c = 0; c < C; ++c) {
        row[c] = at("wte.weight", static_cast<std::size_t>(tokens[t]) * C + c) + at("wpe.weight", t * C + c);
      }
      x.push_back(row);
    }
    for (std::size_t i = 0; i < layers; ++i) {
      const std::string block = fmt::format("h.{}.", i);
      add(x, attention(block + "attn.", norm(block + "ln_1", x)));
      std::vector<std::vector<double>> hidden = conv(block + "mlp.c_fc", norm(block + "ln_2", x));
      for (std::vector<double>& row : hidden) {
        for (double& value : row) value = activate(value);
      }
      add(x, conv(block + "mlp.c_proj", hidden));
    }
    x = norm("ln_f", x);
    const std::string head = tensors_.contains("lm_head.weight") ? "lm_head.weight" : "wte.weight";
    std::vector<std::vector<double>> logits;
    for (const std::vector<double>& row : x) {
      logits.emplace_back(V);
      for (std::size_t v = 0; v < V; ++v) {
        for (std::size_t c = 0; c < C; ++c) logits.back()[v] += row[c] * at(head, v * C + c);
      }
    }
    return logits;
  }

 private:
  using Rows = std::vector<std::vector<double>>;

  double at(const std::string& name, std::size_t i) const { return tensors_.at(name).at(i); }

  static void add(Rows& x, const Rows& y) {
    for (std::size_t t = 0; t < x.size(); ++t) {
      for (std::size_t c = 0; c < x[t].size(); ++c) x[t][c] += y[t][c];
    }
  }

  Rows norm(const std::string& name, const Rows& x) const {
    const double eps = config_.value("layer_norm_epsilon", 1e-5);
    Rows y;
    for (const std::vector<double>& row : x) {
      const auto n = static_cast<double>(row.size());
      double mean = 0, variance = 0;
      for (const double value : row) mean += value / n;
      for (const double value : row) variance += (value - mean) * (value - mean) / n;
      y.emplace_back();
      for (std::size_t c = 0; c < row.size(); ++c) {
        y.back().push_back((row[c] - mean) / std::sqrt(variance + eps) * at(name + ".weight", c) +
                           at(name + ".bias", c));
      }
    }
    return y;
  }

  Rows conv(const std::string& name, const Rows& x) const {
    const std::size_t out = tensors_.at(name + ".bias").size();
    Rows y;
    for (const std::vector<double>& row : x) {
      y.push_back(tensors_.at(name + ".bias"));
      for (std::size_t i = 0; i < row.size(); ++i) {
        for (std::size_t o = 0; o < out; ++o) y.back()[o] += row[i] * at(name + ".weight", i * out + o);
      }
    }
    return y;
  }

  Rows attention(const std::string& name, const Rows& x) const {
    const std::size_t C = x[0].size(), H = config_.at("n_head"), D = C / H;
    const Rows qkv = conv(name + "c_attn", x);
    Rows y(x.size(), std::vector<double>(C));
    for (std::size_t h = 0; h < H; ++h) {
      for (std::size_t t = 0; t < x.size(); ++t) {
        std::vector<double> weights;
        double sum = 0;
        for (std::size_t s = 0; s <= t; ++s) {
          double score = 0;
          for (std::size_t d = 0; d < D; ++d) score += qkv[t][h * D + d] * qkv[s][C + h * D + d];
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(D))));
          sum += weights.back();
        }
        for (std::size_t s = 0; s <= t; ++s) {
          for (std::size_t d = 0; d < D; ++d) y[t][h * D + d] += weights[s] / sum * qkv[s][2 * C + h * D + d];
        }
      }
    }
    return conv(name + "c_proj", y);
  }

  double activate(double x) const {
    const std::string name = config_.value("activation_function", "gelu_new");
    if (name == "gelu_new") {
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    }
    if (name == "gelu") return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    if (name == "silu") return x / (1 + std::exp(-x));
    return std::max(x, 0.0);
  }

  Json config_;
  std::map<std::string, std::vector<double>> tensors_;
};

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = a.size() == b.size() ? 0 : 1e9;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

std::vector<double> flat(const std::vector<std::vector<double>>& rows) {
  std::vector<double> all;
  for (const std::vector<double>& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

std::vector<double> logits_of(GPT& model, const std::vector<std::int32_t>& tokens) {
  model.eval();
  const NoGrad no_grad;
  return model(tokens, 1, static_cast<Index>(tokens.size())).to_vector();
}

const std::vector<std::int32_t> some_tokens{3, 1, 4, 1, 5, 9, 2};

GPTConfig tiny() {
  return {.vocab_size = 10, .block_size = 8, .n_layer = 2, .n_head = 2, .n_embd = 8};
}

// Larger weights than new ones, and gains and biases that are not 1 and 0, so that everything shows in the result.
GPT random_model(const GPTConfig& config, DType dtype = DType::f32) {
  manual_seed(3);
  GPT model(config);
  model.to(dtype);
  const NoGrad no_grad;
  for (const auto& [name, parameter] : model.named_parameters()) {
    parameter.copy_(randn(parameter.shape(), dtype) * 0.3 + (parameter.rank() == 1 ? 0.5 : 0));
  }
  return model;
}

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

std::vector<double> plain_logits(const fs::path& folder, const std::vector<std::int32_t>& tokens) {
  return flat(PlainGPT2(folder / "model.safetensors", Json::parse(read(folder / "config.json")))(tokens));
}

TEST(GPT2Files, SharedCheckpointsHaveTheExpectedLogits) {
  const fs::path hf = testing::shared("reference/hf");
  if (!fs::exists(hf)) GTEST_SKIP() << "there is no " << hf;
  struct Case {
    const char *folder, *expected, *logits;
  };
  for (const auto& [name, expected, key] : {Case{"golden-tiny-gpt2", "gpt2_tiny_golden.json", "logits"},
                                            Case{"tiny-gpt2-1000", "expected_logits.json", "last_position_logits"}}) {
    SCOPED_TRACE(name);
    const Json file = Json::parse(read(hf / name / expected));
    const std::vector<std::int32_t> tokens = file.at("input_ids");
    const std::vector<double> wanted = file.at(key);
    GPT2 loaded = load_gpt2(hf / name);
    EXPECT_THAT(loaded.warnings, IsEmpty());
    const auto end = [&](const std::vector<double>& all) {
      return std::vector<double>(all.end() - static_cast<std::ptrdiff_t>(wanted.size()), all.end());
    };
    EXPECT_LT(largest_difference(end(logits_of(loaded.model, tokens)), wanted), 1e-5);
    loaded.model.to(DType::f64);
    const std::vector<double> wide = logits_of(loaded.model, tokens);
    EXPECT_LT(largest_difference(wide, plain_logits(hf / name, tokens)), 1e-12);
    EXPECT_LT(largest_difference(end(wide), wanted), key == std::string("logits") ? 1e-6 : 1e-12);  // theirs is of f32
  }
}

// Each field that changes the result: written, read, and as the plain loops have it.
TEST(GPT2Files, EveryFieldComesBackAndActs) {
  std::vector<GPTConfig> configs(9, tiny());
  configs[1].n_inner = 12;
  configs[2].norm_eps = 0.1;
  configs[3].activation = nn::Activation::gelu_erf;
  configs[4].activation = nn::Activation::relu;
  configs[5].activation = nn::Activation::silu;
  configs[6].tie_weights = false;
  configs[7].dropout = 0.25, configs[7].attn_dropout = 0.125, configs[7].embd_dropout = 0.5;
  configs[8].init_std = 0.5, configs[8].n_head = 4, configs[8].block_size = 7;
  std::vector<std::vector<double>> seen;
  for (const GPTConfig& config : configs) {
    SCOPED_TRACE(config.to_json());
    const TempFolder folder;
    GPT model = random_model(config, DType::f64);
    EXPECT_THAT(save_gpt2(folder.path(), model), IsEmpty());
    GPT2 loaded = load_gpt2(folder.path());
    EXPECT_EQ(loaded.model.config(), config);
    EXPECT_EQ(loaded.model.dtype(), DType::f64);
    EXPECT_FALSE(loaded.tokenizer.has_value());
    EXPECT_THAT(loaded.warnings, IsEmpty());
    const std::vector<double> logits = logits_of(loaded.model, some_tokens);
    EXPECT_EQ(logits, logits_of(model, some_tokens));
    EXPECT_LT(largest_difference(logits, plain_logits(folder.path(), some_tokens)), 1e-12);
    seen.push_back(logits);

    save_gpt2(folder / "again", loaded.model);
    for (const char* const name : {"config.json", "model.safetensors"}) {
      EXPECT_EQ(read(folder / "again" / name), read(folder / name)) << name;
    }
  }
  for (std::size_t i = 1; i <= 6; ++i) EXPECT_GT(largest_difference(seen[i], seen[0]), 1e-6) << i;
}

TEST(GPT2Files, TheLayoutIsTransformers) {
  const TempFolder folder;
  const GPT model = random_model(tiny());
  save_gpt2(folder.path(), model);
  EXPECT_THAT(file_names(folder.path()), ElementsAre("config.json", "model.safetensors"));
  const nn::TensorFile file = nn::read_tensors(folder / "model.safetensors");
  EXPECT_EQ(file.metadata.at("format"), "pt");
  const std::map<std::string, Tensor> tensors(file.tensors.begin(), file.tensors.end());
  EXPECT_EQ(tensors.size(), 2 + 2 * 12 + 2U);
  EXPECT_EQ(tensors.at("transformer.h.1.attn.c_attn.weight").shape(), (Shape{8, 24}));
  EXPECT_EQ(tensors.at("transformer.h.1.mlp.c_proj.weight").shape(), (Shape{32, 8}));
  EXPECT_EQ(tensors.at("transformer.h.1.mlp.c_proj.weight").to_vector(),
            transpose(model.h[1].mlp.c_proj.weight, 0, 1).to_vector());
  EXPECT_EQ(tensors.at("transformer.wte.weight").to_vector(), model.wte.weight.to_vector());
  const Json config = Json::parse(read(folder / "config.json"));
  EXPECT_EQ(config.at("architectures"), Json({"GPT2LMHeadModel"}));
  EXPECT_EQ(config.at("model_type"), "gpt2");
  EXPECT_EQ(config.at("n_positions"), 8);
  EXPECT_EQ(config.at("torch_dtype"), "float32");
  EXPECT_TRUE(config.at("n_inner").is_null());
}

// gpt2.py's commands in one call; what each printed, or nothing where there is no PyTorch.
std::optional<std::vector<std::string>> python(const std::vector<std::string>& commands) {
  std::string line =
      fmt::format("/usr/bin/python3 {}/tests/models/gpt2.py {}", GRADUS_SOURCE_DIR, fmt::join(commands, " -- "));
  const auto result = gradus::testing::run(line);
  if (result.status == 77 || result.status == 127) return {};
  EXPECT_EQ(result.status, 0) << line;
  std::vector<std::string> parts(1);
  std::istringstream lines(result.output);
  for (std::string text; std::getline(lines, text);) {
    if (text == "--") {
      parts.emplace_back();
    } else {
      parts.back() += text + "\n";
    }
  }
  return parts;
}

// The lines of `hashes`, sorted, without masks and the prefix.
std::vector<std::string> hashes_in(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find(' ')), prefix = "transformer.";
    if (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")) continue;
    all.push_back(line.starts_with(prefix) ? line.substr(prefix.size()) : line);
  }
  std::ranges::sort(all);
  return all;
}

// Models made and saved by PyTorch: the same logits, and every tensor leaves as it came.
TEST(GPT2Files, PyTorchsModelsComeAndGo) {
  const std::vector<std::string> options{"n_embd=24",
                                         "prefix=0 masks=1 tie_word_embeddings=false",
                                         "n_inner=24 activation_function=gelu dtype=F64",
                                         "activation_function=relu layer_norm_epsilon=0.01 dtype=F16 masks=1",
                                         "activation_function=silu dtype=BF16",
                                         "activation_function=tanh n_layer=3",
                                         "shards=3 masks=1 n_head=4"};
  const TempFolder folder;
  const auto made = [&](std::size_t i) { return folder / fmt::format("made{}", i); };
  const auto saved = [&](std::size_t i) { return folder / fmt::format("saved{}", i); };
  std::vector<std::string> commands;
  for (std::size_t i = 0; i < options.size(); ++i) {
    commands.push_back(fmt::format("make {} {}", made(i).native(), options[i]));
  }
  if (!python(commands)) GTEST_SKIP() << "there is no PyTorch";

  commands.clear();
  std::vector<std::vector<double>> wanted;
  for (std::size_t i = 0; i < options.size(); ++i) {
    SCOPED_TRACE(options[i]);
    GPT2 loaded = load_gpt2(made(i));
    EXPECT_THAT(loaded.warnings, IsEmpty());
    const Json expected = Json::parse(read(made(i) / "logits.json"));
    wanted.push_back(flat(expected.at("logits").get<std::vector<std::vector<double>>>()));
    const std::vector<std::int32_t> tokens = expected.at("ids");
    save_gpt2(saved(i), loaded.model, {}, {.storage = loaded.storage});
    EXPECT_LT(largest_difference(logits_of(loaded.model, tokens), wanted[i]), 1e-4);
    loaded.model.to(DType::f64);
    EXPECT_LT(largest_difference(logits_of(loaded.model, tokens), wanted[i]), 1e-12);
    commands.push_back(fmt::format("logits {} {}", saved(i).native(), fmt::join(tokens, ",")));
  }
  const std::size_t whole = options.size() - 1;  // the last is in shards
  for (std::size_t i = 0; i < whole; ++i) {
    for (const fs::path& place : {made(i), saved(i)}) {
      commands.push_back(fmt::format("hashes {}", (place / "model.safetensors").native()));
    }
  }
  const std::vector<std::string> told = python(commands).value();
  ASSERT_EQ(told.size(), commands.size());
  for (std::size_t i = 0; i < options.size(); ++i) {
    std::istringstream words(told[i]);
    std::vector<double> again;
    for (double value = 0; words >> value;) again.push_back(value);
    EXPECT_EQ(again, wanted[i]) << options[i];  // both in f64, of the same weights
  }
  for (std::size_t i = 0; i < whole; ++i) {
    const std::size_t place = options.size() + 2 * i;
    EXPECT_GT(hashes_in(told[place]).size(), 27U);
    EXPECT_EQ(hashes_in(told[place]), hashes_in(told[place + 1])) << options[i];
  }
}

// As other programs write such files: bare names, masks, a head that repeats the table, a training head.
TEST(GPT2Files, OtherNamesAndExtrasAreRead) {
  const TempFolder folder;
  GPT model = random_model(tiny());
  save_gpt2(folder.path(), model);
  const std::vector<double> logits = logits_of(model, some_tokens);
  const nn::NamedTensors tensors = nn::read_tensors(folder / "model.safetensors").tensors;
  const auto save = [&](nn::NamedTensors changed) { nn::save_tensors(folder / "model.safetensors", changed); };
  nn::NamedTensors bare = tensors;
  for (auto& [name, tensor] : bare) name = name.substr(12);
  bare.emplace_back("h.0.attn.bias", ones({1, 1, 8, 8}));
  bare.emplace_back("h.1.attn.masked_bias", tensor(-1e4));
  bare.emplace_back("lm_head.weight", model.wte.weight);
  save(bare);
  GPT2 loaded = load_gpt2(folder / "model.safetensors");
  EXPECT_EQ(logits_of(loaded.model, some_tokens), logits);
  EXPECT_THAT(loaded.warnings, IsEmpty());

  bare.back().second = model.wte.weight + 1.0;
  save(bare);
  EXPECT_THAT(error_of([&] { load_gpt2(folder.path()); }), HasSubstr("\"tie_word_embeddings\" to false"));
  bare.back() = {"score.weight", ones({2, 8})};
  save(bare);
  EXPECT_THAT(load_gpt2(folder.path()).warnings, ElementsAre(HasSubstr("does not have: score.weight")));
  bare.back() = tensors.front();
  save(bare);
  EXPECT_THAT(error_of([&] { load_gpt2(folder.path()); }), HasSubstr("has both"));
}

TEST(GPT2Files, FilesInParts) {
  const TempFolder folder;
  GPT model = random_model(tiny());
  save_gpt2(folder.path(), model);
  const nn::NamedTensors all = nn::read_tensors(folder / "model.safetensors").tensors;
  fs::remove(folder / "model.safetensors");
  Json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", Json::object()}};
  nn::NamedTensors parts[2];
  for (std::size_t i = 0; i < all.size(); ++i) {
    parts[i % 2].push_back(all[i]);
    index["weight_map"][all[i].first] = fmt::format("part-{}.safetensors", i % 2);
  }
  for (std::size_t i = 0; i < 2; ++i) nn::save_tensors(folder / fmt::format("part-{}.safetensors", i), parts[i]);
  write(folder / "model.safetensors.index.json", index.dump());
  for (const fs::path& path : {folder.path(), folder / "model.safetensors.index.json"}) {
    GPT2 loaded = load_gpt2(path);
    EXPECT_EQ(logits_of(loaded.model, some_tokens), logits_of(model, some_tokens));
  }
}

// A model of its own form has no biases, gains or such a head: the written one has the same results.
TEST(GPT2Files, WhatAModelDoesNotHaveIsWritten) {
  GPTConfig config = tiny();
  config.bias = false, config.norm_gain = false;
  const TempFolder folder;
  GPT model = random_model(config);
  save_gpt2(folder.path(), model);
  GPT2 loaded = load_gpt2(folder.path());
  EXPECT_TRUE(loaded.model.config().bias);
  EXPECT_LT(largest_difference(logits_of(loaded.model, some_tokens), logits_of(model, some_tokens)), 1e-5);

  config.final_norm = false;
  EXPECT_THAT(error_of([&] { save_gpt2(folder / "x", GPT(config)); }), HasSubstr("no norm before the head"));
  config.final_norm = true, config.embedding_norm = true;
  EXPECT_THAT(error_of([&] { save_gpt2(folder / "x", GPT(config)); }), HasSubstr("a norm after the embeddings"));
  EXPECT_THAT(error_of([&] { save_gpt2(folder / "x", GPT(GPTConfig::microgpt(5))); }), HasSubstr("RMSNorm"));
  EXPECT_FALSE(fs::exists(folder / "x"));
}

TEST(GPT2Files, SixteenBits) {
  const TempFolder folder;
  const GPT model = random_model(tiny());
  for (const auto& [storage, name] : {std::pair{nn::Storage::f16, "float16"}, {nn::Storage::bf16, "bfloat16"}}) {
    save_gpt2(folder / name, model, {}, {.storage = storage});
    EXPECT_EQ(Json::parse(read(folder / name / "config.json")).at("torch_dtype"), name);
    const GPT2 loaded = load_gpt2(folder / name);
    EXPECT_EQ(loaded.storage, storage);
    EXPECT_EQ(loaded.model.dtype(), DType::f32);
    save_gpt2(folder / "again", loaded.model, {}, {.storage = loaded.storage});
    EXPECT_EQ(read(folder / "again/model.safetensors"), read(folder / name / "model.safetensors"));
  }
}

TEST(GPT2Files, CharactersAsPythonsTokenizersReadThem) {
  const TempFolder folder;
  const GPT model = random_model(tiny());
  for (const bool boundary : {false, true}) {
    const CharTokenizer tokenizer(boundary ? U"ab\n\"가힣é 9" : U"ab\n\"가힣é 9x", boundary);
    EXPECT_THAT(save_gpt2(folder.path(), model, tokenizer), IsEmpty());
    const GPT2 loaded = load_gpt2(folder.path());
    ASSERT_TRUE(loaded.tokenizer.has_value());
    EXPECT_EQ(*loaded.tokenizer, tokenizer);
    const Json json = Json::parse(read(folder / "tokenizer.json"));
    EXPECT_EQ(json.at("model").at("type"), "BPE");
    EXPECT_EQ(json.at("model").at("vocab").size(), 10U);
    EXPECT_EQ(json.at("added_tokens").size(), boundary ? 1U : 0U);
    EXPECT_EQ(Json::parse(read(folder / "config.json")).at("eos_token_id"), boundary ? Json(9) : Json());
    // Another order is another tokenizer.
    Json other = json;
    std::swap(other["model"]["vocab"]["a"], other["model"]["vocab"]["b"]);
    write(folder / "tokenizer.json", other.dump());
    EXPECT_FALSE(load_gpt2(folder.path()).tokenizer.has_value());
  }
  write(folder / "tokenizer.json", "{");
  const GPT2 damaged = load_gpt2(folder.path());
  EXPECT_FALSE(damaged.tokenizer.has_value());
  ASSERT_EQ(damaged.warnings.size(), 1U);
  EXPECT_THAT(damaged.warnings[0], HasSubstr("the tokenizer was left out: "));
  EXPECT_THAT(damaged.warnings[0], HasSubstr("tokenizer.json"));
  EXPECT_THAT(error_of([&] { save_gpt2(folder.path(), model, CharTokenizer(U"abcdefghijk", false)); }),
              HasSubstr("the tokenizer has 11 tokens, the model 10"));
}

TEST(GPT2Files, ATokenizerOfMoreTokensIsLeftOut) {
  const TempFolder folder;
  save_gpt2(folder.path(), random_model(tiny()), CharTokenizer(U"ab", false));
  write(folder / "tokenizer.json", ByteTokenizer(false).to_json());
  const GPT2 loaded = load_gpt2(folder.path());
  EXPECT_FALSE(loaded.tokenizer.has_value());
  EXPECT_THAT(loaded.warnings, ElementsAre(HasSubstr("it has 256 tokens, the model")));
}

TEST(SaveGPT2, BytesAreBPEWithoutMerges) {
  const TempFolder folder;
  for (const bool boundary : {false, true}) {
    const ByteTokenizer bytes(boundary);
    const GPT model =
        random_model({.vocab_size = bytes.vocab_size(), .block_size = 2, .n_layer = 1, .n_head = 1, .n_embd = 2});
    EXPECT_THAT(save_gpt2(folder.path(), model, bytes), IsEmpty());
    const GPT2 loaded = load_gpt2(folder.path());
    EXPECT_THAT(loaded.warnings, IsEmpty());
    ASSERT_TRUE(loaded.tokenizer.has_value());
    EXPECT_EQ(loaded.tokenizer->boundary_token(), bytes.boundary_token());
    const std::string text = "Caf\xc3\xa9 it's 12\n\xea\xb0\x80 end";
    EXPECT_EQ(loaded.tokenizer->encode(text), bytes.encode(text));
    for (std::int32_t byte = 0; byte < 256; ++byte) {
      EXPECT_EQ(loaded.tokenizer->decode(std::vector{byte}), bytes.decode(std::vector{byte})) << byte;
    }
  }
}

TEST(SaveGPT2, SaysThatATokenizerOfAnotherKindHasNoForm) {
  struct OneToken : Tokenizer {
    Index vocab_size() const override { return 1; }
    std::optional<std::int32_t> boundary_token() const override { return {}; }
    std::string decode(std::span<const std::int32_t> tokens) const override { return std::string(tokens.size(), 'x'); }
    std::string to_json() const override { return "{}"; }
    void add_tokens(std::string_view text, std::string_view /*name*/, std::vector<std::int32_t>& tokens,
                    const Progress& /*progress*/) const override {
      tokens.resize(tokens.size() + text.size());
    }
  };
  const TempFolder folder;
  const GPT model = random_model({.vocab_size = 1, .block_size = 2, .n_layer = 1, .n_head = 1, .n_embd = 2});
  EXPECT_THAT(save_gpt2(folder.path(), model, OneToken()), ElementsAre(HasSubstr("has no form")));
}

// The tiny model's config.json with these fields changed.
struct ConfigFiles : ::testing::Test {
  ConfigFiles() { save_gpt2(folder.path(), random_model(tiny())); }

  GPT2 load(const Json& changes) const {
    Json config = Json::parse(original);
    config.update(changes);
    write(folder / "config.json", config.dump());
    return load_gpt2(folder.path());
  }
  std::string error(const Json& changes) const {
    return error_of([&] { load(changes); });
  }

  const TempFolder folder;
  const std::string original = [&] {
    save_gpt2(folder.path(), random_model(tiny()));
    return read(folder / "config.json");
  }();
};

TEST_F(ConfigFiles, WhatCannotBeComputedIsRefusedByName) {
  struct Case {
    Json changes;
    const char* message;
  };
  for (const auto& [changes, message] :
       {Case{{{"model_type", "llama"}}, "of a model of type \"llama\""},
        {{{"scale_attn_weights", false}}, "\"scale_attn_weights\" is false"},
        {{{"scale_attn_by_inverse_layer_idx", true}}, "number of its layer"},
        {{{"add_cross_attention", true}}, "an encoder"},
        {{{"is_encoder_decoder", true}}, "an encoder in front"},
        {{{"pruned_heads", {{"0", {1}}}}}, "heads that are left out"},
        {{{"quantization_config", {{"bits", 4}}}}, "weights in another form"},
        {{{"activation_function", "quick_gelu"}}, "those that can be read are gelu_new"},
        {{{"activation_function", 3}}, "a text is needed"},
        {{{"n_layer", 0}}, "n_layer is 0"},
        {{{"n_layer", "2"}}, "a whole number is needed"},
        {{{"n_head", 3}}, "cannot be split evenly among 3 heads"},
        {{{"n_inner", 0}}, "\"n_inner\" is 0"},
        {{{"n_inner", -8}}, "\"n_inner\" is -8"},
        {{{"layer_norm_epsilon", -1}}, "norm_eps is -1"},
        {{{"attn_pdrop", 1}}, "attn_dropout is 1"},
        {{{"embd_pdrop", 2}}, "embd_dropout is 2"},
        {{{"hidden_size", 16}}, "mean the same"},
        {{{"vocab_size", 11}}, "wte.weight is (10, 8) and should be (11, 8)"},
        {{{"n_layer", 3}}, "12 missing: transformer.h.2.ln_1.weight"},
        {{{"tie_word_embeddings", false}}, "1 missing: lm_head.weight"},
        {{{"n_embd", 50000}, {"n_head", 1}}, "should be (10, 50000)"},
        {{{"n_positions", 16000000}}, "should be (16000000, 8)"},
        {{{"n_embd", 1 << 20}, {"n_layer", 10000}}, "parameters, more than"}}) {
    EXPECT_THAT(error(changes), AllOf(HasSubstr(message), HasSubstr(folder.path().native()))) << changes;
  }
}

TEST_F(ConfigFiles, FieldsThatChangeNothingPassAndUnknownOnesAreTold) {
  EXPECT_THAT(load({{"use_cache", false}, {"summary_type", "x"}, {"torch_dtype", "float16"}, {"top_k", 3}}).warnings,
              IsEmpty());
  EXPECT_THAT(load({{"scale_attn_weights", nullptr}, {"pruned_heads", Json::object()}}).warnings, IsEmpty());
  EXPECT_THAT(load({{"n_ctx", 8}, {"hidden_size", 8}, {"num_attention_heads", 2}}).warnings, IsEmpty());
  EXPECT_EQ(load({{"n_inner", 32}}).model.config().n_inner, 0);  // four times 8
  Json many;
  for (int i = 0; i < 30'000; ++i) many[fmt::format("f{}", i)] = i;
  EXPECT_THAT(error(many), HasSubstr("an object has more than 20000 fields"));
  EXPECT_THAT(load({{"rope_theta", 1e4}}).warnings,
              ElementsAre(HasSubstr("ignored what is no field of GPT-2's: rope_theta")));
  EXPECT_THAT(load({{"reorder_and_upcast_attn", true}}).warnings, ElementsAre(HasSubstr("changes only how numbers")));
  for (const auto& [theirs, ours] : {std::pair{"gelu_pytorch_tanh", nn::Activation::gelu_tanh},
                                     {"gelu_fast", nn::Activation::gelu_tanh},
                                     {"swish", nn::Activation::silu},
                                     {"tanh", nn::Activation::tanh}}) {
    EXPECT_EQ(load({{"activation_function", theirs}}).model.config().activation, ours);
  }
}

// transformers' defaults, for what a file does not say.
TEST_F(ConfigFiles, AbsentFieldsHaveTransformersDefaults) {
  write(folder / "config.json", R"({"model_type": "gpt2"})");
  EXPECT_THAT(error_of([&] { load_gpt2(folder.path()); }), HasSubstr("120 missing"));
  write(folder / "config.json",
        R"({"n_ctx": 8, "n_embd": 8, "n_layer": 2, "n_head": 2, "vocab_size": 10})");  // n_ctx: as files of 2019
  GPTConfig expected = tiny();
  expected.dropout = expected.attn_dropout = 0.1;
  EXPECT_EQ(load_gpt2(folder.path()).model.config(), expected);
}

TEST_F(ConfigFiles, DamagedFilesAreErrors) {
  const auto weights = folder / "model.safetensors";
  const std::string whole = read(weights);
  const auto load_any = [&] {
    try {
      load_gpt2(folder.path());
    } catch (const Error& error) {
      EXPECT_STRNE(error.what(), "");
    }
  };
  for (std::size_t size = 0; size < original.size(); size += 3) {
    write(folder / "config.json", original.substr(0, size));
    if (size + 2 < original.size()) error_of([&] { load_gpt2(folder.path()); });
    for (const char byte : {'\0', '9', '}'}) {
      std::string text = original;
      text[size] = byte;
      write(folder / "config.json", text);
      load_any();
    }
  }
  write(folder / "config.json", original);
  for (std::size_t size = 0; size < whole.size(); size += size < 2000 ? 13 : 997) {
    write(weights, whole.substr(0, size));
    error_of([&] { load_gpt2(folder.path()); });
    std::string text = whole;
    text[size] = static_cast<char>(text[size] ^ 0x10);
    write(weights, text);
    load_any();
  }
}

TEST(GPT2Files, WhatIsNotThereIsNamed) {
  const TempFolder folder;
  const auto error = [&](const fs::path& path) { return error_of([&] { load_gpt2(path); }); };
  EXPECT_THAT(error(folder / "none"), HasSubstr("there is no '"));
  EXPECT_THAT(error(folder.path()), HasSubstr("has no model.safetensors and no model.safetensors.index.json"));
  nn::save_tensors(folder / "model.safetensors", {{"x", ones({1})}});
  EXPECT_THAT(error(folder.path()), HasSubstr("config.json', which says the sizes"));
  write(folder / "config.json", "[]");
  EXPECT_THAT(error(folder.path()), HasSubstr("an object is needed"));
  // A Linear's weight, as nanoGPT has it.
  const GPT model = random_model(tiny());
  save_gpt2(folder.path(), model);
  nn::save_safetensors(folder / "model.safetensors", model);
  EXPECT_THAT(error(folder.path()), HasSubstr("h.0.attn.c_attn.weight is (24, 8) and should be (8, 24) (it is as a "
                                              "Linear has it; transpose it)"));
}

TEST(GPT2Files, PicklesAreNeverRead) {
  const TempFolder folder;
  write(folder / "config.json", R"({"model_type": "gpt2"})");
  write(folder / "pytorch_model.bin", std::string("PK\x03\x04"));
  for (const fs::path& path : {folder.path(), folder / "pytorch_model.bin"}) {
    EXPECT_TRUE(is_gpt2(path));
    EXPECT_THAT(error_of([&] { load_gpt2(path); }),
                AllOf(HasSubstr("may run any code"), HasSubstr("python3 -c \"import sys, torch"),
                      HasSubstr("weights_only=True")));
  }
  // By any other name.
  write(folder / "model.safetensors", std::string("\x80\x02}q\0", 5));
  EXPECT_THAT(error_of([&] { load_gpt2(folder / "model.safetensors"); }), HasSubstr("may run any code"));
  fs::remove(folder / "config.json");
  fs::rename(folder / "pytorch_model.bin", folder / "ckpt.pt");
  EXPECT_TRUE(is_gpt2(folder / "ckpt.pt"));
  EXPECT_FALSE(is_gpt2(folder / "model.safetensors"));
  EXPECT_FALSE(is_gpt2(folder / "none"));
  write(folder / "config.json", "");
  EXPECT_FALSE(is_gpt2(folder / "model.safetensors"));
}

TEST(GPT2Files, FewerTokens) {
  GPTConfig config = tiny();
  for (const bool tied : {true, false}) {
    config.tie_weights = tied;
    GPT model = random_model(config);
    GPT cut = cut_vocabulary(model, 6);
    EXPECT_EQ(cut.config().vocab_size, 6);
    const std::vector<std::int32_t> tokens{5, 0, 3};
    const std::vector<double> all = logits_of(model, tokens), some = logits_of(cut, tokens);
    for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(some[i], all[i / 6 * 10 + i % 6]) << i;
  }
  EXPECT_THAT(error_of([&] { cut_vocabulary(GPT(config), 11); }), HasSubstr("from 1 to the model's 10"));
}

}  // namespace
}  // namespace gradus::models
