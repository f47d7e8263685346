// Copies: clone() in the same type, to() in another. The gradient is copied back the same way.
#include <gradus/core/ops/detail/common.h>

namespace gradus {

Tensor Tensor::clone() const {
  check_defined("clone", {*this});
  Tensor y = empty_like(*this);
  y.copy_(*this);
  return record(
      "clone", y, {*this},
      [](const Node& out, Inputs in) {
        dispatch(out.dtype,
                 [&]<class T>() { write_or_add<T>(in[0].grad_share<T>(), out.grad_or_null<T>(), out.numel()); });
      },
      [](const Tensor&, const Tensor& dy, const RuleInputs&) { return dy; });
}

Tensor Tensor::to(DType dtype) const {
  check_defined("to", {*this});
  if (dtype == this->dtype()) return *this;
  Tensor y = empty(shape(), dtype);
  const auto convert = []<class From, class To>(const From* from, To* to, Index n, bool adds) {
    for (Index i = 0; i < n; ++i) to[i] = adds ? to[i] + static_cast<To>(from[i]) : static_cast<To>(from[i]);
  };
  if (dtype == DType::f64) {
    convert(node().values<float>(), y.node().values<double>(), numel(), false);
  } else {
    convert(node().values<double>(), y.node().values<float>(), numel(), false);
  }
  const auto backward = [convert](const Node& out, Inputs in) {
    if (out.dtype == DType::f64) {
      convert(out.grad_or_null<double>(), in[0].grad_or_null<float>(), out.numel(), true);
    } else {
      convert(out.grad_or_null<float>(), in[0].grad_or_null<double>(), out.numel(), true);
    }
  };
  return record("to", y, {*this}, backward,
                [](const Tensor&, const Tensor& dy, const RuleInputs& x) { return dy.to(x[0].dtype()); });
}

}  // namespace gradus
