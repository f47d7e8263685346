// gpt view: the numbers of its document against ones computed here from the run folder, and what it leaves out.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/gpt/trace.h>
#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/recording.h>
#include <gradus/nn/files/detail/half.h>
#include <gradus/nn/files/safetensors.h>

#include "command.h"

namespace gradus::models {
namespace {

using testing::Command;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::read;
using testing::Result;
using testing::TempFolder;
using testing::write;
using Json = nlohmann::json;
using Numbers = std::vector<double>;

// Base64 of 16-bit numbers.
Numbers unpacked(const Json& packed) {
  const auto text = packed.at("f16").get<std::string>();
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<unsigned> bytes;
  for (std::size_t i = 0; i + 3 < text.size(); i += 4) {
    unsigned value = 0, kept = 3;
    for (std::size_t k = 0; k < 4; ++k) {
      if (text[i + k] == '=') --kept;
      value = value * 64 + (text[i + k] == '=' ? 0U : static_cast<unsigned>(letters.find(text[i + k])));
    }
    for (unsigned k = 0; k < kept; ++k) bytes.push_back(value >> (16 - 8 * k) & 255U);
  }
  Numbers numbers;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    numbers.push_back(nn::detail::half_to_float(static_cast<std::uint16_t>(bytes[i] | bytes[i + 1] << 8U)));
  }
  return numbers;
}

// One training for all tests: names in a file, and others that are held out.
struct View : Command {
  static void SetUpTestSuite() { made = new TempFolder; }
  static void TearDownTestSuite() {
    delete made;
    made = nullptr;
  }
  void SetUp() override {
    if (!std::filesystem::exists(*made / "run")) make_run();
    std::filesystem::copy(*made / "run", folder / "run", std::filesystem::copy_options::recursive);
  }
  void make_run() const {
    std::string names, held;
    for (const std::string& word : testing::words(60)) names += word + "\n";
    for (const char* word : {"abcab", "eddcb", "aabbcc", "cab", "dead"}) held += std::string(word) + "\n";
    write(*made / "names.txt", names);
    write(*made / "held.txt", held);
    const Result result = gpt({"train",
                               "--data",
                               *made / "names.txt",
                               "--held-out",
                               *made / "held.txt",
                               "--out",
                               *made / "run",
                               "--layers",
                               "2",
                               "--width",
                               "16",
                               "--heads",
                               "2",
                               "--context",
                               "12",
                               "--steps",
                               "60",
                               "--batch",
                               "8",
                               "--samples",
                               "0",
                               "--dropout",
                               "0",
                               "--lr",
                               "0.01",
                               "--quiet"});
    ASSERT_EQ(result.status, 0) << result.err;
  }
  Json view(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"view", "run", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result result = gpt(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return Json::parse(result.out);
  }
  GPT model(DType dtype = DType::f32) const {
    GPT loaded = load_run(folder / "run").model;
    loaded.to(dtype);
    loaded.eval();
    return loaded;
  }
  std::vector<std::int32_t> encoded(const std::string& word) const {
    const AnyTokenizer tokenizer = load_run(folder / "run").tokenizer;
    std::vector<std::int32_t> ids{tokenizer.boundary()};
    for (const std::int32_t id : tokenizer.encode(word)) ids.push_back(id);
    ids.push_back(tokenizer.boundary());
    return ids;
  }
  std::vector<std::string> held_out() const { return {"abcab", "eddcb", "aabbcc", "cab", "dead"}; }

  static TempFolder* made;
};
TempFolder* View::made = nullptr;

// The probabilities of a text's tokens from its logits, in plain loops.
Numbers probabilities(const Tensor& logits, const std::vector<std::int32_t>& ids) {
  const Numbers x = logits.to_vector();
  const auto V = static_cast<std::size_t>(logits.size(-1));
  Numbers p;
  for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
    double sum = 0;
    for (std::size_t v = 0; v < V; ++v) sum += std::exp(x[t * V + v]);
    p.push_back(std::exp(x[t * V + static_cast<std::size_t>(ids[t + 1])]) / sum);
  }
  return p;
}

Tensor logits_of(const GPT& model, const std::vector<std::int32_t>& ids) {
  const NoGrad no_grad;
  const std::vector<Index> lengths{static_cast<Index>(ids.size())};
  return model(ids, lengths);
}

TEST_F(View, ProbabilitiesAreTheModelsAndThoseOfEval) {
  const Json document = view({"--text", "abcab"});
  ASSERT_EQ(document["texts"].size(), 1U);
  const Json& text = document["texts"][0];
  const std::vector<std::int32_t> ids = encoded("abcab");
  EXPECT_EQ(text["ids"].get<std::vector<std::int32_t>>(), ids);
  EXPECT_EQ(text["pieces"][1], "a");
  EXPECT_EQ(text["pieces"][0], "\u23ce");
  const Json& last = text["at"].back();
  const Numbers own = probabilities(logits_of(model(), ids), ids);
  double loss = 0;
  EXPECT_TRUE(last["prob"][0].is_null());
  for (std::size_t t = 0; t < own.size(); ++t) {
    EXPECT_NEAR(last["prob"][t + 1].get<double>(), own[t], 1e-5);
    loss -= std::log(last["prob"][t + 1].get<double>()) / static_cast<double>(own.size());
    const Json& top = last["top"][t];
    EXPECT_GE(top[0][1].get<double>(), top[1][1].get<double>());
    EXPECT_EQ(top.size(), 5U);
    EXPECT_TRUE(document["vocab"].contains(std::to_string(top[4][0].get<int>())));
  }
  write(folder / "one.txt", "abcab\n");
  const Json judged = Json::parse(gpt({"eval", "run", "--data", "one.txt", "--json"}).out);
  EXPECT_NEAR(judged["held_out_loss"].get<double>(), loss, 1e-4);
  EXPECT_NEAR(document["graph"]["loss"].get<double>(), loss, 1e-4);
}

TEST_F(View, AttentionEntropyLensAndNorms) {
  const Json document = view();
  const GPT still = model();
  ASSERT_EQ(document["texts"].size(), 3U);
  double entropy = 0, previous = 0, rows = 0;
  for (std::size_t n = 0; n < 3; ++n) {
    const Json& last = document["texts"][n]["at"].back();
    const std::string text = std::array{"abcab", "eddcb", "dead"}[n];  // spread, and not too short
    const std::vector<std::int32_t> ids = encoded(text);
    EXPECT_EQ(document["texts"][n]["text"], text);
    const std::size_t T = ids.size();
    EXPECT_EQ(last["attention"]["shape"], (Json{2, 2, T, T}));
    const Numbers attention = unpacked(last["attention"]);
    ASSERT_EQ(attention.size(), 4 * T * T);
    const Trace seen = trace(still, ids);
    for (std::size_t l = 0; l < 2; ++l) {
      const Numbers own = attention_weights(still.h[l], 2, seen.blocks[l].normed).to_vector();
      for (std::size_t i = 0; i < own.size(); ++i) EXPECT_NEAR(attention[l * own.size() + i], own[i], 1e-3);
    }
    for (std::size_t row = 0; row < 4 * T; ++row) {
      double sum = 0;
      for (std::size_t s = 0; s < T; ++s) sum += attention[row * T + s];
      EXPECT_NEAR(sum, 1, 2e-3);
    }
    for (std::size_t t = 1; t < T; ++t, ++rows) {  // head 1 of block 0
      for (std::size_t s = 0; s <= t; ++s) {
        const double p = attention[(T + t) * T + s];
        if (p > 0) entropy -= p * std::log(p);
      }
      previous += attention[(T + t) * T + t - 1];
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const Numbers stream = seen.stream(i).to_vector();
      double norm = 0;
      for (std::size_t c = 0; c < 16; ++c) norm += stream[2 * 16 + c] * stream[2 * 16 + c];
      EXPECT_NEAR(last["residual"][i][2].get<double>(), std::sqrt(norm), 1e-3 * std::sqrt(norm));
    }
    // Behind the last block the lens sees what the model says.
    EXPECT_EQ(last["lens"].size(), 3U);
    for (std::size_t t = 0; t < T; ++t) EXPECT_EQ(last["lens"][2][t][0], last["top"][t][0]);
  }
  EXPECT_NEAR(document["entropy"]["value"][0][1].back().get<double>(), entropy / rows, 2e-3);
  EXPECT_NEAR(document["previous"][0][1].get<double>(), previous / rows, 2e-3);
  EXPECT_EQ(document["snapshots"], (Json{0, 1, 2, 5, 10, 20, 50, 60}));
  EXPECT_EQ(document["entropy"]["step"], document["snapshots"]);
  EXPECT_EQ(document["texts"][0]["at"].size(), 8U);
}

TEST_F(View, TheTrainingIsThatOfItsFiles) {
  const Json document = view();
  const auto log = read_log(folder / "run/log.jsonl");
  ASSERT_EQ(document["loss"]["step"].size(), log.size());
  for (std::size_t i = 0; i < log.size(); ++i) {
    double sum = 0, count = 0;  // around step i + 1
    for (const LogLine& line : log) {
      const double factor = static_cast<double>(line.step) / static_cast<double>(log[i].step);
      if (factor >= 0.8 - 1e-9 && factor <= 1.25) sum += line.train_loss, ++count;
    }
    EXPECT_NEAR(document["loss"]["smoothed"][i].get<double>(), sum / count, 1e-4);
    EXPECT_NEAR(document["loss"]["train"][i].get<double>(), log[i].train_loss, 1e-4);
    const double factor = std::min(1.0, 1 / (log[i].grad_norm + 1e-6));
    EXPECT_NEAR(document["loss"]["clip"][i].get<double>(), factor, 1e-4);
  }
  EXPECT_NEAR(document["loss"]["held_out"]["loss"].back().get<double>(), *log.back().val_loss, 1e-5);
  const auto record = read_record(folder / "run");
  const Json& per_matrix = document["per_matrix"];
  ASSERT_EQ(document["matrices"].size(), record->matrices.size());
  ASSERT_EQ(per_matrix["step"].size(), record->lines.size());
  for (std::size_t m = 0; m < record->matrices.size(); ++m) {
    EXPECT_EQ(document["matrices"][m]["name"], record->matrices[m].name);
    for (std::size_t i = 0; i < record->lines.size(); ++i) {
      EXPECT_NEAR(per_matrix["grad_norm"][m][i].get<double>(), record->lines[i].grad_norm[m], 1e-6);
      EXPECT_NEAR(per_matrix["update_ratio"][m][i].get<double>(), record->lines[i].update_ratio[m], 1e-6);
    }
    Index count = 0;
    for (const Json& bin : document["histograms"]["weights"][m][3]) count += bin.get<Index>();
    EXPECT_EQ(count, record->matrices[m].shape[0] * record->matrices[m].shape[1]);
  }
  EXPECT_EQ(document["histograms"]["edges"].size(), document["histograms"]["weights"][0][0].size() + 1);
  EXPECT_EQ(document["activations"]["layers"], (Json{"h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp"}));
  EXPECT_EQ(document["activations"]["mean"][1].size(), document["activations"]["step"].size());
  EXPECT_EQ(document["samples"].size(), 7U);
  EXPECT_EQ(document["samples"][6]["texts"].size(), 6U);
  EXPECT_EQ(document["run"]["parameters"], model().num_parameters());
  EXPECT_EQ(document["run"]["steps"], 60);
}

TEST_F(View, BaselinesAreCountedByOwnLoops) {
  std::map<std::string, double> pairs;
  std::map<char, double> ends, begins;
  double all = 0;
  const auto each = [](const std::vector<std::string>& words, auto f) {
    for (const std::string& word : words) {
      const std::string text = "^" + word + "^";  // the boundary
      for (std::size_t i = 0; i + 1 < text.size(); ++i) f(text[i], text[i + 1]);
    }
  };
  each(testing::words(60), [&](char a, char b) { ++pairs[{a, b}], ++ends[b], ++begins[a], ++all; });
  const double V = 6;  // a to e and the boundary
  double unigram = 0, bigram = 0, count = 0;
  each(held_out(), [&](char a, char b) {
    unigram -= std::log((ends[b] + 1) / (all + V));
    bigram -= std::log((pairs[{a, b}] + 1) / (begins[a] + V));
    ++count;
  });
  const Json document = view();
  EXPECT_NEAR(document["baselines"]["uniform"].get<double>(), std::log(V), 1e-6);
  EXPECT_NEAR(document["baselines"]["unigram"].get<double>(), unigram / count, 1e-5);
  EXPECT_NEAR(document["baselines"]["bigram"].get<double>(), bigram / count, 1e-5);
}

TEST_F(View, CalibrationCounts) {
  const GPT still = model();
  Numbers sure(10), right(10), count(10);
  for (const std::string& word : held_out()) {
    const std::vector<std::int32_t> ids = encoded(word);
    const Numbers x = logits_of(still, ids).to_vector();
    const std::size_t V = 6;
    for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
      double sum = 0;
      std::size_t best = 0;
      for (std::size_t v = 0; v < V; ++v) {
        sum += std::exp(x[t * V + v]);
        if (x[t * V + v] > x[t * V + best]) best = v;
      }
      const double p = std::exp(x[t * V + best]) / sum;
      const auto bin = std::min<std::size_t>(9, static_cast<std::size_t>(p * 10));
      sure[bin] += p, ++count[bin];
      if (static_cast<std::int32_t>(best) == ids[t + 1]) ++right[bin];
    }
  }
  const Json calibration = view()["calibration"];
  std::size_t next = 0;
  double error = 0, all = 0;
  for (const double n : count) all += n;
  for (std::size_t b = 0; b < 10; ++b) {
    if (count[b] == 0) continue;
    const Json& bin = calibration["bins"][next++];
    EXPECT_EQ(bin["count"].get<double>(), count[b]);
    EXPECT_NEAR(bin["confidence"].get<double>(), sure[b] / count[b], 1e-4);
    EXPECT_NEAR(bin["accuracy"].get<double>(), right[b] / count[b], 1e-4);
    error += std::abs(sure[b] - right[b]) / all;
  }
  EXPECT_EQ(calibration["bins"].size(), next);
  EXPECT_NEAR(calibration["ece"].get<double>(), error, 1e-4);
}

// The sums of squares and products of rows around their mean, (columns, columns).
Numbers scatter(const Numbers& table, std::size_t rows, std::size_t columns) {
  Numbers sums(columns * columns), mean(columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) mean[c] += table[r * columns + c] / static_cast<double>(rows);
  }
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < columns; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        sums[i * columns + j] += (table[r * columns + i] - mean[i]) * (table[r * columns + j] - mean[j]);
      }
    }
  }
  return sums;
}

// Of a symmetric matrix, descending: Jacobi's rotations.
Numbers eigenvalues(Numbers a, std::size_t n) {
  for (int sweep = 0; sweep < 50; ++sweep) {
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        if (a[p * n + q] == 0) continue;
        const double angle = 0.5 * std::atan2(2 * a[p * n + q], a[q * n + q] - a[p * n + p]);
        const double c = std::cos(angle), s = std::sin(angle);
        for (std::size_t k = 0; k < n; ++k) {
          const double x = a[k * n + p], y = a[k * n + q];
          a[k * n + p] = c * x - s * y, a[k * n + q] = s * x + c * y;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double x = a[p * n + k], y = a[q * n + k];
          a[p * n + k] = c * x - s * y, a[q * n + k] = s * x + c * y;
        }
      }
    }
  }
  Numbers values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(a[i * n + i]);
  std::ranges::sort(values, std::greater<>());
  return values;
}

TEST_F(View, TheMapKeepsTheVarianceItTells) {
  const Json map = view()["embedding"];
  const Numbers table = model().wte.weight.to_vector();
  ASSERT_EQ(map["ids"].size(), 6U);
  double all = 0, x = 0, y = 0, xy = 0;
  for (std::size_t c = 0; c < 16; ++c) {
    double mean = 0;
    for (std::size_t v = 0; v < 6; ++v) mean += table[v * 16 + c] / 6;
    for (std::size_t v = 0; v < 6; ++v) all += (table[v * 16 + c] - mean) * (table[v * 16 + c] - mean);
  }
  for (const Json& point : map["xy"].back()) {
    x += point[0].get<double>() * point[0].get<double>();
    y += point[1].get<double>() * point[1].get<double>();
    xy += point[0].get<double>() * point[1].get<double>();
  }
  EXPECT_NEAR(map["explained"][0].get<double>(), x / all, 1e-3);
  EXPECT_NEAR(map["explained"][1].get<double>(), y / all, 1e-3);
  EXPECT_GT(x, y);
  EXPECT_NEAR(xy / all, 0, 1e-3);
  EXPECT_EQ(map["xy"].size(), 8U);
  const Numbers largest = eigenvalues(scatter(table, 6, 16), 16);  // no two directions keep more
  EXPECT_NEAR(x, largest[0], 1e-3 * all);
  EXPECT_NEAR(y, largest[1], 1e-3 * all);
}

double loss_of(const GPT& model, const std::vector<std::int32_t>& ids) {
  double loss = 0;
  const Numbers p = probabilities(logits_of(model, ids), ids);
  for (const double x : p) loss -= std::log(x) / static_cast<double>(p.size());
  return loss;
}

TEST_F(View, AdamsStepIsTheRealOne) {
  const Json document = view({"--text", "eddcb"});
  const Json& step = document["one_step"];
  const Checkpoint checkpoint = load_checkpoint(folder / "run");
  EXPECT_EQ(step["step"], 61);
  const GPT exact = model(DType::f64);
  const std::vector<std::int32_t> ids = encoded("eddcb");
  EXPECT_NEAR(step["loss"].get<double>(), loss_of(exact, ids), 1e-5);
  std::map<std::string, Tensor> parameters;
  std::map<std::string, std::size_t> number;
  for (const auto& [name, weight] : exact.named_parameters()) {
    parameters[name] = weight;
    if (weight.rank() >= 2) number.emplace(name, number.size());
  }
  std::map<std::string, Numbers> state;
  for (const auto& [name, values] : checkpoint.trainer.optimizer) state[name] = values.to_vector();
  const auto at = [&](const char* key) { return step[key].get<double>(); };
  std::set<std::string> seen;
  for (const Json& weight : step["weights"]) {
    const auto name = weight["name"].get<std::string>();
    const auto place = static_cast<std::size_t>(weight["row"].get<Index>() * weight["shape"][1].get<Index>() +
                                                weight["col"].get<Index>());
    const auto of = [&](const char* key) { return weight[key].get<double>(); };
    const std::span<double> values = parameters.at(name).data<double>();
    EXPECT_NEAR(of("value"), values[place], 1e-8);
    // The gradient by central differences, for the first few of each matrix.
    if (weight["row"] == 0 || of("grad") > 0.05) {
      constexpr double h = 1e-5;
      const double before = std::exchange(values[place], values[place] + h), up = loss_of(exact, ids);
      values[place] = before - h;
      const double down = loss_of(exact, ids);
      values[place] = before;
      EXPECT_NEAR(of("grad"), (up - down) / (2 * h), 2e-5) << name;
    }
    double blamed = 0;
    for (const Json& part : weight["blame"]) blamed += part.get<double>();
    EXPECT_NEAR(blamed, of("grad"), 1e-3 * std::abs(of("grad")) + 1e-6) << name;
    const std::string slot = fmt::format("{}", number.at(name));
    const double m = state.at(slot + ".exp_avg")[place], v = state.at(slot + ".exp_avg_sq")[place];
    const double t = state.at(slot + ".step")[0] + 1, g = of("grad") * at("clip");
    EXPECT_NEAR(of("m"), at("beta1") * m + (1 - at("beta1")) * g, 1e-6) << name;
    EXPECT_NEAR(of("v"), at("beta2") * v + (1 - at("beta2")) * g * g, 1e-7) << name;
    EXPECT_NEAR(of("m_hat"), of("m") / (1 - std::pow(at("beta1"), t)), 1e-5 * std::abs(of("m_hat")) + 1e-12);
    EXPECT_NEAR(of("v_hat"), of("v") / (1 - std::pow(at("beta2"), t)), 1e-5 * of("v_hat") + 1e-15);
    const double update =
        -at("lr") * of("m_hat") / (std::sqrt(of("v_hat")) + at("eps")) - at("lr") * at("weight_decay") * of("value");
    EXPECT_NEAR(of("update"), update, 1e-6) << name;
    EXPECT_NEAR(of("after"), of("value") + of("update"), 1e-7) << name;
    seen.insert(name);
  }
  EXPECT_EQ(seen.size(), number.size());
}

// What a token's passage through the last hidden layer adds to a gradient: that token's input times the slope of the
// loss in what it gave, by differences.
TEST_F(View, BlameIsThatOfFiniteDifferences) {
  const Json document = view({"--text", "aabbcc"});
  const std::vector<std::int32_t> ids = encoded("aabbcc");
  const GPT exact = model(DType::f64);
  const NoGrad no_grad;
  const Trace seen = trace(exact, ids);
  const Block& block = exact.h[1];
  const Tensor y = seen.blocks[1].before + seen.blocks[1].attn, x = block.ln_2(y);
  const Numbers input = x.to_vector();
  const auto loss_with = [&](const Tensor& hidden) {
    const Tensor logits = lens(exact, y + block.mlp.c_proj(nn::apply(block.mlp.activation, hidden)));
    double loss = 0;
    const Numbers p = probabilities(logits, ids);
    for (const double one : p) loss -= std::log(one) / static_cast<double>(p.size());
    return loss;
  };
  int looked_at = 0;
  for (const Json& weight : document["one_step"]["weights"]) {
    const auto row = weight["row"].get<std::size_t>(), col = weight["col"].get<std::size_t>();
    if (weight["name"] == "wpe.weight") {  // a position's belongs to the token that stands there
      for (std::size_t t = 0; t < ids.size(); ++t) {
        EXPECT_NEAR(weight["blame"][t].get<double>(), t == row ? weight["grad"].get<double>() : 0, 1e-5);
      }
    }
    if (weight["name"] != "h.1.mlp.c_fc.weight") continue;
    for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
      constexpr double h = 1e-5;
      double difference = 0;
      for (const double sign : {1.0, -1.0}) {
        const Tensor hidden = seen.blocks[1].hidden.clone();
        hidden.data<double>()[t * 64 + row] += sign * h * input[t * 16 + col];
        difference += sign * loss_with(hidden) / (2 * h);
      }
      EXPECT_NEAR(weight["blame"][t].get<double>(), difference, 1e-5);
      ++looked_at;
    }
    EXPECT_EQ(weight["blame"].back(), 0);  // the end foretells nothing
  }
  EXPECT_GT(looked_at, 50);
}

TEST_F(View, TheGraphIsWhatRan) {
  const Json graph = view({"--text", "cab"})["graph"];
  const std::vector<std::int32_t> ids = encoded("cab");
  EXPECT_NEAR(graph["loss"].get<double>(), loss_of(model(), ids), 1e-5);
  const Json& nodes = graph["nodes"];
  std::size_t parameters = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(nodes[i]["id"], i);
    for (const Json& input : nodes[i]["inputs"]) EXPECT_LT(input.get<std::size_t>(), i);
    if (nodes[i]["op"] != "parameter") continue;
    ++parameters;
    EXPECT_FALSE(nodes[i]["backward"].is_null()) << nodes[i];
  }
  EXPECT_EQ(parameters, model().named_parameters().size());
  EXPECT_EQ(nodes.back()["op"], "cross_entropy");
  EXPECT_EQ(nodes.back()["backward"]["values"], (Json{1.0}));
  EXPECT_NEAR(nodes.back()["forward"]["values"][0].get<double>(), loss_of(model(), ids), 1e-3);
  EXPECT_EQ(nodes[0]["module"], "wte.weight");
  EXPECT_NEAR(nodes[0]["forward"]["values"][3].get<double>(), model().wte.weight.to_vector()[3], 1e-4);
}

TEST_F(View, TakesEveryKindOfModel) {
  const std::vector<std::vector<std::string>> kinds{{"--preset", "microgpt"},
                                                    {"--tokenizer", "bpe:270"},
                                                    {"--tokenizer", "bytes", "--format", "text"},
                                                    {"--dtype", "f64", "--context", "2"},
                                                    {"--context", "1"},
                                                    {"--init-from", folder / "run/model.safetensors", "--lora", "2"}};
  for (const std::vector<std::string>& kind : kinds) {
    std::vector<std::string> arguments{
        "train",   "--data", *made / "names.txt", "--out", "other", "--overwrite", "--quiet",
        "--steps", "6",      "--samples",         "0"};
    arguments.insert(arguments.end(), kind.begin(), kind.end());
    Result result = gpt(arguments);
    ASSERT_EQ(result.status, 0) << result.err;
    result = gpt({"view", "other", "--json"});
    ASSERT_EQ(result.status, 0) << kind.back() << result.err;
    const Json document = Json::parse(result.out);
    EXPECT_GE(document["texts"].size(), kind.back() == "text" ? 1U : 3U) << kind.back();
    EXPECT_EQ(document["snapshots"], (Json{0, 1, 2, 5, 6}));
    EXPECT_EQ(document.contains("one_step"), kind.back() != "1");
  }
}

TEST_F(View, WritesAPageAndComparesTwo) {
  Result result = gpt({"view", "run"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("the page is in run/view.html"));
  EXPECT_THAT(read(folder / "run/view.html"), HasSubstr("id=\"run\""));
  std::filesystem::copy(folder / "run", folder / "two", std::filesystem::copy_options::recursive);
  result = gpt({"view", "run", "two", "--out", "both.html"});
  EXPECT_EQ(result.status, 0) << result.err;
  const std::string html = read(folder / "both.html");
  EXPECT_THAT(html, HasSubstr("id=\"run2\""));
  EXPECT_LT(html.size(), 10'000'000U);
}

// A damaged snapshot, or another model's, costs itself and nothing else.
TEST_F(View, DamagedRecordingsAreLeftOutAndSaid) {
  const auto snapshots = folder / "run/snapshots";
  const auto snapshot = [&](Index step) { return snapshots / snapshot_name(step); };
  std::string bytes = read(snapshot(2));
  write(snapshot(2), bytes.substr(0, bytes.size() / 2));
  Snapshot other = load_snapshot(snapshot(5));
  other.activations.layers.pop_back();
  for (Numbers* list :
       {&other.activations.mean, &other.activations.std, &other.activations.saturated, &other.activations.never_fire}) {
    list->pop_back();
  }
  save_snapshot(snapshot(5), other);
  Snapshot misnamed = load_snapshot(snapshot(10));
  save_snapshot(snapshot(20), misnamed);
  Json document = view();
  EXPECT_EQ(document["snapshots"], (Json{0, 1, 10, 50, 60}));
  EXPECT_EQ(document["activations"]["step"], (Json{0, 1, 10, 50}));
  for (const char* const list : {"mean", "std", "saturated", "never_fire"}) {
    EXPECT_EQ(document["activations"][list].size(), 4U);
  }
  for (const int step : {2, 5, 20}) {
    EXPECT_THAT(document["left_out"].dump(), HasSubstr(fmt::format("The snapshot of step {} cannot be read", step)));
  }
  const std::string record = read(folder / "run/record.jsonl");
  write(folder / "run/record.jsonl", "{\"matrices\": [{\"name\": 1, \"shape\": [2]}]}\n" + record);
  document = view();
  EXPECT_FALSE(document.contains("per_matrix"));
  EXPECT_TRUE(document.contains("loss"));
}

// The line in the middle of the list is of an early step, since those are recorded more densely.
TEST_F(View, WarningsLookAtTheMiddleOfTheTraining) {
  const std::size_t matrices = read_record(folder / "run")->matrices.size();
  const std::string header = read(folder / "run/record.jsonl");
  const auto warns = [&](int strange) {
    std::string record = header.substr(0, header.find('\n') + 1);
    for (const int step : {1, 2, 3, 4, 5, 6, 7, 8, 9, 30, 60}) {
      std::string one, ratio;
      for (std::size_t i = 0; i < matrices; ++i) {
        one += i == 0 ? "1" : ", 1";
        ratio += fmt::format("{}{}", i == 0 ? "" : ", ", i == 0 && step == strange ? 0.7 : 0.001);
      }
      record +=
          fmt::format("{{\"step\": {0}, \"grad_norm\": [{1}], \"weight_norm\": [{1}], \"update_ratio\": [{2}]}}\n",
                      step, one, ratio);
    }
    write(folder / "run/record.jsonl", record);
    return view()["warnings"].dump().find("in the middle of the training an update") != std::string::npos;
  };
  EXPECT_TRUE(warns(30));
  EXPECT_FALSE(warns(6));
  EXPECT_FALSE(warns(60));
}

TEST_F(View, TellsWhereATextWasCut) {
  const auto cut = [&](const std::string& text) {
    const Json document = view({"--text", text});
    EXPECT_LE(document["texts"][0]["ids"].size(), 12U);
    return document["left_out"].dump().find("up to 12 tokens") != std::string::npos;
  };
  EXPECT_FALSE(cut("abcabcabca"));  // with the boundaries as many as the model takes
  EXPECT_TRUE(cut("abcabcabcab"));
  EXPECT_FALSE(cut("abc"));
}

TEST_F(View, AnotherOptimizerIsTheReasonGiven) {
  const std::string path = folder / "run/train_state.safetensors";
  nn::TensorFile file = nn::read_tensors(path);
  Json state = Json::parse(file.metadata.at("state"));
  state["optimizer"] = "SGD";
  file.metadata["state"] = state.dump();
  nn::save_tensors(path, file.tensors, file.metadata);
  const Json document = view();
  EXPECT_FALSE(document.contains("one_step"));
  EXPECT_THAT(document["left_out"].dump(), HasSubstr("this run has another optimizer"));
}

// A page that is passed on tells nothing of the machine; its command makes the same training.
TEST_F(View, TheCommandIsTheTrainings) {
  const Json run = view()["run"];
  EXPECT_FALSE(run.contains("settings"));
  EXPECT_EQ(run.dump().find(made->path().native()), std::string::npos);
  const auto command = run["command"].get<std::string>();
  EXPECT_EQ(command,
            "gpt train --data names.txt --held-out held.txt --steps 60 --width 16 --heads 2 --context 12 "
            "--dropout 0.0 --batch 8 --lr 0.01 --samples 0");
}

TEST_F(View, BlocksThatRunAgainDoNotChangeTheGraph) {
  const auto graph_with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{
        "train",   "--data", *made / "names.txt", "--out", "other",   "--overwrite", "--quiet",
        "--steps", "6",      "--samples",         "0",     "--width", "16",          "--heads",
        "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result result = gpt(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    const Json document = Json::parse(gpt({"view", "other", "--json"}).out);
    return std::pair(document["graph"], document["one_step"]);
  };
  EXPECT_EQ(graph_with({"--checkpoint-activations"}), graph_with({}));
}

TEST_F(View, APageOfManyHeadsAndMeasurementsStaysSmall) {
  Result result = gpt({"train",     "--data", *made / "names.txt", "--out", "many",     "--quiet", "--steps", "50",
                       "--samples", "0",      "--batch",           "2",     "--layers", "40",      "--heads", "32",
                       "--width",   "32",     "--context",         "64"});
  ASSERT_EQ(result.status, 0) << result.err;
  const LogLine last = read_log(folder / "many/log.jsonl").back();
  std::string log;
  for (Index i = 0; i < 50'000; ++i) {
    LogLine line = last;
    line.step = 1 + i / 1000, line.val_loss = i == 33'333 ? 1.5 : 2;
    log += line.to_json() + "\n";
  }
  write(folder / "many/log.jsonl", log);
  result = gpt({"view", "many", "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_LT(result.out.size(), 9'000'001U);
  const Json document = Json::parse(result.out);
  EXPECT_EQ(document["snapshots"].size(), 4U);
  EXPECT_EQ(document["snapshots"].back(), 50);
  EXPECT_EQ(document["texts"][0]["at"].size(), 4U);
  EXPECT_THAT(document["left_out"].dump(), HasSubstr("4 of its 7 snapshots"));
  const Json& held_out = document["loss"]["held_out"]["loss"];
  EXPECT_LE(held_out.size(), 2002U);
  EXPECT_NE(std::ranges::find(held_out, Json(1.5)), held_out.end());
}

TEST_F(View, WhatIsNotThereIsLeftOutAndSaid) {
  // As an older version has left it.
  std::filesystem::remove(folder / "run/record.jsonl");
  std::filesystem::remove_all(folder / "run/snapshots");
  Json document = view();
  EXPECT_FALSE(document.contains("per_matrix"));
  EXPECT_FALSE(document.contains("histograms"));
  EXPECT_EQ(document["snapshots"], (Json{60}));
  EXPECT_TRUE(document.contains("loss"));
  EXPECT_TRUE(document.contains("texts"));
  EXPECT_THAT(document["left_out"].dump(), HasSubstr("was not recorded"));
  std::filesystem::remove(folder / "run/train_state.safetensors");
  std::filesystem::remove(folder / "run/log.jsonl");
  std::filesystem::rename(*made / "held.txt", *made / "away.txt");
  document = view({"--text", "dead"});
  std::filesystem::rename(*made / "away.txt", *made / "held.txt");
  EXPECT_FALSE(document.contains("loss"));
  EXPECT_FALSE(document.contains("one_step"));
  EXPECT_FALSE(document.contains("baselines"));
  EXPECT_EQ(document["texts"].size(), 1U);
  EXPECT_THAT(document["left_out"].dump(), HasSubstr("held.txt"));
  expect_error(gpt({"view", "nowhere"}), 1, "there is no folder 'nowhere'");
  expect_error(gpt({"view", "run", "--text", "xyz"}), 1, "x");
}

}  // namespace
}  // namespace gradus::models
