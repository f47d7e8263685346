// Residual connections and norms, with and without, over depth: where does it stop learning? A depth learns if the
// whole interval of its held-out loss is below that of guessing by how often each character comes.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "study.h"

namespace gpt::lab {
namespace {

constexpr Index depths[] = {1, 2, 4, 8, 12};

std::string name_of(Index depth, bool has_part, const char* part) {
  return fmt::format("{} layer{}, {} {}", depth, depth == 1 ? "" : "s", has_part ? "with" : "without", part);
}

std::vector<Arm> arms(Index vocab_size, const char* part) {
  std::vector<Arm> all;
  for (const Index depth : depths) {
    for (const bool has_part : {true, false}) {
      Arm arm{.name = name_of(depth, has_part, part), .model = small_model(vocab_size)};
      arm.model.n_layer = depth, arm.model.n_embd = 32;
      if (!has_part && std::string_view(part) == "norm") arm.model.norm = gradus::models::NormKind::none;
      if (!has_part && std::string_view(part) == "residual") arm.model.residual = false;
      all.push_back(arm);
    }
  }
  return all;
}

std::string listed(const std::vector<Index>& all) {
  return fmt::format("{}", fmt::join(all, ", "));
}

// Where it stops is said only if every smaller depth learns and no larger one does.
Sentence told_depths(const Results& results, bool has_part, const char* part, const char* part_ko) {
  std::vector<Index> learn, others;
  Index fewest = std::numeric_limits<Index>::max();
  for (const Index depth : depths) {
    const Mean loss = results.mean(name_of(depth, has_part, part));
    fewest = std::min(fewest, loss.count);
    (loss.high() < results.unigram() ? learn : others).push_back(depth);
  }
  const std::string en = fmt::format("{} {}", has_part ? "With" : "Without", part);
  const std::string ko = fmt::format("{} {}", part_ko, has_part ? "있음" : "없음");
  const std::string base = fmt::format("{:.4f}", results.unigram());
  if (fewest < 2) {
    return {
        fmt::format("{}: this run does not show which depths learn; at least two seeds of each are needed.", en),
        fmt::format("{}: 이 실행으로는 어느 깊이가 배우는지 알 수 없습니다. 깊이마다 시드가 둘 이상 필요합니다.", ko)};
  }
  if (others.empty()) {
    return {fmt::format("{} every tested depth, 1 to 12 layers, learns: below {} nats, the loss of guessing by counts.",
                        en, base),
            fmt::format("{}: 시험한 1~12층 모두 배웁니다. 빈도로 찍을 때의 손실 {} nat보다 낮습니다.", ko, base)};
  }
  if (learn.empty()) {
    return {fmt::format("{} not even 1 layer is sure to learn in this time, so this run does not show where it stops; "
                        "give it more --minutes.",
                        en),
            fmt::format("{}: 이 시간에는 1층도 배운다고 할 수 없어 어디서 멈추는지 알 수 없습니다. --minutes를 "
                        "늘리세요.",
                        ko)};
  }
  if (learn.back() < others.front()) {
    return {fmt::format("{} it stops learning at {} layers: from there on its loss is not surely below {} nats, that "
                        "of guessing by counts.",
                        en, others.front(), base),
            fmt::format("{}: {}층부터 배우지 못합니다. 손실이 빈도로 찍을 때의 {} nat보다 낮다고 할 수 없습니다.", ko,
                        others.front(), base)};
  }
  return {fmt::format("{} no depth is where it stops: {} layers learn, below {} nats, the loss of guessing by counts, "
                      "and {} are not sure to.",
                      en, listed(learn), base, listed(others)),
          fmt::format("{}: 어디서 멈추는지 정할 수 없습니다. {}층은 빈도로 찍을 때의 {} nat보다 낮아 배우고, {}층은 "
                      "배운다고 할 수 없습니다.",
                      ko, listed(learn), base, listed(others))};
}

Report conclude(const Results& results, const std::vector<Arm>& all, const char* part, const char* part_ko) {
  Report report;
  for (const Index depth : {Index{1}, Index{4}, Index{12}}) {
    report.sentences.push_back(judge(
        results, {{fmt::format("At {} layer{} it is better with {} than without", depth, depth == 1 ? "" : "s", part),
                   fmt::format("{}층에서 {}이 있는 쪽이 낫습니다", depth, part_ko)},
                  name_of(depth, true, part),
                  name_of(depth, false, part)}));
  }
  report.sentences.push_back(told_depths(results, true, part, part_ko));
  report.sentences.push_back(told_depths(results, false, part, part_ko));
  Chart losses{
      {"Held-out loss against depth", "깊이에 따른 검증 손실"}, {"layers", "층"}, {"nats", "nat"}, true, false, {}};
  Chart ratios{{"Gradient norm of the first block over that of the last, before training",
                "학습 전 첫 블록과 마지막 블록의 기울기 노름 비"},
               {"layers", "층"},
               {"ratio", "비"},
               true,
               true,
               {}};
  for (const bool has_part : {true, false}) {
    Series loss{.name = fmt::format("{} {}", has_part ? "with" : "without", part)}, ratio = loss;
    for (const Index depth : depths) {
      loss.add(static_cast<double>(depth), results.mean(name_of(depth, has_part, part)));
      const std::vector<double> norms = results.mean_list(name_of(depth, has_part, part), "gradient");
      if (norms.empty() || !(norms.back() > 0)) continue;
      ratio.x.push_back(static_cast<double>(depth)), ratio.y.push_back(norms.front() / norms.back());
    }
    losses.series.push_back(loss), ratios.series.push_back(ratio);
  }
  report.charts = {losses, ratios};
  report.tables.push_back(table_of_losses(results, all));
  return report;
}

}  // namespace

Study residual_study() {
  return {"residual",
          {"What are residual connections for?", "잔차 연결은 왜 필요합니까?"},
          {"1 to 12 layers of width 32, with residual connections and without.",
           "너비 32, 1~12층에서 잔차 연결이 있는 것과 없는 것을 비교합니다."},
          [](Index vocab_size) { return arms(vocab_size, "residual"); },
          [](const Results& results, const std::vector<Arm>& all) {
            return conclude(results, all, "residual", "잔차 연결");
          },
          200};
}

Study norm_study() {
  return {"norm",
          {"What are norms for?", "정규화는 왜 필요합니까?"},
          {"1 to 12 layers of width 32, with LayerNorm and without any norm.",
           "너비 32, 1~12층에서 LayerNorm이 있는 것과 없는 것을 비교합니다."},
          [](Index vocab_size) { return arms(vocab_size, "norm"); },
          [](const Results& results, const std::vector<Arm>& all) { return conclude(results, all, "norm", "정규화"); },
          200};
}

}  // namespace gpt::lab
