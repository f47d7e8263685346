// softmax and log_softmax over one dimension; any but the last is brought to the end and back. gumbel_softmax and
// softmin are composed of softmax.
#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

template <class Op>
Tensor over_last(const Tensor& x, Index dim, const char* name, const Op& op) {
  check_defined(name, {x});
  const Index d = x.shape().normalize_line(dim, name);
  return d >= x.rank() - 1 ? op(x) : transpose(op(transpose(x, d, -1)), d, -1);
}

}  // namespace

Tensor softmax(const Tensor& input, Index dim) {
  return over_last(input, dim, "softmax", [](const Tensor& x) {
    const Shape::Matrix size = x.shape().as_matrix();
    Tensor y = Tensor::empty_like(x);
    each_rows(x.dtype(), size, [&]<class T>() {
      return [px = x.node().values<T>(), py = y.node().values<T>()](RowRange r) {
        kernels::kernels<T>().softmax(r.in(px), r.in(py), r.rows, r.cols);
      };
    });
    const auto backward = [size](const Node& out, Inputs in) {
      each_rows(out.dtype, size, [&]<class T>() {
        const T* const py = out.values<T>();
        const GradShare<T> dx = in[0].grad_share<T>();
        const T* const dy = out.grad_or_null<T>();
        return [py, dx, dy, past_caches = far<T>(out.numel())](RowRange r) {
          kernels::kernels<T>().softmax_grad({.dy = r.in(dy),
                                              .y = r.in(py),
                                              .dx = r.in(dx.p),
                                              .adds = dx.adds,
                                              .rows = r.rows,
                                              .cols = r.cols,
                                              .far = past_caches});
        };
      });
    };
    return record("softmax", y, {x}, backward, [](const Tensor& out, const Tensor& dy, const RuleInputs&) {
      return out * (dy - sum(dy * out, -1, true));
    });
  });
}

Tensor log_softmax(const Tensor& input, Index dim) {
  return over_last(input, dim, "log_softmax", [](const Tensor& x) {
    const Shape::Matrix size = x.shape().as_matrix();
    Tensor y = Tensor::empty_like(x);
    each_rows(x.dtype(), size, [&]<class T>() {
      return [px = x.node().values<T>(), py = y.node().values<T>()](RowRange r) {
        kernels::kernels<T>().log_softmax(r.in(px), r.in(py), r.rows, r.cols);
      };
    });
    const auto backward = [size](const Node& out, Inputs in) {
      each_rows(out.dtype, size, [&]<class T>() {
        const T* const py = out.values<T>();
        const GradShare<T> dx = in[0].grad_share<T>();
        const T* const dy = out.grad_or_null<T>();
        return [py, dx, dy](RowRange r) {
          kernels::kernels<T>().log_softmax_grad(
              {.dy = r.in(dy), .y = r.in(py), .dx = r.in(dx.p), .adds = dx.adds, .rows = r.rows, .cols = r.cols});
        };
      });
    };
    return record("log_softmax", y, {x}, backward, [](const Tensor& out, const Tensor& dy, const RuleInputs&) {
      return dy - exp(out) * sum(dy, -1, true);
    });
  });
}

Tensor softmin(const Tensor& x, Index dim) {
  check_defined("softmin", {x});
  return composed("softmin", [&] { return softmax(-x, dim); });
}

Tensor gumbel_softmax(const Tensor& logits, double tau, bool hard, Index dim) {
  check_defined("gumbel_softmax", {logits});
  check(tau > 0, "gumbel_softmax: tau is {}; it must be above 0", tau);
  return composed("gumbel_softmax", [&] {
    Tensor y = softmax((logits - log(-log(rand_like(logits)))) / tau, dim);
    if (!hard) return y;
    const Tensor chosen = one_hot(argmax(y, dim), y.size(dim), y.dtype());
    return movedim(chosen, -1, dim) - y.detach() + y;
  });
}

}  // namespace gradus
