// What this run shows that a reader should not miss: each with the numbers that say so.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "view_parts.h"

namespace gpt {
namespace {

bool has(const Json& document, const char* key) {
  return document.contains(key) && !document[key].is_null();
}

double last_of(const Json& list) {
  return list.empty() || list.back().is_null() ? std::nan("") : list.back().get<double>();
}

void add(Json& warnings, const char* view, const std::string& english, const std::string& korean) {
  Json warning = told(english, korean);
  warning["view"] = view;
  warnings.push_back(std::move(warning));
}

// Held-out loss that rises while the training loss goes on falling.
void look_at_loss(const Json& document, Json& warnings) {
  if (!has(document, "loss")) return;
  const Json& steps = document["loss"]["held_out"]["step"];
  const Json& losses = document["loss"]["held_out"]["loss"];
  if (losses.size() < 3) return;
  std::size_t best = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (losses[i].get<double>() < losses[best].get<double>()) best = i;
  }
  const double lowest = losses[best].get<double>(), last = last_of(losses);
  constexpr double rise = 0.01;  // nats
  if (last - lowest < rise) return;
  add(warnings, "loss",
      fmt::format("The held-out loss was lowest at step {} ({:.4f}) and has risen to {:.4f}: the model learns by heart",
                  steps[best].get<long>(), lowest, last),
      fmt::format("검증 손실은 {} 스텝({:.4f})에서 가장 낮았고 {:.4f}까지 올랐습니다. 모델이 데이터를 외우고 있습니다",
                  steps[best].get<long>(), lowest, last));
}

// Which recorded step lies nearest the middle of the training, where the rate is neither warming up nor decayed. The
// first steps are recorded more densely, so that it is not the middle line.
std::size_t middle_of(const Json& steps) {
  const double middle = steps.empty() ? 0 : steps.back().get<double>() / 2;
  std::size_t nearest = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (std::abs(steps[i].get<double>() - middle) < std::abs(steps[nearest].get<double>() - middle)) nearest = i;
  }
  return nearest;
}

// Ratios far from a thousandth.
void look_at_updates(const Json& document, Json& warnings) {
  if (!has(document, "per_matrix")) return;
  const Json& ratios = document["per_matrix"]["update_ratio"];
  const std::size_t nearest = middle_of(document["per_matrix"]["step"]);
  constexpr double high = 3e-2, low = 1e-5;
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    if (ratios[i].empty()) continue;
    const Json& middle = ratios[i][nearest];
    const double ratio = middle.is_null() ? std::nan("") : middle.get<double>();
    if (!(ratio > high || ratio < low)) continue;
    const auto name = document["matrices"][i]["name"].get<std::string>();
    const bool large = ratio > high;
    add(warnings, "updates",
        fmt::format("{}: in the middle of the training an update changes it by {:.1e} of its size, {} than the usual "
                    "1e-3: the learning rate is {} for it",
                    name, ratio, large ? "far more" : "far less", large ? "high" : "low"),
        fmt::format("{}: 학습 중간의 업데이트가 크기의 {:.1e}배로, 보통의 1e-3보다 훨씬 {}. 이 행렬에는 학습률이 {}",
                    name, ratio, large ? "큽니다" : "작습니다", large ? "높습니다" : "낮습니다"));
  }
}

// The median of a list of the document over the middle fifth of the training, by steps; NaN where nothing is finite.
double in_the_middle(const Json& steps, const Json& values) {
  const double end = steps.empty() ? 0 : steps.back().get<double>();
  std::vector<double> middle;
  for (std::size_t i = 0; i < steps.size() && i < values.size(); ++i) {
    const double step = steps[i].get<double>();
    if (step >= 0.4 * end && step <= 0.6 * end && !values[i].is_null()) middle.push_back(values[i].get<double>());
  }
  if (middle.empty()) return std::nan("");
  std::ranges::sort(middle);
  return (middle[(middle.size() - 1) / 2] + middle[middle.size() / 2]) / 2;
}

// The gradient of the first block's MLP beside the last one's. page/answers.js answers by the same numbers.
void look_at_gradients(const Json& document, Json& warnings) {
  if (!has(document, "per_matrix")) return;
  const Json& recorded = document["per_matrix"];
  std::vector<std::pair<std::string, double>> norms;
  for (std::size_t i = 0; i < document["matrices"].size(); ++i) {
    const auto name = document["matrices"][i]["name"].get<std::string>();
    const double norm = in_the_middle(recorded["step"], recorded["grad_norm"][i]);
    if (name.ends_with("mlp.c_fc.weight") && std::isfinite(norm)) norms.emplace_back(name, norm);
  }
  if (norms.size() < 2) return;
  const auto& [first, of_first] = norms.front();
  const auto& [last, of_last] = norms.back();
  if (of_first == 0 && of_last == 0) {
    add(warnings, "flow", fmt::format("The gradients of {} and {} are 0 in the middle of the training", first, last),
        fmt::format("학습 중간에 {}와 {}의 기울기가 0입니다", first, last));
    return;
  }
  constexpr double much = 10;
  const double ratio = of_first / of_last;
  if (ratio < much && ratio > 1 / much) return;
  add(warnings, "flow",
      fmt::format("The gradient of {} is {:.2g} times that of {} in the middle of the training: it {} on its way down",
                  first, ratio, last, ratio < 1 ? "vanishes" : "grows"),
      fmt::format("학습 중간에 {}의 기울기는 {}의 {:.2g}배입니다. 아래층으로 가면서 {}", first, last, ratio,
                  ratio < 1 ? "사라집니다" : "커집니다"));
}

void look_at_activations(const Json& document, Json& warnings) {
  if (!has(document, "activations")) return;
  const Json& activations = document["activations"];
  constexpr double many = 0.1;
  for (std::size_t i = 0; i < activations["layers"].size(); ++i) {
    const double silent = last_of(activations["never_fire"][i]);
    if (!(silent > many)) continue;
    const auto layer = activations["layers"][i].get<std::string>();
    add(warnings, "activations", fmt::format("{}: {:.0f} % of units never fire", layer, 100 * silent),
        fmt::format("{}: 유닛의 {:.0f} %가 한 번도 켜지지 않습니다", layer, 100 * silent));
  }
}

void look_at_heads(const Json& document, Json& warnings) {
  if (!has(document, "previous")) return;
  constexpr double mostly = 0.5;
  for (std::size_t l = 0; l < document["previous"].size(); ++l) {
    for (std::size_t h = 0; h < document["previous"][l].size(); ++h) {
      const Json& looked = document["previous"][l][h];
      const double part = looked.is_null() ? 0 : looked.get<double>();  // none where texts have one token
      if (part < mostly) continue;
      add(warnings, "attention",
          fmt::format("Head {} of block {} looks at the token before: {:.0f} % of its attention goes there", h, l,
                      100 * part),
          fmt::format("블록 {}의 헤드 {}는 바로 앞 토큰을 봅니다. 어텐션의 {:.0f} %가 그곳으로 갑니다", l, h,
                      100 * part));
    }
  }
}

void look_at_calibration(const Json& document, Json& warnings) {
  if (!has(document, "calibration")) return;
  const Json& error = document["calibration"]["ece"];
  constexpr double large = 0.05;
  if (error.is_null() || error.get<double>() < large) return;
  add(warnings, "calibration",
      fmt::format("What the model is sure of and what comes differ by {:.1f} % on average", 100 * error.get<double>()),
      fmt::format("모델의 확신과 실제로 맞은 비율이 평균 {:.1f} % 어긋납니다", 100 * error.get<double>()));
}

}  // namespace

Json warnings_part(const Json& document) {
  Json warnings = Json::array();
  look_at_loss(document, warnings);
  look_at_updates(document, warnings);
  look_at_gradients(document, warnings);
  look_at_activations(document, warnings);
  look_at_heads(document, warnings);
  look_at_calibration(document, warnings);
  return warnings;
}

}  // namespace gpt
