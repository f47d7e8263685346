// Loss against parameters (without the tables, as Kaplan et al. 2020 count them) and against tokens: straight lines in
// logarithms, as far as a law of powers holds.
#include <fmt/format.h>

#include <cmath>

#include "study.h"

namespace gpt::lab {
namespace {

constexpr Index widths[] = {8, 16, 32, 64, 96};
constexpr double shares[] = {0.125, 0.25, 0.5, 1};

std::string name_of(Index width, double share) {
  return fmt::format("width {}, {:g} of the tokens", width, share);
}

std::vector<Arm> arms(Index vocab_size) {
  std::vector<Arm> all;
  const auto add = [&](Index width, double share) {
    Arm arm{.name = name_of(width, share), .model = small_model(vocab_size), .share = share};
    arm.model.n_embd = width;
    all.push_back(arm);
  };
  for (const Index width : widths) add(width, 1);
  for (const double share : shares) {
    if (share != 1) add(64, share);
  }
  return all;
}

double block_parameters(Index width) {
  return 2.0 * 12 * static_cast<double>(width * width);
}

Sentence told_law(const char* of, const char* of_ko, const PowerLaw& law) {
  const std::string figures = std::isfinite(law.margin) ? fmt::format("{:.4f} ± {:.4f}", law.exponent, law.margin)
                                                        : fmt::format("{:.4f}", law.exponent);
  const bool falls = std::isfinite(law.margin) && law.exponent + law.margin < 0;
  return {
      fmt::format("Loss against {}: exponent {} over {} runs: {}.", of, figures, law.count,
                  falls ? "this run shows that the loss falls by a power" : "this run does not show a fall"),
      fmt::format("{}에 따른 손실: 지수 {}, 실행 {}개. {}.", of_ko, figures, law.count,
                  falls ? "손실이 거듭제곱으로 줄어드는 것이 드러납니다" : "이 실행으로는 줄어드는지 알 수 없습니다")};
}

Series line_of(const PowerLaw& law, const std::vector<double>& x) {
  Series line{.name = fmt::format("{:.3g} x^{:.3f}", law.factor, law.exponent), .x = x, .y = {}, .low = {}, .high = {}};
  for (const double at : x) line.y.push_back(law.factor * std::pow(at, law.exponent));
  return line;
}

// One axis of the study: its points, its law, its chart.
struct Axis {
  std::vector<double> x, y;
  Series means;

  void add(const Results& results, const std::string& arm, double at) {
    for (const double loss : results.values(arm, "loss")) x.push_back(at), y.push_back(loss);
    means.add(at, results.mean(arm));
  }
};

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Axis size, tokens;
  size.means.name = tokens.means.name = "runs";
  for (const Index width : widths) size.add(results, name_of(width, 1), block_parameters(width));
  for (const double share : shares) {
    const Mean seen = results.mean(name_of(64, share), "tokens");
    if (seen.count > 0) tokens.add(results, name_of(64, share), seen.value);
  }
  const PowerLaw by_size = fit_power_law(size.x, size.y), by_tokens = fit_power_law(tokens.x, tokens.y);
  Report report;
  report.sentences = {
      told_law("parameters of the blocks", "블록 매개변수", by_size),
      told_law("tokens", "토큰", by_tokens),
      judge(results,
            {{"Width 96 is better than width 32", "너비 96이 32보다 낫습니다"}, name_of(96, 1), name_of(32, 1)}),
      {"The law has no floor here, though every text has one: on few data the line bends, and larger "
       "models may overfit.",
       "여기의 법칙에는 바닥이 없지만 모든 글에는 바닥이 있습니다. 데이터가 적으면 선이 휘고, 큰 모델은 과적합할 수 "
       "있습니다."}};
  report.charts = {{{"Loss against parameters of the blocks", "블록 매개변수에 따른 손실"},
                    {"parameters", "매개변수"},
                    {"nats", "nat"},
                    true,
                    true,
                    {size.means, line_of(by_size, size.means.x)}},
                   {{"Loss against tokens, width 64", "토큰에 따른 손실(너비 64)"},
                    {"tokens", "토큰"},
                    {"nats", "nat"},
                    true,
                    true,
                    {tokens.means, line_of(by_tokens, tokens.means.x)}}};
  report.tables.push_back(table_of_losses(results, all));
  return report;
}

}  // namespace

Study scaling_study() {
  return {"scaling",
          {"How does the loss fall with size and data?", "손실은 크기와 데이터에 따라 어떻게 줄어듭니까?"},
          {"2 layers of widths 8 to 96, and width 64 with 1/8 to all of the tokens.",
           "너비 8~96의 2층 모델과, 토큰을 1/8부터 전부까지 쓴 너비 64 모델입니다."},
          arms,
          conclude};
}

}  // namespace gpt::lab
