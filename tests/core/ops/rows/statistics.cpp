#include "../op_table.h"

#include <algorithm>
#include <cmath>

namespace gradus::testing {
namespace {

using Line = const std::vector<double>&;

// An op along one dimension of (3, 5), the last.
struct OfLines {
  const char *op, *variant;
  Tensor (*f)(const Tensor&);
  std::vector<double> (*line)(Line);
  const char* torch;
  Domain domain = Domain::any;
};

void add_statistics(std::vector<OpRow>& rows) {
  using Values = std::vector<double>;
  const OfLines table[] = {
      {"nansum", "", [](const Tensor& x) { return nansum(x, -1, true); }, [](Line v) { return Values{ref::sum_of(v)}; },
       "torch.nansum(x[0], -1, keepdim=True)"},
      {"nanmean", "", [](const Tensor& x) { return nanmean(x, -1, true); },
       [](Line v) { return Values{ref::sum_of(v) / 5}; }, "torch.nanmean(x[0], -1, keepdim=True)"},
      {"quantile", "", [](const Tensor& x) { return quantile(x, 0.375, -1, true); },
       [](Line v) {
         Values s = v;
         std::ranges::sort(s);
         return Values{(s[1] + s[2]) / 2};
       },
       "torch.quantile(x[0], 0.375, -1, keepdim=True)", Domain::distinct},
      {"kthvalue", "", [](const Tensor& x) { return kthvalue(x, 2, -1, true).values; },
       [](Line v) {
         Values s = v;
         std::ranges::sort(s);
         return Values{s[1]};
       },
       "torch.kthvalue(x[0], 2, -1, keepdim=True).values", Domain::distinct},
      {"mode", "", [](const Tensor& x) { return mode(x, -1, true).values; },
       [](Line v) { return Values{*std::ranges::min_element(v)}; }, "torch.mode(x[0], -1, keepdim=True).values",
       Domain::distinct},
      {"cummax", "", [](const Tensor& x) { return cummax(x, -1).values; },
       [](Line v) {
         Values y = v;
         for (std::size_t i = 1; i < y.size(); ++i) y[i] = std::max(y[i], y[i - 1]);
         return y;
       },
       "torch.cummax(x[0], -1).values", Domain::distinct},
      {"cummin", "", [](const Tensor& x) { return cummin(x, -1).values; },
       [](Line v) {
         Values y = v;
         for (std::size_t i = 1; i < y.size(); ++i) y[i] = std::min(y[i], y[i - 1]);
         return y;
       },
       "torch.cummin(x[0], -1).values", Domain::distinct},
      {"logcumsumexp", "", [](const Tensor& x) { return logcumsumexp(x, -1); },
       [](Line v) {
         Values y = v;
         double sum = 0;
         for (double& value : y) value = std::log(sum += std::exp(value));
         return y;
       },
       "torch.logcumsumexp(x[0], -1)"},
      {"diff", "", [](const Tensor& x) { return diff(x, 2); },
       [](Line v) {
         Values y;
         for (std::size_t i = 2; i < v.size(); ++i) y.push_back(v[i] - 2 * v[i - 1] + v[i - 2]);
         return y;
       },
       "torch.diff(x[0], 2)"},
      {"trapezoid", "", [](const Tensor& x) { return unsqueeze(trapezoid(x, 0.5), -1); },
       [](Line v) { return Values{(ref::sum_of(v) - (v.front() + v.back()) / 2) / 2}; },
       "torch.trapezoid(x[0], dx=0.5).unsqueeze(-1)"},
      {"trapezoid", "places",
       [](const Tensor& x) {
         return unsqueeze(trapezoid(x, tensor({0, 1, 3, 4, 6}, x.dtype())), -1);
       },
       [](Line v) { return Values{(v[0] + v[1]) / 2 + v[1] + v[2] + (v[2] + v[3]) / 2 + v[3] + v[4]}; },
       "torch.trapezoid(x[0], torch.tensor([0, 1, 3, 4, 6], dtype=x[0].dtype)).unsqueeze(-1)"},
      {"cumulative_trapezoid", "", [](const Tensor& x) { return cumulative_trapezoid(x); },
       [](Line v) {
         Values y;
         double sum = 0;
         for (std::size_t i = 1; i < v.size(); ++i) y.push_back(sum += (v[i - 1] + v[i]) / 2);
         return y;
       },
       "torch.cumulative_trapezoid(x[0])"},
  };
  for (const OfLines& row : table) {
    rows.push_back({.op = row.op,
                    .variant = row.variant,
                    .shapes = {{3, 5}},
                    .f = [f = row.f](In x) { return f(x[0]); },
                    .reference =
                        [line = row.line](Arrays x) {
                          std::vector<double> all;
                          for (Index i = 0; i < 3; ++i) {
                            const auto begin = x[0].values.begin() + i * 5;
                            for (const double y : line(std::vector<double>(begin, begin + 5))) all.push_back(y);
                          }
                          const auto cols = static_cast<Index>(all.size()) / 3;
                          return Array{{3, cols}, all};
                        },
                    .domains = {row.domain},
                    .torch = row.torch,
                    .limits = {32, 64}});
  }
  rows.push_back({.op = "msort",
                  .shapes = {{4}},
                  .f = [](In x) { return msort(x[0]); },
                  .reference =
                      [](Arrays x) {
                        Array y = x[0];
                        std::ranges::sort(y.values);
                        return y;
                      },
                  .domains = {Domain::distinct},
                  .limits = {0, 0}});
  rows.push_back({.op = "dist",
                  .shapes = {{3, 5}, {5}},
                  .f = [](In x) { return dist(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        double sum = 0;
                        for (const double d : ref::binary(x[0], x[1], [](double a, double b) { return a - b; }).values)
                          sum += d * d;
                        return Array{{}, {std::sqrt(sum)}};
                      },
                  .limits = {16, 32}});
  const auto covariance = [](const Array& x) {
    return ref::make({3, 3}, [&](const ref::Indices& i) {
      double mean[2] = {}, sum = 0;
      for (Index k = 0; k < 5; ++k) {
        mean[0] += x.at({i[0], k}) / 5;
        mean[1] += x.at({i[1], k}) / 5;
      }
      for (Index k = 0; k < 5; ++k) sum += (x.at({i[0], k}) - mean[0]) * (x.at({i[1], k}) - mean[1]);
      return sum / 4;
    });
  };
  rows.push_back({.op = "cov",
                  .shapes = {{3, 5}},
                  .f = [](In x) { return cov(x[0]); },
                  .reference = [covariance](Arrays x) { return covariance(x[0]); },
                  .limits = {32, 64}});
  rows.push_back({.op = "corrcoef",
                  .shapes = {{3, 5}},
                  // The elements off the diagonal: on it PyTorch and gradus cut roundings above 1 off.
                  .f = [](In x) { return triu(corrcoef(x[0]), 1); },
                  .reference =
                      [covariance](Arrays x) {
                        const Array c = covariance(x[0]);
                        return ref::make({3, 3}, [&](const ref::Indices& i) {
                          return i[1] <= i[0] ? 0 : c.at(i) / std::sqrt(c.at({i[0], i[0]}) * c.at({i[1], i[1]}));
                        });
                      },
                  .torch = "torch.triu(torch.corrcoef(x[0]), 1)",
                  .limits = {32, 128},
                  .f32_grad_tolerance = 4e-5});
}

const AddRows statistics_rows("statistics", add_statistics);

}  // namespace
}  // namespace gradus::testing
