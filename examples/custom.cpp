// An op and a module of your own, and the check that their gradients are right. An op computes its values and ends in
// record() with the code that adds to its inputs' gradients; a module lists its members and composes ops. gradcheck()
// compares both with finite differences, and shows here what it says of a gradient that is wrong.
//
//   build/bin/custom
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <cmath>

using gradus::Index;
using gradus::Tensor;
namespace nn = gradus::nn;

// Snake (Ziyin, Hartwig & Ueda 2020), for what repeats: y = x + sin(a x)^2 / a, of any shape; dy/dx = 1 + sin(2 a x).
// `slope` is there to be wrong once.
Tensor snake(const Tensor& x, double a, double slope = 1) {
  gradus::check(a != 0, "snake: a is 0; it must differ from 0");
  Tensor y = Tensor::empty_like(x);
  gradus::dispatch(x.dtype(), [&]<class T>() {
    const auto from = x.data<T>(), to = y.data<T>();
    for (std::size_t i = 0; i < to.size(); ++i) {
      const T s = std::sin(static_cast<T>(a) * from[i]);
      to[i] = from[i] + s * s / static_cast<T>(a);
    }
  });
  return gradus::record("snake", y, {x}, [a, slope](const gradus::Node& out, gradus::Inputs in) {
    gradus::dispatch(out.dtype, [&]<class T>() {
      T* const dx = in[0].grad_or_null<T>();  // not null: x is the only input, so it wants a gradient
      const T *const dy = out.grad_or_null<T>(), *const px = in[0].values<T>();
      for (Index i = 0; i < out.numel(); ++i) {
        dx[i] += dy[i] * static_cast<T>(slope) * (1 + std::sin(static_cast<T>(2 * a) * px[i]));
      }
    });
  });
}

// A highway layer (Srivastava, Greff & Schmidhuber 2015): a gate chooses between a transformed x and x itself.
// (.., n) -> (.., n)
struct Highway : nn::Layer {
  explicit Highway(Index n) : transform(n, n), gate(n, n) {}
  Tensor operator()(const Tensor& x) const override {
    const Tensor open = sigmoid(gate(x));
    return open * snake(transform(x), 2) + (1 - open) * x;
  }
  void members(nn::Visitor& visit) const override {
    visit("transform", transform);
    visit("gate", gate);
  }
  nn::Linear transform, gate;
};

int main() {
  gradus::manual_seed(7);
  const Tensor x = gradus::randn({3, 4}, gradus::DType::f64);
  fmt::print("the op\n{}\n\n", gradus::gradcheck([](auto in) { return snake(in[0], 2); }, {x.clone()}).text());
  const nn::Sequential net{Highway(4), Highway(4), nn::Linear(4, 2)};
  fmt::print("a network of the module\n{}\n\n", gradus::gradcheck(net, [&] { return net(x); }).text());
  fmt::print("the op with a slope 1% too large\n{}\n",
             gradus::gradcheck([](auto in) { return snake(in[0], 2, 1.01); }, {x.clone()}).text());
}
