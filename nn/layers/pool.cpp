// The pools that are more than a call of an op.
#include <gradus/nn/layers/pool.h>

#include <gradus/core/autograd.h>

namespace gradus::nn {

Tensor GlobalAvgPool::operator()(const Tensor& x) const {
  check_defined("GlobalAvgPool", {x});
  check(x.rank() >= 3, "GlobalAvgPool: x {} must be (batch, channels, ..)", x.shape());
  Index rest = 1;
  for (Index d = 2; d < x.rank(); ++d) rest *= x.size(d);
  check(rest > 0, "GlobalAvgPool: x {} has no element to pool; every size after the channels must be at least 1",
        x.shape());
  return mean(reshape(x, {x.size(0), x.size(1), rest}), -1);
}

}  // namespace gradus::nn
