// Ops that pick elements by ids, or add to them. Each line along one dimension is worked on by itself, so that threads
// never add to the same element.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

// One line of ids along a dimension, and the line of the tensor that they pick from.
struct Line {
  Index ids, ids_step;  // in the ids: the first element, and from one to the next
  Index x, x_step;      // in the tensor: element 0 of the line, and from one to the next
};

// The lines of `ids_shape` along `dim`, in a tensor of at least that size in every other dimension.
class Lines {
 public:
  Lines(const Shape& ids_shape, const Shape& x_shape, Index dim) : n_(1), rows_(1) {
    Index ids_stride = 1, x_stride = 1;
    for (Index d = ids_shape.rank() - 1; d >= 0; ids_stride *= ids_shape[d], x_stride *= x_shape[d], --d) {
      if (d == dim) {
        n_ = ids_shape[d];
        line_ = {0, ids_stride, 0, x_stride};
      } else {
        rows_ *= ids_shape[d];
        others_[count_++] = {ids_shape[d], ids_stride, x_stride};
      }
    }
  }

  Index length() const { return n_; }

  // Calls f(line) for each line, on several threads.
  template <class F>
  void each(const F& f) const {
    parallel_for(rows_, row_grain(n_), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) {
        Line line = line_;
        Index rest = row;
        for (std::size_t i = 0; i < count_; rest /= others_[i].size, ++i) {
          line.ids += rest % others_[i].size * others_[i].ids_stride;
          line.x += rest % others_[i].size * others_[i].x_stride;
        }
        f(line);
      }
    });
  }

 private:
  struct Other {
    Index size, ids_stride, x_stride;
  };
  Index n_, rows_;
  Line line_{0, 1, 0, 1};
  std::array<Other, Shape::max_rank> others_{};
  std::size_t count_ = 0;
};

void check_ids(const char* op, const Ids& ids, Index size, Index dim, const Shape& shape) {
  for (const std::int32_t id : ids) {
    check(id >= 0 && id < size, "{}: id {} is outside dimension {} of {}; ids must be 0 .. {}", op, id, dim, shape,
          size - 1);
  }
}

// The lines of ids in x, after all checks of gather and scatter_add.
Lines checked_lines(const char* op, const Tensor& x, Index dim, const Ids& ids) {
  check(ids.shape().rank() == x.rank(), "{}: ids {} for a tensor {}; both need the same number of dimensions", op,
        ids.shape(), x.shape());
  const Index d = x.shape().normalize_line(dim, op);
  for (Index i = 0; i < x.rank(); ++i) {
    check(i == d || ids.shape()[i] <= x.size(i),
          "{}: ids {} are larger than {} in dimension {}; only dimension {} may be larger", op, ids.shape(), x.shape(),
          i, d);
  }
  check_ids(op, ids, x.rank() == 0 ? 1 : x.size(d), d, x.shape());
  return {ids.shape(), x.shape(), d};
}

// to[element that the id names] += from[place of the id]: gather's gradient, and scatter_add.
template <class T>
void add_picked(T* to, const T* from, const Ids& ids, const Lines& lines) {
  lines.each([&](const Line& line) {
    for (Index i = 0; i < lines.length(); ++i) {
      const Index at = line.ids + i * line.ids_step;
      to[line.x + ids[static_cast<std::size_t>(at)] * line.x_step] += from[at];
    }
  });
}

template <class T, bool adds>
void pick(T* to, const T* from, const Ids& ids, const Lines& lines) {
  lines.each([&](const Line& line) {
    for (Index i = 0; i < lines.length(); ++i) {
      const Index at = line.ids + i * line.ids_step;
      const T value = from[line.x + ids[static_cast<std::size_t>(at)] * line.x_step];
      to[at] = adds ? to[at] + value : value;
    }
  });
}

// ids with the shape of `shape` except along `dim`, repeated where they have size 1.
Ids expanded(const Ids& ids, const Shape& shape, Index dim) {
  Shape wanted = shape;
  wanted.set(dim, ids.shape()[dim]);
  if (ids.shape() == wanted) return ids;
  for (Index d = 0; d < shape.rank(); ++d) {
    check(ids.shape()[d] == wanted[d] || ids.shape()[d] == 1,
          "take_along_dim: ids {} do not broadcast to {} outside dimension {}", ids.shape(), shape, dim);
  }
  std::vector<std::int32_t> all;
  all.reserve(static_cast<std::size_t>(wanted.numel()));
  for (Index k = 0; k < wanted.numel(); ++k) {
    Index rest = k, at = 0, stride = 1;
    for (Index d = wanted.rank() - 1; d >= 0; rest /= wanted[d], stride *= ids.shape()[d], --d) {
      if (ids.shape()[d] != 1) at += rest % wanted[d] * stride;
    }
    all.push_back(ids[static_cast<std::size_t>(at)]);
  }
  return {Ids(all), wanted};
}

}  // namespace

Tensor gather(const Tensor& x, Index dim, Ids ids) {
  check_defined("gather", {x});
  const Lines lines = checked_lines("gather", x, dim, ids);
  Tensor y = Tensor::empty(ids.shape(), x.dtype());
  dispatch(x.dtype(), [&]<class T>() { pick<T, false>(y.node().values<T>(), x.node().values<T>(), ids, lines); });
  const auto held = share(std::move(ids));
  const auto backward = [lines, held](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() { add_picked(in[0].grad_or_null<T>(), out.grad_or_null<T>(), *held, lines); });
  };
  return record("gather", y, {x}, backward, [dim, held](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return scatter_add(zeros(in[0].shape(), dy.dtype()), dim, *held, dy);
  });
}

Tensor scatter_add(const Tensor& x, Index dim, Ids ids, const Tensor& source) {
  check_defined("scatter_add", {x, source});
  check_same_dtype("scatter_add", x, {source});
  check(source.shape() == ids.shape(), "scatter_add: source {} and ids {} must have equal shapes; slice one",
        source.shape(), ids.shape());
  const Lines lines = checked_lines("scatter_add", x, dim, ids);
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    std::copy_n(x.node().values<T>(), x.numel(), y.node().values<T>());
    add_picked(y.node().values<T>(), source.node().values<T>(), ids, lines);
  });
  const auto held = share(std::move(ids));
  const auto backward = [lines, held](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const dy = out.grad_or_null<T>();
      if (T* const dx = in[0].grad_or_null<T>()) kernels::kernels<T>().add(dx, dy, out.numel());
      if (T* const dsource = in[1].grad_or_null<T>()) pick<T, true>(dsource, dy, *held, lines);
    });
  };
  const auto rule = [dim, held](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return Gradients{dy, in.wants(1) ? gather(dy, dim, *held) : Tensor()};
  };
  return record("scatter_add", y, {x, source}, backward, rule);
}

Tensor index_select(const Tensor& x, Index dim, Ids ids) {
  check_defined("index_select", {x});
  check(ids.shape().rank() <= 1, "index_select: ids {} have {} dimensions; reshape(-1) them to a list, or use gather",
        ids.shape(), ids.shape().rank());
  const Index d = x.shape().normalize_line(dim, "index_select");
  check_ids("index_select", ids, x.rank() == 0 ? 1 : x.size(d), d, x.shape());
  const auto count = static_cast<Index>(ids.size());
  return composed("index_select", [&] {
    const Tensor first = movedim(x.rank() == 0 ? reshape(x, 1) : x, d, 0);
    Shape shape = first.shape();
    shape.set(0, count);
    const Tensor rows = embedding(reshape(first, {first.size(0), first.numel() / std::max<Index>(1, first.size(0))}),
                                  std::move(ids).reshape(count));
    return movedim(reshape(rows, shape), 0, d);
  });
}

Tensor take_along_dim(const Tensor& x, const Ids& ids, Index dim) {
  check_defined("take_along_dim", {x});
  check(ids.shape().rank() == x.rank(),
        "take_along_dim: ids {} for a tensor {}; both need the same number of dimensions", ids.shape(), x.shape());
  if (x.rank() == 0) return gather(x, dim, ids);
  const Index d = x.shape().normalize(dim, "take_along_dim");
  return composed("take_along_dim", [&] { return gather(x, d, expanded(ids, x.shape(), d)); });
}

Tensor one_hot(const Ids& ids, Index classes, DType dtype) {
  check_ids("one_hot", ids, classes, ids.shape().rank(), {classes});
  Shape shape = ids.shape();
  shape.push_back(classes);
  Tensor y = zeros(shape, dtype);
  dispatch(dtype, [&]<class T>() {
    T* const to = y.node().values<T>();
    for (std::size_t i = 0; i < ids.size(); ++i) to[static_cast<Index>(i) * classes + ids[i]] = 1;
  });
  return y;
}

Ids::Ids(const Tensor& x) : Ids(to_ids(x)) {}

Ids::operator Tensor() const {
  return tensor(*this);
}

Ids to_ids(const Tensor& x) {
  check_defined("to_ids", {x});
  std::vector<std::int32_t> ids;
  ids.reserve(static_cast<std::size_t>(x.numel()));
  constexpr double end = 2147483648.0;
  dispatch(x.dtype(), [&]<class T>() {
    for (const T value : x.data<T>()) {
      const double number = value;
      check(std::floor(number) == number && number >= -end && number < end,
            "to_ids: {} is no id; ids are whole numbers of 32 bits: take floor(x) or round(x), or argmax(x)", value);
      ids.push_back(static_cast<std::int32_t>(number));
    }
  });
  return {ids, x.shape()};
}

}  // namespace gradus
