// The activations that are made of several ops.
#include <gradus/nn/layers/activation.h>

#include <utility>
#include <vector>

#include <gradus/core/autograd.h>

namespace gradus::nn {
namespace {

std::pair<Tensor, Tensor> halves(const char* name, const Tensor& x, Index dim) {
  check_defined(name, {x});
  const Index d = x.shape().normalize(dim, name), size = x.size(d);
  check(size % 2 == 0, "{}: dimension {} of x {} has size {}, which has no halves; make it even", name, dim, x.shape(),
        size);
  return {slice(x, d, 0, size / 2), slice(x, d, size / 2, size)};
}

}  // namespace

Tensor PReLU::operator()(const Tensor& x) const {
  check_defined("PReLU", {weight, x});
  const Index count = weight.size(0);
  if (count == 1) return where(x > 0, x, x * weight);
  check(x.rank() >= 2 && x.size(1) == count, "PReLU: x {} does not fit {} weights; it must be (batch, {}, ..)",
        x.shape(), count, count);
  std::vector<Index> sizes(static_cast<std::size_t>(x.rank() - 1), 1);
  sizes[0] = count;
  return where(x > 0, x, x * reshape(weight, sizes));
}

Tensor GLU::operator()(const Tensor& x) const {
  const auto [a, b] = halves("GLU", x, dim_);
  return a * sigmoid(b);
}

Tensor SwiGLU::operator()(const Tensor& x) const {
  const auto [a, b] = halves("SwiGLU", x, dim_);
  return silu(a) * b;
}

}  // namespace gradus::nn
