// Few data, so that the model can learn them by heart; weight decay holds the weights small.
#include <fmt/format.h>

#include <algorithm>

#include "../numbers.h"
#include "study.h"

namespace gpt::lab {
namespace {

constexpr double decays[] = {0, 0.1, 0.3, 1, 3, 10};
constexpr Index most_characters = 6000;

std::string name_of(double decay) {
  return fmt::format("decay {:g}", decay);
}

std::vector<Arm> arms(Index vocab_size) {
  std::vector<Arm> all;
  for (const double decay : decays) {
    all.push_back({.name = name_of(decay),
                   .model = small_model(vocab_size),
                   .weight_decay = decay,
                   .characters = most_characters});
  }
  return all;
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Report report;
  report.sentences = {
      judge(results, {{"A weight decay of 1 lowers the held-out loss", "가중치 감쇠 1이 검증 손실을 낮춥니다"},
                      name_of(1),
                      name_of(0)}),
      judge(results, {{"A weight decay of 1 raises the training loss: it keeps from learning by heart",
                       "가중치 감쇠 1이 학습 손실을 높입니다. 통째로 외우지 못하게 합니다"},
                      name_of(0),
                      name_of(1),
                      "train"}),
      judge(results, {{"A weight decay of 1 narrows the gap between both", "가중치 감쇠 1이 두 손실의 차이를 줄입니다"},
                      name_of(1),
                      name_of(0),
                      "gap"}),
      judge(results, {{"A weight decay of 10 is too much: its held-out loss is above that of 1",
                       "가중치 감쇠 10은 지나칩니다. 검증 손실이 1일 때보다 높습니다"},
                      name_of(1),
                      name_of(10)})};
  const std::string learned = grouped(std::min(most_characters, results.characters()));
  Chart chart{{fmt::format("Loss against weight decay, learning from {} characters", learned),
               fmt::format("가중치 감쇠에 따른 손실(글자 {}개로 학습)", learned)},
              {"weight decay (0.01 stands for 0)", "가중치 감쇠(0.01은 0)"},
              {"nats", "nat"},
              true,
              false,
              {}};
  Series held_out{.name = "held-out"}, train{.name = "training"};
  for (const double decay : decays) {
    held_out.add(decay == 0 ? 0.01 : decay, results.mean(name_of(decay)));
    train.add(decay == 0 ? 0.01 : decay, results.mean(name_of(decay), "train"));
  }
  chart.series = {held_out, train};
  report.charts.push_back(chart);
  report.tables.push_back(table_of_losses(results, all));
  return report;
}

}  // namespace

Study decay_study() {
  return {
      "decay",
      {"How does weight decay fight overfitting?", "가중치 감쇠는 과적합을 어떻게 막습니까?"},
      {"AdamW learns 6,000 characters (or the whole of a shorter text) again and again, with several weight decays; "
       "the "
       "held-out part is new to it.",
       "AdamW가 글자 6,000개(글이 더 짧으면 전부)를 되풀이해 배웁니다. 감쇠만 다르고, 검증 부분은 본 적이 없습니다."},
      arms,
      conclude};
}

}  // namespace gpt::lab
