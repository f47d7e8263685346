// Matrix products at the sizes of training steps.
#include <gradus/gradus.h>

#include "support/products.h"
#include "support/work.h"

namespace {

work::Work make(const products::Product& p) {
  const gradus::Tensor a = p.transpose_a ? gradus::randn({p.k, p.m}) : gradus::randn({p.m, p.k});
  const gradus::Tensor b = p.transpose_b ? gradus::randn({p.n, p.k}) : gradus::randn({p.k, p.n});
  return {[=] {
            const gradus::NoGrad guard;
            gradus::matmul(a, b, p.transpose_a, p.transpose_b);
          },
          p.flops()};
}

const bool added = [] {
  products::for_each([](const products::Product& p) { work::add(p.name(), [p] { return make(p); }); });
  return true;
}();

}  // namespace
