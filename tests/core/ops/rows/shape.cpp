// Moves, picks or copies what is there, so PyTorch has the same bits.
#include "../op_table.h"

namespace gradus::testing {
namespace {

void add_shape(std::vector<OpRow>& rows) {
  rows.push_back({.op = "reshape",
                  .variant = "",
                  .shapes = {{3, 4}},
                  .f =
                      [](In x) {
                        return reshape(x[0], {2, x[0].numel() / 2, 1});
                      },
                  .reference =
                      [](Arrays x) {
                        return Array{{2, x[0].shape.numel() / 2, 1}, x[0].values};
                      },
                  .sized = GRADUS_SIZED({2, n}),
                  .large = {{300, 500}},
                  .torch = "x[0].reshape(2, -1, 1)",
                  .limits = {0, 0}});
  struct Permutation {
    const char* variant;
    Shape shape;
    std::vector<Index> dims;
    Shape large = {};
  };
  for (const Permutation& p :
       {Permutation{"two", {3, 5}, {1, 0}, {300, 501}}, Permutation{"three", {2, 3, 4}, {2, 0, 1}, {40, 60, 51}},
        Permutation{"four", {2, 3, 4, 5}, {0, 2, 1, 3}, {5, 40, 60, 13}}, Permutation{"identity", {2, 3}, {0, 1}}}) {
    rows.push_back({.op = "permute",
                    .variant = p.variant,
                    .shapes = {p.shape},
                    .f = [dims = p.dims](In x) { return permute(x[0], dims); },
                    .reference = [dims = p.dims](Arrays x) { return ref::permute(x[0], dims); },
                    .sized =
                        [shape = p.shape](Index n) {
                          Shape sized = shape;
                          sized.set(-1, n);
                          return Shapes{sized};
                        },
                    .large = p.large.rank() == 0 ? Shapes{} : Shapes{p.large},
                    .torch = fmt::format("x[0].permute({}).contiguous()", fmt::join(p.dims, ", ")),
                    .limits = {0, 0}});
  }
  rows.push_back({.op = "permute",
                  .variant = "negative_dims",
                  .shapes = {{2, 3, 4}},
                  .f =
                      [](In x) {
                        return permute(x[0], {-2, 0, -1});
                      },
                  .reference =
                      [](Arrays x) {
                        return ref::permute(x[0], {1, 0, 2});
                      },
                  .torch = "x[0].permute(-2, 0, -1).contiguous()",
                  .limits = {0, 0}});
  rows.push_back({.op = "transpose",
                  .variant = "last_two",
                  .shapes = {{2, 3, 4}},
                  .f = [](In x) { return transpose(x[0]); },
                  .reference =
                      [](Arrays x) {
                        return ref::permute(x[0], {0, 2, 1});
                      },
                  .torch = "x[0].transpose(-2, -1)",
                  .limits = {0, 0}});
  rows.push_back({.op = "transpose",
                  .variant = "outer",
                  .shapes = {{2, 3, 4}},
                  .f = [](In x) { return transpose(x[0], 0, 2); },
                  .reference =
                      [](Arrays x) {
                        return ref::permute(x[0], {2, 1, 0});
                      },
                  .torch = "x[0].transpose(0, 2)",
                  .limits = {0, 0}});
  rows.push_back({.op = "slice",
                  .variant = "rows",
                  .shapes = {{5, 3}},
                  .f = [](In x) { return slice(x[0], 0, 1, 4); },
                  .reference = [](Arrays x) { return ref::slice(x[0], 0, 1, 4); },
                  .sized = GRADUS_SIZED({5, n}),
                  .large = {{5, 60'001}},
                  .torch = "x[0][1:4]",
                  .limits = {0, 0}});
  rows.push_back({.op = "slice",
                  .variant = "columns",
                  .shapes = {{2, 3, 6}},
                  .f = [](In x) { return slice(x[0], -1, x[0].size(-1) / 3, x[0].size(-1)); },
                  .reference = [](Arrays x) { return ref::slice(x[0], 2, x[0].shape[2] / 3, x[0].shape[2]); },
                  .sized = GRADUS_SIZED({2, 2, n}),
                  .torch = "x[0][..., x[0].size(-1) // 3:]",
                  .limits = {0, 0}});
  rows.push_back({.op = "slice",
                  .variant = "middle",
                  .shapes = {{2, 5, 3}},
                  .f = [](In x) { return slice(x[0], 1, 2, 3); },
                  .reference = [](Arrays x) { return ref::slice(x[0], 1, 2, 3); },
                  .torch = "x[0][:, 2:3]",
                  .limits = {0, 0}});
  struct Join {
    const char* variant;
    Shapes shapes;
    Index dim;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
  };
  for (const Join& j :
       {Join{"rows", {{2, 3}, {1, 3}, {4, 3}}, 0, GRADUS_SIZED({2, n}, {1, n}), {{30, 2001}, {50, 2001}}},
        Join{"columns", {{2, 3}, {2, 5}}, -1, GRADUS_SIZED({2, n}, {2, 3})}, Join{"middle", {{2, 3, 4}, {2, 1, 4}}, 1},
        Join{"one_part", {{2, 3}}, 0}}) {
    rows.push_back(
        {.op = "concat",
         .variant = j.variant,
         .shapes = j.shapes,
         .f = [dim = j.dim](In x) { return concat(x, dim); },
         .reference = [dim = j.dim](Arrays x) { return ref::concat(x, dim < 0 ? dim + x[0].shape.rank() : dim); },
         .sized = j.sized,
         .large = j.large,
         .torch = fmt::format("torch.cat(x, dim={})", j.dim),
         .limits = {0, 0}});
  }
  for (const auto& [variant, dim] : {std::pair{"first", 0}, std::pair{"middle", 1}, std::pair{"last", -1}}) {
    rows.push_back({.op = "stack",
                    .variant = variant,
                    .shapes = {{2, 3}, {2, 3}, {2, 3}},
                    .f = [dim = dim](In x) { return stack(x, dim); },
                    .reference = [dim = dim](Arrays x) { return ref::stack(x, dim < 0 ? 2 : dim); },
                    .torch = fmt::format("torch.stack(x, dim={})", dim),
                    .limits = {0, 0}});
  }
}

const AddRows shape_rows("shape", add_shape);

}  // namespace
}  // namespace gradus::testing
