// Ops that move values without changing them. The gradient moves back the same way and is added.
#include <algorithm>
#include <array>
#include <numeric>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

// The positions in the source of a contiguous result's elements: one stride per dimension of the result.
struct Walk {
  Shape shape;
  std::array<Index, Shape::max_rank> strides{};

  // Calls f(position in the result, position in the source, stride, n) for each row of the result's last dimension.
  template <class F>
  void each_row(const F& f) const {
    const Index rows = shape.as_matrix().rows, cols = shape.as_matrix().cols;
    const Index stride = shape.rank() == 0 ? 1 : strides[static_cast<std::size_t>(shape.rank() - 1)];
    parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
      for (Index r = begin; r < end; ++r) {
        Index offset = 0, rest = r;
        for (Index d = shape.rank() - 2; d >= 0; rest /= shape[d], --d) {
          offset += rest % shape[d] * strides[static_cast<std::size_t>(d)];
        }
        f(r * cols, offset, stride, cols);
      }
    });
  }
};

// (outer, n, inner) around one dimension: the blocks that slice and concat copy.
struct Blocks {
  Index outer = 1, inner = 1;
  Blocks(const Shape& shape, Index dim) {
    for (Index d = 0; d < shape.rank(); ++d) {
      if (d != dim) (d < dim ? outer : inner) *= shape[d];
    }
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

Tensor reshape(const Tensor& x, const Shape& shape) {
  check_defined("reshape", {x});
  check(shape.numel() == x.numel(), "reshape: {} has {} elements, {} needs {}; the counts must be equal", x.shape(),
        x.numel(), shape, shape.numel());
  if (shape == x.shape()) return x;
  Tensor y(std::allocate_shared<Node>(PoolAllocator<Node>{}, shape, x.dtype(), x.node().data));
  return record("reshape", y, {x}, [](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() { write_or_add<T>(in[0].grad_share<T>(), out.grad_or_null<T>(), out.numel()); });
  });
}

namespace {

Tensor permuted(const Tensor& x, std::span<const Index> dims) {
  check_defined("permute", {x});
  check(static_cast<Index>(dims.size()) == x.rank(),
        "permute: {} dimensions named for shape {}; name each of its {} once", dims.size(), x.shape(), x.rank());
  std::array<Index, Shape::max_rank> x_strides{};
  Index stride = 1;
  for (Index d = x.rank() - 1; d >= 0; stride *= x.size(d), --d) x_strides[static_cast<std::size_t>(d)] = stride;
  Walk walk;
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const auto d = static_cast<std::size_t>(x.shape().normalize(dims[i], "permute"));
    check((seen >> d & 1) == 0, "permute: dimension {} is named twice; name each of the {} once", dims[i], x.rank());
    seen |= 1U << d;
    walk.shape.push_back(x.size(static_cast<Index>(d)));
    walk.strides[i] = x_strides[d];
  }
  Tensor y = Tensor::empty(walk.shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().values<T>();
    T* const to = y.node().values<T>();
    walk.each_row([&](Index i, Index j, Index step, Index n) {
      for (Index l = 0; l < n; ++l) to[i + l] = from[j + l * step];
    });
  });
  return record("permute", y, {x}, [walk](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const GradShare<T> dx = in[0].grad_share<T>();
      const T* const dy = out.grad_or_null<T>();
      walk.each_row([&](Index i, Index j, Index step, Index n) {
        for (Index l = 0; l < n; ++l) dx.p[j + l * step] = dx.adds ? dx.p[j + l * step] + dy[i + l] : dy[i + l];
      });
    });
  });
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

Tensor slice(const Tensor& x, Index dim, Index begin, Index end) {
  check_defined("slice", {x});
  const Index d = x.shape().normalize(dim, "slice");
  const Index size = x.size(d);
  check(begin >= 0 && begin <= end && end <= size, "slice: {} .. {} of dimension {} of {}; bounds must lie in 0 .. {}",
        begin, end, dim, x.shape(), size);
  Shape shape = x.shape();
  shape.set(d, end - begin);
  Tensor y = Tensor::empty(shape, x.dtype());
  const Blocks blocks(shape, d);
  dispatch(x.dtype(), [&]<class T>() {
    move_blocks<T>({y.node().values<T>(), false}, end - begin, x.node().values<T>() + begin * blocks.inner, size,
                   end - begin, blocks);
  });
  return record("slice", y, {x}, [blocks, begin, end, size](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      move_blocks<T>({in[0].grad_or_null<T>() + begin * blocks.inner, true}, size, out.grad_or_null<T>(), end - begin,
                     end - begin, blocks);
    });
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
  return record("concat", y, detail::InputList(inputs), [blocks, d, size](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      Index position = 0;
      for (std::size_t i = 0; i < in.size(); ++i) {
        const Index n = in[i].shape[d];
        const GradShare<T> dx = in[i].grad_share<T>();
        if (dx) move_blocks<T>(dx, n, out.grad_or_null<T>() + position * blocks.inner, size, n, blocks);
        position += n;
      }
    });
  });
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

}  // namespace gradus
