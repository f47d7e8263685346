// Pointwise ops. The formulas and their slopes are in kernels/unary.def and binary.def; the broadcasting of
// two arguments, for values and for gradients, is here.
#include <array>
#include <limits>
#include <numbers>
#include <string_view>
#include <utility>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// Whether a formula, as text, has the variable `name` in it.
constexpr bool mentions(std::string_view formula, char name) {
  const auto is_word = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  for (std::size_t i = 0; i < formula.size(); ++i) {
    if (formula[i] != name || (i > 0 && is_word(formula[i - 1]))) continue;
    if (i + 1 == formula.size() || !is_word(formula[i + 1])) return true;
  }
  return false;
}

// The values that a gradient reads: the others may change after the op.
struct Reads {
  bool a, b, y;

  // Throws Error where values are read that have changed.
  void check(const Node& out, const Node& first, const Node& second) const {
    dispatch(out.dtype, [&]<class T>() {
      if (a) first.values<T>();
      if (b) second.values<T>();
      if (y) out.values<T>();
    });
  }
};

constexpr std::array unary_names{
#define UNARY(name, y, dy, rule) #name,
#include <gradus/core/kernels/unary.def>
#undef UNARY
};
constexpr std::array binary_names{
#define BINARY(name, y, da, db, rule_a, rule_b) #name,
#include <gradus/core/kernels/binary.def>
#undef BINARY
};

constexpr std::array unary_reads{
#define UNARY(name, y, dy, rule) Reads{mentions(#dy, 'x'), false, mentions(#dy, 'y')},
#include <gradus/core/kernels/unary.def>
#undef UNARY
};
constexpr std::array first_reads{
#define BINARY(name, y, da, db, rule_a, rule_b) Reads{mentions(#da, 'a'), mentions(#da, 'b'), mentions(#da, 'y')},
#include <gradus/core/kernels/binary.def>
#undef BINARY
};
constexpr std::array second_reads{
#define BINARY(name, y, da, db, rule_a, rule_b) Reads{mentions(#db, 'a'), mentions(#db, 'b'), mentions(#db, 'y')},
#include <gradus/core/kernels/binary.def>
#undef BINARY
};

// ---- parts of the rules in unary.def and binary.def

// x where an activation has not reached its limit yet: past it 0 would meet infinity.
Tensor bounded(const Tensor& x, double bound) {
  return clamp(x, -bound, bound);
}
Tensor silu_slope(const Tensor& unbounded) {
  const Tensor x = bounded(unbounded, 1000), s = sigmoid(x);
  return s * (x * (1 - s) + 1);
}
Tensor mish_slope(const Tensor& unbounded) {
  const Tensor x = bounded(unbounded, 1000), t = tanh(softplus(x));
  return t + x * sigmoid(x) * (1 - t * t);
}
Tensor hardswish_slope(const Tensor& x) {
  return where(x < -3, 0, where(x > 3, 1, x / 3 + 0.5));
}
Tensor gelu_erf_slope(const Tensor& unbounded) {
  const Tensor x = bounded(unbounded, 40);
  const Tensor phi = exp(x * x * -0.5) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  return erf(x * (-1 / std::numbers::sqrt2)) * -0.5 + 0.5 + x * phi;
}
Tensor gelu_tanh_slope(const Tensor& unbounded) {  // x sigmoid(u), of which tanh(u / 2) makes gelu's usual form
  constexpr double c = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi, cubic = 0.044715;
  const Tensor x = bounded(unbounded, 40), s = sigmoid(x * (x * x * cubic + 1) * c);
  return s * (x * (1 - s) * (x * x * (3 * cubic) + 1) * c + 1);
}
Tensor power_rule(const Tensor& dy, const Tensor& x, double exponent) {
  return exponent == 0 ? Tensor() : dy * pow(x, exponent - 1) * exponent;
}
// Where b is 0 and a^-1 is infinite or NaN, a gets 0.
Tensor power_base_rule(const Tensor& dy, const Tensor& a, const Tensor& b) {
  const Tensor stops = logical_and(b == 0, logical_not(isfinite(1 / a)));
  return where(stops, 0, dy * b * pow(where(stops, 1, a), b - 1));
}
Tensor power_exponent_rule(const Tensor& dy, const Tensor& a, const Tensor& b, const Tensor& y) {
  const Tensor stops = logical_and(a == 0, b >= 0);
  return where(stops, 0, dy * y * log(where(stops, 1, a)));
}
// How many times b was taken from a to leave y; `quotient`, a / b rounded, where y is infinite or NaN.
Tensor whole_quotient(const Tensor& a, const Tensor& b, const Tensor& y, const Tensor& quotient) {
  return where(isfinite(y), round((a - y) / b), quotient).detach();
}
Tensor atan2_slope(const Tensor& a, const Tensor& b) {
  const Tensor r = hypot(a, b);
  return b / r / r;
}
// The part of dy that a gets where a is the larger one: half of it in a tie.
Tensor above(const Tensor& a, const Tensor& b, const Tensor& dy) {
  return where(a < b, 0, where(a == b, dy * 0.5, dy));
}

Tensor unary_rule(UnaryOp op, const Tensor& x, const Tensor& y, const Tensor& dy, double p, double q) {
  switch (op) {
#define UNARY(name, f, slope, rule) \
  case UnaryOp::name:               \
    return rule;
#include <gradus/core/kernels/unary.def>
#undef UNARY
  }
  __builtin_unreachable();
}

Tensor binary_rule(BinaryOp op, bool first, const Tensor& a, const Tensor& b, const Tensor& y, const Tensor& dy) {
  switch (op) {
#define BINARY(name, f, slope_a, slope_b, rule_a, rule_b) \
  case BinaryOp::name:                                    \
    return first ? rule_a : rule_b;
#include <gradus/core/kernels/binary.def>
#undef BINARY
  }
  __builtin_unreachable();
}

Tensor unary(UnaryOp op, const Tensor& x, double p = 0, double q = 0) {
  check_defined(unary_names[static_cast<std::size_t>(op)], {x});
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().data.as<T>();
    T* const to = y.node().data.as<T>();
    parallel_for(x.numel(), pointwise_grain, [&](Index begin, Index end) {
      kernels::kernels<T>().unary(op, from + begin, to + begin, end - begin, static_cast<T>(p), static_cast<T>(q),
                                  far<T>(x.numel()));
    });
  });
  const auto backward = [op, p, q](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const auto [dx, adds] = in[0].grad_share<T>();
      if (detail::change_guards.load(std::memory_order_relaxed) != 0) [[unlikely]]
        unary_reads[static_cast<std::size_t>(op)].check(out, in[0], in[0]);
      const T *const dy = out.grad_or_null<T>(), *const px = in[0].data.as<T>(), *const py = out.data.as<T>();
      parallel_for(out.numel(), pointwise_grain, [&, dx = dx, adds = adds](Index begin, Index end) {
        kernels::kernels<T>().unary_grad(op, {.dy = dy + begin,
                                              .x = px + begin,
                                              .y = py + begin,
                                              .dx = dx + begin,
                                              .adds = adds,
                                              .n = end - begin,
                                              .p = static_cast<T>(p),
                                              .q = static_cast<T>(q),
                                              .far = far<T>(out.numel())});
      });
    });
  };
  return record(unary_names[static_cast<std::size_t>(op)], y, {x}, backward,
                [op, p, q](const Tensor& out, const Tensor& dy, const RuleInputs& in) {
                  return unary_rule(op, in[0], out, dy, p, q);
                });
}

// Two shapes laid over each other: the common shape, cut into runs over which each argument either moves one element
// at a time or stands still.
struct Broadcast {
  struct Dim {
    Index size, a_stride, b_stride;  // stride 0: repeated
  };
  Shape shape;
  std::array<Dim, Shape::max_rank> outer;  // the dimensions around the runs: the first outer_rank hold something
  std::size_t outer_rank = 0;
  Index runs = 1, run = 1;  // how many, and how long
  Index a_step = 1, b_step = 1;

  Broadcast(const char* op, const Shape& a, const Shape& b) {
    if (a == b) {  // the usual case, in one run
      shape = a;
      run = a.numel();
      return;
    }
    const Index rank = std::max(a.rank(), b.rank());
    std::array<Dim, Shape::max_rank> dims{};
    for (Index d = 0; d < rank; ++d) {
      const Index da = d - (rank - a.rank()), db = d - (rank - b.rank());
      const Index sa = da < 0 ? 1 : a[da], sb = db < 0 ? 1 : b[db];
      check(sa == sb || sa == 1 || sb == 1,
            "{}: shapes {} and {} do not broadcast: counted from the end, sizes must be equal or 1; reshape one", op, a,
            b);
      shape.push_back(sa == 1 ? sb : sa);
    }
    Index a_stride = 1, b_stride = 1;
    for (Index d = rank - 1; d >= 0; --d) {
      const Index da = d - (rank - a.rank()), db = d - (rank - b.rank());
      const Index sa = da < 0 ? 1 : a[da], sb = db < 0 ? 1 : b[db];
      dims[static_cast<std::size_t>(d)] = {shape[d], sa == 1 ? 0 : a_stride, sb == 1 ? 0 : b_stride};
      a_stride *= sa;
      b_stride *= sb;
    }
    // Dimensions of size 1 vanish; neighbors that one stride can walk through become one.
    std::array<Dim, Shape::max_rank> merged{};
    std::size_t count = 0;
    for (std::size_t d = 0; d < static_cast<std::size_t>(rank); ++d) {
      if (dims[d].size == 1) continue;
      Dim* const last = count > 0 ? &merged[count - 1] : nullptr;
      if (last != nullptr && last->a_stride == dims[d].a_stride * dims[d].size &&
          last->b_stride == dims[d].b_stride * dims[d].size) {
        *last = {last->size * dims[d].size, dims[d].a_stride, dims[d].b_stride};
      } else {
        merged[count++] = dims[d];
      }
    }
    if (count > 0) {
      const Dim& inner = merged[count - 1];
      run = inner.size;
      a_step = inner.a_stride;
      b_step = inner.b_stride;
      outer_rank = count - 1;
      for (std::size_t d = 0; d < outer_rank; ++d) runs *= (outer[d] = merged[d]).size;
    }
  }

  struct Offsets {
    Index a = 0, b = 0;
  };
  Offsets start_of(Index index) const {
    Offsets offsets;
    for (std::size_t d = outer_rank; d-- > 0; index /= outer[d].size) {
      offsets.a += index % outer[d].size * outer[d].a_stride;
      offsets.b += index % outer[d].size * outer[d].b_stride;
    }
    return offsets;
  }

  // Whether some element of the argument is used in more than one run.
  bool repeats(bool first) const {
    return std::any_of(outer.begin(), outer.begin() + static_cast<std::ptrdiff_t>(outer_rank),
                       [&](const Dim& dim) { return (first ? dim.a_stride : dim.b_stride) == 0; });
  }

  // f(offset in a, offset in b, offset in the result, length) for pieces that cover everything. Serial and in
  // order if `together`: the pieces then write to the same place.
  template <class F>
  void each_piece(bool together, const F& f) const {
    const Index total = runs * run;
    if (total == 0) return;
    if (runs == 1) {
      parallel_for(run, together ? run : pointwise_grain,
                   [&](Index begin, Index end) { f(begin * a_step, begin * b_step, begin, end - begin); });
      return;
    }
    parallel_for(runs, together ? runs : std::max<Index>(1, pointwise_grain / run), [&](Index begin, Index end) {
      for (Index r = begin; r < end; ++r) {
        const Offsets offsets = start_of(r);
        f(offsets.a, offsets.b, r * run, run);
      }
    });
  }
};

// Adds the gradient of one of the two inputs.
template <class T>
void binary_backward(BinaryOp op, const Broadcast& pieces, bool first, const Node& out, Inputs in) {
  if (detail::change_guards.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    (first ? first_reads : second_reads)[static_cast<std::size_t>(op)].check(out, in[0], in[1]);
  }
  const T *const pa = in[0].data.as<T>(), *const pb = in[1].data.as<T>();
  const T *const py = out.data.as<T>(), *const dy = out.grad_or_null<T>();
  const auto add_piece = [&](GradShare<T> to, Index i, Index j, Index k, Index n) {
    kernels::kernels<T>().binary_grad(op, {.first = first,
                                           .dy = dy + k,
                                           .a = pa + i,
                                           .b = pb + j,
                                           .y = py + k,
                                           .a_step = pieces.a_step,
                                           .b_step = pieces.b_step,
                                           .dx = to.p + (first ? i : j),
                                           .adds = to.adds,
                                           .n = n});
  };
  const Node& input = in[first ? 0 : 1];
  const bool repeats = pieces.repeats(first);
  // An element that is used in several runs gathers one share after another.
  const GradShare<T> dx = input.grad_share<T>(!repeats);
  if (!repeats) {
    const bool sums = (first ? pieces.a_step : pieces.b_step) == 0;
    pieces.each_piece(sums && pieces.runs == 1, [&](Index i, Index j, Index k, Index n) { add_piece(dx, i, j, k, n); });
    return;
  }
  const Index block = std::max(row_block, 16 * input.numel() / pieces.run);
  sum_in_tree(dx.p, input.numel(), pieces.runs, block, [&](T* to, Index begin, Index end) {
    for (Index run = begin; run < end; ++run) {
      const auto offsets = pieces.start_of(run);
      add_piece({to, true}, offsets.a, offsets.b, run * pieces.run, pieces.run);
    }
  });
}

// The values of an op of two arguments; kernel<T>() is what computes a run of them.
template <class Kernel>
Tensor combined(const char* name, const Tensor& a, const Tensor& b, const Kernel& kernel) {
  check_defined(name, {a, b});
  check_same_dtype(name, a, {b});
  const Broadcast plan(name, a.shape(), b.shape());
  Tensor y = Tensor::empty(plan.shape, a.dtype());
  dispatch(a.dtype(), [&]<class T>() {
    const T *const pa = a.node().data.as<T>(), *const pb = b.node().data.as<T>();
    T* const py = y.node().data.as<T>();
    const auto f = kernel.template operator()<T>();
    plan.each_piece(
        false, [&](Index i, Index j, Index k, Index n) { f(pa + i, plan.a_step, pb + j, plan.b_step, py + k, n); });
  });
  return y;
}

Tensor binary(BinaryOp op, const Tensor& a, const Tensor& b) {
  const char* const name = binary_names[static_cast<std::size_t>(op)];
  Tensor y = combined(name, a, b,
                      [op]<class T>() { return [op](auto... args) { kernels::kernels<T>().binary(op, args...); }; });
  const auto backward = [op](const Node& out, Inputs in) {
    const Broadcast pieces(out.op, in[0].shape, in[1].shape);
    dispatch(out.dtype, [&]<class T>() {
      for (const bool first : {true, false}) {
        if (in[first ? 0 : 1].wants_grad()) binary_backward<T>(op, pieces, first, out, in);
      }
    });
  };
  return record(name, y, {a, b}, backward, [op](const Tensor& out, const Tensor& dy, const RuleInputs& x) {
    const auto share = [&](std::size_t i) {
      return x.wants(i) ? sum_to(binary_rule(op, i == 0, x[0], x[1], out, dy), x[i].shape()) : Tensor();
    };
    return Gradients{share(0), share(1)};
  });
}

void check_bounds(const char* op, double low, double high) {
  check(low <= high, "{}: low is {} and high {}; low must not be above high", op, low, high);
}
void check_lambd(const char* op, double lambd) {
  check(lambd >= 0, "{}: lambd is {}; it must not be negative", op, lambd);
}

// 1 on one side of a diagonal and on it, else 0: tril's where `below`.
Tensor triangle(const char* op, const Tensor& x, Index diagonal, bool below) {
  check_defined(op, {x});
  check(x.rank() >= 2, "{}: shape {} has no rows and columns; at least two dimensions are needed", op, x.shape());
  const Index rows = x.size(-2), cols = x.size(-1);
  Tensor mask = Tensor::empty({rows, cols}, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    T* const to = mask.node().values<T>();
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) to[i * cols + j] = (below ? j - i <= diagonal : j - i >= diagonal) ? T(1) : T(0);
    }
  });
  return composed(op, [&] { return where(mask, x, 0); });
}

}  // namespace

#define UNARY(name, y, dy, rule)    \
  Tensor name(const Tensor& x) {    \
    return unary(UnaryOp::name, x); \
  }
#define UNARY_FORM(name, y, dy, rule)
#include <gradus/core/kernels/unary.def>
#undef UNARY
#define BINARY(name, y, da, db, rule_a, rule_b)   \
  Tensor name(const Tensor& a, const Tensor& b) { \
    return binary(BinaryOp::name, a, b);          \
  }
#include <gradus/core/kernels/binary.def>
#undef BINARY

#define COMPARE(name, mask)                                                                 \
  Tensor name(const Tensor& a, const Tensor& b) {                                           \
    return combined(#name, a, b, []<class T>() {                                            \
      return [](auto... args) { kernels::kernels<T>().compare(CompareOp::name, args...); }; \
    });                                                                                     \
  }
#include <gradus/core/kernels/compare.def>
#undef COMPARE

Tensor isnan(const Tensor& x) {
  return composed("isnan", [&] { return ne(x, x); });
}
Tensor isinf(const Tensor& x) {
  return composed("isinf", [&] { return abs(x.detach()) == inf; });
}
Tensor isfinite(const Tensor& x) {
  return composed("isfinite", [&] { return abs(x.detach()) < inf; });
}
Tensor logical_not(const Tensor& x) {
  return composed("logical_not", [&] { return x == 0; });
}
Tensor logical_and(const Tensor& a, const Tensor& b) {
  return composed("logical_and", [&] { return (a != 0) * (b != 0); });
}
Tensor logical_or(const Tensor& a, const Tensor& b) {
  return composed("logical_or", [&] { return maximum(a != 0, b != 0); });
}
Tensor logical_xor(const Tensor& a, const Tensor& b) {
  return composed("logical_xor", [&] { return (a != 0) != (b != 0); });
}

Tensor pow(const Tensor& x, double exponent) {
  return unary(UnaryOp::pow, x, exponent);
}

Tensor gelu(const Tensor& x, Gelu form) {
  return composed("gelu", [&] { return unary(form == Gelu::erf ? UnaryOp::gelu_erf : UnaryOp::gelu_tanh, x); });
}

Tensor clamp(const Tensor& x, double low, double high) {
  check_bounds("clamp", low, high);
  return unary(UnaryOp::clamp, x, low, high);
}

Tensor leaky_relu(const Tensor& x, double negative_slope) {
  return unary(UnaryOp::leaky_relu, x, negative_slope);
}
Tensor elu(const Tensor& x, double alpha) {
  return unary(UnaryOp::elu, x, alpha);
}
Tensor selu(const Tensor& x) {
  constexpr double alpha = 1.6732632423543772848, scale = 1.0507009873554804934;
  return composed("selu", [&] { return elu(x, alpha) * scale; });
}
Tensor celu(const Tensor& x, double alpha) {
  check(alpha != 0, "celu: alpha is 0, by which x is divided; it must be another number");
  return composed("celu", [&] { return elu(x * (1 / alpha)) * alpha; });
}
Tensor hardtanh(const Tensor& x, double low, double high) {
  check_bounds("hardtanh", low, high);
  return unary(UnaryOp::hardtanh, x, low, high);
}
Tensor relu6(const Tensor& x) {
  return composed("relu6", [&] { return hardtanh(x, 0, 6); });
}
Tensor hardsigmoid(const Tensor& x) {
  return composed("hardsigmoid", [&] { return hardtanh(x, -3, 3) * (1.0 / 6) + 0.5; });
}
Tensor hardshrink(const Tensor& x, double lambd) {
  check_lambd("hardshrink", lambd);
  return unary(UnaryOp::hardshrink, x, lambd);
}
Tensor softshrink(const Tensor& x, double lambd) {
  check_lambd("softshrink", lambd);
  return composed("softshrink", [&] { return x - clamp(x, -lambd, lambd); });
}
Tensor tanhshrink(const Tensor& x) {
  return composed("tanhshrink", [&] { return x - tanh(x); });
}
Tensor softsign(const Tensor& x) {
  return composed("softsign", [&] { return x / (abs(x) + 1); });
}
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
  return composed("lerp", [&] { return start + weight * (end - start); });
}
Tensor lerp(const Tensor& start, const Tensor& end, double weight) {
  return lerp(start, end, detail::number_for(start, weight));
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  check_defined("broadcast_to", {x});
  if (x.shape() == shape) return x;
  bool fits = x.rank() <= shape.rank();
  for (Index d = 1; fits && d <= x.rank(); ++d) fits = x.size(-d) == shape[-d] || x.size(-d) == 1;
  check(fits, "broadcast_to: {} cannot be repeated to {}; counted from the end, sizes must be equal or 1", x.shape(),
        shape);
  return composed("broadcast_to", [&] { return add(x, zeros(shape, x.dtype())); });
}

Tensor where(const Tensor& condition, const Tensor& a, double b) {
  return where(condition, a, detail::number_for(a, b));
}
Tensor where(const Tensor& condition, double a, const Tensor& b) {
  return where(condition, detail::number_for(b, a), b);
}
Tensor where(const Tensor& condition, double a, double b) {
  return where(condition, detail::number_for(condition, a), b);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  return composed("masked_fill", [&] { return where(mask, value, x); });
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check_defined("where", {condition, a, b});
  check_same_dtype("where", condition, {a, b});
  const Shape shape = Broadcast("where", condition.shape(), Broadcast("where", a.shape(), b.shape()).shape).shape;
  const detail::Within scope("where");
  const Tensor c = broadcast_to(condition.detach(), shape), x = broadcast_to(a, shape), z = broadcast_to(b, shape);
  Tensor y = Tensor::empty(shape, a.dtype());
  dispatch(a.dtype(), [&]<class T>() {
    kernels::kernels<T>().select(c.node().values<T>(), x.node().values<T>(), z.node().values<T>(), y.node().values<T>(),
                                 y.numel());
  });
  const auto backward = [](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      kernels::kernels<T>().select_grad(in[0].values<T>(), in[1].grad_or_null<T>(), in[2].grad_or_null<T>(),
                                        out.grad_or_null<T>(), out.numel());
    });
  };
  return record("where", y, {c, x, z}, backward, [](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return Gradients{{}, where(in[0], dy, 0), where(in[0], 0, dy)};
  });
}

Tensor tril(const Tensor& x, Index diagonal) {
  return triangle("tril", x, diagonal, true);
}
Tensor triu(const Tensor& x, Index diagonal) {
  return triangle("triu", x, diagonal, false);
}

namespace {

std::pair<Tensor, Tensor> halves(const char* op, const Tensor& x, Index dim) {
  check_defined(op, {x});
  const Index size = x.size(x.shape().normalize(dim, op)), half = size / 2;
  check(size % 2 == 0, "{}: size {} of dimension {} of {}; it must be even, for two halves", op, size, dim, x.shape());
  return {slice(x, dim, 0, half), slice(x, dim, half, size)};
}

}  // namespace

Tensor glu(const Tensor& x, Index dim) {
  return composed("glu", [&] {
    const auto [a, gate] = halves("glu", x, dim);
    return a * sigmoid(gate);
  });
}

Tensor swiglu(const Tensor& x, Index dim) {
  return composed("swiglu", [&] {
    const auto [gate, a] = halves("swiglu", x, dim);
    return silu(gate) * a;
  });
}

Tensor prelu(const Tensor& x, const Tensor& weight) {
  check_defined("prelu", {x, weight});
  const Index channels = x.rank() < 2 ? 1 : x.size(1);
  check(weight.rank() == 1 && (weight.numel() == 1 || weight.numel() == channels),
        "prelu: weight {} for x {}; it must be (1) or ({})", weight.shape(), x.shape(), channels);
  return composed("prelu", [&] {
    Shape shape;
    for (Index d = 0; d < x.rank(); ++d) shape.push_back(d == 1 ? weight.numel() : 1);
    return where(x > 0, x, x * reshape(weight, shape));
  });
}

}  // namespace gradus
