#include "../op_table.h"

namespace gradus::testing {
namespace {

void add_embedding(std::vector<OpRow>& rows) {
  rows.push_back({.op = "embedding",
                  .variant = "repeated_ids",
                  .shapes = {{5, 3}},
                  .f = [](In x) { return embedding(x[0], picks(11, x[0].size(0), 0)); },
                  .reference = [](Arrays x) { return ref::embedding(x[0], picks(11, x[0].shape[0], 0), {11}); },
                  .sized = GRADUS_SIZED({5, n}),
                  .torch = "F.embedding(picks(11, x[0].size(0)), x[0])",
                  .limits = {0, 0},
                  .f32_grad_tolerance = 1e-5});
  rows.push_back({.op = "embedding",
                  .variant = "ids_of_two_dimensions",
                  .shapes = {{5, 3}},
                  .f =
                      [](In x) {
                        return embedding(x[0], picks(600, x[0].size(0), 0), {2, 300});
                      },
                  .reference =
                      [](Arrays x) {
                        return ref::embedding(x[0], picks(600, x[0].shape[0], 0), {2, 300});
                      },
                  .large = {{50, 260}},
                  .torch = "F.embedding(picks(600, x[0].size(0)).reshape(2, 300), x[0])",
                  .limits = {0, 0},
                  .f32_grad_tolerance = 1e-4});  // 120 terms for each row
}

const AddRows embedding_rows("embedding", add_embedding);

}  // namespace
}  // namespace gradus::testing
