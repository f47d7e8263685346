// softmax and log_softmax over one dimension; any but the last is brought to the end and back.
#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

template <class Op>
Tensor over_last(const Tensor& x, Index dim, const char* name, const Op& op) {
  check_defined(name, {x});
  const Index d = x.shape().normalize(dim, name);
  return d == x.rank() - 1 ? op(x) : transpose(op(transpose(x, d, -1)), d, -1);
}

}  // namespace

Tensor softmax(const Tensor& input, Index dim) {
  return over_last(input, dim, "softmax", [](const Tensor& x) {
    const Index rows = x.shape().as_matrix().rows, cols = x.shape().as_matrix().cols;
    Tensor y = Tensor::empty_like(x);
    dispatch(x.dtype(), [&]<class T>() {
      parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
        kernels::kernels<T>().softmax(x.node().values<T>() + begin * cols, y.node().values<T>() + begin * cols,
                                      end - begin, cols);
      });
    });
    return record("softmax", y, {x}, [rows, cols](const Node& out, Inputs in) {
      dispatch(out.dtype, [&]<class T>() {
        const T* const py = out.values<T>();
        const GradShare<T> dx = in[0].grad_share<T>();
        parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
          const Index i = begin * cols;
          kernels::kernels<T>().softmax_grad(dx.p + i, dx.adds, out.grad_or_null<T>() + i, py + i, end - begin, cols,
                                             far<T>(out.numel()));
        });
      });
    });
  });
}

Tensor log_softmax(const Tensor& input, Index dim) {
  return over_last(input, dim, "log_softmax", [](const Tensor& x) {
    const Index rows = x.shape().as_matrix().rows, cols = x.shape().as_matrix().cols;
    Tensor y = Tensor::empty_like(x);
    dispatch(x.dtype(), [&]<class T>() {
      parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
        kernels::kernels<T>().log_softmax(x.node().values<T>() + begin * cols, y.node().values<T>() + begin * cols,
                                          end - begin, cols);
      });
    });
    return record("log_softmax", y, {x}, [rows, cols](const Node& out, Inputs in) {
      dispatch(out.dtype, [&]<class T>() {
        const T* const py = out.values<T>();
        const GradShare<T> dx = in[0].grad_share<T>();
        parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
          const Index i = begin * cols;
          kernels::kernels<T>().log_softmax_grad(dx.p + i, dx.adds, out.grad_or_null<T>() + i, py + i, end - begin,
                                                 cols);
        });
      });
    });
  });
}

}  // namespace gradus
