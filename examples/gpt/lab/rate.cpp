// The range test (Smith 2017): the rate rises with every step, and the loss shows which rates learn. Trainings at fixed
// rates beside it say whether it can be trusted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "study.h"

namespace gpt::lab {
namespace {

constexpr const char* test = "range test";
constexpr std::array rates{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1};

std::string name_of(double rate) {
  return fmt::format("rate {:g}", rate);
}

std::vector<Arm> arms(Index vocab_size) {
  std::vector<Arm> all{{.name = test, .model = small_model(vocab_size), .weight_decay = 0, .range_test = true}};
  for (const double rate : rates) all.push_back({.name = name_of(rate), .model = small_model(vocab_size), .lr = rate});
  return all;
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Report report;
  const Mean lowest = results.mean(test, "log10_lowest"), steepest = results.mean(test, "log10_steepest");
  const auto rate = [](const Mean& log) {
    return log.count < 2 ? fmt::format("{:.2g}", std::pow(10, log.value))
                         : fmt::format("{:.2g} ({:.2g} to {:.2g})", std::pow(10, log.value), std::pow(10, log.low()),
                                       std::pow(10, log.high()));
  };
  report.sentences.push_back(
      {fmt::format("In the range test the loss falls fastest at a rate of {} and is lowest at {} (95 % intervals).",
                   rate(steepest), rate(lowest)),
       fmt::format("범위 시험에서 손실은 학습률 {}에서 가장 빨리 떨어지고 {}에서 가장 낮습니다(95 % 구간).",
                   rate(steepest), rate(lowest))});
  if (lowest.count > 0) {
    const auto distance = [](double log, double of) { return std::abs(std::log10(of) - log); };
    const auto nearest = [&](double log) {
      return *std::ranges::min_element(rates, {}, [&](double of) { return distance(log, of); });
    };
    const double advised = nearest(lowest.value - 1), bold = nearest(lowest.value);
    if (advised != bold) {
      report.sentences.push_back(judge(
          results,
          {{fmt::format("A tenth of the rate where the test's loss is lowest trains better than that rate itself"),
            "시험의 손실이 가장 낮은 학습률의 10분의 1이 그 학습률보다 낫습니다"},
           name_of(advised),
           name_of(bold)}));
    }
  }
  report.sentences.push_back(
      judge(results, {{"A rate of 0.003 trains better than 0.0001", "학습률 0.003이 0.0001보다 낫습니다"},
                      name_of(0.003),
                      name_of(0.0001)}));
  report.sentences.push_back(judge(
      results,
      {{"A rate of 0.003 trains better than 0.1", "학습률 0.003이 0.1보다 낫습니다"}, name_of(0.003), name_of(0.1)}));
  Series curve{.name = "range test, smoothed",
               .x = results.mean_list(test, "rates"),
               .y = results.mean_list(test, "losses"),
               .low = {},
               .high = {}};
  Series trained{.name = "held-out loss of trainings"};
  for (const double one : rates) trained.add(one, results.mean(name_of(one)));
  report.charts.push_back({{"Loss against learning rate", "학습률에 따른 손실"},
                           {"rate", "학습률"},
                           {"nats", "nat"},
                           true,
                           false,
                           {curve, trained}});
  report.tables.push_back(table_of_losses(results, all));
  return report;
}

}  // namespace

Study rate_study() {
  return {"lr",
          {"Which learning rate?", "학습률은 얼마가 좋습니까?"},
          {"A range test, whose rate rises from 1e-5 to 1, and trainings at seven fixed rates.",
           "학습률이 1e-5에서 1까지 오르는 범위 시험과, 고정된 학습률 7개로 한 학습입니다."},
          arms,
          conclude};
}

}  // namespace gpt::lab
