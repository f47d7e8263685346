// Ops that move values without changing them. The gradient moves back the same way and is added.
#include <algorithm>
#include <array>
#include <numeric>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

// The positions in the source of a contiguous result's elements: one stride per dimension of the result.
struct Walk {
  Shape shape;
  std::array<Index, Shape::max_rank> strides{};
  Index start = 0;  // of the first element

  // Calls f(position in the result, position in the source, stride, n) for each row of the result's last dimension.
  template <class F>
  void each_row(const F& f) const {
    const Index rows = shape.as_matrix().rows, cols = shape.as_matrix().cols;
    const Index stride = shape.rank() == 0 ? 1 : strides[static_cast<std::size_t>(shape.rank() - 1)];
    parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
      for (Index r = begin; r < end; ++r) {
        Index offset = start, rest = r;
        for (Index d = shape.rank() - 2; d >= 0; rest /= shape[d], --d) {
          offset += rest % shape[d] * strides[static_cast<std::size_t>(d)];
        }
        f(r * cols, offset, stride, cols);
      }
    });
  }
};

// to[o, 0..n) = or += from[o, 0..n), rows of to and from being to_n and from_n blocks long.
template <class T>
void move_blocks(GradShare<T> to, Index to_n, const T* from, Index from_n, Index n, const Blocks& blocks) {
  const Index length = n * blocks.inner;
  for (Index o = 0; o < blocks.outer; ++o) {
    write_or_add(to + o * to_n * blocks.inner, from + o * from_n * blocks.inner, length);
  }
}

}  // namespace

Tensor reshape(const Tensor& x, const Sizes& sizes) {
  check_defined("reshape", {x});
  const Shape shape = sizes.fill("reshape", x.shape());
  check(shape.numel() == x.numel(), "reshape: {} has {} elements, {} needs {}; the counts must be equal", x.shape(),
        x.numel(), shape, shape.numel());
  if (shape == x.shape()) return x;
  Tensor y(std::allocate_shared<Node>(PoolAllocator<Node>{}, shape, x.dtype(), x.node().data));
  return record(
      "reshape", y, {x},
      [](const Node& out, Inputs in) {
        dispatch(out.dtype,
                 [&]<class T>() { write_or_add<T>(in[0].grad_share<T>(), out.grad_or_null<T>(), out.numel()); });
      },
      [](const Tensor&, const Tensor& dy, const RuleInputs& in) { return reshape(dy, in[0].shape()); });
}

namespace {

// The strides of x's own elements.
std::array<Index, Shape::max_rank> strides_of(const Shape& shape) {
  std::array<Index, Shape::max_rank> strides{};
  Index stride = 1;
  for (Index d = shape.rank() - 1; d >= 0; stride *= shape[d], --d) strides[static_cast<std::size_t>(d)] = stride;
  return strides;
}

Tensor replaced(const char* op, const Tensor& x, const Tensor& source, const Walk& walk);

// The elements of x that the walk comes to, each at most once; `all`: it comes to every one.
Tensor walked(const char* op, const Tensor& x, const Walk& walk, bool all) {
  Tensor y = Tensor::empty(walk.shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().values<T>();
    T* const to = y.node().values<T>();
    walk.each_row([&](Index i, Index j, Index step, Index n) {
      for (Index l = 0; l < n; ++l) to[i + l] = from[j + l * step];
    });
  });
  const auto backward = [walk, all](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const GradShare<T> dx = in[0].grad_share<T>(all);
      const T* const dy = out.grad_or_null<T>();
      walk.each_row([&](Index i, Index j, Index step, Index n) {
        for (Index l = 0; l < n; ++l) dx.p[j + l * step] = dx.adds ? dx.p[j + l * step] + dy[i + l] : dy[i + l];
      });
    });
  };
  return record(op, y, {x}, backward, [walk](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return replaced("slice_scatter", zeros(in[0].shape(), dy.dtype()), dy, walk);
  });
}

// x with `source` in the place of the elements that the walk comes to.
Tensor replaced(const char* op, const Tensor& x, const Tensor& source, const Walk& walk) {
  check(source.shape() == walk.shape, "{}: source {} for a place of {}; the shapes must be equal", op, source.shape(),
        walk.shape);
  check_same_dtype(op, x, {source});
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    T* const to = y.node().values<T>();
    const T* const from = source.node().values<T>();
    std::copy_n(x.node().values<T>(), x.numel(), to);
    walk.each_row([&](Index i, Index j, Index step, Index n) {
      for (Index l = 0; l < n; ++l) to[j + l * step] = from[i + l];
    });
  });
  const auto backward = [walk](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const dy = out.grad_or_null<T>();
      if (T* const dsource = in[1].grad_or_null<T>()) {
        walk.each_row([&](Index i, Index j, Index step, Index n) {
          for (Index l = 0; l < n; ++l) dsource[i + l] += dy[j + l * step];
        });
      }
      if (T* const dx = in[0].grad_or_null<T>()) {
        const Buffer rest(out.numel(), out.dtype);
        std::copy_n(dy, out.numel(), rest.as<T>());
        walk.each_row([&](Index, Index j, Index step, Index n) {
          for (Index l = 0; l < n; ++l) rest.as<T>()[j + l * step] = 0;
        });
        kernels::kernels<T>().add(dx, rest.as<T>(), out.numel());
      }
    });
  };
  return record(op, y, {x, source}, backward, [op, walk](const Tensor&, const Tensor& dy, const RuleInputs&) {
    return Gradients{replaced(op, dy, zeros(walk.shape, dy.dtype()), walk), walked("slice", dy, walk, false)};
  });
}

// PyTorch's bounds: negative ones count from the end, and what lies outside is left out.
Index clamped(Index bound, Index size) {
  return std::clamp<Index>(bound < 0 ? bound + size : bound, 0, size);
}

Walk slice_of(const char* op, const Shape& shape, Index dim, Index begin, Index end, Index step) {
  check(step >= 1, "{}: the step is {}; it must be at least 1 (flip() turns a dimension around)", op, step);
  const Index d = shape.normalize(dim, op), size = shape[d];
  begin = clamped(begin, size);
  end = std::max(begin, clamped(end, size));
  Walk walk{shape, strides_of(shape)};
  Index& stride = walk.strides[static_cast<std::size_t>(d)];
  walk.start = begin * stride;
  walk.shape.set(d, begin == end ? 0 : 1 + (end - begin - 1) / step);
  if (walk.shape[d] > 1) stride *= step;
  return walk;
}

Tensor permuted(const Tensor& x, std::span<const Index> dims) {
  check_defined("permute", {x});
  check(static_cast<Index>(dims.size()) == x.rank(),
        "permute: {} dimensions named for shape {}; name each of its {} once", dims.size(), x.shape(), x.rank());
  const std::array<Index, Shape::max_rank> x_strides = strides_of(x.shape());
  Walk walk;
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const auto d = static_cast<std::size_t>(x.shape().normalize(dims[i], "permute"));
    check((seen >> d & 1) == 0, "permute: dimension {} is named twice; name each of the {} once", dims[i], x.rank());
    seen |= 1U << d;
    walk.shape.push_back(x.size(static_cast<Index>(d)));
    walk.strides[i] = x_strides[d];
  }
  return walked("permute", x, walk, true);
}

}  // namespace

Tensor permute(const Tensor& x, const std::vector<Index>& dims) {
  return permuted(x, dims);
}

Tensor transpose(const Tensor& x, Index dim0, Index dim1) {
  check_defined("transpose", {x});
  std::array<Index, Shape::max_rank> dims{};
  std::iota(dims.begin(), dims.end(), Index{0});
  std::swap(dims[static_cast<std::size_t>(x.shape().normalize(dim0, "transpose"))],
            dims[static_cast<std::size_t>(x.shape().normalize(dim1, "transpose"))]);
  return composed("transpose", [&] { return permuted(x, std::span(dims).first(static_cast<std::size_t>(x.rank()))); });
}

Tensor slice(const Tensor& x, Index dim, Index begin, Index end, Index step) {
  check_defined("slice", {x});
  const Walk walk = slice_of("slice", x.shape(), dim, begin, end, step);
  if (step > 1) return walked("slice", x, walk, false);
  const Index d = x.shape().normalize(dim, "slice"), size = x.size(d);
  begin = clamped(begin, size);
  end = begin + walk.shape[d];
  const Shape shape = walk.shape;
  Tensor y = Tensor::empty(shape, x.dtype());
  const Blocks blocks(shape, d);
  dispatch(x.dtype(), [&]<class T>() {
    move_blocks<T>({y.node().values<T>(), false}, end - begin, x.node().values<T>() + begin * blocks.inner, size,
                   end - begin, blocks);
  });
  const auto backward = [blocks, begin, end, size](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      move_blocks<T>({in[0].grad_or_null<T>() + begin * blocks.inner, true}, size, out.grad_or_null<T>(), end - begin,
                     end - begin, blocks);
    });
  };
  return record("slice", y, {x}, backward, [d, begin, end](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return slice_scatter(zeros(in[0].shape(), dy.dtype()), dy, d, begin, end);
  });
}

Tensor concat(const std::vector<Tensor>& parts, Index dim) {
  check(!parts.empty(), "concat: no tensors were given; at least one is needed");
  const std::vector<std::reference_wrapper<const Tensor>> inputs(parts.begin(), parts.end());
  check_defined("concat", detail::InputList(inputs));
  const Index d = parts[0].shape().normalize(dim, "concat");
  Shape shape = parts[0].shape();
  Index size = 0;
  for (const Tensor& part : parts) {
    check_same_dtype("concat", parts[0], {part});
    Shape same = part.shape();
    check(same.rank() == shape.rank(),
          "concat: {} and {} have different numbers of dimensions; reshape one, or stack() equal shapes",
          parts[0].shape(), same);
    check(!__builtin_add_overflow(size, same[d], &size),
          "concat: the sizes along dimension {} add up to more than fits in 63 bits", dim);
    same.set(d, shape[d]);
    check(same == shape, "concat: {} and {} differ outside dimension {}; all other sizes must be equal",
          parts[0].shape(), part.shape(), dim);
  }
  shape.set(d, size);
  Tensor y = Tensor::empty(shape, parts[0].dtype());
  const Blocks blocks(shape, d);
  Index offset = 0;
  for (const Tensor& part : parts) {
    dispatch(y.dtype(), [&]<class T>() {
      move_blocks<T>({y.node().values<T>() + offset * blocks.inner, false}, size, part.node().values<T>(), part.size(d),
                     part.size(d), blocks);
    });
    offset += part.size(d);
  }
  const auto backward = [blocks, d, size](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      Index position = 0;
      for (std::size_t i = 0; i < in.size(); ++i) {
        const Index n = in[i].shape[d];
        const GradShare<T> dx = in[i].grad_share<T>();
        if (dx) move_blocks<T>(dx, n, out.grad_or_null<T>() + position * blocks.inner, size, n, blocks);
        position += n;
      }
    });
  };
  const auto rule = [d](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    Gradients gradients(in.size());
    Index begin = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const Index end = begin + in[i].size(d);
      if (in.wants(i)) gradients[i] = slice(dy, d, begin, end);
      begin = end;
    }
    return gradients;
  };
  return record("concat", y, detail::InputList(inputs), backward, rule);
}

Tensor stack(const std::vector<Tensor>& parts, Index dim) {
  check(!parts.empty(), "stack: no tensors were given; at least one is needed");
  const std::vector<std::reference_wrapper<const Tensor>> inputs(parts.begin(), parts.end());
  check_defined("stack", detail::InputList(inputs));
  Shape wide;
  const Index rank = parts[0].rank() + 1;
  check(dim >= -rank && dim < rank, "stack: there is no place {} among {} dimensions; use {} .. {}", dim, rank, -rank,
        rank - 1);
  const Index place = dim < 0 ? dim + rank : dim;
  for (Index d = 0; d < rank; ++d) wide.push_back(d == place ? 1 : parts[0].size(d < place ? d : d - 1));
  return composed("stack", [&] {
    std::vector<Tensor> rows;
    for (const Tensor& part : parts) {
      check(part.shape() == parts[0].shape(), "stack: {} and {} differ; all shapes must be equal", parts[0].shape(),
            part.shape());
      rows.push_back(reshape(part, wide));
    }
    return concat(rows, place);
  });
}

// ---- composed of those above

Tensor view(const Tensor& x, const Sizes& sizes) {
  return reshape(x, sizes);
}

Tensor flatten(const Tensor& x, Index start_dim, Index end_dim) {
  check_defined("flatten", {x});
  if (x.rank() == 0) return reshape(x, 1);
  const Index first = x.shape().normalize(start_dim, "flatten"), last = x.shape().normalize(end_dim, "flatten");
  check(first <= last, "flatten: dimension {} comes after {}; start_dim must not be behind end_dim", start_dim,
        end_dim);
  Shape shape;
  Index merged = 1;
  for (Index d = 0; d < x.rank(); ++d) {
    if (d < first || d > last) shape.push_back(x.size(d));
    if (d >= first && d <= last) merged *= x.size(d);
    if (d == last) shape.push_back(merged);
  }
  return composed("flatten", [&] { return reshape(x, shape); });
}

Tensor unsqueeze(const Tensor& x, Index dim) {
  check_defined("unsqueeze", {x});
  return composed("unsqueeze", [&] { return reshape(x, x.shape().unsqueezed(dim, "unsqueeze")); });
}

Tensor squeeze(const Tensor& x) {
  check_defined("squeeze", {x});
  Shape shape;
  for (const Index size : x.shape()) {
    if (size != 1) shape.push_back(size);
  }
  return composed("squeeze", [&] { return reshape(x, shape); });
}
Tensor squeeze(const Tensor& x, Index dim) {
  check_defined("squeeze", {x});
  if (x.rank() == 0 && (dim == 0 || dim == -1)) return x;
  const Index gone = x.shape().normalize(dim, "squeeze");
  if (x.size(gone) != 1) return x;
  Shape shape;
  for (Index d = 0; d < x.rank(); ++d) {
    if (d != gone) shape.push_back(x.size(d));
  }
  return composed("squeeze", [&] { return reshape(x, shape); });
}

Tensor movedim(const Tensor& x, Index source, Index destination) {
  check_defined("movedim", {x});
  const Index from = x.shape().normalize(source, "movedim"), to = x.shape().normalize(destination, "movedim");
  std::vector<Index> dims(static_cast<std::size_t>(x.rank()));
  std::iota(dims.begin(), dims.end(), Index{0});
  dims.erase(dims.begin() + from);
  dims.insert(dims.begin() + to, from);
  return composed("movedim", [&] { return permuted(x, dims); });
}

Tensor expand(const Tensor& x, const Sizes& sizes) {
  check_defined("expand", {x});
  const auto rank = static_cast<Index>(sizes.size());
  check(rank >= x.rank(), "expand: {} has {} dimensions, {} sizes came; name all dimensions", x.shape(), x.rank(),
        rank);
  Shape shape;
  for (Index d = 0; d < rank; ++d) {
    const Index own = d - rank + x.rank(), size = sizes.begin()[d];
    check(size != -1 || own >= 0, "expand: -1 keeps a size, but the new dimension {} has none; write it out", d);
    shape.push_back(size == -1 ? x.size(own) : size);
  }
  return composed("expand", [&] { return broadcast_to(x, shape); });
}

Tensor repeat(const Tensor& x, const Sizes& counts) {
  check_defined("repeat", {x});
  const auto rank = static_cast<Index>(counts.size());
  check(rank >= x.rank(), "repeat: {} has {} dimensions, {} counts came; name one per dimension", x.shape(), x.rank(),
        rank);
  return composed("repeat", [&] {
    Tensor y = x;
    for (Index d = x.rank(); d < rank; ++d) y = unsqueeze(y, 0);
    for (Index d = 0; d < rank; ++d) {
      const Index count = counts.begin()[d];
      check(count >= 0, "repeat: count {} of dimension {}; counts must be at least 0", count, d);
      if (count == 0) y = slice(y, d, 0, 0);
      if (count > 1) y = concat(std::vector<Tensor>(static_cast<std::size_t>(count), y), d);
    }
    return y;
  });
}

Tensor flip(const Tensor& x, const Dims& dims) {
  check_defined("flip", {x});
  Walk walk{x.shape(), strides_of(x.shape())};
  for (const Index dim : dims) {
    const auto d = static_cast<std::size_t>(x.shape().normalize(dim, "flip"));
    check(walk.strides[d] > 0 || x.numel() == 0, "flip: dimension {} is named twice; name each once", dim);
    walk.start += (x.size(dim) - 1) * walk.strides[d];
    walk.strides[d] = -walk.strides[d];
  }
  return walked("flip", x, walk, true);
}

Tensor diagonal(const Tensor& x, Index offset, Index dim1, Index dim2) {
  check_defined("diagonal", {x});
  const Index a = x.shape().normalize(dim1, "diagonal"), b = x.shape().normalize(dim2, "diagonal");
  check(a != b, "diagonal: dimensions {} and {} of {} are one; name two", dim1, dim2, x.shape());
  const std::array<Index, Shape::max_rank> strides = strides_of(x.shape());
  const Index row = strides[static_cast<std::size_t>(a)], column = strides[static_cast<std::size_t>(b)];
  const Index rows = x.size(a) - std::max<Index>(0, -offset), columns = x.size(b) - std::max<Index>(0, offset);
  Walk walk;
  std::size_t rank = 0;
  for (Index d = 0; d < x.rank(); ++d) {
    if (d == a || d == b) continue;
    walk.shape.push_back(x.size(d));
    walk.strides[rank++] = strides[static_cast<std::size_t>(d)];
  }
  walk.shape.push_back(std::max<Index>(0, std::min(rows, columns)));
  walk.strides[rank] = row + column;
  walk.start = offset < 0 ? -offset * row : offset * column;
  return walked("diagonal", x, walk, false);
}

Tensor slice_scatter(const Tensor& x, const Tensor& source, Index dim, Index begin, Index end, Index step) {
  check_defined("slice_scatter", {x, source});
  return replaced("slice_scatter", x, source, slice_of("slice_scatter", x.shape(), dim, begin, end, step));
}

Tensor select_scatter(const Tensor& x, const Tensor& source, Index dim, Index index) {
  check_defined("select_scatter", {x, source});
  const Index size = x.size(x.shape().normalize(dim, "select_scatter"));
  check(index >= -size && index < size, "select_scatter: there is no index {} in dimension {} of {}; use {} .. {}",
        index, dim, x.shape(), -size, size - 1);
  const Index place = index < 0 ? index + size : index;
  return composed("select_scatter", [&] {
    const Tensor row = reshape(source, source.shape().unsqueezed(dim, "select_scatter"));
    return slice_scatter(x, row, dim, place, place + 1);
  });
}

Tensor roll(const Tensor& x, Index shift, Index dim) {
  check_defined("roll", {x});
  const Index size = x.size(x.shape().normalize(dim, "roll"));
  if (size == 0) return x;
  const Index first = (size - shift % size) % size;  // of x, which comes to the front
  return composed("roll", [&] { return concat({slice(x, dim, first, size), slice(x, dim, 0, first)}, dim); });
}

Tensor narrow(const Tensor& x, Index dim, Index start, Index length) {
  check_defined("narrow", {x});
  const Index size = x.size(x.shape().normalize(dim, "narrow")), begin = start < 0 ? start + size : start;
  check(begin >= 0 && begin <= size && length >= 0 && length <= size - begin,
        "narrow: {} elements from {} of dimension {} of {}; they must lie in 0 .. {}", length, start, dim, x.shape(),
        size);
  return composed("narrow", [&] { return slice(x, dim, begin, begin + length); });
}

Tensor select(const Tensor& x, Index dim, Index index) {
  check_defined("select", {x});
  const Index size = x.size(x.shape().normalize(dim, "select"));
  check(index >= -size && index < size, "select: there is no index {} in dimension {} of {}; use {} .. {}", index, dim,
        x.shape(), -size, size - 1);
  const Index place = index < 0 ? index + size : index;
  return composed("select", [&] { return squeeze(slice(x, dim, place, place + 1), dim); });
}

Tensor pad(const Tensor& x, const std::vector<Index>& widths, double value) {
  check_defined("pad", {x});
  check(widths.size() % 2 == 0 && std::cmp_less_equal(widths.size(), 2 * x.rank()),
        "pad: {} widths for {}; give two per dimension, before and after, from the last dimension on", widths.size(),
        x.shape());
  return composed("pad", [&] {
    Tensor y = x;
    for (std::size_t i = 0; i < widths.size(); i += 2) {
      const Index dim = -1 - static_cast<Index>(i / 2), size = y.size(dim), before = widths[i], after = widths[i + 1];
      check(size + std::min<Index>(before, 0) + std::min<Index>(after, 0) >= 0,
            "pad: {} and {} cut more than the {} elements of dimension {}", before, after, size, dim);
      y = slice(y, dim, std::max<Index>(0, -before), size + std::min<Index>(after, 0));
      const auto filled = [&](Index n) {
        Shape shape = y.shape();
        shape.set(dim, n);
        return full(shape, value, y.dtype());
      };
      if (before > 0 || after > 0) {
        y = concat({filled(std::max<Index>(0, before)), y, filled(std::max<Index>(0, after))}, dim);
      }
    }
    return y;
  });
}

std::vector<Tensor> split(const Tensor& x, Index size, Index dim) {
  check_defined("split", {x});
  check(size >= 1, "split: parts of {} elements; they must have at least 1", size);
  const Index whole = x.size(x.shape().normalize(dim, "split"));
  std::vector<Tensor> parts;
  for (Index begin = 0; begin == 0 || begin < whole; begin += size) {
    parts.push_back(composed("split", [&] { return slice(x, dim, begin, std::min(whole, begin + size)); }));
  }
  return parts;
}

std::vector<Tensor> chunk(const Tensor& x, Index chunks, Index dim) {
  check_defined("chunk", {x});
  check(chunks >= 1, "chunk: {} parts; there must be at least 1", chunks);
  const Index whole = x.size(x.shape().normalize(dim, "chunk"));
  return split(x, std::max<Index>(1, (whole + chunks - 1) / chunks), dim);
}

std::vector<Tensor> unbind(const Tensor& x, Index dim) {
  check_defined("unbind", {x});
  std::vector<Tensor> parts;
  for (Index i = 0; i < x.size(x.shape().normalize(dim, "unbind")); ++i) parts.push_back(select(x, dim, i));
  return parts;
}

}  // namespace gradus
