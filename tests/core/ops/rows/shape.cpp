// Moves, picks or copies what is there, so PyTorch has the same bits.
#include "../op_table.h"

#include <algorithm>
#include <optional>

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

// Ops that are composed of those above: where each element comes from.
void add_composed(std::vector<OpRow>& rows) {
  struct Composed {
    const char *op, *variant;
    Shape shape;
    Tensor (*f)(const Tensor&);
    Shape result;
    double (*value)(const Array& x, const ref::Indices& i);
    const char* torch;
  };
  const Composed all[] = {
      {"view",
       "inferred",
       {2, 6},
       [](const Tensor& x) {
         return x.view({3, -1});
       },
       {3, 4},
       [](const Array& x, const ref::Indices& i) { return x.values[static_cast<std::size_t>(i[0] * 4 + i[1])]; },
       "x[0].view(3, -1)"},
      {"flatten",
       "middle",
       {2, 3, 2, 2},
       [](const Tensor& x) { return flatten(x, 1, 2); },
       {2, 6, 2},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[0], i[1] / 2, i[1] % 2, i[2]});
       },
       "x[0].flatten(1, 2)"},
      {"unsqueeze",
       "end",
       {2, 3},
       [](const Tensor& x) { return unsqueeze(x, -1); },
       {2, 3, 1},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[0], i[1]});
       },
       "x[0].unsqueeze(-1)"},
      {"squeeze",
       "all",
       {1, 3, 1},
       [](const Tensor& x) { return squeeze(x); },
       {3},
       [](const Array& x, const ref::Indices& i) {
         return x.at({0, i[0], 0});
       },
       "x[0].squeeze()"},
      {"movedim",
       "",
       {2, 3, 4},
       [](const Tensor& x) { return movedim(x, 0, -1); },
       {3, 4, 2},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[2], i[0], i[1]});
       },
       "x[0].movedim(0, -1)"},
      {"expand",
       "",
       {3, 1},
       [](const Tensor& x) {
         return expand(x, {2, -1, 4});
       },
       {2, 3, 4},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[1], 0});
       },
       "x[0].expand(2, -1, 4).clone()"},
      {"repeat",
       "",
       {2, 3},
       [](const Tensor& x) {
         return repeat(x, {2, 1, 2});
       },
       {2, 2, 6},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[1], i[2] % 3});
       },
       "x[0].repeat(2, 1, 2)"},
      {"flip",
       "",
       {2, 3, 4},
       [](const Tensor& x) {
         return flip(x, {0, -1});
       },
       {2, 3, 4},
       [](const Array& x, const ref::Indices& i) {
         return x.at({1 - i[0], i[1], 3 - i[2]});
       },
       "x[0].flip((0, -1))"},
      {"roll",
       "",
       {2, 5},
       [](const Tensor& x) { return roll(x, -7, 1); },
       {2, 5},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[0], (i[1] + 7) % 5});
       },
       "x[0].roll(-7, 1)"},
      {"narrow",
       "",
       {2, 5},
       [](const Tensor& x) { return narrow(x, 1, -3, 2); },
       {2, 2},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[0], i[1] + 2});
       },
       "x[0].narrow(1, -3, 2)"},
      {"select",
       "",
       {2, 5, 3},
       [](const Tensor& x) { return select(x, 1, -2); },
       {2, 3},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[0], 3, i[1]});
       },
       "x[0].select(1, -2)"},
      {"pad",
       "",
       {2, 4},
       [](const Tensor& x) {
         return pad(x, {1, -1, 0, 2}, 3);
       },
       {4, 4},
       [](const Array& x, const ref::Indices& i) {
         return i[0] < 2 && i[1] > 0 ? x.at({i[0], i[1] - 1}) : 3;
       },
       "F.pad(x[0], (1, -1, 0, 2), value=3)"},
      {"slice",
       "steps",
       {2, 9},
       [](const Tensor& x) { return slice(x, 1, -8, 99, 3); },
       {2, 3},
       [](const Array& x, const ref::Indices& i) {
         return x.at({i[0], 1 + 3 * i[1]});
       },
       "x[0][:, -8:99:3]"},
  };
  for (const Composed& c : all) {
    rows.push_back(
        {.op = c.op,
         .variant = c.variant,
         .shapes = {c.shape},
         .f = [f = c.f](In x) { return f(x[0]); },
         .reference = [shape = c.result, value = c.value](
                          Arrays x) { return ref::make(shape, [&](const ref::Indices& i) { return value(x[0], i); }); },
         .torch = c.torch,
         .limits = {0, 0}});
  }
}

// x with another array in the place of some elements: `place` says which of its elements stands at i, if any does.
Array replaced(Arrays x, const std::function<std::optional<ref::Indices>(const ref::Indices& i)>& place) {
  return ref::make(x[0].shape, [&](const ref::Indices& i) {
    const std::optional<ref::Indices> from = place(i);
    return from ? x[1].at(*from) : x[0].at(i);
  });
}

void add_diagonals_and_scatters(std::vector<OpRow>& rows) {
  struct Diagonal {
    const char* variant;
    Shape shape;
    Index offset, dim1, dim2;
  };
  for (const Diagonal& d :
       {Diagonal{"main", {3, 4}, 0, 0, 1}, Diagonal{"above", {2, 3, 4}, 1, -2, -1},
        Diagonal{"below_of_first_and_last", {4, 2, 3}, -1, 0, 2}, Diagonal{"none", {2, 3}, 5, 0, 1}}) {
    rows.push_back({.op = "diagonal",
                    .variant = d.variant,
                    .shapes = {d.shape},
                    .f = [d](In x) { return diagonal(x[0], d.offset, d.dim1, d.dim2); },
                    .reference =
                        [d](Arrays x) {
                          const auto a = static_cast<std::size_t>((d.dim1 + d.shape.rank()) % d.shape.rank());
                          const auto b = static_cast<std::size_t>((d.dim2 + d.shape.rank()) % d.shape.rank());
                          const Index down = std::max<Index>(0, -d.offset), right = std::max<Index>(0, d.offset);
                          Shape shape;
                          for (std::size_t k = 0; k < static_cast<std::size_t>(d.shape.rank()); ++k) {
                            if (k != a && k != b) shape.push_back(d.shape[static_cast<Index>(k)]);
                          }
                          shape.push_back(std::max<Index>(0, std::min(d.shape[static_cast<Index>(a)] - down,
                                                                      d.shape[static_cast<Index>(b)] - right)));
                          return ref::make(shape, [&](const ref::Indices& i) {
                            ref::Indices at;
                            std::size_t next = 0;
                            for (std::size_t k = 0; k < static_cast<std::size_t>(d.shape.rank()); ++k) {
                              at.push_back(k == a ? i.back() + down : k == b ? i.back() + right : i[next++]);
                            }
                            return x[0].at(at);
                          });
                        },
                    .torch = fmt::format("x[0].diagonal({}, {}, {})", d.offset, d.dim1, d.dim2),
                    .limits = {0, 0}});
  }
  rows.push_back({.op = "slice_scatter",
                  .variant = "steps",
                  .shapes = {{2, 9}, {2, 3}},
                  .f = [](In x) { return slice_scatter(x[0], x[1], 1, -8, 99, 3); },
                  .reference =
                      [](Arrays x) {
                        return replaced(x, [](const ref::Indices& i) -> std::optional<ref::Indices> {
                          if (i[1] % 3 != 1) return std::nullopt;
                          return ref::Indices{i[0], i[1] / 3};
                        });
                      },
                  .torch = "torch.slice_scatter(x[0], x[1], 1, -8, 99, 3)",
                  .limits = {0, 0}});
  rows.push_back({.op = "slice_scatter",
                  .variant = "rows",
                  .shapes = {{4, 3}, {2, 3}},
                  .f = [](In x) { return slice_scatter(x[0], x[1], 0, 1, 3); },
                  .reference =
                      [](Arrays x) {
                        return replaced(x, [](const ref::Indices& i) -> std::optional<ref::Indices> {
                          if (i[0] < 1 || i[0] > 2) return std::nullopt;
                          return ref::Indices{i[0] - 1, i[1]};
                        });
                      },
                  .sized = GRADUS_SIZED({4, n}, {2, n}),
                  .torch = "torch.cat([x[0][:1], x[1], x[0][3:]])",
                  .limits = {0, 0}});
  rows.push_back({.op = "select_scatter",
                  .variant = "last",
                  .shapes = {{2, 3, 4}, {2, 4}},
                  .f = [](In x) { return select_scatter(x[0], x[1], 1, -1); },
                  .reference =
                      [](Arrays x) {
                        return replaced(x, [](const ref::Indices& i) -> std::optional<ref::Indices> {
                          if (i[1] != 2) return std::nullopt;
                          return ref::Indices{i[0], i[2]};
                        });
                      },
                  .torch = "torch.select_scatter(x[0], x[1], 1, 2)",
                  .limits = {0, 0}});
}

const AddRows shape_rows("shape", [](std::vector<OpRow>& rows) {
  add_shape(rows);
  add_composed(rows);
  add_diagonals_and_scatters(rows);
});

}  // namespace
}  // namespace gradus::testing
