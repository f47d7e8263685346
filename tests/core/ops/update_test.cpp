// The optimizers' arithmetic against steps worked by hand in double, for every instruction set, and the norm's bits.
#include <gradus/core/ops/update.h>

#include <cmath>
#include <random>

#include <gradus/core/ops.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

std::vector<double> numbers(std::size_t count, unsigned seed, double low, double high) {
  std::mt19937 engine(seed);
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(static_cast<float>(low + (high - low) * static_cast<double>(engine() % 10007) / 10007));
  }
  return values;
}

template <class F>
void within_roundings(const F& f) {
  everywhere([&](DType dtype) { f(dtype, dtype == DType::f32 ? 1e-6 : 1e-14); });
}

// One parameter 1, gradient 0.5, from empty moments: m = 0.05, v = 0.00025, both corrections undo the factors, so the
// step is lr * 0.5 / (0.5 + eps) = 0.1 to eight digits.
TEST(AdamUpdate, FirstStepByHand) {
  within_roundings([](DType dtype, double tolerance) {
    const Tensor param = tensor({1}, dtype), m = tensor({0}, dtype), v = tensor({0}, dtype);
    adam_update(param, m, v, tensor({0.5}, dtype),
                {.lr = 0.1,
                 .beta1 = 0.9,
                 .beta2 = 0.999,
                 .eps = 1e-8,
                 .weight_decay = 0,
                 .decoupled = false,
                 .bias_correction1 = 0.1,
                 .bias_correction2 = 0.001});
    EXPECT_NEAR(param.to_vector()[0], 1 - 0.1 * 0.5 / (0.5 + 1e-8), tolerance);
    EXPECT_NEAR(m.to_vector()[0], 0.05, tolerance);
    EXPECT_NEAR(v.to_vector()[0], 0.00025, 0.00025 * tolerance);
  });
}

TEST(AdamUpdate, FollowsThePapersFormulas) {
  within_roundings([](DType dtype, double tolerance) {
    for (const bool decoupled : {false, true}) {
      for (const std::size_t n : {1U, 5U, 16U, 37U}) {
        std::vector<double> p = numbers(n, 1, -1, 1), m(n, 0), v(n, 0);
        const Tensor param = tensor(p, dtype), tm = zeros({static_cast<Index>(n)}, dtype), tv = zeros_like(tm);
        for (int t = 1; t <= 3; ++t) {
          const std::vector<double> grad = numbers(n, static_cast<unsigned>(10 + t), -2, 2);
          const double correction1 = 1 - std::pow(0.8, t), correction2 = 1 - std::pow(0.95, t);
          adam_update(param, tm, tv, tensor(grad, dtype),
                      {.lr = 0.01,
                       .beta1 = 0.8,
                       .beta2 = 0.95,
                       .eps = 1e-3,
                       .weight_decay = 0.1,
                       .decoupled = decoupled,
                       .bias_correction1 = correction1,
                       .bias_correction2 = correction2});
          for (std::size_t i = 0; i < n; ++i) {
            const double g = decoupled ? grad[i] : grad[i] + 0.1 * p[i];
            if (decoupled) p[i] -= 0.01 * 0.1 * p[i];
            m[i] = 0.8 * m[i] + 0.2 * g;
            v[i] = 0.95 * v[i] + 0.05 * g * g;
            p[i] -= 0.01 * (m[i] / correction1) / (std::sqrt(v[i] / correction2) + 1e-3);
          }
        }
        expect_close(param, p, tolerance);
        expect_close(tm, m, tolerance);
        expect_close(tv, v, tolerance);
      }
    }
  });
}

TEST(SgdUpdate, FollowsPyTorchsFormulas) {
  within_roundings([](DType dtype, double tolerance) {
    for (const double momentum : {0.0, 0.9}) {
      for (const bool nesterov : {false, true}) {
        if (nesterov && momentum == 0) continue;
        const double dampening = nesterov ? 0 : 0.25;
        std::vector<double> p = numbers(7, 1, -1, 1), b(7, 0);
        const Tensor param = tensor(p, dtype), buffer = momentum == 0 ? Tensor() : full({7}, NAN, dtype);
        for (int t = 0; t < 3; ++t) {
          const std::vector<double> grad = numbers(7, static_cast<unsigned>(10 + t), -2, 2);
          sgd_update(param, buffer, tensor(grad, dtype),
                     {.lr = 0.1,
                      .momentum = momentum,
                      .dampening = dampening,
                      .weight_decay = 0.2,
                      .nesterov = nesterov,
                      .first = t == 0});
          for (std::size_t i = 0; i < 7; ++i) {
            const double g = grad[i] + 0.2 * p[i];
            b[i] = t == 0 ? g : momentum * b[i] + (1 - dampening) * g;
            p[i] -= 0.1 * (momentum == 0 ? g : nesterov ? g + momentum * b[i] : b[i]);
          }
        }
        expect_close(param, p, tolerance);
        if (buffer.defined()) expect_close(buffer, b, tolerance);
      }
    }
  });
}

TEST(SquaredNorm, IsTheSumOfSquares) {
  everywhere([](DType dtype) {
    EXPECT_EQ(squared_norm(tensor({3, 4}, dtype)), 25);
    EXPECT_EQ(squared_norm(zeros({0}, dtype)), 0);
    for (const std::size_t n : {1U, 15U, 33U, 4097U, 70'001U}) {
      const std::vector<double> x = numbers(n, 3, -1, 1);
      double sum = 0;
      for (const double value : x) sum += value * value;
      EXPECT_NEAR(squared_norm(tensor(x, dtype)) / sum, 1, dtype == DType::f32 ? 1e-6 : 1e-12) << n;
    }
  });
}

TEST(SquaredNorm, HasTheSameBitsAtAnyNumberOfThreads) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const Index n : {20'000, 100'003, 2'000'003}) {
      manual_seed(1);
      const Tensor x = randn({n}, dtype);
      std::vector<double> norms;
      for (const int threads : {1, 2, 3}) {
        const WithThreads guard(threads);
        norms.push_back(squared_norm(x));
      }
      EXPECT_EQ(bits(norms), bits(std::vector<double>(3, norms[0])));
    }
  }
}

TEST(Updates, HaveTheSameBitsAtAnyNumberOfThreads) {
  const auto n = static_cast<Index>(100'003);
  const AdamStep step{.lr = 0.01,
                      .beta1 = 0.8,
                      .beta2 = 0.95,
                      .eps = 1e-8,
                      .weight_decay = 0.1,
                      .decoupled = true,
                      .bias_correction1 = 0.2,
                      .bias_correction2 = 0.05};
  std::vector<std::vector<std::uint64_t>> results;
  for (const int threads : {1, 2, 3}) {
    const WithThreads guard(threads);
    manual_seed(1);
    const Tensor param = randn({n}), m = zeros({n}), v = zeros({n}), grad = randn({n});
    adam_update(param, m, v, grad, step);
    sgd_update(param, m, grad,
               {.lr = 0.1, .momentum = 0.9, .dampening = 0, .weight_decay = 0, .nesterov = true, .first = false});
    scale_(param, 1.1);
    results.push_back(bits(param));
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

TEST(Scale, MultipliesInPlace) {
  everywhere([](DType dtype) {
    const Tensor x = arange(37, dtype);
    scale_(x, 0.5);
    for (std::size_t i = 0; i < 37; ++i) EXPECT_EQ(x.to_vector()[i], 0.5 * static_cast<double>(i));
  });
}

}  // namespace
}  // namespace gradus::testing
