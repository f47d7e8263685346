// dropout (Srivastava et al. 2014), scaled while training so that evaluation needs no change. Which elements go is a
// function of one number from the generator and of the element's place: the gradient finds the same ones again without
// a stored mask, and threads need no order.
#include <cmath>

#include <gradus/core/ops/detail/common.h>

namespace gradus {

namespace {

// Without the elements that `seed` picks: a linear op, which is its own gradient.
Tensor thinned(const Tensor& x, double p, std::uint64_t seed) {
  const auto run = [seed, p]<class T>(T* to, const T* from, Index n, bool adds) {
    const auto threshold = static_cast<std::uint32_t>(std::lround(p * 0x1p24));
    const T keep = p < 1 ? static_cast<T>(1 / (1 - p)) : T(0);
    parallel_for(n, pointwise_grain, [&](Index begin, Index end) {
      kernels::kernels<T>().dropout({.x = from + begin,
                                     .y = to + begin,
                                     .adds = adds,
                                     .n = end - begin,
                                     .first = begin,
                                     .seed = seed,
                                     .threshold = threshold,
                                     .keep = keep});
    });
  };
  Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() { run(y.node().values<T>(), x.node().values<const T>(), x.numel(), false); });
  const auto backward = [run](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const GradShare<T> dx = in[0].grad_share<T>();
      run(dx.p, out.grad_or_null<const T>(), out.numel(), dx.adds);
    });
  };
  return record("dropout", y, {x}, backward,
                [p, seed](const Tensor&, const Tensor& dy, const RuleInputs&) { return thinned(dy, p, seed); });
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training, Generator& generator) {
  check_defined("dropout", {x});
  check(p >= 0 && p <= 1, "dropout: the probability is {}; it must be from 0 to 1", p);
  return !training || p == 0 ? x : thinned(x, p, generator.random64());
}

Tensor dropout(const Tensor& x, double p, bool training) {
  return dropout(x, p, training, default_generator());
}

}  // namespace gradus
