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

const AddRows dropout_rows("dropout", add_dropout);

}  // namespace
}  // namespace gradus::testing
