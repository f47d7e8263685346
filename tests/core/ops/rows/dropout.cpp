#include "../op_table.h"

namespace gradus::testing {
namespace {

void add_dropout(std::vector<OpRow>& rows) {
  rows.push_back({.op = "dropout",
                  .variant = "",
                  .shapes = {{3, 7}},
                  .f =
                      [](In x) {
                        Generator generator(7);
                        return dropout(x[0], 0.3, true, generator);
                      },
                  .reference = [](Arrays x) { return ref::dropout(x[0], 0.3, 7); },
                  .sized = GRADUS_SIZED({2, n}),
                  .large = {{300, 401}},
                  .torch = "x[0] * dropout_mask(x[0].shape, 0.3, 7) / (1 - 0.3)",
                  .limits = {3, 3}});
  rows.push_back({.op = "dropout",
                  .variant = "off",
                  .shapes = {{3, 7}},
                  .f = [](In x) { return dropout(x[0], 0.3, false); },
                  .reference = [](Arrays x) { return x[0]; },
                  .torch = "x[0].clone()",
                  .limits = {0, 0}});
}

// Outside of training, values stay as they are.
void add_untrained(std::vector<OpRow>& rows) {
  struct Row {
    const char* op;
    Tensor (*f)(const Tensor&);
    const char* torch;
  };
  const Row table[] = {
      {"dropout1d", [](const Tensor& x) { return dropout1d(x, 0.5, false); }, "F.dropout1d(x[0], 0.5, False)"},
      {"dropout2d", [](const Tensor& x) { return dropout2d(x, 0.5, false); }, "F.dropout2d(x[0], 0.5, False)"},
      {"alpha_dropout", [](const Tensor& x) { return alpha_dropout(x, 0.5, false); },
       "F.alpha_dropout(x[0], 0.5, False)"},
      {"feature_alpha_dropout", [](const Tensor& x) { return feature_alpha_dropout(x, 0.5, false); },
       "F.feature_alpha_dropout(x[0], 0.5, False)"},
  };
  for (const Row& row : table) {
    rows.push_back({.op = row.op,
                    .variant = "none",
                    .shapes = {{2, 3, 4}},
                    .f = [f = row.f](In x) { return f(x[0]) * 1; },
                    .reference = [](Arrays x) { return x[0]; },
                    .torch = row.torch,
                    .limits = {0, 0}});
  }
}

const AddRows dropout_rows("dropout", [](std::vector<OpRow>& rows) {
  add_dropout(rows);
  add_untrained(rows);
});

}  // namespace
}  // namespace gradus::testing
