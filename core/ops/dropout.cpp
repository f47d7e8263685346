// dropout (Srivastava et al. 2014), scaled while training so that evaluation needs no change. Which elements go is a
// function of one number from the generator and of the element's place: the gradient finds the same ones again without
// a stored mask, and threads need no order. The other forms, for whole channels and for selu, are composed of ops.
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

namespace {

constexpr double selu_low = -1.7580993408473766;  // the limit of selu(x) for small x

// 1 for each channel of (B, C, ..), then sizes of 1.
Tensor channel_ones(const char* op, const Tensor& x) {
  check_defined(op, {x});
  check(x.rank() >= 2, "{}: {} has {} dimensions; it must be (B, C, ..)", op, x.shape(), x.rank());
  std::vector<Index> sizes(static_cast<std::size_t>(x.rank()), 1);
  sizes[0] = x.size(0);
  sizes[1] = x.size(1);
  return ones(Sizes(sizes).fill(op, {}), x.dtype());
}

Tensor dropped_channels(const char* op, const Tensor& x, double p, bool training) {
  const Tensor all = channel_ones(op, x);
  return composed(op, [&] { return training && p > 0 ? x * dropout(all, p) : x; });
}

// Dropped elements become selu_low, and a x + b brings mean 0 and variance 1 back.
Tensor alpha_dropped(const char* op, const Tensor& x, const Tensor& shape, double p, bool training) {
  check(p >= 0 && p < 1, "{}: probability {}; it must be at least 0 and below 1", op, p);
  if (!training || p == 0) return x;
  const double a = 1 / std::sqrt((1 - p) * (1 + p * selu_low * selu_low));
  return composed(op, [&] { return a * where(bernoulli(shape * (1 - p)), x, selu_low) - a * p * selu_low; });
}

}  // namespace

Tensor dropout1d(const Tensor& x, double p, bool training) {
  return dropped_channels("dropout1d", x, p, training);
}
Tensor dropout2d(const Tensor& x, double p, bool training) {
  return dropped_channels("dropout2d", x, p, training);
}
Tensor alpha_dropout(const Tensor& x, double p, bool training) {
  return alpha_dropped("alpha_dropout", x, ones_like(x), p, training);
}
Tensor feature_alpha_dropout(const Tensor& x, double p, bool training) {
  return alpha_dropped("feature_alpha_dropout", x, channel_ones("feature_alpha_dropout", x), p, training);
}

}  // namespace gradus
