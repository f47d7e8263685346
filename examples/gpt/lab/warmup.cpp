// Adam divides by the root of a mean of squared gradients. In the first steps that mean is of one or few gradients, so
// that every weight moves by nearly the whole rate, whatever its gradient is; a warm-up makes these steps small.
#include <fmt/format.h>

#include "study.h"

namespace gpt::lab {
namespace {

constexpr const char *usual_with = "rate 0.004, warm-up", *usual_without = "rate 0.004, none",
                     *high_with = "rate 0.04, warm-up", *high_without = "rate 0.04, none";

std::vector<Arm> arms(Index vocab_size) {
  std::vector<Arm> all;
  for (const auto& [name, rate, warmup] : {std::tuple{usual_with, 0.004, 0.1},
                                           {usual_without, 0.004, 0.0},
                                           {high_with, 0.04, 0.1},
                                           {high_without, 0.04, 0.0}}) {
    all.push_back({.name = name,
                   .model = small_model(vocab_size),
                   .lr = rate,
                   .warmup = warmup,
                   .schedule = gradus::optim::Schedule::cosine,
                   .clip = 0});
  }
  return all;
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Report report;
  report.sentences.push_back(
      judge(results, {{"At a usual rate a warm-up lowers the loss", "보통 학습률에서 워밍업이 손실을 낮춥니다"},
                      usual_with,
                      usual_without}));
  report.sentences.push_back(judge(
      results, {{"At ten times that rate a warm-up lowers the loss", "열 배 높은 학습률에서 워밍업이 손실을 낮춥니다"},
                high_with,
                high_without}));
  const Mean first = results.mean(high_without, "first_update"), later = results.mean(high_without, "early_update");
  if (first.count > 0 && later.count > 0) {
    const std::size_t steps = results.mean_list(high_without, "updates").size();
    report.sentences.push_back(
        {fmt::format("Adam's steps, measured: in the first one a weight that moves does so by {:.2f} of the rate on "
                     "average, over the first {} by {:.2f}. The formula gives 1 for the first, but for eps and weight "
                     "decay: m / sqrt(v) of a single gradient is its sign.",
                     first.value, steps, later.value),
         fmt::format("Adam의 걸음을 잰 값: 움직인 가중치는 첫 스텝에서 평균적으로 학습률의 {:.2f}배만큼, 처음 "
                     "{}스텝에서는 {:.2f}배만큼 움직입니다. 기울기 하나의 m / sqrt(v)는 부호이므로, 식으로는 eps와 "
                     "가중치 감쇠를 빼면 첫 걸음이 1입니다.",
                     first.value, steps, later.value)});
  }
  Chart chart{{"Mean size of an update, as a part of the rate", "학습률 대비 업데이트 크기의 평균"},
              {"step", "스텝"},
              {"|update| / rate", "|업데이트| / 학습률"},
              false,
              false,
              {}};
  Table table{
      {"Adam's first 50 steps with a weight decay of 0.1, gradients not clipped: mean over the entries that moved, "
       "be it by the decay alone",
       "가중치 감쇠 0.1로, 기울기를 자르지 않은 Adam의 처음 50스텝: 움직인 원소의 평균(감쇠만으로 움직인 것 포함)"},
      {{"setting", "설정"},
       {"|update| / rate, step 1", "|업데이트| / 학습률, 1스텝"},
       {"its mean over 50 steps", "50스텝 평균"},
       {"mean |update| over 50 steps", "50스텝 |업데이트| 평균"}},
      {}};
  for (const Arm& arm : all) {
    Series series{.name = arm.name};
    const std::vector<double> sizes = results.mean_list(arm.name, "updates");
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      series.x.push_back(static_cast<double>(i + 1)), series.y.push_back(sizes[i]);
    }
    chart.series.push_back(series);
    table.rows.push_back({arm.name, told(results.mean(arm.name, "first_update")),
                          told(results.mean(arm.name, "early_update")), told(results.mean(arm.name, "early_move"), 6)});
  }
  report.charts.push_back(chart);
  report.tables = {table_of_losses(results, all), table};
  return report;
}

}  // namespace

Study warmup_study() {
  return {"warmup",
          {"Why warm up the learning rate?", "왜 학습률을 워밍업합니까?"},
          {"A usual rate and ten times that, each with a warm-up over a tenth of the steps and without, gradients not "
           "clipped.",
           "보통 학습률과 그 열 배에서, 스텝의 10분의 1 동안 워밍업한 것과 하지 않은 것을 비교합니다. 기울기는 자르지 "
           "않습니다."},
          arms,
          conclude};
}

}  // namespace gpt::lab
