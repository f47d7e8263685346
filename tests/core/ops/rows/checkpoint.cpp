#include "../op_table.h"

#include <cmath>

#include <gradus/core/checkpoint.h>

namespace gradus::testing {
namespace {

void add_checkpoint(std::vector<OpRow>& rows) {
  rows.push_back(
      {.op = "checkpoint",
       .variant = "",
       .shapes = {{3, 7}, {7}},
       .f = [](In x) { return checkpoint([](In inner) { return tanh(inner[0] * inner[1]) * inner[0]; }, x); },
       .reference =
           [](Arrays x) { return ref::binary(x[0], x[1], [](double a, double b) { return std::tanh(a * b) * a; }); },
       .sized = GRADUS_SIZED({3, n}, {n}),
       .large = {{300, 401}, {401}},
       .torch = "torch.tanh(x[0] * x[1]) * x[0]",
       .limits = {8, 16}});
}

const AddRows checkpoint_rows("checkpoint", add_checkpoint);

}  // namespace
}  // namespace gradus::testing
