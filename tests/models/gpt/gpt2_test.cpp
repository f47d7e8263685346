// GPT-2's files as Hugging Face's libraries have them: read, written, and the same results as a forward pass in plain
// loops.
#include <gradus/models/gpt/gpt2.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../../nn/support.h"
#include "../helpers.h"

namespace gradus::models {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read;
using testing::TempFolder;
using testing::write;
using Json = nlohmann::json;
namespace fs = std::filesystem;

// The folder of reference data beside the sources, which not every machine has.
fs::path shared_folder() {
  const char* const named = std::getenv("GRADUS_SHARED");
  return named != nullptr ? fs::path(named) : fs::path(GRADUS_SOURCE_DIR) / "../shared";
}

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

std::vector<double> plain_logits(const fs::path& folder, const std::vector<std::int32_t>& tokens) {
  return flat(PlainGPT2(folder / "model.safetensors", Json::parse(read(folder / "config.json")))(tokens));
}

TEST(GPT2Files, SharedCheckpointsHaveTheExpectedLogits) {
  const fs::path hf = shared_folder() / "reference/hf";
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
    fmt::print("f64 {} plain {}\n", largest_difference(end(wide), wanted),
               largest_difference(wide, plain_logits(hf / name, tokens)));
  }
}

}  // namespace
}  // namespace gradus::models
