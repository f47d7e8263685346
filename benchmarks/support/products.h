// The matrix products C (m, n) = A (m, k) B (k, n) of the suites: GPT-2's sizes, and a small one. A form says how the
// factors are stored, n as written or t transposed: nt is a Linear's forward, nn and tn are the products of its
// backward.
#pragma once

#include <gradus/core/shape.h>

#include <string>

namespace products {

struct Product {
  gradus::Index m, n, k;
  bool transpose_a = false, transpose_b = false;

  std::string name() const {
    return "matmul/" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + "_" +
           (transpose_a ? "t" : "n") + (transpose_b ? "t" : "n");
  }
  double flops() const { return 2.0 * static_cast<double>(m * n * k); }
};

template <class F>
void for_each(const F& f) {
  for (Product p : {Product{512, 512, 512},
                    {1024, 1024, 1024},
                    {256, 768, 768},
                    {256, 3072, 768},
                    {256, 768, 3072},
                    {256, 50304, 768},
                    {112, 64, 64}}) {
    f(p);
    p.transpose_b = true;
    f(p);
    p.transpose_a = true, p.transpose_b = false;
    f(p);
  }
}

}  // namespace products
