// micrograd's first example: an expression of two plain numbers, its value, and how fast the value changes with each of
// them. Here a number is a tensor with one element; everything else reads the same.
//
//   build/bin/scalar_graph
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <cstdio>

using gradus::DType;
using gradus::Tensor;

int main() {
  // The two numbers that we want to differentiate with respect to. f64, because the point here is to see digits.
  const Tensor a = gradus::tensor(-4.0, DType::f64).requires_grad(true);
  const Tensor b = gradus::tensor(2.0, DType::f64).requires_grad(true);

  // Every line computes a value and remembers what it was computed from. `c = c + ...` does not change the old c: the
  // name moves on to a new tensor, and the old one stays in the graph.
  Tensor c = a + b;
  Tensor d = a * b + pow(b, 3);
  c = c + (c + 1);
  c = c + (1 + c + (-a));
  d = d + (d * 2 + relu(b + a));
  d = d + (3 * d + relu(b - a));
  const Tensor e = c - d;
  const Tensor f = pow(e, 2);
  Tensor g = f / 2.0;
  g = g + 10.0 / f;
  fmt::print("{:.4f}\n", g.item());  // prints 24.7041, the outcome of this forward pass

  // Walks the graph from g back to a and b and applies the chain rule at every step. A value that was used several
  // times gets the sum of what all its uses send back.
  g.backward();
  fmt::print("{:.4f}\n", a.grad().item());  // prints 138.8338, i.e. the numerical value of dg/da
  fmt::print("{:.4f}\n", b.grad().item());  // prints 645.5773, i.e. the numerical value of dg/db
}
