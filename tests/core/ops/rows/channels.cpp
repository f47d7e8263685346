#include "../op_table.h"

#include <algorithm>
#include <cmath>

namespace gradus::testing {
namespace {

void add_channels(std::vector<OpRow>& rows) {
  rows.push_back({.op = "local_response_norm",
                  .shapes = {{2, 5, 3}},
                  .f = [](In x) { return local_response_norm(x[0], 3, 0.5); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 5, 3}, [&](const ref::Indices& i) {
                          double sum = 0;
                          for (Index c = std::max<Index>(0, i[1] - 1); c < std::min<Index>(5, i[1] + 2); ++c)
                            sum += std::pow(x[0].at({i[0], c, i[2]}), 2);
                          return x[0].at(i) / std::pow(1 + 0.5 * sum / 3, 0.75);
                        });
                      },
                  .torch = "F.local_response_norm(x[0], 3, 0.5)",
                  .limits = {32, 64}});
  rows.push_back({.op = "lp_pool1d",
                  .shapes = {{1, 2, 6}},
                  .f = [](In x) { return lp_pool1d(x[0], 3, 2); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({1, 2, 3}, [&](const ref::Indices& i) {
                          return std::cbrt(std::pow(x[0].at({0, i[1], 2 * i[2]}), 3) +
                                           std::pow(x[0].at({0, i[1], 2 * i[2] + 1}), 3));
                        });
                      },
                  .domains = {Domain::positive},
                  .torch = "F.lp_pool1d(x[0], 3, 2)",
                  .limits = {32, 64}});
  rows.push_back({.op = "lp_pool2d",
                  .shapes = {{1, 2, 2, 4}},
                  .f = [](In x) { return lp_pool2d(x[0], 2, 2); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({1, 2, 1, 2}, [&](const ref::Indices& i) {
                          double sum = 0;
                          for (Index k = 0; k < 4; ++k) sum += std::pow(x[0].at({0, i[1], k / 2, 2 * i[3] + k % 2}), 2);
                          return std::sqrt(sum);
                        });
                      },
                  .domains = {Domain::positive},
                  .torch = "F.lp_pool2d(x[0], 2, 2)",
                  .limits = {32, 64}});
  rows.push_back({.op = "multi_margin_loss",
                  .shapes = {{3, 4}},
                  .f =
                      [](In x) {
                        return multi_margin_loss(x[0], {2, 0, 3}, {.p = 2});
                      },
                  .reference =
                      [](Arrays x) {
                        const Index targets[] = {2, 0, 3};
                        double sum = 0;
                        for (Index i = 0; i < 3; ++i) {
                          for (Index j = 0; j < 4; ++j) {
                            const double above = 1 - x[0].at({i, targets[i]}) + x[0].at({i, j});
                            if (j != targets[i]) sum += std::pow(std::max(0.0, above), 2) / 12;
                          }
                        }
                        return Array{{}, {sum}};
                      },
                  .torch = "F.multi_margin_loss(x[0], torch.tensor([2, 0, 3]), p=2)",
                  .limits = {16, 64}});
  rows.push_back({.op = "multilabel_soft_margin_loss",
                  .shapes = {{3, 4}, {3, 4}},
                  .f = [](In x) { return multilabel_soft_margin_loss(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        double sum = 0;
                        for (std::size_t i = 0; i < 12; ++i) {
                          const double t = x[1].values[i], v = x[0].values[i];
                          sum += (t * std::log(1 + std::exp(-v)) + (1 - t) * std::log(1 + std::exp(v))) / 12;
                        }
                        return Array{{}, {sum}};
                      },
                  .domains = {Domain::any, Domain::flags},
                  .no_gradient = {1},
                  .limits = {16, 64}});
}

const AddRows channel_rows("channels", add_channels);

}  // namespace
}  // namespace gradus::testing
