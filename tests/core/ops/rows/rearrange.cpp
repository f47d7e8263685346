#include "../op_table.h"

namespace gradus::testing {
namespace {

// The definition of an op that moves elements: the shape of the result, and for each of its places the input's, whose
// element may be none (0).
struct Moved {
  const char *op, *variant;
  Shape from, to;
  std::function<Tensor(const Tensor&)> f;
  std::function<ref::Indices(const ref::Indices&)> place;  // empty: 0
  const char* torch;
};

void add_moved(std::vector<OpRow>& rows) {
  using I = const ref::Indices&;
  using Place = ref::Indices;
  const Moved table[] = {
      {"ravel",
       "",
       {2, 3},
       {6},
       ravel,
       [](I i) {
         return Place{i[0] / 3, i[0] % 3};
       },
       "torch.ravel(x[0])"},
      {"t",
       "",
       {2, 3},
       {3, 2},
       t,
       [](I i) {
         return Place{i[1], i[0]};
       },
       "torch.t(x[0])"},
      {"swapaxes",
       "",
       {2, 3, 4},
       {4, 3, 2},
       [](const Tensor& x) { return swapaxes(x, 0, 2); },
       [](I i) {
         return Place{i[2], i[1], i[0]};
       },
       "torch.swapaxes(x[0], 0, 2)"},
      {"moveaxis",
       "",
       {2, 3, 4},
       {3, 4, 2},
       [](const Tensor& x) { return moveaxis(x, 0, -1); },
       [](I i) {
         return Place{i[2], i[0], i[1]};
       },
       "torch.moveaxis(x[0], 0, -1)"},
      {"unflatten",
       "",
       {2, 6},
       {2, 2, 3},
       [](const Tensor& x) {
         return unflatten(x, 1, {2, -1});
       },
       [](I i) {
         return Place{i[0], i[1] * 3 + i[2]};
       },
       "x[0].unflatten(1, (2, -1))"},
      {"tile",
       "",
       {2, 3},
       {2, 6},
       [](const Tensor& x) { return tile(x, 2); },
       [](I i) {
         return Place{i[0], i[1] % 3};
       },
       "torch.tile(x[0], (2,))"},
      {"fliplr",
       "",
       {2, 3},
       {2, 3},
       fliplr,
       [](I i) {
         return Place{i[0], 2 - i[1]};
       },
       "torch.fliplr(x[0])"},
      {"flipud",
       "",
       {2, 3},
       {2, 3},
       flipud,
       [](I i) {
         return Place{1 - i[0], i[1]};
       },
       "torch.flipud(x[0])"},
      {"rot90",
       "once",
       {2, 3},
       {3, 2},
       [](const Tensor& x) { return rot90(x); },
       [](I i) {
         return Place{i[1], 2 - i[0]};
       },
       "torch.rot90(x[0])"},
      {"rot90",
       "half",
       {2, 3},
       {2, 3},
       [](const Tensor& x) { return rot90(x, 2); },
       [](I i) {
         return Place{1 - i[0], 2 - i[1]};
       },
       "torch.rot90(x[0], 2)"},
      {"rot90",
       "back",
       {2, 3},
       {3, 2},
       [](const Tensor& x) { return rot90(x, -1); },
       [](I i) {
         return Place{1 - i[1], i[0]};
       },
       "torch.rot90(x[0], -1)"},
      {"atleast_1d", "", {}, {1}, atleast_1d, [](I) { return Place{}; }, "torch.atleast_1d(x[0])"},
      {"atleast_2d", "", {3}, {1, 3}, atleast_2d, [](I i) { return Place{i[1]}; }, "torch.atleast_2d(x[0])"},
      {"atleast_3d",
       "",
       {2, 3},
       {2, 3, 1},
       atleast_3d,
       [](I i) {
         return Place{i[0], i[1]};
       },
       "torch.atleast_3d(x[0])"},
      {"split",
       "sizes",
       {2, 5},
       {2, 3},
       [](const Tensor& x) {
         return split(x, std::vector<Index>{2, 3}, 1)[1];
       },
       [](I i) {
         return Place{i[0], i[1] + 2};
       },
       "torch.split(x[0], [2, 3], 1)[1]"},
      {"tensor_split",
       "",
       {5, 2},
       {2, 2},
       [](const Tensor& x) { return tensor_split(x, 3)[1]; },
       [](I i) {
         return Place{i[0] + 2, i[1]};
       },
       "torch.tensor_split(x[0], 3)[1]"},
      {"hsplit",
       "",
       {2, 4},
       {2, 2},
       [](const Tensor& x) { return hsplit(x, 2)[1]; },
       [](I i) {
         return Place{i[0], i[1] + 2};
       },
       "torch.hsplit(x[0], 2)[1]"},
      {"diag",
       "of_vector",
       {3},
       {4, 4},
       [](const Tensor& x) { return diag(x, 1); },
       [](I i) { return i[1] == i[0] + 1 ? Place{i[0]} : Place{}; },
       "torch.diag(x[0], 1)"},
      {"diag",
       "of_matrix",
       {3, 4},
       {2},
       [](const Tensor& x) { return diag(x, -1); },
       [](I i) {
         return Place{i[0] + 1, i[0]};
       },
       "torch.diag(x[0], -1)"},
      {"diagflat",
       "",
       {2, 2},
       {4, 4},
       [](const Tensor& x) { return diagflat(x); },
       [](I i) {
         return i[0] == i[1] ? Place{i[0] / 2, i[0] % 2} : Place{};
       },
       "torch.diagflat(x[0])"},
      {"diag_embed",
       "",
       {2, 3},
       {2, 4, 4},
       [](const Tensor& x) { return diag_embed(x, -1); },
       [](I i) {
         return i[1] == i[2] + 1 ? Place{i[0], i[2]} : Place{};
       },
       "torch.diag_embed(x[0], -1)"},
      {"repeat_interleave",
       "",
       {2, 3},
       {2, 6},
       [](const Tensor& x) { return repeat_interleave(x, 2, 1); },
       [](I i) {
         return Place{i[0], i[1] / 2};
       },
       "torch.repeat_interleave(x[0], 2, 1)"},
      {"take",
       "",
       {2, 3},
       {2, 2},
       [](const Tensor& x) {
         return take(x, Ids({0, 4, 4, 5}, {2, 2}));
       },
       [](I i) {
         return i[0] == 0 ? (i[1] == 0 ? Place{0, 0} : Place{1, 1}) : Place{1, 1 + i[1]};
       },
       "torch.take(x[0], torch.tensor([[0, 4], [4, 5]]))"},
      {"masked_select",
       "",
       {2, 3},
       {3},
       [](const Tensor& x) {
         return masked_select(x, tensor({{1, 0, 0}, {0, 1, 1}}, x.dtype()));
       },
       [](I i) {
         return i[0] == 0 ? Place{0, 0} : Place{1, i[0]};
       },
       "torch.masked_select(x[0], torch.tensor([[True, False, False], [False, True, True]]))"},
      {"index_fill",
       "",
       {2, 3},
       {2, 3},
       [](const Tensor& x) { return index_fill(x, 1, {1}, 0); },
       [](I i) {
         return i[1] == 1 ? Place{} : Place{i[0], i[1]};
       },
       "torch.index_fill(x[0], 1, torch.tensor([1]), 0)"},
      {"pixel_shuffle",
       "",
       {2, 8, 2, 3},
       {2, 2, 4, 6},
       [](const Tensor& x) { return pixel_shuffle(x, 2); },
       [](I i) {
         return Place{i[0], i[1] * 4 + i[2] % 2 * 2 + i[3] % 2, i[2] / 2, i[3] / 2};
       },
       "F.pixel_shuffle(x[0], 2)"},
      {"pixel_unshuffle",
       "",
       {2, 4, 6},
       {8, 2, 3},
       [](const Tensor& x) { return pixel_unshuffle(x, 2); },
       [](I i) {
         return Place{i[0] / 4, i[1] * 2 + i[0] / 2 % 2, i[2] * 2 + i[0] % 2};
       },
       "F.pixel_unshuffle(x[0], 2)"},
      {"channel_shuffle",
       "",
       {2, 6, 2},
       {2, 6, 2},
       [](const Tensor& x) { return channel_shuffle(x, 2); },
       [](I i) {
         return Place{i[0], i[1] % 2 * 3 + i[1] / 2, i[2]};
       },
       "x[0].view(2, 2, 3, 2).transpose(1, 2).reshape(2, 6, 2)"},
      {"meshgrid",
       "ij",
       {3},
       {3, 2},
       [](const Tensor& x) {
         return meshgrid({x, ones({2}, x.dtype())})[0];
       },
       [](I i) { return Place{i[0]}; },
       "torch.meshgrid(x[0], torch.ones(2, dtype=x[0].dtype), indexing='ij')[0]"},
      {"meshgrid",
       "xy",
       {3},
       {2, 3},
       [](const Tensor& x) {
         return meshgrid({x, ones({2}, x.dtype())}, "xy")[0];
       },
       [](I i) { return Place{i[1]}; },
       "torch.meshgrid(x[0], torch.ones(2, dtype=x[0].dtype), indexing='xy')[0]"},
      {"broadcast_tensors",
       "",
       {3},
       {2, 3},
       [](const Tensor& x) {
         return broadcast_tensors({x, ones({2, 1}, x.dtype())})[0];
       },
       [](I i) { return Place{i[1]}; },
       "torch.broadcast_tensors(x[0], torch.ones(2, 1, dtype=x[0].dtype))[0]"},
  };
  for (const Moved& row : table) {
    rows.push_back({.op = row.op,
                    .variant = row.variant,
                    .shapes = {row.from},
                    .f = [f = row.f](In x) { return f(x[0]); },
                    .reference =
                        [from = row.from, to = row.to, place = row.place](Arrays x) {
                          return ref::make(to, [&](const ref::Indices& i) {
                            const ref::Indices at = place(i);
                            return static_cast<Index>(at.size()) == from.rank() ? x[0].at(at) : 0;
                          });
                        },
                    .torch = row.torch,
                    .limits = {0, 8}});
  }
}

void add_joined(std::vector<OpRow>& rows) {
  rows.push_back({.op = "hstack",
                  .shapes = {{2, 3}, {2, 1}},
                  .f = [](In x) { return hstack(x); },
                  .reference = [](Arrays x) { return ref::concat(x, 1); },
                  .torch = "torch.hstack(list(x))",
                  .limits = {0, 0}});
  rows.push_back({.op = "vstack",
                  .shapes = {{3}, {2, 3}},
                  .f = [](In x) { return vstack(x); },
                  .reference =
                      [](Arrays x) {
                        return ref::concat({Array{{1, 3}, x[0].values}, x[1]}, 0);
                      },
                  .torch = "torch.vstack(list(x))",
                  .limits = {0, 0}});
  rows.push_back({.op = "dstack",
                  .shapes = {{2, 3}, {2, 3}},
                  .f = [](In x) { return dstack(x); },
                  .reference = [](Arrays x) { return ref::stack(x, 2); },
                  .torch = "torch.dstack(list(x))",
                  .limits = {0, 0}});
  rows.push_back({.op = "column_stack",
                  .shapes = {{3}, {3, 2}},
                  .f = [](In x) { return column_stack(x); },
                  .reference =
                      [](Arrays x) {
                        return ref::concat({Array{{3, 1}, x[0].values}, x[1]}, 1);
                      },
                  .torch = "torch.column_stack(list(x))",
                  .limits = {0, 0}});
  rows.push_back({.op = "block_diag",
                  .shapes = {{2, 3}, {1, 2}},
                  .f = [](In x) { return block_diag(x); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({3, 5}, [&](const ref::Indices& i) {
                          if (i[0] < 2) return i[1] < 3 ? x[0].at(i) : 0;
                          return i[1] >= 3 ? x[1].at({i[0] - 2, i[1] - 3}) : 0;
                        });
                      },
                  .torch = "torch.block_diag(*x)",
                  .limits = {0, 0}});
  rows.push_back({.op = "cartesian_prod",
                  .shapes = {{2}, {3}},
                  .f = [](In x) { return cartesian_prod(x); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({6, 2}, [&](const ref::Indices& i) {
                          return i[1] == 0 ? x[0].at({i[0] / 3}) : x[1].at({i[0] % 3});
                        });
                      },
                  .torch = "torch.cartesian_prod(*x)",
                  .limits = {0, 8}});
  rows.push_back({.op = "trace",
                  .shapes = {{3, 4}},
                  .f = [](In x) { return trace(x[0]); },
                  .reference =
                      [](Arrays x) {
                        return Array{{}, {x[0].at({0, 0}) + x[0].at({1, 1}) + x[0].at({2, 2})}};
                      }});
  rows.push_back({.op = "index_add",
                  .shapes = {{2, 3}, {2, 2}},
                  .f =
                      [](In x) {
                        return index_add(x[0], 1, {2, 2}, x[1], 0.5);
                      },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 3}, [&](const ref::Indices& i) {
                          const double added = 0.5 * (x[1].at({i[0], 0}) + x[1].at({i[0], 1}));
                          return x[0].at(i) + (i[1] == 2 ? added : 0);
                        });
                      },
                  .torch = "torch.index_add(x[0], 1, torch.tensor([2, 2]), x[1], alpha=0.5)"});
  rows.push_back({.op = "index_copy",
                  .shapes = {{2, 3}, {2, 2}},
                  .f =
                      [](In x) {
                        return index_copy(x[0], 1, {2, 0}, x[1]);
                      },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 3}, [&](const ref::Indices& i) {
                          return i[1] == 1 ? x[0].at(i) : x[1].at({i[0], i[1] == 2 ? 0 : 1});
                        });
                      },
                  .torch = "torch.index_copy(x[0], 1, torch.tensor([2, 0]), x[1])"});
}

const AddRows moved_rows("rearrange", add_moved);
const AddRows joined_rows("rearrange_joined", add_joined);

}  // namespace
}  // namespace gradus::testing
