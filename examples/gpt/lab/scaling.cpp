// Loss against parameters (without the tables, as Kaplan et al. 2020 count them) and against tokens: a straight line in
// the logarithms for each seed, and whether the points bend away from it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

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

// One axis of the study. Each seed has a line of its own, since its runs have their data in common.
class Axis {
 public:
  explicit Axis(const Results& results) : results_(results) { means_.name = "runs"; }

  void add(const std::string& arm, double at) {
    const std::map<Index, double> diverged = results_.by_seed(arm, "diverged");
    for (const auto& [seed, loss] : results_.by_seed(arm, "loss")) {
      const auto found = diverged.find(seed);
      Points& points = seeds_[seed];
      if (found != diverged.end() && found->second != 0) continue;
      points.x.push_back(at), points.y.push_back(loss);
    }
    means_.add(at, results_.mean(arm));
    ++settings_;
  }
  Sentence told(const char* of, const char* of_ko) const;
  // The runs, and the line of the mean exponent.
  std::vector<Series> series() const;

 private:
  struct Points {
    std::vector<double> x = {}, y = {};
  };
  struct Fits {
    std::vector<double> exponents = {}, curvatures = {}, logs_of_factors = {};
  };
  Fits fits() const;

  const Results& results_;
  Series means_;
  std::map<Index, Points> seeds_;
  std::size_t settings_ = 0;
};

Axis::Fits Axis::fits() const {
  Fits fits;
  for (const auto& [seed, points] : seeds_) {
    if (points.x.size() < settings_) continue;
    const PowerLaw law = fit_power_law(points.x, points.y);
    if (!std::isfinite(law.exponent)) continue;
    fits.exponents.push_back(law.exponent), fits.logs_of_factors.push_back(std::log(law.factor));
    if (std::isfinite(law.curvature)) fits.curvatures.push_back(law.curvature);
  }
  return fits;
}

// How the line bends: a power is a straight one in the logarithms.
Sentence told_bend(const Mean& curvature) {
  const Verdict verdict = verdict_on(curvature);
  if (verdict == Verdict::too_few) return {".", "."};
  const std::string figures = gpt::lab::told(curvature);
  if (verdict == Verdict::not_shown) {
    return {fmt::format(". Its curvature in the logarithms, {}, is within the noise: a power is possible.", figures),
            fmt::format(". 로그에서의 휨 {}은(는) 잡음보다 작아 거듭제곱일 수 있습니다.", figures)};
  }
  const bool up = verdict == Verdict::higher;
  return {fmt::format(". It bends {} in the logarithms (curvature {}): it is no power of them.",
                      up ? "upward" : "downward", figures),
          fmt::format(". 로그에서 {}로 휘므로(휨 {}) 거듭제곱은 아닙니다.", up ? "위" : "아래", figures)};
}

Sentence Axis::told(const char* of, const char* of_ko) const {
  const Fits fitted = fits();
  const Mean exponent = mean_of(fitted.exponents);
  const std::string figures = gpt::lab::told(exponent);
  const char *en = "this run does not show a fall; at least two seeds are needed to know the noise",
             *ko = "이 실행으로는 줄어드는지 알 수 없습니다. 잡음을 알려면 시드가 둘 이상 필요합니다";
  switch (verdict_on(exponent)) {
    case Verdict::lower:
      en = "this run shows that the loss falls", ko = "손실이 줄어드는 것이 드러납니다";
      break;
    case Verdict::higher:
      en = "this run shows the opposite, that the loss rises", ko = "이 실행은 반대로 손실이 늘어나는 것을 보입니다";
      break;
    case Verdict::not_shown:
      en = "this run does not show a fall; the exponent is within its noise",
      ko = "이 실행으로는 줄어드는지 알 수 없습니다. 지수가 잡음보다 작습니다";
      break;
    case Verdict::too_few:
      break;
  }
  const Sentence bend = told_bend(mean_of(fitted.curvatures));
  const std::size_t left_out = seeds_.size() - fitted.exponents.size();
  return {fmt::format("Loss against {}: exponent {}, mean of {} seed{}{}: {}{}", of, figures, exponent.count,
                      exponent.count == 1 ? "" : "s",
                      left_out > 0 ? fmt::format(" without {} that have not all runs, or diverged ones", left_out) : "",
                      en, bend.en),
          fmt::format("{}에 따른 손실: 지수 {}, 시드 {}개의 평균{}. {}{}", of_ko, figures, exponent.count,
                      left_out > 0 ? fmt::format("(실행이 모자라거나 발산한 {}개 제외)", left_out) : "", ko, bend.ko)};
}

std::vector<Series> Axis::series() const {
  const Fits fitted = fits();
  if (fitted.exponents.empty()) return {means_};
  const double exponent = mean_of(fitted.exponents).value, factor = std::exp(mean_of(fitted.logs_of_factors).value);
  Series line{.name = fmt::format("{:.3g} x^{:.3f}", factor, exponent), .x = means_.x};
  for (const double at : line.x) line.y.push_back(factor * std::pow(at, exponent));
  return {means_, line};
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Axis size(results), tokens(results);
  for (const Index width : widths) size.add(name_of(width, 1), block_parameters(width));
  for (const double share : shares) {
    // A run that diverged has fewer.
    const std::vector<double> seen = results.values(name_of(64, share), "tokens");
    if (!seen.empty()) tokens.add(name_of(64, share), *std::ranges::max_element(seen));
  }
  Report report;
  report.sentences = {
      size.told("parameters of the blocks", "블록 파라미터"),
      tokens.told("tokens", "토큰"),
      judge(results,
            {{"Width 96 is better than width 32", "너비 96이 32보다 낫습니다"}, name_of(96, 1), name_of(32, 1)}),
      {"The line has no floor here, though every text has one: on few data it bends, and larger models may overfit.",
       "여기의 선에는 바닥이 없지만 모든 글에는 바닥이 있습니다. 데이터가 적으면 선이 휘고, 큰 모델은 과적합할 수 "
       "있습니다."}};
  report.charts = {{{"Loss against parameters of the blocks", "블록 파라미터에 따른 손실"},
                    {"parameters", "파라미터"},
                    {"nats", "nat"},
                    true,
                    true,
                    size.series()},
                   {{"Loss against tokens, width 64", "토큰에 따른 손실(너비 64)"},
                    {"tokens", "토큰"},
                    {"nats", "nat"},
                    true,
                    true,
                    tokens.series()}};
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
