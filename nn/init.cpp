// Each initializer finds its bound or deviation and fills the parameter's memory from the generator.
#include <gradus/nn/init.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <vector>

namespace gradus::nn::init {
namespace {

constinit thread_local int skips = 0;  // that live

struct Fans {
  double in, out;
};

Fans fans(const char* name, const Tensor& weight) {
  check(
      weight.rank() >= 2 && weight.numel() > 0,
      "{}: weight {} has no fan; it needs at least the two dimensions (out, in), for a vector use normal_ or uniform_",
      name, weight.shape());
  const Index in = weight.numel() / weight.size(0), out = weight.numel() / weight.size(1);
  return {static_cast<double>(in), static_cast<double>(out)};
}

double kaiming_std(const char* name, const Tensor& weight, double a, Fan fan, Nonlinearity nonlinearity) {
  const Fans f = fans(name, weight);
  return gain(nonlinearity, a) / std::sqrt(fan == Fan::in ? f.in : f.out);
}

double xavier_std(const char* name, const Tensor& weight, double gain) {
  const Fans f = fans(name, weight);
  return gain * std::sqrt(2 / (f.in + f.out));
}

double normal_cdf(double x) {
  return std::erfc(-x / std::sqrt(2.0)) / 2;
}

// The x with erf(x) = y: Winitzki's approximation (error 2e-3), refined by three Halley steps to rounding.
double erfinv(double y) {
  if (!(std::abs(y) < 1)) return y * std::numeric_limits<double>::infinity();
  constexpr double a = 0.147;
  const double log = std::log1p(-y * y), half = 2 / (std::numbers::pi * a) + log / 2;
  double x = std::copysign(std::sqrt(std::sqrt(half * half - log / a) - half), y);
  for (int i = 0; i < 3; ++i) {
    const double step = (std::erf(x) - y) * std::sqrt(std::numbers::pi) / 2 * std::exp(x * x);
    x -= step / (1 + x * step);
  }
  return x;
}

// Gram-Schmidt, run twice on each vector, so that they are orthogonal up to rounding (Giraud et al. 2005).
void make_orthonormal(std::vector<std::vector<double>>& vectors) {
  for (std::size_t j = 0; j < vectors.size(); ++j) {
    std::vector<double>& v = vectors[j];
    for (std::size_t k = 0; k < 2 * j; ++k) {
      const std::vector<double>& q = vectors[k % j];
      const double along = std::inner_product(q.begin(), q.end(), v.begin(), 0.0);
      for (std::size_t i = 0; i < v.size(); ++i) v[i] -= along * q[i];
    }
    const double norm = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    for (double& x : v) x = norm > 0 ? x / norm : 0;
  }
}

void spread_uniform(const Tensor& weight, double std, Generator& generator) {
  const double bound = std::sqrt(3.0) * std;  // a uniform number within +-bound has this standard deviation
  uniform_(weight, -bound, bound, generator);
}

}  // namespace

Skip::Skip() {
  ++skips;
}
Skip::~Skip() {
  --skips;
}

double gain(Nonlinearity nonlinearity, double a) {
  switch (nonlinearity) {
    case Nonlinearity::linear:
    case Nonlinearity::sigmoid:
      return 1;
    case Nonlinearity::tanh:
      return 5.0 / 3;
    case Nonlinearity::relu:
      return std::sqrt(2.0);
    case Nonlinearity::leaky_relu:
      return std::sqrt(2 / (1 + a * a));
    case Nonlinearity::selu:
      return 3.0 / 4;
  }
  fail("gain: {} is not a Nonlinearity; use one of the named values", static_cast<int>(nonlinearity));
}

void normal_(const Tensor& x, double mean, double std, Generator& generator) {
  check(std::isfinite(mean) && std::isfinite(std) && std >= 0,
        "normal_: mean {}, std {}; both must be finite and std at least 0", mean, std);
  if (skips > 0) return;
  dispatch(x.dtype(), [&]<class T>() { generator.fill_normal(x.data<T>(), mean, std); });
  x.mark_written("normal_");
}

void uniform_(const Tensor& x, double low, double high, Generator& generator) {
  check(std::isfinite(low) && std::isfinite(high) && low <= high,
        "uniform_: from {} to {}; both must be finite and in this order", low, high);
  if (skips > 0) return;
  dispatch(x.dtype(), [&]<class T>() {
    check(std::isfinite(static_cast<T>(high) - static_cast<T>(low)),
          "uniform_: from {} to {} is more than {} can hold; bring the bounds closer together", low, high, x.dtype());
    generator.fill_uniform(x.data<T>(), low, high);
  });
  x.mark_written("uniform_");
}

void constant_(const Tensor& x, double value) {
  x.fill_(value);
}
void zeros_(const Tensor& x) {
  x.fill_(0);
}
void ones_(const Tensor& x) {
  x.fill_(1);
}

void trunc_normal_(const Tensor& x, double mean, double std, double a, double b, Generator& generator) {
  check(std::isfinite(mean) && std::isfinite(std) && std > 0 && a <= b,
        "trunc_normal_: mean {}, std {}, from {} to {}; mean and std must be finite, std above 0, and the ends in this "
        "order",
        mean, std, a, b);
  if (skips > 0) return;
  const double low = normal_cdf((a - mean) / std), high = normal_cdf((b - mean) / std);
  dispatch(x.dtype(), [&]<class T>() {
    generator.fill_uniform(x.data<T>(), 2 * low - 1, 2 * high - 1);
    for (T& value : x.data<T>()) {
      const double drawn = mean + std * std::sqrt(2.0) * erfinv(static_cast<double>(value));
      value = static_cast<T>(std::clamp(drawn, a, b));
    }
  });
  x.mark_written("trunc_normal_");
}

void orthogonal_(const Tensor& weight, double gain, Generator& generator) {
  check(weight.rank() >= 2, "orthogonal_: weight {}; it needs at least the two dimensions (out, in)", weight.shape());
  check(std::isfinite(gain), "orthogonal_: gain is {}; it must be finite", gain);
  if (skips > 0 || weight.numel() == 0) return;
  const auto rows = static_cast<std::size_t>(weight.size(0));
  const std::size_t columns = static_cast<std::size_t>(weight.numel()) / rows;
  const bool wide = rows < columns;  // the vectors are its rows, otherwise its columns
  std::vector<std::vector<double>> vectors(std::min(rows, columns), std::vector<double>(std::max(rows, columns)));
  const auto place = [&](std::size_t i) -> double& {
    const std::size_t row = i / columns, column = i % columns;
    return wide ? vectors[row][column] : vectors[column][row];
  };
  dispatch(weight.dtype(), [&]<class T>() {
    const auto values = weight.data<T>();
    generator.fill_normal(values, 0, 1);
    for (std::size_t i = 0; i < values.size(); ++i) place(i) = static_cast<double>(values[i]);
    make_orthonormal(vectors);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(gain * place(i));
  });
  weight.mark_written("orthogonal_");
}

void dirac_(const Tensor& weight, Index groups) {
  check(weight.rank() >= 3 && weight.rank() <= 5,
        "dirac_: weight {}; it needs a convolution's (out, in / groups, size ..), with 1, 2 or 3 sizes",
        weight.shape());
  check(groups >= 1 && weight.size(0) % groups == 0,
        "dirac_: {} output channels do not divide into {} groups of equal size", weight.size(0), groups);
  weight.fill_(0);
  if (weight.numel() == 0) return;
  const Index out = weight.size(0) / groups, in = weight.size(1), kernel = weight.numel() / (weight.size(0) * in);
  Index middle = 0;
  for (Index dim = 2; dim < weight.rank(); ++dim) middle = middle * weight.size(dim) + weight.size(dim) / 2;
  dispatch(weight.dtype(), [&]<class T>() {
    for (Index g = 0; g < groups; ++g) {
      for (Index i = 0; i < std::min(out, in); ++i) {
        weight.data<T>()[static_cast<std::size_t>(((g * out + i) * in + i) * kernel + middle)] = 1;
      }
    }
  });
}

void xavier_uniform_(const Tensor& weight, double gain, Generator& generator) {
  spread_uniform(weight, xavier_std("xavier_uniform_", weight, gain), generator);
}

void xavier_normal_(const Tensor& weight, double gain, Generator& generator) {
  normal_(weight, 0, xavier_std("xavier_normal_", weight, gain), generator);
}

void kaiming_uniform_(const Tensor& weight, double a, Fan fan, Nonlinearity nonlinearity, Generator& generator) {
  spread_uniform(weight, kaiming_std("kaiming_uniform_", weight, a, fan, nonlinearity), generator);
}

void kaiming_normal_(const Tensor& weight, double a, Fan fan, Nonlinearity nonlinearity, Generator& generator) {
  normal_(weight, 0, kaiming_std("kaiming_normal_", weight, a, fan, nonlinearity), generator);
}

void gpt2_(const Module& module, Index n_layer, Generator& generator, double std, bool scale_residual) {
  check(n_layer > 0, "gpt2_: {} layers; there must be at least 1", n_layer);
  const double residual_std = scale_residual ? std / std::sqrt(2 * static_cast<double>(n_layer)) : std;
  for (const auto& [name, tensor] : module.named_parameters()) {
    if (tensor.rank() >= 2) {
      normal_(tensor, 0, name.ends_with("c_proj.weight") ? residual_std : std, generator);
    } else if (name.ends_with("bias")) {
      zeros_(tensor);
    }
  }
}

}  // namespace gradus::nn::init
