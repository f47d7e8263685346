// What tests/gdb/check looks at: a tensor of each kind, in scope where stop_here() is called.
#include <cmath>
#include <cstdio>

#include <gradus/core/ops.h>

using namespace gradus;

// Not inlined: check stops here and goes one frame up.
[[gnu::noinline]] void stop_here(const Tensor& x) {
  std::printf("%g\n", x.numel() > 0 ? x.to_vector()[0] : 0.0);
}

int main() {
  Tensor weight = tensor({{0.5, -1, 2}, {3, 4, 5}});
  weight.requires_grad(true);
  const Tensor product = weight * 2, loss = mean(product);
  const Tensor number = tensor(2.5, DType::f64), undefined, empty = zeros({0, 3}),
               odd = tensor({-std::nan(""), INFINITY});
  const Tensor long_one = arange(7);
  const Shape shape = weight.shape();
  const DType dtype = number.dtype();
  stop_here(weight);
  loss.backward();
  stop_here(weight);
  std::printf("%d %d\n", static_cast<int>(shape.rank()), static_cast<int>(dtype));
}
