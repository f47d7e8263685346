// First weights that are too large or too small shrink or grow the gradients on their way back through the blocks.
#include <fmt/format.h>

#include <cmath>

#include "study.h"

namespace gpt::lab {
namespace {

constexpr const char *gpt2 = "GPT-2's", *xavier = "Xavier", *he = "He", *large = "too large", *small = "too small";
constexpr Index layers = 6;

std::vector<Arm> arms(Index vocab_size) {
  std::vector<Arm> all;
  for (const auto& [name, start, std] : {std::tuple{gpt2, Start::gpt2, 0.02},
                                         {xavier, Start::xavier, 0.02},
                                         {he, Start::he, 0.02},
                                         {large, Start::gpt2, 0.6},
                                         {small, Start::gpt2, 0.0002}}) {
    Arm arm{.name = name, .model = small_model(vocab_size), .start = start};
    arm.model.n_layer = layers, arm.model.n_embd = 48, arm.model.init_std = std;
    if (start == Start::gpt2 && std != 0.02) arm.model.scale_residual = false;
    all.push_back(arm);
  }
  return all;
}

std::string told(double norm) {
  return std::isfinite(norm) ? fmt::format("{:.3g}", norm) : "-";
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Report report;
  for (const auto& [name, en, ko] :
       {std::tuple{xavier, "GPT-2's first weights are better than Xavier's", "GPT-2 초기화가 Xavier보다 낫습니다"},
        {he, "GPT-2's first weights are better than He's", "GPT-2 초기화가 He보다 낫습니다"},
        {large, "GPT-2's first weights are better than N(0, 0.6)", "GPT-2 초기화가 N(0, 0.6)보다 낫습니다"},
        {small, "GPT-2's first weights are better than N(0, 0.0002)", "GPT-2 초기화가 N(0, 0.0002)보다 낫습니다"}}) {
    report.sentences.push_back(judge(results, {{en, ko}, gpt2, name}));
  }
  Chart chart{{"Gradient norm of each block before the first step", "첫 스텝 앞 블록별 기울기 노름"},
              {"block", "블록"},
              {"norm", "노름"},
              false,
              true,
              {}};
  Table table{
      {"Gradient norm of each block before the first step, mean over the seeds", "첫 스텝 앞 블록별 기울기 노름(평균)"},
      {{"first weights", "초기화"}},
      {}};
  for (Index i = 0; i < layers; ++i) table.columns.push_back({fmt::format("h.{}", i), fmt::format("h.{}", i)});
  table.columns.push_back({"first / last", "처음 / 끝"});
  for (const Arm& arm : all) {
    Series series{.name = arm.name};
    const std::vector<double> norms = results.mean_list(arm.name, "gradient");
    std::vector<std::string> row{arm.name};
    for (std::size_t i = 0; i < norms.size(); ++i) {
      series.x.push_back(static_cast<double>(i)), series.y.push_back(norms[i]);
      row.push_back(told(norms[i]));
    }
    row.resize(static_cast<std::size_t>(layers) + 1, "-");
    row.push_back(norms.empty() ? "-" : told(norms.front() / norms.back()));
    chart.series.push_back(series);
    table.rows.push_back(row);
  }
  report.charts.push_back(chart);
  report.tables = {table_of_losses(results, all), table};
  return report;
}

}  // namespace

Study init_study() {
  return {"init",
          {"How much do the first weights matter?", "첫 가중치는 얼마나 중요합니까?"},
          {"6 layers of width 48. Xavier's and He's are for the blocks' matrices; the tables stay N(0, 0.02).",
           "너비 48, 6층입니다. Xavier와 He는 블록의 행렬에 쓰고, 임베딩은 N(0, 0.02)로 둡니다."},
          arms,
          conclude};
}

}  // namespace gpt::lab
