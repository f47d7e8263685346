#include "../op_table.h"

#include <algorithm>

namespace gradus::testing {
namespace {

// Each row of the last dimension in rising order.
Array sorted_rows(const Array& x) {
  Array y = x;
  for (auto row = y.values.begin(); row != y.values.end(); row += x.shape.back()) std::sort(row, row + x.shape.back());
  return y;
}

void add_sort(std::vector<OpRow>& rows) {
  rows.push_back({.op = "sort",
                  .variant = "rising",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return sort(x[0]).values; },
                  .reference = [](Arrays x) { return sorted_rows(x[0]); },
                  .domains = {Domain::distinct},
                  .large = {{700, 20}},
                  .torch = "x[0].sort().values",
                  .edges = {{"ties", {{{2, 4}, {1, 1, 0, 1, 2, 2, 2, 2}}}}},
                  .limits = {0, 0}});
  rows.push_back({.op = "sort",
                  .variant = "falling_columns",
                  .shapes = {{5, 3}},
                  .f = [](In x) { return sort(x[0], 0, true).values; },
                  .reference =
                      [](Arrays x) {
                        const Array rising = sorted_rows(ref::permute(x[0], {1, 0}));
                        return ref::make(x[0].shape, [&](const ref::Indices& i) {
                          return rising.at({i[1], x[0].shape[0] - 1 - i[0]});
                        });
                      },
                  .domains = {Domain::distinct},
                  .torch = "x[0].sort(0, descending=True).values",
                  .limits = {0, 0}});
  rows.push_back({.op = "topk",
                  .variant = "largest",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return topk(x[0], 2).values; },
                  .reference =
                      [](Arrays x) {
                        const Array rising = sorted_rows(x[0]);
                        return ref::make({x[0].shape[0], 2}, [&](const ref::Indices& i) {
                          return rising.at({i[0], x[0].shape[1] - 1 - i[1]});
                        });
                      },
                  .domains = {Domain::distinct},
                  .torch = "x[0].topk(2).values",
                  .limits = {0, 0}});
  rows.push_back({.op = "topk",
                  .variant = "smallest_of_columns",
                  .shapes = {{4, 3}},
                  .f = [](In x) { return topk(x[0], 3, 0, false).values; },
                  .reference =
                      [](Arrays x) {
                        return ref::slice(ref::permute(sorted_rows(ref::permute(x[0], {1, 0})), {1, 0}), 0, 0, 3);
                      },
                  .domains = {Domain::distinct},
                  .torch = "x[0].topk(3, 0, largest=False).values",
                  .limits = {0, 0}});
  rows.push_back({.op = "median",
                  .variant = "even",
                  .shapes = {{3, 6}},
                  .f = [](In x) { return median(x[0], -1, true).values; },
                  .reference = [](Arrays x) { return ref::slice(sorted_rows(x[0]), 1, 2, 3); },
                  .domains = {Domain::distinct},
                  .torch = "x[0].median(-1, keepdim=True).values",
                  .limits = {0, 0}});
  rows.push_back({.op = "median",
                  .variant = "all",
                  .shapes = {{3, 5}},
                  .f = [](In x) { return median(x[0]); },
                  .reference =
                      [](Arrays x) {
                        Array flat{{static_cast<Index>(x[0].values.size())}, x[0].values};
                        return Array{{}, {sorted_rows(flat).values[(flat.values.size() - 1) / 2]}};
                      },
                  .domains = {Domain::distinct},
                  .torch = "x[0].median()",
                  .limits = {0, 0}});
}

const AddRows sort_rows("sort", add_sort);

}  // namespace
}  // namespace gradus::testing
