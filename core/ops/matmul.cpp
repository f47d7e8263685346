// Matrix products: matmul with broadcast leading dimensions, and linear, whose bias is added while the tile is still in
// registers. For C = A B:  dA = dC B^T,  dB = A^T dC; transposed factors are read in place.
#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/gemm.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

// One product of a batch: where its factors and result start.
struct Factors {
  Shape leading;  // of the result
  Index count = 1;
  std::vector<Index, PoolAllocator<Index>> a, b;  // offsets, in elements; the result's are consecutive

  Factors(const Tensor& ta, const Tensor& tb) {
    const Index rank = std::max(ta.rank(), tb.rank()) - 2;
    for (Index d = 0; d < rank; ++d) {
      const Index sa = leading_size(ta.shape(), rank, d), sb = leading_size(tb.shape(), rank, d);
      check(sa == sb || sa == 1 || sb == 1,
            "matmul: a {} and b {} do not fit: leading dimensions must broadcast, counted from the end equal or 1",
            ta.shape(), tb.shape());
      leading.push_back(sa == 1 ? sb : sa);
    }
    count = leading.numel();
    a = offsets(ta.shape(), rank);
    b = offsets(tb.shape(), rank);
  }

 private:
  static Index leading_size(const Shape& shape, Index rank, Index d) {
    const Index own = d - (rank - (shape.rank() - 2));
    return own < 0 ? 1 : shape[own];
  }
  std::vector<Index, PoolAllocator<Index>> offsets(const Shape& shape, Index rank) const {
    std::vector<Index, PoolAllocator<Index>> result(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i) {
      Index rest = i, offset = 0, stride = shape[-1] * shape[-2];
      for (Index d = rank - 1; d >= 0; rest /= leading[d], --d) {
        const Index size = leading_size(shape, rank, d);
        if (size != 1) offset += rest % leading[d] * stride;
        stride *= size;
      }
      result[static_cast<std::size_t>(i)] = offset;
    }
    return result;
  }
};

// Products of a batch, of `work` multiply-adds each, run side by side; each is then serial inside, unless it is the
// only one.
template <class F>
void each_product(Index count, Index work, const F& f) {
  constexpr Index small_task = 300'000;
  const Index grain = std::max<Index>(1, small_task / std::max<Index>(1, work));
  parallel_for(count, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) f(static_cast<std::size_t>(i));
  });
}

// Adds the gradient of an input whose matrices have `size` elements: product(to, i, adds) writes or adds what the i-th
// product of the batch contributes. A matrix that several products share gets their sum.
template <class T, class F>
void add_grad(const Node& input, Index count, Index size, Index work, const F& product) {
  const bool once = count * size == input.numel();
  const GradShare<T> share = input.grad_share<T>(once);
  if (!share || size == 0) return;
  if (once) {
    each_product(count, work, [&](std::size_t i) { product(share.p, i, share.adds); });
    return;
  }
  sum_in_tree(share.p, input.numel(), count, std::max(row_block, 16 * input.numel() / size),
              [&](T* to, Index begin, Index end) {
                for (Index i = begin; i < end; ++i) product(to, static_cast<std::size_t>(i), true);
              });
}

// What the gradient of a batch of products needs beside the values.
struct Products {
  Factors batch;
  Index a_cols, b_cols, m, n, k;
  bool transpose_a, transpose_b;

  // to = or += the gradient that the i-th product has for its A, and for its B.
  template <class T>
  void grad_a(T* to, std::size_t i, bool adds, const T* dc, const T* pb) const {
    const auto dci = factor(dc + static_cast<Index>(i) * m * n, n), bt = factor(pb + batch.b[i], b_cols, !transpose_b);
    if (transpose_a) {  // dA^T = dC B^T, so dA = B dC^T
      gemm(to + batch.a[i], {bt.p, bt.col, bt.row}, {dci.p, dci.col, dci.row}, k, m, n, adds);
    } else {
      gemm(to + batch.a[i], dci, bt, m, k, n, adds);
    }
  }
  template <class T>
  void grad_b(T* to, std::size_t i, bool adds, const T* dc, const T* pa) const {
    const auto dci = factor(dc + static_cast<Index>(i) * m * n, n), at = factor(pa + batch.a[i], a_cols, !transpose_a);
    if (transpose_b) {
      gemm(to + batch.b[i], {dci.p, dci.col, dci.row}, {at.p, at.col, at.row}, n, k, m, adds);
    } else {
      gemm(to + batch.b[i], at, dci, k, n, m, adds);
    }
  }
};

Tensor matmul_matrices(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  const Index a_cols = a.size(-1), b_cols = b.size(-1);
  const Index m = a.size(transpose_a ? -1 : -2), k = a.size(transpose_a ? -2 : -1);
  const Index k_of_b = b.size(transpose_b ? -1 : -2), n = b.size(transpose_b ? -2 : -1);
  check(k == k_of_b,
        "matmul: a {}{} and b {}{} do not fit: the {} size of a ({}) must equal the {} size of b ({}); "
        "transpose one, or check the layer before",
        a.shape(), transpose_a ? " transposed" : "", b.shape(), transpose_b ? " transposed" : "",
        transpose_a ? "second-last" : "last", k, transpose_b ? "last" : "second-last", k_of_b);
  Factors batch(a, b);
  // One weight for a whole batch of plain matrices is one tall product.
  if (b.rank() == 2 && !transpose_a && batch.count > 1) {
    Shape shape = batch.leading;
    shape.push_back(m);
    shape.push_back(n);
    return reshape(matmul_matrices(reshape(a, {batch.count * m, k}), b, false, transpose_b), shape);
  }
  Shape shape = batch.leading;
  shape.push_back(m);
  shape.push_back(n);
  Tensor c = Tensor::empty(shape, a.dtype());
  dispatch(a.dtype(), [&]<class T>() {
    const T *const pa = a.node().values<T>(), *const pb = b.node().values<T>();
    T* const pc = c.node().values<T>();
    each_product(batch.count, saturating_product({m, n, k}), [&](std::size_t i) {
      gemm(pc + static_cast<Index>(i) * m * n, factor(pa + batch.a[i], a_cols, transpose_a),
           factor(pb + batch.b[i], b_cols, transpose_b), m, n, k, false);
    });
  });
  const Index work = saturating_product({m, n, k});
  Products products{std::move(batch), a_cols, b_cols, m, n, k, transpose_a, transpose_b};
  auto backward = [products = std::move(products), work](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const Products& p = products;
      const T* const dc = out.grad_or_null<T>();
      const T* const pa = in[1].wants_grad() ? in[0].values<T>() : nullptr;
      const T* const pb = in[0].wants_grad() ? in[1].values<T>() : nullptr;
      add_grad<T>(in[0], p.batch.count, p.m * p.k, work,
                  [&](T* to, std::size_t i, bool adds) { p.grad_a(to, i, adds, dc, pb); });
      add_grad<T>(in[1], p.batch.count, p.k * p.n, work,
                  [&](T* to, std::size_t i, bool adds) { p.grad_b(to, i, adds, dc, pa); });
    });
  };
  const auto rule = [ta = transpose_a, tb = transpose_b](const Tensor&, const Tensor& dc, const RuleInputs& in) {
    const auto [first, second] = std::pair(in[0], in[1]);
    Gradients gradients(2);
    if (in.wants(0)) gradients[0] = ta ? matmul(second, dc, tb, true) : matmul(dc, second, false, !tb);
    if (in.wants(1)) gradients[1] = tb ? matmul(dc, first, true, ta) : matmul(first, dc, !ta, false);
    for (std::size_t i = 0; i < 2; ++i) gradients[i] = sum_to(gradients[i], in[i].shape());
    return gradients;
  };
  return record("matmul", c, {a, b}, std::move(backward), rule);
}

template <class T>
void linear_grad_bias(T* dbias, const T* dy, Index rows, Index out_size) {
  sum_over_rows(dbias, out_size, rows, [&](T* sums, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) kernels::kernels<T>().add(sums, dy + r * out_size, out_size);
  });
}

// matmul_matrices() that also takes vectors.
Tensor matmul_any(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  if (a.rank() > 1 && b.rank() > 1) return matmul_matrices(a, b, transpose_a, transpose_b);
  // A vector stands for a row on the left and for a column on the right; the dimension added for that is removed again.
  const Tensor left = a.rank() > 1 ? a : reshape(a, {1, a.numel()});
  const Tensor right = b.rank() > 1 ? b : reshape(b, {b.numel(), 1});
  const Tensor c = matmul_matrices(left, right, transpose_a, transpose_b);
  Shape shape;
  for (Index d = 0; d < c.rank(); ++d) {
    const bool added = (a.rank() == 1 && d == c.rank() - 2) || (b.rank() == 1 && d == c.rank() - 1);
    if (!added) shape.push_back(c.size(d));
  }
  return reshape(c, shape);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  check_defined("matmul", {a, b});
  check_same_dtype("matmul", a, {b});
  check(a.rank() >= 1 && b.rank() >= 1, "matmul: a {} and b {}: both need at least one dimension; use * for numbers",
        a.shape(), b.shape());
  check((a.rank() > 1 || !transpose_a) && (b.rank() > 1 || !transpose_b),
        "matmul: a {} and b {}: a vector cannot be transposed; leave the flag out", a.shape(), b.shape());
  return composed("matmul", [&] { return matmul_any(a, b, transpose_a, transpose_b); });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_defined("linear", {x, weight});
  check(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1),
        "linear: x {} and weight {} do not fit: weight must be (out, in) with `in` the last size of x", x.shape(),
        weight.shape());
  check_same_dtype("linear", x, {weight, bias});
  const Index rows = x.shape().as_matrix().rows, in_size = weight.size(1);
  const Index out_size = weight.size(0);
  check(!bias.defined() || bias.shape() == Shape{out_size}, "linear: bias {} must be ({}), the first size of weight {}",
        bias.defined() ? bias.shape() : Shape{}, out_size, weight.shape());
  Shape shape = x.shape();
  shape.set(-1, out_size);
  Tensor y = Tensor::empty(shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const T *const px = x.node().values<T>(), *const pw = weight.node().values<T>();
    const T* const pbias = values_or_null<const T>(bias);
    T* const py = y.node().values<T>();
    constexpr Index few_rows = 4;      // for which packing the weights costs more than reading them where they are
    constexpr Index long_row = 16384;  // beyond it the rounding of one sum after another would show
    if (rows > few_rows || in_size > long_row) {
      gemm(py, factor(px, in_size), factor(pw, in_size, true), rows, out_size, in_size, false, pbias);
      return;
    }
    constexpr Index group = 16, work = 100'000;  // multiply-adds that take some 10 us
    const Index grain = std::max<Index>(group, work / std::max<Index>(1, in_size * rows) / group * group);
    parallel_for(out_size, grain, [&](Index begin, Index end) {
      kernels::kernels<T>().few_rows({.x = px,
                                      .weight = pw + begin * in_size,
                                      .bias = pbias == nullptr ? nullptr : pbias + begin,
                                      .y = py + begin,
                                      .y_stride = out_size,
                                      .rows = rows,
                                      .n = end - begin,
                                      .k = in_size});
    });
  });
  const auto backward = [rows, in_size, out_size](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const dy = out.grad_or_null<T>();
      if (const GradShare<T> dx = in[0].grad_share<T>()) {
        gemm(dx.p, factor(dy, out_size), factor(in[1].values<T>(), in_size), rows, in_size, out_size, dx.adds);
      }
      if (const GradShare<T> dweight = in[1].grad_share<T>()) {
        gemm(dweight.p, factor(dy, out_size, true), factor(in[0].values<T>(), in_size), out_size, in_size, rows,
             dweight.adds);
      }
      if (T* const dbias = in[2].grad_or_null<T>(); dbias != nullptr) {
        linear_grad_bias(dbias, dy, rows, out_size);
      }
    });
  };
  const auto rule = [rows, in_size, out_size](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    const Tensor flat = reshape(dy, {rows, out_size});
    return Gradients{in.wants(0) ? matmul(dy, in[1]) : Tensor(),
                     in.wants(1) ? matmul(flat, reshape(in[0], {rows, in_size}), true) : Tensor(),
                     in.wants(2) ? sum(flat, 0) : Tensor()};
  };
  return record("linear", y, {x, weight, bias}, backward, rule);
}

}  // namespace gradus
