// GELU by formulas of rising cost and exactness: what each is off by, and what training pays for it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "polynomial.h"
#include "study.h"

namespace gpt::lab {
namespace {

using gradus::nn::Activation;
constexpr double reach = 4;
// GELU's odd part is x / 2: the next odd degree adds nothing to an even one.
constexpr int degrees[] = {2, 4, 6, 8};
constexpr const char *exact = "exact GELU", *with_tanh = "tanh GELU", *relu = "ReLU";

std::string name_of(int degree) {
  return fmt::format("degree {}", degree);
}

std::vector<Arm> arms(Index vocab_size) {
  std::vector<Arm> all;
  const auto add = [&](const std::string& name, Activation activation, std::vector<double> coefficients) {
    Arm arm{.name = name, .model = small_model(vocab_size)};
    arm.model.activation = activation, arm.model.activation_coefficients = std::move(coefficients);
    all.push_back(arm);
  };
  add(exact, Activation::gelu_erf, {});
  add(with_tanh, Activation::gelu_tanh, {});
  add(relu, Activation::relu, {});
  for (const int degree : degrees) {
    add(name_of(degree), Activation::polynomial, fit_gelu(degree, reach).coefficients);
  }
  return all;
}

Report conclude(const Results& results, const std::vector<Arm>& all) {
  Report report;
  report.sentences = {
      judge(results, {{"The exact GELU is better than its form with tanh", "정확한 GELU가 tanh 근사보다 낫습니다"},
                      exact,
                      with_tanh}),
      judge(results, {{"The exact GELU is better than ReLU", "정확한 GELU가 ReLU보다 낫습니다"}, exact, relu}),
      judge(results,
            {{"The exact GELU is better than a parabola", "정확한 GELU가 2차 다항식보다 낫습니다"}, exact, name_of(2)}),
      judge(results,
            {{"The exact GELU is better than its polynomial of degree 8", "정확한 GELU가 8차 다항식보다 낫습니다"},
             exact,
             name_of(8)})};
  Table table{{"Polynomials nearest to GELU on [-4, 4] (least squares at 2,001 points)",
               "[-4, 4]에서 GELU에 가장 가까운 다항식(점 2,001개의 최소제곱)"},
              {{"activation", "활성화"},
               {"largest error on [-4, 4]", "[-4, 4]의 최대 오차"},
               {"held-out loss less the exact GELU's", "정확한 GELU와의 검증 손실 차이"}},
              {}};
  Series series{.name = "polynomials"};
  const auto add_row = [&](const std::string& name, double error) {
    table.rows.push_back({name, fmt::format("{:.4f}", error), told(results.difference(name, exact))});
  };
  // Hendrycks and Gimpel 2016, section 2
  const auto tanh_form = [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  };
  add_row(with_tanh, largest_gelu_error(tanh_form, reach));
  add_row(relu, largest_gelu_error([](double x) { return std::max(x, 0.0); }, reach));
  for (const int degree : degrees) {
    const double error = fit_gelu(degree, reach).largest_error;
    add_row(name_of(degree), error);
    series.add(error, results.mean(name_of(degree)));
  }
  report.sentences.push_back(
      {"Odd degrees are left out: GELU is x / 2 and an even function, so that the polynomial of degree 3 is that of "
       "degree 2, and so on. Outside of [-4, 4] a polynomial leaves GELU quickly, as powers do; how many values lie "
       "there is not measured. Steps a second are in the table: a polynomial is computed here op by op, so its time "
       "says nothing of a fused one.",
       "홀수 차수는 뺐습니다. GELU는 x / 2와 짝함수의 합이어서 3차 다항식은 2차와 같고, 그 위도 그렇습니다. [-4, 4] "
       "밖에서 다항식은 거듭제곱처럼 GELU에서 빠르게 벗어납니다. 거기에 놓이는 값이 얼마나 되는지는 재지 않았습니다. "
       "초당 스텝은 표에 있습니다. 여기서 다항식은 연산을 이어 계산하므로 합친 커널의 시간과는 다릅니다."});
  report.charts.push_back({{"Held-out loss against the largest error", "최대 오차에 따른 검증 손실"},
                           {"largest error on [-4, 4]", "[-4, 4]의 최대 오차"},
                           {"nats", "nat"},
                           true,
                           false,
                           {series}});
  report.tables = {table_of_losses(results, all), table};
  return report;
}

}  // namespace

Study gelu_study() {
  return {"gelu",
          {"What does a cheaper GELU cost?", "값싼 GELU는 무엇을 잃습니까?"},
          {"The same GPT with the exact GELU, its form with tanh, ReLU, and polynomials of degree 2, 4, 6 and 8.",
           "정확한 GELU, tanh 근사, ReLU, 2, 4, 6, 8차 다항식을 쓴 같은 GPT를 비교합니다."},
          arms,
          conclude};
}

}  // namespace gpt::lab
