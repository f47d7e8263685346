// Ops that put elements in other places, composed of those of shape.cpp and gather.cpp.
#include <algorithm>
#include <functional>
#include <numeric>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

std::vector<Tensor> each_of(const std::vector<Tensor>& parts, Tensor (*f)(const Tensor&)) {
  std::vector<Tensor> all;
  for (const Tensor& part : parts) all.push_back(f(part));
  return all;
}

void check_some(const char* op, const std::vector<Tensor>& parts) {
  check(!parts.empty(), "{}: no tensors came; give at least one", op);
  for (const Tensor& part : parts) check_defined(op, {part});
}

std::vector<Tensor> equal_parts(const char* op, const Tensor& x, Index sections, Index dim) {
  check(sections > 0 && x.size(dim) % sections == 0,
        "{}: dimension {} of {} cannot be cut into {} equal parts; use tensor_split", op, dim, x.shape(), sections);
  return split(x, std::vector<Index>(static_cast<std::size_t>(sections), x.size(dim) / sections), dim);
}

// The ids along `dim`, repeated along all other dimensions of `shape`.
Ids repeated(const Ids& ids, const Shape& shape, Index dim) {
  const Index inner = Blocks(shape, dim).inner;
  std::vector<std::int32_t> all;
  for (Index k = 0; k < shape.numel(); ++k) all.push_back(ids[static_cast<std::size_t>(k / inner % shape[dim])]);
  return {Ids(all), shape};
}

Ids indices_where(Index row, Index col, const std::function<bool(Index, Index)>& wanted) {
  std::vector<std::int32_t> rows, cols;
  for (Index i = 0; i < row; ++i) {
    for (Index j = 0; j < col; ++j) {
      if (!wanted(i, j)) continue;
      rows.push_back(static_cast<std::int32_t>(i));
      cols.push_back(static_cast<std::int32_t>(j));
    }
  }
  const auto count = static_cast<Index>(rows.size());
  rows.insert(rows.end(), cols.begin(), cols.end());
  return {Ids(rows), {2, count}};
}

}  // namespace

Tensor ravel(const Tensor& x) {
  return flatten(x);
}
Tensor t(const Tensor& x) {
  check_defined("t", {x});
  check(x.rank() <= 2, "t: {} has {} dimensions; it takes 2 at most, use transpose or permute", x.shape(), x.rank());
  return x.rank() < 2 ? x : composed("t", [&] { return transpose(x); });
}
Tensor swapaxes(const Tensor& x, Index axis0, Index axis1) {
  return composed("swapaxes", [&] { return transpose(x, axis0, axis1); });
}
Tensor moveaxis(const Tensor& x, Index source, Index destination) {
  return composed("moveaxis", [&] { return movedim(x, source, destination); });
}
Tensor unflatten(const Tensor& x, Index dim, const Sizes& sizes) {
  check_defined("unflatten", {x});
  const Index d = x.shape().normalize(dim, "unflatten");
  const Shape parts = sizes.fill("unflatten", {x.size(d)});
  check(parts.numel() == x.size(d), "unflatten: {} does not fit dimension {} of {}; the product must be {}", parts, dim,
        x.shape(), x.size(d));
  std::vector<Index> all(x.shape().begin(), x.shape().begin() + d);
  all.insert(all.end(), parts.begin(), parts.end());
  all.insert(all.end(), x.shape().begin() + d + 1, x.shape().end());
  return composed("unflatten", [&] { return reshape(x, all); });
}
Tensor tile(const Tensor& x, const Sizes& counts) {
  check_defined("tile", {x});
  std::vector<Index> all(static_cast<std::size_t>(std::max<Index>(0, x.rank() - static_cast<Index>(counts.size()))), 1);
  all.insert(all.end(), counts.begin(), counts.end());
  return composed("tile", [&] { return repeat(x, all); });
}
Tensor fliplr(const Tensor& x) {
  return composed("fliplr", [&] { return flip(x, 1); });
}
Tensor flipud(const Tensor& x) {
  return composed("flipud", [&] { return flip(x, 0); });
}
Tensor rot90(const Tensor& x, Index k, Index dim0, Index dim1) {
  check_defined("rot90", {x});
  const Index turns = (k % 4 + 4) % 4;
  check(x.rank() >= 2, "rot90: {} has {} dimensions; a turn needs at least 2", x.shape(), x.rank());
  if (turns == 0) return x;
  return composed("rot90", [&] {
    if (turns == 2) return flip(x, {dim0, dim1});
    return flip(transpose(x, dim0, dim1), turns == 1 ? dim0 : dim1);
  });
}

Tensor atleast_1d(const Tensor& x) {
  return x.rank() >= 1 ? x : composed("atleast_1d", [&] { return reshape(x, 1); });
}
Tensor atleast_2d(const Tensor& x) {
  return x.rank() >= 2 ? x : composed("atleast_2d", [&] { return reshape(x, {1, x.numel()}); });
}
Tensor atleast_3d(const Tensor& x) {
  return x.rank() >= 3 ? x : composed("atleast_3d", [&] { return unsqueeze(atleast_2d(x), -1); });
}
Tensor hstack(const std::vector<Tensor>& parts) {
  check_some("hstack", parts);
  return composed("hstack", [&] { return concat(each_of(parts, atleast_1d), parts[0].rank() <= 1 ? 0 : 1); });
}
Tensor vstack(const std::vector<Tensor>& parts) {
  check_some("vstack", parts);
  return composed("vstack", [&] { return concat(each_of(parts, atleast_2d), 0); });
}
Tensor dstack(const std::vector<Tensor>& parts) {
  check_some("dstack", parts);
  return composed("dstack", [&] { return concat(each_of(parts, atleast_3d), 2); });
}
Tensor column_stack(const std::vector<Tensor>& parts) {
  check_some("column_stack", parts);
  return composed("column_stack", [&] {
    const auto as_column = [](const Tensor& x) { return x.rank() >= 2 ? x : reshape(x, {x.numel(), 1}); };
    return concat(each_of(parts, as_column), 1);
  });
}
Tensor block_diag(const std::vector<Tensor>& parts) {
  check_some("block_diag", parts);
  return composed("block_diag", [&] {
    std::vector<Tensor> rows = each_of(parts, atleast_2d);
    Index width = 0, left = 0;
    for (const Tensor& part : rows) {
      check(part.rank() == 2, "block_diag: {} has {} dimensions; give matrices", part.shape(), part.rank());
      width += part.size(1);
    }
    for (Tensor& part : rows) {
      const Index own = part.size(1);
      part = pad(part, {left, width - left - own});
      left += own;
    }
    return concat(rows, 0);
  });
}

std::vector<Tensor> split(const Tensor& x, const std::vector<Index>& sizes, Index dim) {
  check_defined("split", {x});
  const Index d = x.shape().normalize(dim, "split");
  const Index sum = std::accumulate(sizes.begin(), sizes.end(), Index{0});
  check(sum == x.size(d), "split: the sizes add up to {}; they must make dimension {} of {}, which is {}", sum, dim,
        x.shape(), x.size(d));
  std::vector<Tensor> parts;
  Index begin = 0;
  for (const Index size : sizes) {
    parts.push_back(narrow(x, d, begin, size));
    begin += size;
  }
  return parts;
}
std::vector<Tensor> tensor_split(const Tensor& x, Index sections, Index dim) {
  check_defined("tensor_split", {x});
  check(sections > 0, "tensor_split: {} sections; there must be at least 1", sections);
  const Index size = x.size(x.shape().normalize(dim, "tensor_split"));
  std::vector<Index> sizes;
  for (Index i = 0; i < sections; ++i) sizes.push_back(size / sections + (i < size % sections ? 1 : 0));
  return split(x, sizes, dim);
}
std::vector<Tensor> hsplit(const Tensor& x, Index sections) {
  check(x.rank() >= 1, "hsplit: {} has no dimension to cut; reshape it first", x.shape());
  return equal_parts("hsplit", x, sections, x.rank() == 1 ? 0 : 1);
}
std::vector<Tensor> vsplit(const Tensor& x, Index sections) {
  check(x.rank() >= 2, "vsplit: {} has {} dimensions; it needs at least 2", x.shape(), x.rank());
  return equal_parts("vsplit", x, sections, 0);
}
std::vector<Tensor> dsplit(const Tensor& x, Index sections) {
  check(x.rank() >= 3, "dsplit: {} has {} dimensions; it needs at least 3", x.shape(), x.rank());
  return equal_parts("dsplit", x, sections, 2);
}

std::vector<Tensor> broadcast_tensors(const std::vector<Tensor>& tensors) {
  check_some("broadcast_tensors", tensors);
  Index rank = 0;
  for (const Tensor& x : tensors) rank = std::max(rank, x.rank());
  std::vector<Index> sizes(static_cast<std::size_t>(rank), 1);
  for (const Tensor& x : tensors) {
    for (Index d = 0; d < x.rank(); ++d) {
      Index& size = sizes[static_cast<std::size_t>(rank - x.rank() + d)];
      if (x.size(d) != 1) size = x.size(d);  // broadcast_to() refuses what does not fit
    }
  }
  std::vector<Tensor> all;
  const Shape shape = Sizes(sizes).fill("broadcast_tensors", {});
  for (const Tensor& x : tensors) all.push_back(x.shape() == shape ? x : broadcast_to(x, shape));
  return all;
}

Tensor diag(const Tensor& x, Index diagonal) {
  check_defined("diag", {x});
  check(x.rank() == 1 || x.rank() == 2, "diag: {} has {} dimensions; give a vector or a matrix", x.shape(), x.rank());
  return composed("diag", [&] { return x.rank() == 1 ? diag_embed(x, diagonal) : gradus::diagonal(x, diagonal); });
}
Tensor diagflat(const Tensor& x, Index offset) {
  return composed("diagflat", [&] { return diag_embed(flatten(x), offset); });
}
Tensor diag_embed(const Tensor& x, Index offset) {
  check_defined("diag_embed", {x});
  check(x.rank() >= 1, "diag_embed: {} has no dimension; reshape it to (1)", x.shape());
  const Index above = std::max<Index>(0, offset), below = std::max<Index>(0, -offset);
  return composed("diag_embed", [&] {
    return pad(where(eye(x.size(-1), x.dtype()), unsqueeze(x, -2), 0.0), {above, below, below, above});
  });
}
Tensor trace(const Tensor& x) {
  check_defined("trace", {x});
  check(x.rank() == 2, "trace: {} has {} dimensions; give a matrix", x.shape(), x.rank());
  return composed("trace", [&] { return sum(diagonal(x)); });
}

std::vector<Tensor> meshgrid(const std::vector<Tensor>& tensors, std::string_view indexing) {
  check_some("meshgrid", tensors);
  check(indexing == "ij" || indexing == "xy", "meshgrid: indexing is \"{}\"; it must be \"ij\" or \"xy\"", indexing);
  std::vector<Index> sizes;
  for (const Tensor& x : tensors) {
    check(x.rank() <= 1, "meshgrid: {} has {} dimensions; give vectors", x.shape(), x.rank());
    sizes.push_back(x.numel());
  }
  std::vector<Tensor> grids;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::vector<Index> own(sizes.size(), 1);
    own[i] = sizes[i];
    const Tensor grid = expand(reshape(tensors[i], own), sizes);
    grids.push_back(indexing == "xy" && sizes.size() > 1 ? transpose(grid, 0, 1) : grid);
  }
  return grids;
}
Tensor cartesian_prod(const std::vector<Tensor>& tensors) {
  check_some("cartesian_prod", tensors);
  if (tensors.size() == 1) return tensors[0];
  return composed("cartesian_prod", [&] { return stack(each_of(meshgrid(tensors), ravel), 1); });
}

Tensor repeat_interleave(const Tensor& x, Index repeats, Index dim) {
  check_defined("repeat_interleave", {x});
  check(repeats >= 0, "repeat_interleave: {} repeats; there must be at least 0", repeats);
  const Index d = x.shape().normalize(dim, "repeat_interleave");
  std::vector<Index> places;
  for (Index i = 0; i < x.size(d) * repeats; ++i) places.push_back(i / repeats);
  return composed("repeat_interleave", [&] { return index_select(x, d, places); });
}
Tensor repeat_interleave(const Tensor& x, Index repeats) {
  return composed("repeat_interleave", [&] { return repeat_interleave(flatten(x), repeats, 0); });
}
Tensor take(const Tensor& x, const Ids& ids) {
  return composed("take", [&] {
    return reshape(index_select(flatten(x), 0, ids.reshape(static_cast<Index>(ids.size()))), ids.shape());
  });
}
Tensor masked_select(const Tensor& x, const Tensor& mask) {
  check_defined("masked_select", {x, mask});
  return composed("masked_select", [&] {
    const std::vector<Tensor> both = broadcast_tensors({x, mask.detach()});
    return take(both[0], nonzero(flatten(both[1])).reshape(-1));
  });
}
Ids nonzero(const Tensor& x) {
  check_defined("nonzero", {x});
  const std::vector<double> values = x.to_vector();
  std::vector<Index> places;
  Index count = 0;
  for (Index k = 0; k < x.numel(); ++k) {
    if (values[static_cast<std::size_t>(k)] == 0) continue;
    ++count;
    Index inner = x.numel(), rest = k;
    for (const Index size : x.shape()) {
      inner /= size;
      places.push_back(rest / inner);
      rest %= inner;
    }
  }
  return {Ids(places), {count, x.rank()}};
}
Ids tril_indices(Index row, Index col, Index offset) {
  return indices_where(row, col, [&](Index i, Index j) { return j - i <= offset; });
}
Ids triu_indices(Index row, Index col, Index offset) {
  return indices_where(row, col, [&](Index i, Index j) { return j - i >= offset; });
}

Tensor index_add(const Tensor& x, Index dim, const Ids& ids, const Tensor& source, double alpha) {
  check_defined("index_add", {x, source});
  const Index d = x.shape().normalize(dim, "index_add");
  check(source.rank() == x.rank() && ids.shape() == Shape{source.size(d)},
        "index_add: ids {} and source {} along dimension {}; they need one id for each index there", ids.shape(),
        source.shape(), dim);
  return composed("index_add", [&] {
    return scatter_add(x, d, repeated(ids, source.shape(), d), alpha == 1 ? source : source * alpha);
  });
}
Tensor index_fill(const Tensor& x, Index dim, const Ids& ids, double value) {
  check_defined("index_fill", {x});
  const Index d = x.shape().normalize(dim, "index_fill");
  std::vector<Index> sizes(static_cast<std::size_t>(x.rank()), 1);
  sizes[static_cast<std::size_t>(d)] = x.size(d);
  return composed("index_fill", [&] {
    const Tensor chosen = sum(one_hot(ids.reshape(static_cast<Index>(ids.size())), x.size(d), x.dtype()), 0);
    return where(reshape(chosen, sizes), value, x);
  });
}
Tensor index_copy(const Tensor& x, Index dim, const Ids& ids, const Tensor& source) {
  return composed("index_copy", [&] { return index_add(index_fill(x, dim, ids, 0), dim, ids, source); });
}

namespace {

// Merges the leading dimensions of (.., C, H, W), splits the last three into `sizes`, permutes all by `dims` and joins
// them to (.., result).
Tensor blocks(const Tensor& x, const std::vector<Index>& sizes, const std::vector<Index>& dims,
              const std::vector<Index>& result) {
  std::vector<Index> split{1}, joined(x.shape().begin(), x.shape().end() - 3);
  for (const Index size : joined) split[0] *= size;
  split.insert(split.end(), sizes.begin(), sizes.end());
  joined.insert(joined.end(), result.begin(), result.end());
  return reshape(permute(reshape(x, split), dims), joined);
}

}  // namespace

Tensor pixel_shuffle(const Tensor& x, Index upscale_factor) {
  check_defined("pixel_shuffle", {x});
  const Index r = upscale_factor;
  check(r >= 1 && x.rank() >= 3 && x.size(-3) % (r * r) == 0,
        "pixel_shuffle: {} with factor {}; the channels, third from the end, must be a multiple of its square",
        x.shape(), r);
  const Index C = x.size(-3) / (r * r), H = x.size(-2), W = x.size(-1);
  return composed("pixel_shuffle", [&] { return blocks(x, {C, r, r, H, W}, {0, 1, 4, 2, 5, 3}, {C, H * r, W * r}); });
}
Tensor pixel_unshuffle(const Tensor& x, Index downscale_factor) {
  check_defined("pixel_unshuffle", {x});
  const Index r = downscale_factor;
  check(r >= 1 && x.rank() >= 3 && x.size(-2) % r == 0 && x.size(-1) % r == 0,
        "pixel_unshuffle: {} with factor {}; height and width must be multiples of it", x.shape(), r);
  const Index C = x.size(-3), H = x.size(-2) / r, W = x.size(-1) / r;
  return composed("pixel_unshuffle", [&] { return blocks(x, {C, H, r, W, r}, {0, 1, 3, 5, 2, 4}, {C * r * r, H, W}); });
}
Tensor channel_shuffle(const Tensor& x, Index groups) {
  check_defined("channel_shuffle", {x});
  check(groups >= 1 && x.rank() >= 3 && x.size(1) % groups == 0,
        "channel_shuffle: {} with {} groups; they must divide the channels, dimension 1 of (B, C, ..)", x.shape(),
        groups);
  return composed("channel_shuffle", [&] {
    const Index rest = x.numel() / std::max<Index>(1, x.size(0) * x.size(1));
    const Tensor table = reshape(x, {x.size(0), groups, x.size(1) / groups, rest});
    return reshape(transpose(table, 1, 2), x.shape());
  });
}

}  // namespace gradus
