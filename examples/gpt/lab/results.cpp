#include "results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <gradus/models/detail/json.h>

namespace gpt::lab {
namespace {

using gradus::models::detail::Json;

double number_of(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

bool is_diverged(const Result& result) {
  const auto found = result.numbers.find("diverged");
  return found != result.numbers.end() && found->second != 0;
}

// "; "none": 2 diverged", for what a claim compares.
Sentence told_diverged(const Results& results, const Claim& claim) {
  Sentence told;
  for (const std::string& arm : {claim.a, claim.b}) {
    const Index count = results.diverged(arm);
    if (count == 0) continue;
    told.en += fmt::format("; \"{}\": {} diverged", arm, count);
    told.ko += fmt::format("; \"{}\": {}개 발산", arm, count);
  }
  return told;
}

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
    for (const auto& [name, number] : json->at("numbers").get<std::map<std::string, Json>>()) {
      result.numbers[name] = number_of(number);
    }
    for (const auto& [name, list] : json->at("lists").get<std::map<std::string, std::vector<Json>>>()) {
      std::vector<double>& entries = result.lists[name];
      for (const Json& entry : list) entries.push_back(number_of(entry));
    }
  } catch (const Json::exception&) {
    return {};
  }
  return result;
}

Results::Results(std::vector<Result> all, double uniform, double unigram, Index characters)
    : all_(std::move(all)), uniform_(uniform), unigram_(unigram), characters_(characters) {
  for (const char* const name : {"loss", "train"}) {
    double worst = uniform;
    for (const Result& result : all_) {
      const auto found = result.numbers.find(name);
      const bool counts = !is_diverged(result) && found != result.numbers.end() && std::isfinite(found->second);
      if (counts) worst = std::max(worst, found->second);
    }
    for (Result& result : all_) {
      if (is_diverged(result)) result.numbers[name] = worst;
    }
  }
  for (Result& result : all_) {
    if (is_diverged(result)) result.numbers.erase("gap");
  }
}

Index Results::diverged(const std::string& arm) const {
  return std::ranges::count_if(all_, [&](const Result& result) { return result.arm == arm && is_diverged(result); });
}

std::map<Index, double> Results::by_seed(const std::string& arm, const std::string& number) const {
  std::map<Index, double> numbers;
  for (const Result& result : all_) {
    const auto found = result.numbers.find(number);
    if (result.arm != arm || found == result.numbers.end() || !std::isfinite(found->second)) continue;
    numbers[result.seed] = found->second;
  }
  return numbers;
}

std::vector<double> Results::values(const std::string& arm, const std::string& number) const {
  std::vector<double> values;
  for (const auto& [seed, value] : by_seed(arm, number)) values.push_back(value);
  return values;
}

Mean Results::mean(const std::string& arm, const std::string& number) const {
  return mean_of(values(arm, number));
}

Mean Results::difference(const std::string& a, const std::string& b, const std::string& number) const {
  const std::map<Index, double> of_b = by_seed(b, number);
  std::vector<double> differences;
  for (const auto& [seed, value] : by_seed(a, number)) {
    const auto other = of_b.find(seed);
    if (other != of_b.end()) differences.push_back(value - other->second);
  }
  return mean_of(differences);
}

std::vector<double> Results::mean_list(const std::string& arm, const std::string& list) const {
  std::vector<std::vector<double>> entries;
  for (const Result& result : all_) {
    const auto found = result.lists.find(list);
    if (result.arm != arm || found == result.lists.end()) continue;
    entries.resize(std::max(entries.size(), found->second.size()));
    for (std::size_t i = 0; i < found->second.size(); ++i) {
      if (std::isfinite(found->second[i])) entries[i].push_back(found->second[i]);
    }
  }
  std::vector<double> means;
  for (const auto& entry : entries) means.push_back(mean_of(entry).value);
  return means;
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
  const Sentence diverged = told_diverged(results, claim);
  const std::string en = fmt::format(" ({}, \"{}\" less \"{}\": {}, {} seed{}{}).", claim.number, claim.a, claim.b,
                                     figures, difference.count, difference.count == 1 ? "" : "s", diverged.en);
  const std::string ko = fmt::format(" ({}, \"{}\" 빼기 \"{}\": {}, 시드 {}개{}).", claim.number, claim.a, claim.b,
                                     figures, difference.count, diverged.ko);
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
