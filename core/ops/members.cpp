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
Tensor Tensor::operator[](const Ids& ids) const {
  Shape shape = ids.shape();
  for (Index d = 1; d < rank(); ++d) shape.push_back(size(d));
  return gradus::reshape(gradus::index_select(*this, 0, ids.reshape(-1)), shape);
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
Tensor Tensor::sin() const {
  return gradus::sin(*this);
}
Tensor Tensor::cos() const {
  return gradus::cos(*this);
}
Tensor Tensor::square() const {
  return gradus::square(*this);
}
Tensor Tensor::clamp(double low, double high) const {
  return gradus::clamp(*this, low, high);
}
Tensor Tensor::min() const {
  return gradus::min(*this);
}
Tensor Tensor::min(const Dims& dims, bool keepdim) const {
  return gradus::min(*this, dims, keepdim);
}
Tensor Tensor::var() const {
  return gradus::var(*this);
}
Tensor Tensor::var(const Dims& dims, bool keepdim, double correction) const {
  return gradus::var(*this, dims, keepdim, correction);
}
Tensor Tensor::std() const {
  return gradus::std(*this);
}
Tensor Tensor::std(const Dims& dims, bool keepdim, double correction) const {
  return gradus::std(*this, dims, keepdim, correction);
}
Tensor Tensor::norm(double p) const {
  return gradus::norm(*this, p);
}
Tensor Tensor::norm(double p, const Dims& dims, bool keepdim) const {
  return gradus::norm(*this, p, dims, keepdim);
}
Tensor Tensor::log_softmax(Index dim) const {
  return gradus::log_softmax(*this, dim);
}
Ids Tensor::argmax(Index dim) const {
  return gradus::argmax(*this, dim);
}
Ids Tensor::argmin(Index dim) const {
  return gradus::argmin(*this, dim);
}
Tensor Tensor::any() const {
  return gradus::any(*this);
}
Tensor Tensor::all() const {
  return gradus::all(*this);
}
Tensor Tensor::permute(const std::vector<Index>& dims) const {
  return gradus::permute(*this, dims);
}
Tensor Tensor::expand(const Sizes& sizes) const {
  return gradus::expand(*this, sizes);
}
Tensor Tensor::select(Index dim, Index index) const {
  return gradus::select(*this, dim, index);
}
Tensor Tensor::index_select(Index dim, const Ids& ids) const {
  return gradus::index_select(*this, dim, ids);
}
Tensor Tensor::gather(Index dim, const Ids& ids) const {
  return gradus::gather(*this, dim, ids);
}
Tensor Tensor::masked_fill(const Tensor& mask, double value) const {
  return gradus::masked_fill(*this, mask, value);
}
std::vector<Tensor> Tensor::split(Index size, Index dim) const {
  return gradus::split(*this, size, dim);
}
std::vector<Tensor> Tensor::chunk(Index chunks, Index dim) const {
  return gradus::chunk(*this, chunks, dim);
}
std::vector<Tensor> Tensor::unbind(Index dim) const {
  return gradus::unbind(*this, dim);
}

}  // namespace gradus
