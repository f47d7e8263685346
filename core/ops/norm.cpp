// layer_norm and rms_norm over the last dimension. Forward keeps two numbers per row (one for rms_norm), from which the
// gradient recomputes the normalized values. group_norm is layer_norm with a row for each group;
// local_response_norm is composed of other ops.
#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

void check_per_column(const char* op, const char* what, const Tensor& x, const Tensor& parameter) {
  check_defined(op, {x});
  check(x.rank() >= 1, "{}: x is a single number; it needs a last dimension to normalize over", op);
  check(!parameter.defined() || parameter.shape() == Shape{x.size(-1)}, "{}: {} {} must be ({}), the last size of x {}",
        op, what, parameter.defined() ? parameter.shape() : Shape{}, x.size(-1), x.shape());
  check_same_dtype(op, x, {parameter});
}

// Runs grad(RowRange, dweight, dbias) on every row: ranges side by side, sums over rows in a fixed order.
template <class T, class F>
void norm_grad(T* dweight, T* dbias, Shape::Matrix size, const F& grad) {
  const auto [rows, cols] = size;
  if (dweight == nullptr && dbias == nullptr) {
    each_rows(size, [&](RowRange r) { grad(r, nullptr, nullptr); });
    return;
  }
  const Buffer sums(2 * cols, dtype_of<T>());
  sums.fill_zero(static_cast<std::size_t>(2 * cols) * sizeof(T));
  sum_over_rows(sums.as<T>(), 2 * cols, rows, [&, n = cols](T* out, Index begin, Index end) {
    grad(RowRange{begin, end - begin, n}, dweight == nullptr ? nullptr : out, dbias == nullptr ? nullptr : out + n);
  });
  if (dweight != nullptr) kernels::kernels<T>().add(dweight, sums.as<T>(), cols);
  if (dbias != nullptr) kernels::kernels<T>().add(dbias, sums.as<T>() + cols, cols);
}

// The rules of both norms, from x over its standard deviation or root mean square: dx, dweight, dbias.
Gradients norm_rule(const Tensor& normalized, const Tensor& rstd, const Tensor& dy, const RuleInputs& x, bool centers) {
  const Tensor dn = x[1].defined() ? dy * x[1] : dy;
  const Tensor along = dn - normalized * mean(dn * normalized, -1, true);
  Gradients gradients{rstd * (centers ? along - mean(dn, -1, true) : along)};
  if (x.size() > 1) gradients.push_back(x.wants(1) ? sum_to(dy * normalized, x[1].shape()) : Tensor());
  if (x.size() > 2) gradients.push_back(x.wants(2) ? sum_to(dy, x[2].shape()) : Tensor());
  return gradients;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check_per_column("layer_norm", "weight", x, weight);
  check_per_column("layer_norm", "bias", x, bias);
  check(eps >= 0, "layer_norm: eps is {}; it must be at least 0", eps);
  const Shape::Matrix size = x.shape().as_matrix();
  Tensor y = Tensor::empty_like(x);
  const Buffer mean(size.rows, x.dtype()), rstd(size.rows, x.dtype());
  each_rows(x.dtype(), size, [&]<class T>() {
    return [&, px = x.node().values<T>(), py = y.node().values<T>(), pweight = values_or_null<const T>(weight),
            pbias = values_or_null<const T>(bias)](RowRange r) {
      kernels::kernels<T>().layer_norm({.x = r.in(px),
                                        .weight = pweight,
                                        .bias = pbias,
                                        .y = r.in(py),
                                        .mean = r.of_each<T>(mean),
                                        .rstd = r.of_each<T>(rstd),
                                        .rows = r.rows,
                                        .cols = r.cols,
                                        .eps = static_cast<T>(eps)});
    };
  });
  const auto backward = [mean, rstd, size](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const px = in[0].values<T>(), *const pweight = in[1].values<T>();
      const GradShare<T> dx = in[0].grad_share<T>();
      norm_grad(in[1].grad_or_null<T>(), in[2].grad_or_null<T>(), size, [&](RowRange r, T* dweight, T* dbias) {
        kernels::kernels<T>().layer_norm_grad({.dy = r.in(out.grad_or_null<T>()),
                                               .x = r.in(px),
                                               .weight = pweight,
                                               .mean = r.of_each<T>(mean),
                                               .rstd = r.of_each<T>(rstd),
                                               .dx = r.in(dx.p),
                                               .adds = dx.adds,
                                               .dweight = dweight,
                                               .dbias = dbias,
                                               .rows = r.rows,
                                               .cols = r.cols});
      });
    });
  };
  const auto rule = [eps](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    const Tensor centered = in[0] - gradus::mean(in[0], -1, true);
    const Tensor scale = gradus::rsqrt(gradus::mean(square(centered), -1, true) + eps);
    return norm_rule(centered * scale, scale, dy, in, true);
  };
  return record("layer_norm", y, {x, weight, bias}, backward, rule);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  check_per_column("rms_norm", "weight", x, weight);
  check(eps >= 0, "rms_norm: eps is {}; it must be at least 0", eps);
  const Shape::Matrix size = x.shape().as_matrix();
  Tensor y = Tensor::empty_like(x);
  const Buffer rstd(size.rows, x.dtype());
  each_rows(x.dtype(), size, [&]<class T>() {
    return [&, px = x.node().values<T>(), py = y.node().values<T>(),
            pweight = values_or_null<const T>(weight)](RowRange r) {
      kernels::kernels<T>().rms_norm({.x = r.in(px),
                                      .weight = pweight,
                                      .y = r.in(py),
                                      .rstd = r.of_each<T>(rstd),
                                      .rows = r.rows,
                                      .cols = r.cols,
                                      .eps = static_cast<T>(eps)});
    };
  });
  const auto backward = [rstd, size](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const px = in[0].values<T>(), *const pweight = in[1].values<T>();
      const GradShare<T> dx = in[0].grad_share<T>();
      norm_grad<T>(in[1].grad_or_null<T>(), nullptr, size, [&](RowRange r, T* dweight, T*) {
        kernels::kernels<T>().rms_norm_grad({.dy = r.in(out.grad_or_null<T>()),
                                             .x = r.in(px),
                                             .weight = pweight,
                                             .rstd = r.of_each<T>(rstd),
                                             .dx = r.in(dx.p),
                                             .adds = dx.adds,
                                             .dweight = dweight,
                                             .rows = r.rows,
                                             .cols = r.cols});
      });
    });
  };
  const auto rule = [eps](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    const Tensor scale = rsqrt(mean(square(in[0]), -1, true) + eps);
    return norm_rule(in[0] * scale, scale, dy, in, false);
  };
  return record("rms_norm", y, {x, weight}, backward, rule);
}

Tensor group_norm(const Tensor& x, Index groups, const Tensor& weight, const Tensor& bias, double eps) {
  check_defined("group_norm", {x});
  check(x.rank() >= 2, "group_norm: x {} must be (batch, channels, ..)", x.shape());
  const Index channels = x.size(1);
  check(groups > 0 && channels % groups == 0,
        "group_norm: {} groups for x {}; there must be at least 1, and its {} channels a multiple of them", groups,
        x.shape(), channels);
  for (const auto& [name, given] : {std::pair("weight", &weight), std::pair("bias", &bias)}) {
    check(!given->defined() || given->shape() == Shape{channels},
          "group_norm: {} {} must be ({}), the channels of x {}", name, given->defined() ? given->shape() : Shape{},
          channels, x.shape());
  }
  check_same_dtype("group_norm", x, {weight, bias});
  check(eps >= 0, "group_norm: eps is {}; it must be at least 0", eps);
  return composed("group_norm", [&] {
    Index rest = channels / groups;
    Shape wide{1, channels};  // broadcasts against x
    for (Index d = 2; d < x.rank(); ++d) {
      rest *= x.size(d);
      wide.push_back(1);
    }
    Tensor y = reshape(layer_norm(reshape(x, {x.size(0), groups, rest}), {}, {}, eps), x.shape());
    if (weight.defined()) y = y * reshape(weight, wide);
    return bias.defined() ? y + reshape(bias, wide) : y;
  });
}

Tensor local_response_norm(const Tensor& x, Index size, double alpha, double beta, double k) {
  check_defined("local_response_norm", {x});
  check(size >= 1 && x.rank() >= 3, "local_response_norm: {} with size {}; x must be (B, C, ..), size at least 1",
        x.shape(), size);
  return composed("local_response_norm", [&] {
    const Tensor squares = pad(movedim(square(x), 1, -1), {size / 2, (size - 1) / 2});
    const Tensor means = movedim(avg_pool1d(squares, size, {.stride = 1}), -1, 1);
    return x / pow(k + alpha * means, beta);
  });
}

}  // namespace gradus
