#include "results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <gradus/models/detail/json.h>

namespace gpt::lab {
namespace {

using gradus::models::detail::Json;

}  // namespace

std::string Result::to_json() const {
  return gradus::models::detail::dump(Json{{"arm", arm}, {"seed", seed}, {"numbers", numbers}, {"lists", lists}});
}

std::optional<Result> Result::from_json(std::string_view text) {
  const auto json = gradus::models::detail::try_parse_json(text);
  if (!json || !json->is_object()) return {};
  Result result;
  try {
    json->at("arm").get_to(result.arm);
    json->at("seed").get_to(result.seed);
    json->at("numbers").get_to(result.numbers);
    json->at("lists").get_to(result.lists);
  } catch (const Json::exception&) {
    return {};
  }
  return result;
}

std::vector<double> Results::values(const std::string& arm, const std::string& number) const {
  std::vector<double> values;
  for (const Result& result : all_) {
    const auto found = result.numbers.find(number);
    if (result.arm == arm && found != result.numbers.end()) values.push_back(found->second);
  }
  return values;
}

Mean Results::mean(const std::string& arm, const std::string& number) const {
  return mean_of(values(arm, number));
}

Mean Results::difference(const std::string& a, const std::string& b, const std::string& number) const {
  std::map<Index, double> of_b;
  for (const Result& result : all_) {
    const auto found = result.numbers.find(number);
    if (result.arm == b && found != result.numbers.end()) of_b[result.seed] = found->second;
  }
  std::vector<double> differences;
  for (const Result& result : all_) {
    const auto found = result.numbers.find(number);
    const auto other = of_b.find(result.seed);
    if (result.arm == a && found != result.numbers.end() && other != of_b.end()) {
      differences.push_back(found->second - other->second);
    }
  }
  return mean_of(differences);
}

std::vector<double> Results::mean_list(const std::string& arm, const std::string& list) const {
  std::vector<double> sums;
  double count = 0;
  for (const Result& result : all_) {
    const auto found = result.lists.find(list);
    if (result.arm != arm || found == result.lists.end()) continue;
    sums.resize(std::max(sums.size(), found->second.size()));
    for (std::size_t i = 0; i < found->second.size(); ++i) sums[i] += found->second[i];
    ++count;
  }
  for (double& sum : sums) sum /= count;
  return sums;
}

Verdict verdict_on(const Mean& difference) {
  if (difference.count < 2 || !std::isfinite(difference.margin)) return Verdict::too_few;
  if (difference.high() < 0) return Verdict::lower;
  return difference.low() > 0 ? Verdict::higher : Verdict::not_shown;
}

std::string told(const Mean& mean, int digits) {
  if (mean.count == 0) return "-";
  if (!std::isfinite(mean.margin)) return fmt::format("{:.{}f}", mean.value, digits);
  return fmt::format("{:.{}f} ± {:.{}f}", mean.value, digits, mean.margin, digits);
}

Sentence judge(const Results& results, const Claim& claim) {
  const Mean difference = results.difference(claim.a, claim.b, claim.number);
  const std::string figures = difference.count == 0
                                  ? std::string("-")
                                  : fmt::format("{}{}", difference.value >= 0 ? "+" : "", told(difference));
  const std::string en = fmt::format(" ({}, \"{}\" less \"{}\": {}, {} seeds).", claim.number, claim.a, claim.b,
                                     figures, difference.count);
  const std::string ko = fmt::format(" ({}, \"{}\" 빼기 \"{}\": {}, 시드 {}개).", claim.number, claim.a, claim.b,
                                     figures, difference.count);
  const auto with = [&](const char* in_english, const char* in_korean) {
    return Sentence{claim.what.en + ": " + in_english + en, claim.what.ko + ": " + in_korean + ko};
  };
  switch (verdict_on(difference)) {
    case Verdict::lower:
      return with("this run shows it", "이 실행에서 드러납니다");
    case Verdict::higher:
      return with("this run shows the opposite", "이 실행은 반대를 보입니다");
    case Verdict::not_shown:
      return with("this run does not show it; the difference is within its noise",
                  "이 실행으로는 알 수 없습니다. 차이가 잡음보다 작습니다");
    case Verdict::too_few:
      break;
  }
  return with("this run does not show it; at least two seeds are needed to know the noise",
              "이 실행으로는 알 수 없습니다. 잡음을 알려면 시드가 둘 이상 필요합니다");
}

}  // namespace gpt::lab
