#include "../op_table.h"

#include <algorithm>

namespace gradus::testing {
namespace {

// ids as picks() makes them, in this shape.
Ids ids_of(const Shape& shape, Index below) {
  return {Ids(picks(shape.numel(), below, 0)), shape};
}

Index id_at(const Shape& shape, Index below, const ref::Indices& index) {
  Index at = 0;
  for (Index d = 0; d < shape.rank(); ++d) at = at * shape[d] + index[static_cast<std::size_t>(d)];
  return ids_of(shape, below)[static_cast<std::size_t>(at)];
}

Array picked(const Array& x, Index dim, const Shape& ids) {
  return ref::make(ids, [&](ref::Indices i) {
    const auto d = static_cast<std::size_t>(dim);
    i[d] = id_at(ids, x.shape[dim], i);
    return x.at(i);
  });
}

Array scattered(const Array& x, Index dim, const Array& source) {
  Array y = x;
  const Shape& ids = source.shape;
  ref::make(ids, [&](ref::Indices i) {
    const double value = source.at(i);
    i[static_cast<std::size_t>(dim)] = id_at(ids, x.shape[dim], i);
    Index at = 0;
    for (Index d = 0; d < x.shape.rank(); ++d) at = at * x.shape[d] + i[static_cast<std::size_t>(d)];
    y.values[static_cast<std::size_t>(at)] += value;
    return value;
  });
  return y;
}

// `shape` with another size in one dimension.
Shape with(Shape shape, Index dim, Index size) {
  shape.set(dim, size);
  return shape;
}

void add_gather(std::vector<OpRow>& rows) {
  for (const Index dim : {0, 1, 2}) {
    rows.push_back({.op = "gather",
                    .variant = fmt::format("dim_{}", dim),
                    .shapes = {{3, 4, 5}},
                    .f = [dim](In x) { return gather(x[0], dim, ids_of(with(x[0].shape(), dim, 7), x[0].size(dim))); },
                    .reference = [dim](Arrays x) { return picked(x[0], dim, with(x[0].shape, dim, 7)); },
                    .sized = dim == 2 ? GRADUS_SIZED({2, 3, n}) : std::function<Shapes(Index)>(),
                    .large = {{30, 40, 50}},
                    .torch = fmt::format("gathered(x[0], {})", dim),
                    .limits = {0, 4},
                    .f32_grad_tolerance = 1e-5});
    rows.push_back({.op = "scatter_add",
                    .variant = fmt::format("dim_{}", dim),
                    .shapes = {{3, 4, 5}, with({3, 4, 5}, dim, 7)},
                    .f = [dim](In x) { return scatter_add(x[0], dim, ids_of(x[1].shape(), x[0].size(dim)), x[1]); },
                    .reference = [dim](Arrays x) { return scattered(x[0], dim, x[1]); },
                    .sized = dim == 2 ? GRADUS_SIZED({2, 3, 4}, {2, 3, n}) : std::function<Shapes(Index)>(),
                    .large = {{30, 40, 50}, with({30, 40, 50}, dim, 60)},
                    .torch = fmt::format("scattered(x[0], {}, x[1])", dim),
                    .limits = {4, 0},
                    .f32_tolerance = 4e-5});
  }
}

void add_selects(std::vector<OpRow>& rows) {
  rows.push_back({.op = "index_select",
                  .variant = "middle",
                  .shapes = {{2, 4, 3}},
                  .f =
                      [](In x) {
                        return index_select(x[0], 1, {3, 0, 3});
                      },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 3, 3}, [&](const ref::Indices& i) {
                          return x[0].at({i[0], i[1] == 1 ? 0 : 3, i[2]});
                        });
                      },
                  .torch = "x[0].index_select(1, torch.tensor([3, 0, 3]))",
                  .limits = {0, 4}});
  rows.push_back(
      {.op = "take_along_dim",
       .variant = "broadcast",
       .shapes = {{3, 4}},
       .f =
           [](In x) {
             return take_along_dim(x[0], Ids({2, 0}, {1, 2}), 1);
           },
       .reference =
           [](Arrays x) {
             return ref::make({3, 2}, [&](const ref::Indices& i) { return x[0].at({i[0], i[1] == 0 ? 2 : 0}); });
           },
       .torch = "torch.take_along_dim(x[0], torch.tensor([[2, 0]]), 1)",
       .limits = {0, 4}});
  rows.push_back({.op = "one_hot",
                  .shapes = {{3, 4}},
                  .f = [](In x) { return one_hot(argmax(x[0]), 4, x[0].dtype()); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({3, 4}, [&](const ref::Indices& i) {
                          double largest = x[0].at({i[0], 0});
                          for (Index c = 1; c < 4; ++c) largest = std::max(largest, x[0].at({i[0], c}));
                          return x[0].at(i) == largest ? 1.0 : 0.0;
                        });
                      },
                  .domains = {Domain::distinct},
                  .no_gradient = {0},
                  .torch = "F.one_hot(x[0].argmax(-1), 4).to(x[0].dtype)",
                  .limits = {0, 0}});
  rows.push_back({.op = "bernoulli",
                  .variant = "of_sure_things",
                  .shapes = {{3, 4}},
                  .f = [](In x) { return bernoulli(x[0]); },
                  .reference = [](Arrays x) { return x[0]; },
                  .domains = {Domain::flags},
                  .no_gradient = {0},
                  .torch = "x[0].bernoulli()",
                  .limits = {0, 0}});
}

const AddRows gather_rows("gather", [](std::vector<OpRow>& rows) {
  add_gather(rows);
  add_selects(rows);
});

}  // namespace
}  // namespace gradus::testing
