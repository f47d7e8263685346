// Ops that treat the channels of (B, C, ..) as units: dropout of whole channels, norms over neighbors, pools of powers.
#include <cmath>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

constexpr double selu_low = -1.7580993408473766;  // the limit of selu(x) for small x

// 1 for each channel of (B, C, ..), with sizes of 1 behind.
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

Tensor gumbel_softmax(const Tensor& logits, double tau, bool hard, Index dim) {
  check_defined("gumbel_softmax", {logits});
  check(tau > 0, "gumbel_softmax: tau is {}; it must be above 0", tau);
  return composed("gumbel_softmax", [&] {
    Tensor y = softmax((logits - log(-log(rand_like(logits)))) / tau, dim);
    if (!hard) return y;
    const Tensor chosen = one_hot(argmax(y, dim), y.size(dim), y.dtype());
    return movedim(chosen, -1, dim) - y.detach() + y;
  });
}

Tensor local_response_norm(const Tensor& x, Index size, double alpha, double beta, double k) {
  check_defined("local_response_norm", {x});
  check(size >= 1 && x.rank() >= 3, "local_response_norm: {} with size {}; x must be (B, C, ..), size at least 1",
        x.shape(), size);
  return composed("local_response_norm", [&] {
    const Tensor squares = pad(movedim(square(x), 1, -1), {size / 2, (size - 1) / 2});
    const Tensor means = movedim(avg_pool1d(squares, size, {.stride = 1}), -1, 1);
    return x / pow(k + alpha * means, beta);
  });
}

Tensor lp_pool1d(const Tensor& x, double norm_type, Index kernel, Index stride) {
  return composed("lp_pool1d", [&] {
    const Tensor means = avg_pool1d(pow(x, norm_type), kernel, {.stride = stride});
    return pow_flat_at_zero(means * static_cast<double>(kernel), 1 / norm_type);
  });
}
Tensor lp_pool2d(const Tensor& x, double norm_type, Size2 kernel, Size2 stride) {
  return composed("lp_pool2d", [&] {
    const Tensor means = avg_pool2d(pow(x, norm_type), kernel, {.stride = stride});
    return pow_flat_at_zero(means * static_cast<double>(kernel.height * kernel.width), 1 / norm_type);
  });
}

}  // namespace gradus
