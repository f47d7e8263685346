// layer_norm and rms_norm over the last dimension. Forward keeps two numbers a row (one for rms_norm), from which the
// gradient recomputes the normalized values.
#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

void check_per_column(const char* op, const char* what, const Tensor& x, const Tensor& parameter) {
  check_defined(op, {x});
  check(x.rank() >= 1, "{}: x is a single number; it needs a last dimension to normalize over", op);
  check(!parameter.defined() || parameter.shape() == Shape{x.size(-1)}, "{}: {} {} must be ({}), the last size of x {}",
        op, what, parameter.defined() ? parameter.shape() : Shape{}, x.size(-1), x.shape());
  check_same_dtype(op, x, {parameter});
}

// Runs grad(dx, dweight and dbias as one array of 2 cols or null, first row, last row) on every row: ranges side by
// side, sums over rows in a fixed order.
template <class T, class F>
void norm_grad(T* dweight, T* dbias, Index rows, Index cols, const F& grad) {
  if (dweight == nullptr && dbias == nullptr) {
    parallel_for(rows, row_grain(cols), [&](Index begin, Index end) { grad(nullptr, nullptr, begin, end); });
    return;
  }
  const Buffer sums(2 * cols, dtype_of<T>());
  sums.fill_zero(static_cast<std::size_t>(2 * cols) * sizeof(T));
  sum_over_rows(sums.as<T>(), 2 * cols, rows, [&](T* out, Index begin, Index end) {
    grad(dweight == nullptr ? nullptr : out, dbias == nullptr ? nullptr : out + cols, begin, end);
  });
  if (dweight != nullptr) kernels::kernels<T>().add(dweight, sums.as<T>(), cols);
  if (dbias != nullptr) kernels::kernels<T>().add(dbias, sums.as<T>() + cols, cols);
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check_per_column("layer_norm", "weight", x, weight);
  check_per_column("layer_norm", "bias", x, bias);
  check(eps >= 0, "layer_norm: eps is {}; it must be at least 0", eps);
  const Index rows = x.shape().as_matrix().rows, cols = x.shape().as_matrix().cols;
  Tensor y = Tensor::empty_like(x);
  const Buffer mean(rows, x.dtype()), rstd(rows, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
      kernels::kernels<T>().layer_norm(x.node().values<T>() + begin * cols, values_or_null<const T>(weight),
                                       values_or_null<const T>(bias), y.node().values<T>() + begin * cols,
                                       mean.as<T>() + begin, rstd.as<T>() + begin, end - begin, cols,
                                       static_cast<T>(eps));
    });
  });
  return record("layer_norm", y, {x, weight, bias}, [mean, rstd, rows, cols](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const px = in[0].values<T>(), *const pweight = in[1].values<T>();
      const GradShare<T> dx = in[0].grad_share<T>();
      norm_grad(in[1].grad_or_null<T>(), in[2].grad_or_null<T>(), rows, cols,
                [&](T* dweight, T* dbias, Index begin, Index end) {
                  const Index i = begin * cols;
                  kernels::kernels<T>().layer_norm_grad((dx + i).p, dx.adds, dweight, dbias, out.grad_or_null<T>() + i,
                                                        px + i, pweight, mean.as<T>() + begin, rstd.as<T>() + begin,
                                                        end - begin, cols);
                });
    });
  });
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  check_per_column("rms_norm", "weight", x, weight);
  check(eps >= 0, "rms_norm: eps is {}; it must be at least 0", eps);
  const Index rows = x.shape().as_matrix().rows, cols = x.shape().as_matrix().cols;
  Tensor y = Tensor::empty_like(x);
  const Buffer rstd(rows, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
      kernels::kernels<T>().rms_norm(x.node().values<T>() + begin * cols, values_or_null<const T>(weight),
                                     y.node().values<T>() + begin * cols, rstd.as<T>() + begin, end - begin, cols,
                                     static_cast<T>(eps));
    });
  });
  return record("rms_norm", y, {x, weight}, [rstd, rows, cols](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const px = in[0].values<T>(), *const pweight = in[1].values<T>();
      const GradShare<T> dx = in[0].grad_share<T>();
      norm_grad<T>(in[1].grad_or_null<T>(), nullptr, rows, cols, [&](T* dweight, T*, Index begin, Index end) {
        const Index i = begin * cols;
        kernels::kernels<T>().rms_norm_grad((dx + i).p, dx.adds, dweight, out.grad_or_null<T>() + i, px + i, pweight,
                                            rstd.as<T>() + begin, end - begin, cols);
      });
    });
  });
}

}  // namespace gradus
