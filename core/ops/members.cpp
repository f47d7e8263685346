// The ops that are members of Tensor, and += and the like, which update a parameter in place.
#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus {

Tensor& detail::assign(const char* op, Tensor& a, const Tensor& value) {
  if (!a.requires_grad() || !a.is_leaf()) return a = value;
  check(!grad_enabled(),
        "{}: this tensor {} is a leaf that wants a gradient, and ops are being recorded; to update it, write "
        "{{ const NoGrad guard; p {} ..; }}; for a new tensor from it, p = p {} ..",
        op, a.shape(), op, op[0]);
  check(value.shape() == a.shape(), "{}: the result {} does not fit into {}; the other side must broadcast to that", op,
        value.shape(), a.shape());
  a.copy_(value);
  a.mark_written(op);
  return a;
}

Tensor Tensor::exp() const {
  return gradus::exp(*this);
}
Tensor Tensor::log() const {
  return gradus::log(*this);
}
Tensor Tensor::sqrt() const {
  return gradus::sqrt(*this);
}
Tensor Tensor::abs() const {
  return gradus::abs(*this);
}
Tensor Tensor::tanh() const {
  return gradus::tanh(*this);
}
Tensor Tensor::sigmoid() const {
  return gradus::sigmoid(*this);
}
Tensor Tensor::relu() const {
  return gradus::relu(*this);
}
Tensor Tensor::pow(double exponent) const {
  return gradus::pow(*this, exponent);
}
Tensor Tensor::matmul(const Tensor& other) const {
  return gradus::matmul(*this, other);
}
Tensor Tensor::reshape(const Sizes& sizes) const {
  return gradus::reshape(*this, sizes);
}
Tensor Tensor::view(const Sizes& sizes) const {
  return gradus::reshape(*this, sizes);
}
Tensor Tensor::flatten(Index start_dim, Index end_dim) const {
  return gradus::flatten(*this, start_dim, end_dim);
}
Tensor Tensor::unsqueeze(Index dim) const {
  return gradus::unsqueeze(*this, dim);
}
Tensor Tensor::squeeze(Index dim) const {
  return gradus::squeeze(*this, dim);
}
Tensor Tensor::T() const {
  return gradus::transpose(*this);
}
Tensor Tensor::operator[](Index index) const {
  return gradus::select(*this, 0, index);
}
Tensor Tensor::transpose(Index dim0, Index dim1) const {
  return gradus::transpose(*this, dim0, dim1);
}
Tensor Tensor::sum() const {
  return gradus::sum(*this);
}
Tensor Tensor::sum(const Dims& dims, bool keepdim) const {
  return gradus::sum(*this, dims, keepdim);
}
Tensor Tensor::mean() const {
  return gradus::mean(*this);
}
Tensor Tensor::mean(const Dims& dims, bool keepdim) const {
  return gradus::mean(*this, dims, keepdim);
}
Tensor Tensor::max() const {
  return gradus::max(*this);
}
Tensor Tensor::max(const Dims& dims, bool keepdim) const {
  return gradus::max(*this, dims, keepdim);
}
Tensor Tensor::softmax(Index dim) const {
  return gradus::softmax(*this, dim);
}

}  // namespace gradus
