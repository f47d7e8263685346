// More heads at one width make each head narrower: the T x T matrix of its scores has rank at most its width, so that
// heads narrower than the context cannot say every pattern of attention (Bhojanapalli et al. 2020). Heads of a fixed
// size are never narrower, but their parameters grow with their number.
#include <fmt/format.h>

#include "study.h"

namespace gpt::lab {
namespace {

constexpr Index width = 64, fixed = 16;
constexpr Index at_width[] = {1, 2, 4, 8, 16, 32, 64}, of_size[] = {1, 2, 4, 8, 16};

std::string name_of(Index heads, Index size) {
  return fmt::format("{} head{} of {}", heads, heads == 1 ? "" : "s", size);
}

std::vector<Arm> arms(Index vocab_size) {
  std::vector<Arm> all;
  const auto add = [&](Index heads, Index size) {
    Arm arm{.name = name_of(heads, size), .model = small_model(vocab_size)};
    arm.model.n_head = heads, arm.model.head_size = size;
    all.push_back(arm);
  };
  for (const Index heads : at_width) add(heads, width / heads);
  for (const Index heads : of_size) {
    if (heads * fixed != width) add(heads, fixed);
  }
  return all;
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Report report;
  for (const Claim& claim : {
           Claim{{"At a fixed width, 4 heads are better than 1", "너비가 같을 때 헤드 4개가 1개보다 낫습니다"},
                 name_of(4, 16),
                 name_of(1, 64)},
           Claim{{"At a fixed width, and with as many parameters, 4 heads of 16 are better than 16 heads of 4",
                  "너비와 파라미터 수가 같을 때 크기 16인 헤드 4개가 크기 4인 16개보다 낫습니다"},
                 name_of(4, 16),
                 name_of(16, 4)},
           Claim{{"At a fixed width, 64 heads of width 1 are worse than 4",
                  "너비가 같을 때 너비 1짜리 헤드 64개는 4개보다 못합니다"},
                 name_of(4, 16),
                 name_of(64, 1)},
           Claim{{"At a fixed head size, 16 heads, with four times the parameters of attention, are better than 4",
                  "헤드 크기가 같을 때 16개(어텐션 파라미터는 4배)가 4개보다 낫습니다"},
                 name_of(16, 16),
                 name_of(4, 16)},
       }) {
    report.sentences.push_back(judge(results, claim));
  }
  report.sentences.push_back(
      {"Why narrow heads could hurt, which is known from elsewhere and not tested here: a head of width d gives a 64 x "
       "64 matrix of scores of rank at most d, and 64 tokens look back; below that a head cannot say every pattern "
       "(Bhojanapalli et al. 2020).",
       "좁은 헤드가 해로울 수 있는 까닭(알려진 것이고 여기서 시험하지는 않습니다): 너비 d인 헤드의 64 x 64 점수 "
       "행렬은 계수가 d 이하이고, 토큰 64개를 봅니다. d가 그보다 작으면 모든 패턴을 표현하지 못합니다(Bhojanapalli 외 "
       "2020)."});
  Chart chart{
      {"Held-out loss against heads", "헤드 수에 따른 검증 손실"}, {"heads", "헤드"}, {"nats", "nat"}, true, false, {}};
  Series by_width{.name = "width 64 in all"}, by_size{.name = "each 16 wide"};
  for (const Index heads : at_width)
    by_width.add(static_cast<double>(heads), results.mean(name_of(heads, width / heads)));
  for (const Index heads : of_size) by_size.add(static_cast<double>(heads), results.mean(name_of(heads, fixed)));
  chart.series = {by_width, by_size};
  report.charts.push_back(chart);
  report.tables.push_back(table_of_losses(results, all));
  return report;
}

}  // namespace

Study heads_study() {
  return {"heads",
          {"Do more heads help, and when do they hurt?", "헤드가 많으면 좋습니까? 언제 해가 됩니까?"},
          {"A GPT of width 64 with 1 to 64 heads that share its width, and with 1 to 16 heads that are 16 wide each.",
           "너비 64인 GPT에서, 너비를 나눠 쓰는 헤드 1~64개와 너비가 16으로 같은 헤드 1~16개를 비교합니다."},
          arms,
          conclude};
}

}  // namespace gpt::lab
