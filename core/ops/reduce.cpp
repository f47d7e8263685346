// Reductions: sum, mean, max, var, argmax. The reduced dimensions are brought together, so that every case is
// (outer, n, inner) -> (outer, inner); n neighbors in memory when inner is 1.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

// Which dimensions to reduce, as a bit each; empty `dims` is the mistake of asking for none, not a request for all.
std::uint32_t dim_set(const char* op, const Shape& shape, const Dims& dims) {
  check(!dims.empty(), "{}: an empty list of dimensions for shape {}; name some, or leave the list out to reduce all",
        op, shape);
  std::uint32_t set = 0;
  for (const Index dim : dims) {
    const auto bit = 1U << shape.normalize_line(dim, op);
    check((set & bit) == 0, "{}: dimension {} of shape {} is named twice; name each once", op, dim, shape);
    set |= bit;
  }
  return set;
}

std::vector<Index> all_dims(const Tensor& x) {
  std::vector<Index> dims(static_cast<std::size_t>(x.rank()));
  std::iota(dims.begin(), dims.end(), Index{0});
  return dims;
}

// (outer, n, inner) for a set of dimensions that are neighbors.
struct Cut {
  Index outer = 1, n = 1, inner = 1;
  Cut(const Shape& shape, std::uint32_t set) {
    for (Index d = 0; d < shape.rank(); ++d) {
      if ((set >> d & 1) != 0) {
        n *= shape[d];
      } else {
        ((set >> d) == 0 ? inner : outer) *= shape[d];
      }
    }
  }

  // For rules: the input's shape, and a result of its reduction that broadcasts against it.
  Shape shape() const { return {outer, n, inner}; }
  Tensor reduced(const Tensor& y) const { return reshape(y, {outer, 1, inner}); }
};

Shape without(const Shape& shape, std::uint32_t set, bool keepdim) {
  Shape result;
  for (Index d = 0; d < shape.rank(); ++d) {
    if ((set >> d & 1) == 0) {
      result.push_back(shape[d]);
    } else if (keepdim) {
      result.push_back(1);
    }
  }
  return result;
}

// Calls core(x, (outer, n, inner), shape of the result) on x, or on a permuted x when the dimensions are not neighbors.
template <class Core>
Tensor reduce(const char* op, const Tensor& x, const Dims& dims, bool keepdim, const Core& core) {
  check_defined(op, {x});
  const std::uint32_t set = dim_set(op, x.shape(), dims);
  const Shape shape = without(x.shape(), set, keepdim);
  const std::uint32_t run = set >> std::countr_zero(set);
  if ((run & (run + 1)) == 0) return core(x, Cut(x.shape(), set), shape);
  const detail::Within scope(op);
  std::vector<Index> order;
  for (const std::uint32_t wanted : {0U, 1U}) {
    for (Index d = 0; d < x.rank(); ++d) {
      if ((set >> d & 1) == wanted) order.push_back(d);
    }
  }
  const Tensor last = permute(x, order);
  const auto kept = x.rank() - std::popcount(set);
  return core(last, Cut(last.shape(), ((1U << std::popcount(set)) - 1) << kept), shape);
}

template <class T>
T sum_all(const T* x, Index n) {
  if (n <= pointwise_grain) return kernels::kernels<T>().sum(x, n);
  double result = 0;  // sums of short blocks add up in double: many small terms do not drown
  constexpr Index most = 64, block = 4096;
  const Index size = std::max(pointwise_grain, (n + most - 1) / most);
  std::array<double, most> partial{};
  parallel_for(n, size, [&](Index begin, Index end) {
    double& sum = partial[static_cast<std::size_t>(begin / size)];
    for (Index i = begin; i < end; i += block) {
      sum += static_cast<double>(kernels::kernels<T>().sum(x + i, std::min(block, end - i)));
    }
  });
  for (const double part : partial) result += part;
  return static_cast<T>(result);
}

// to (inner) = the sum over n of from (n, inner), for each of `outer`.
template <class T>
void sum_columns(T* to, const T* from, Cut cut) {
  std::fill_n(to, cut.outer * cut.inner, T(0));
  for (Index o = 0; o < cut.outer; ++o) {
    sum_over_rows(to + o * cut.inner, cut.inner, cut.n, [&](T* out, Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        kernels::kernels<T>().add(out, from + (o * cut.n + i) * cut.inner, cut.inner);
      }
    });
  }
}

// The gradient of a sum: each of its terms gets all of it. Rows begin .. end-1 of dx (outer n, inner).
template <class T>
void spread_sum(GradShare<T> dx, const T* dy, Cut cut, Index begin, Index end) {
  if (cut.inner != 1) {
    for (Index i = begin; i < end; ++i) write_or_add(dx + i * cut.inner, dy + i / cut.n * cut.inner, cut.inner);
    return;
  }
  while (begin < end) {
    const Index o = begin / cut.n, stop = std::min(end, (o + 1) * cut.n);
    if (dx.adds) {
      kernels::kernels<T>().add_scalar(dx.p + begin, dy[o], stop - begin);
    } else {
      std::fill(dx.p + begin, dx.p + stop, dy[o]);
    }
    begin = stop;
  }
}

Tensor sum_core(const Tensor& x, Cut cut, const Shape& shape) {
  Tensor y = Tensor::empty(shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().values<T>();
    T* const to = y.node().values<T>();
    if (cut.inner == 1 && cut.outer == 1) {
      *to = sum_all(from, cut.n);
    } else if (cut.inner == 1) {
      each_rows({cut.outer, cut.n}, [&](RowRange r) {
        for (Index i = 0; i < r.rows; ++i) to[r.begin + i] = kernels::kernels<T>().sum(r.in(from) + i * r.cols, r.cols);
      });
    } else {
      sum_columns(to, from, cut);
    }
  });
  const auto backward = [cut](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const GradShare<T> dx = in[0].grad_share<T>();
      const T* const dy = out.grad_or_null<T>();
      parallel_for(cut.outer * cut.n, row_grain(cut.inner),
                   [&](Index begin, Index end) { spread_sum(dx, dy, cut, begin, end); });
    });
  };
  return record("sum", y, {x}, backward, [cut](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return reshape(broadcast_to(cut.reduced(dy), cut.shape()), in[0].shape());
  });
}

// The gradient of a maximum: the elements that equal it share it.
template <class T>
void share_max(T* grad, const T* dy, const T* values, const T* best, Cut cut) {
  const Index block = cut.n * cut.inner;
  for (Index k = 0; k < cut.outer * cut.inner; ++k) {
    const Index first = k / cut.inner * block + k % cut.inner;
    const auto is_best = [x = values + first, top = best[k]](Index i) {
      return x[i] == top || (std::isnan(x[i]) && std::isnan(top));
    };
    Index equal = 0;
    for (Index i = 0; i < block; i += cut.inner) equal += is_best(i) ? 1 : 0;
    const T share = dy[k] / static_cast<T>(equal);
    for (Index i = 0; i < block; i += cut.inner) grad[first + i] += is_best(i) ? share : T(0);
  }
}

// The place of the largest of n elements that are `step` apart; a NaN counts as the largest, as in max.
template <class T>
Index place_of_largest(const T* p, Index n, Index step) {
  Index best = 0;
  for (Index i = 1; i < n; ++i) {
    if (std::isnan(p[best * step])) break;
    if (!(p[i * step] <= p[best * step])) best = i;
  }
  return best;
}

Tensor max_core(const Tensor& x, Cut cut, const Shape& shape) {
  check(cut.n > 0, "max: shape {} has no element to choose from; the reduced sizes must be at least 1", x.shape());
  Tensor y = Tensor::empty(shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const T* from = x.node().values<T>();
    T* to = y.node().values<T>();
    for (Index o = 0; o < cut.outer; ++o, to += cut.inner) {
      std::copy_n(from, cut.inner, to);
      for (Index i = 0; i < cut.n; ++i, from += cut.inner) {
        for (Index j = 0; j < cut.inner; ++j) to[j] = from[j] > to[j] || from[j] != from[j] ? from[j] : to[j];
      }
    }
  });
  const auto backward = [cut](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *values = in[0].values<T>(), *best = out.values<T>(), *dy = out.grad_or_null<T>();
      share_max(in[0].grad_or_null<T>(), dy, values, best, cut);
    });
  };
  return record("max", y, {x}, backward, [cut](const Tensor& out, const Tensor& dy, const RuleInputs& in) {
    const Tensor values = reshape(in[0].detach(), cut.shape()), best = cut.reduced(out.detach());
    const Tensor is_best = logical_or(values == best, logical_and(isnan(values), isnan(best)));
    return reshape(where(is_best, cut.reduced(dy) / sum(is_best, 1, true), 0), in[0].shape());
  });
}

}  // namespace

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (!x.defined() || x.shape() == shape) return x;
  const Index added = x.rank() - shape.rank();
  std::vector<Index> dims;
  for (Index d = 0; d < x.rank(); ++d) {
    if (d < added || shape[d - added] != x.size(d)) dims.push_back(d);
  }
  return reshape(dims.empty() ? x : sum(x, dims), shape);
}

Tensor sum(const Tensor& x, const Dims& dims, bool keepdim) {
  return reduce("sum", x, dims, keepdim, sum_core);
}
Tensor sum(const Tensor& x) {
  check_defined("sum", {x});
  return sum_core(x, Cut({x.numel()}, 1), {});
}

Tensor mean(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("mean", [&] {
    const Tensor total = reduce("mean", x, dims, keepdim, sum_core);
    return total * (static_cast<double>(total.numel()) / static_cast<double>(x.numel()));
  });
}
Tensor mean(const Tensor& x) {
  check_defined("mean", {x});
  return composed("mean", [&] { return sum(x) * (1 / static_cast<double>(x.numel())); });
}

Tensor max(const Tensor& x, const Dims& dims, bool keepdim) {
  return reduce("max", x, dims, keepdim, max_core);
}
Tensor max(const Tensor& x) {
  check_defined("max", {x});
  return max_core(x, Cut({x.numel()}, 1), {});
}

Tensor var(const Tensor& x, const Dims& dims, bool keepdim, double correction) {
  return composed("var", [&] {
    const Tensor total = reduce("var", x, dims, true, sum_core);
    const Tensor centered = x - total * (static_cast<double>(total.numel()) / static_cast<double>(x.numel()));
    const Tensor squares = sum(centered * centered, dims, keepdim);
    const double count = static_cast<double>(x.numel()) / static_cast<double>(std::max<Index>(1, squares.numel()));
    return squares * (1 / std::max(0.0, count - correction));
  });
}
Tensor var(const Tensor& x) {
  check_defined("var", {x});
  if (x.rank() > 0) return var(x, all_dims(x));
  return composed("var", [&] { return x * std::numeric_limits<double>::quiet_NaN(); });
}

Tensor min(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("min", [&] { return -reduce("min", -x, dims, keepdim, max_core); });
}
Tensor min(const Tensor& x) {
  check_defined("min", {x});
  return composed("min", [&] { return -max(-x); });
}
Tensor amax(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("amax", [&] { return max(x, dims, keepdim); });
}
Tensor amin(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("amin", [&] { return min(x, dims, keepdim); });
}

Tensor std(const Tensor& x, const Dims& dims, bool keepdim, double correction) {
  return composed("std", [&] { return pow_flat_at_zero(var(x, dims, keepdim, correction), 0.5); });
}
Tensor std(const Tensor& x) {
  check_defined("std", {x});
  return composed("std", [&] { return pow_flat_at_zero(var(x), 0.5); });
}

Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim) {
  check_defined("logsumexp", {x});
  return composed("logsumexp", [&] {
    const Tensor largest = max(x.detach(), dims, true), shift = where(isfinite(largest), largest, 0);
    const Tensor y = log(sum(exp(x - shift), dims, keepdim));
    return y + reshape(shift, y.shape());
  });
}

Tensor norm(const Tensor& x, double p, const Dims& dims, bool keepdim) {
  check_defined("norm", {x});
  check(!std::isnan(p), "norm: p is NaN; give a number, or infinity for the largest size");
  return composed("norm", [&] {
    if (p == 0) return sum(x != 0, dims, keepdim);
    if (p == 1) return sum(abs(x), dims, keepdim);
    if (p == 2) return pow_flat_at_zero(sum(x * x, dims, keepdim), 0.5);
    if (std::isinf(p)) return p > 0 ? max(abs(x), dims, keepdim) : min(abs(x), dims, keepdim);
    const Tensor powers = p < 1 ? pow_flat_at_zero(abs(x), p) : pow(abs(x), p);
    return pow_flat_at_zero(sum(powers, dims, keepdim), 1 / p);
  });
}
Tensor norm(const Tensor& x, double p) {
  check_defined("norm", {x});
  return composed("norm", [&] { return norm(reshape(x, -1), p, 0); });
}

Tensor count_nonzero(const Tensor& x) {
  return composed("count_nonzero", [&] { return sum(x != 0); });
}
Tensor count_nonzero(const Tensor& x, const Dims& dims) {
  return composed("count_nonzero", [&] { return sum(x != 0, dims); });
}
Tensor any(const Tensor& x) {
  return composed("any", [&] { return sum(x != 0) != 0; });
}
Tensor any(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("any", [&] { return sum(x != 0, dims, keepdim) != 0; });
}
Tensor all(const Tensor& x) {
  return composed("all", [&] { return sum(x == 0) == 0; });
}
Tensor all(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("all", [&] { return sum(x == 0, dims, keepdim) == 0; });
}

namespace {

// Calls f(first, step) for each line of n numbers along the reduced dimension.
template <class F>
void each_line(Cut cut, const F& f) {
  parallel_for(cut.outer * cut.inner, row_grain(cut.n), [&](Index begin, Index end) {
    for (Index k = begin; k < end; ++k) f(k / cut.inner * cut.n * cut.inner + k % cut.inner, cut.inner);
  });
}

// dx_i += dy times the product of the others: of those before times those after, as dividing by x_i fails at 0.
template <class T>
void spread_product(T* dx, const T* x, T dy, Index n, Index step, T* before) {
  T product = 1;
  for (Index i = 0; i < n; ++i) {
    before[i] = product;
    product *= x[i * step];
  }
  product = dy;
  for (Index i = n - 1; i >= 0; --i) {
    dx[i * step] += before[i] * product;
    product *= x[i * step];
  }
}

// Of each line along dimension 1 of x (outer, n, inner): the products of the elements before each one, 1 for the first.
Tensor products_before(const Tensor& x) {
  const Tensor first = ones({x.size(0), 1, x.size(2)}, x.dtype());
  return concat({first, slice(cumprod(x, 1), 1, 0, x.size(1) - 1)}, 1);
}

Tensor prod_core(const Tensor& x, Cut cut, const Shape& shape) {
  Tensor y = Tensor::empty(shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().values<T>();
    T* const to = y.node().values<T>();
    std::fill_n(to, y.numel(), T(1));
    for (Index k = 0; k < x.numel(); ++k) to[k / (cut.n * cut.inner) * cut.inner + k % cut.inner] *= from[k];
  });
  const auto backward = [cut](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const values = in[0].values<T>(), *const dy = out.grad_or_null<T>();
      T* const dx = in[0].grad_or_null<T>();
      each_line(cut, [&](Index first, Index step) {
        const Buffer before(cut.n, out.dtype);
        const Index place = cut.n == 0 ? 0 : first / (cut.n * cut.inner) * cut.inner + first % cut.inner;
        spread_product(dx + first, values + first, dy[place], cut.n, step, before.as<T>());
      });
    });
  };
  return record("prod", y, {x}, backward, [cut](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    const Tensor values = reshape(in[0], cut.shape());
    const Tensor others = products_before(values) * flip(products_before(flip(values, 1)), 1);
    return reshape(cut.reduced(dy) * others, in[0].shape());
  });
}

}  // namespace

Tensor prod(const Tensor& x, const Dims& dims, bool keepdim) {
  return reduce("prod", x, dims, keepdim, prod_core);
}
Tensor prod(const Tensor& x) {
  check_defined("prod", {x});
  return prod_core(x, Cut({x.numel()}, 1), {});
}

Tensor cumsum(const Tensor& x, Index dim) {
  check_defined("cumsum", {x});
  const Cut cut(x.shape(), 1U << x.shape().normalize_line(dim, "cumsum"));
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().values<T>();
    T* const to = y.node().values<T>();
    each_line(cut, [&](Index first, Index step) {
      T total = 0;
      for (Index i = 0; i < cut.n; ++i) to[first + i * step] = total += from[first + i * step];
    });
  });
  const auto backward = [cut](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const dy = out.grad_or_null<T>();
      T* const dx = in[0].grad_or_null<T>();
      each_line(cut, [&](Index first, Index step) {
        T total = 0;
        for (Index i = cut.n - 1; i >= 0; --i) dx[first + i * step] += total += dy[first + i * step];
      });
    });
  };
  return record("cumsum", y, {x}, backward, [cut](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return reshape(flip(cumsum(flip(reshape(dy, cut.shape()), 1), 1), 1), in[0].shape());
  });
}

Tensor cumprod(const Tensor& x, Index dim) {
  check_defined("cumprod", {x});
  const Cut cut(x.shape(), 1U << x.shape().normalize_line(dim, "cumprod"));
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    const T* const from = x.node().values<T>();
    T* const to = y.node().values<T>();
    each_line(cut, [&](Index first, Index step) {
      T product = 1;
      for (Index i = 0; i < cut.n; ++i) to[first + i * step] = product *= from[first + i * step];
    });
  });
  // dx_i = (the product before i) r_i with r_i = dy_i + x_(i+1) r_(i+1): no division, so a 0 is as good as any number.
  const auto backward = [cut](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const values = in[0].values<T>(), *const products = out.values<T>(), *const dy = out.grad_or_null<T>();
      T* const dx = in[0].grad_or_null<T>();
      each_line(cut, [&](Index first, Index step) {
        T rest = 0;
        for (Index i = cut.n - 1; i >= 0; --i) {
          const Index at = first + i * step;
          rest = dy[at] + (i + 1 < cut.n ? values[at + step] * rest : T(0));
          dx[at] += rest * (i > 0 ? products[at - step] : T(1));
        }
      });
    });
  };
  return record("cumprod", y, {x}, backward, [cut](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    const Tensor values = reshape(in[0], cut.shape()), shares = reshape(dy, cut.shape());
    std::vector<Tensor> rests(static_cast<std::size_t>(cut.n));
    for (Index i = cut.n - 1; i >= 0; --i) {
      Tensor& rest = rests[static_cast<std::size_t>(i)] = slice(shares, 1, i, i + 1);
      if (i + 1 < cut.n) rest = rest + slice(values, 1, i + 1, i + 2) * rests[static_cast<std::size_t>(i) + 1];
    }
    return reshape(products_before(values) * concat(rests, 1), in[0].shape());
  });
}

Ids argmin(const Tensor& x, Index dim) {
  check_defined("argmin", {x});
  const NoGrad no_grad;
  return argmax(-x, dim);
}

Ids argmax(const Tensor& x, Index dim) {
  check_defined("argmax", {x});
  const std::uint32_t set = 1U << x.shape().normalize_line(dim, "argmax");
  const Cut cut(x.shape(), set);
  check(cut.n > 0, "argmax: shape {} has no element to choose from along dimension {}; its size must be at least 1",
        x.shape(), dim);
  std::vector<Index> result;
  result.reserve(static_cast<std::size_t>(cut.outer * cut.inner));
  dispatch(x.dtype(), [&]<class T>() {
    for (Index o = 0; o < cut.outer; ++o) {
      for (Index j = 0; j < cut.inner; ++j) {
        result.push_back(place_of_largest(x.node().values<T>() + o * cut.n * cut.inner + j, cut.n, cut.inner));
      }
    }
  });
  return Ids(result, without(x.shape(), set, false));
}

}  // namespace gradus
