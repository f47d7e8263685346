// The range test (Smith 2017): the rate rises with every step, and the loss shows which rates learn. Trainings with
// seven peak rates beside it say whether it can be trusted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

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

std::string told_rate(double log) {
  return fmt::format("{:.2g}", std::pow(10, log));
}

std::string told_rate(const Mean& log) {
  const std::string value = told_rate(log.value);
  return log.count < 2 ? value : fmt::format("{} ({} to {})", value, told_rate(log.low()), told_rate(log.high()));
}

// The trained rate that is nearest in logarithms; nothing for one further outside than half their distance.
std::optional<double> trained_near(double log) {
  constexpr double half = 0.25;
  const auto distance = [&](double rate) { return std::abs(std::log10(rate) - log); };
  const double nearest = *std::ranges::min_element(rates, {}, distance);
  const bool is_within = log > std::log10(rates.front()) - half && log < std::log10(rates.back()) + half;
  return is_within ? std::optional(nearest) : std::nullopt;
}

// What the range test says, and whether its usual reading, a tenth of the rate with the lowest loss, holds.
void read_test(const Results& results, Report& report) {
  const Mean lowest = results.mean(test, "log10_lowest"), steepest = results.mean(test, "log10_steepest");
  if (lowest.count == 0 || steepest.count == 0) return;
  const bool is_sure = lowest.count > 1;
  report.sentences.push_back(
      {fmt::format("In the range test the loss falls fastest at a rate of {} and is lowest at {} ({}).",
                   told_rate(steepest), told_rate(lowest), is_sure ? "95 % intervals" : "one seed"),
       fmt::format("범위 시험에서 손실은 학습률 {}에서 가장 빨리 떨어지고 {}에서 가장 낮습니다({}).",
                   told_rate(steepest), told_rate(lowest), is_sure ? "95 % 구간" : "시드 하나")});
  const auto tenth = trained_near(lowest.value - 1), whole = trained_near(lowest.value);
  if (!tenth || !whole) {
    const std::string asked = told_rate(lowest.value - 1), bold = told_rate(lowest.value);
    report.sentences.push_back(
        {fmt::format("Whether a tenth of it, {}, trains better than {} itself is not said: the trained rates go from "
                     "{:g} to {:g}.",
                     asked, bold, rates.front(), rates.back()),
         fmt::format("그 10분의 1인 {}이(가) {}보다 나은지는 말하지 않습니다. 학습한 학습률은 {:g}~{:g}입니다.", asked,
                     bold, rates.front(), rates.back())});
    return;
  }
  report.sentences.push_back(
      judge(results,
            {{fmt::format("The peak rate {:g}, the trained one nearest to a tenth of that ({}), is better than {:g}, "
                          "the one nearest to it ({})",
                          *tenth, told_rate(lowest.value - 1), *whole, told_rate(lowest.value)),
              fmt::format("그 10분의 1({})에 가장 가까운 최대 학습률 {:g}이(가) 그것({})에 가장 가까운 {:g}보다 "
                          "낫습니다",
                          told_rate(lowest.value - 1), *tenth, told_rate(lowest.value), *whole)},
             name_of(*tenth),
             name_of(*whole)}));
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Report report;
  read_test(results, report);
  report.sentences.push_back(
      judge(results, {{"A peak rate of 0.003 trains better than 0.0001", "최대 학습률 0.003이 0.0001보다 낫습니다"},
                      name_of(0.003),
                      name_of(0.0001)}));
  report.sentences.push_back(
      judge(results, {{"A peak rate of 0.003 trains better than 0.1", "최대 학습률 0.003이 0.1보다 낫습니다"},
                      name_of(0.003),
                      name_of(0.1)}));
  Series curve{.name = "range test, smoothed",
               .x = results.mean_list(test, "rates"),
               .y = results.mean_list(test, "losses"),
               .low = {},
               .high = {}};
  Series trained{.name = "held-out loss of trainings, by their peak rate"};
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
  return {
      "lr",
      {"Which learning rate?", "학습률은 얼마가 좋습니까?"},
      {"A range test, whose rate rises from 1e-5 to 1, and trainings with seven peak rates: each rises over a tenth of "
       "the steps and falls along a cosine.",
       "학습률이 1e-5에서 1까지 오르는 범위 시험과, 최대 학습률 7개로 한 학습입니다. 학습률은 스텝의 10분의 1 동안 "
       "오르고 코사인으로 내려갑니다."},
      arms,
      conclude};
}

}  // namespace gpt::lab
