// Each initializer finds its bound or deviation and fills the parameter's memory from the generator.
#include <gradus/nn/init.h>

#include <cmath>

namespace gradus::nn::init {
namespace {

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

void spread_uniform(const Tensor& weight, double std, Generator& generator) {
  const double bound = std::sqrt(3.0) * std;  // a uniform number within +-bound has this standard deviation
  uniform_(weight, -bound, bound, generator);
}

}  // namespace

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
  dispatch(x.dtype(), [&]<class T>() { generator.fill_normal(x.data<T>(), mean, std); });
  x.mark_written("normal_");
}

void uniform_(const Tensor& x, double low, double high, Generator& generator) {
  check(std::isfinite(low) && std::isfinite(high) && low <= high,
        "uniform_: from {} to {}; both must be finite and in this order", low, high);
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
