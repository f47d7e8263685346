// Sums of millions of terms in f32. One after another, their rounding errors would add up with the number of terms;
// blocks and trees of partial sums keep the error at a few roundings, growing with the logarithm.
#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include <cmath>
#include <functional>
#include <utility>

#include "../../support.h"

namespace gradus::testing {
namespace {

// The largest relative error allowed for n terms: f32's rounding for each doubling of their number.
double allowed(Index n) {
  return 0x1p-24 * std::log2(static_cast<double>(n));
}

// 0 .. 1, of one sign, so that errors of rounding show in full.
Tensor terms(const Shape& shape) {
  Generator generator(7);
  return rand(shape, DType::f32, generator);
}

struct Sum {
  const char* name;
  std::function<Tensor(const Tensor& x)> f;  // of (n): sums of n positive terms
};

Tensor gradient_of(const Tensor& leaf, const Tensor& y) {
  sum(y).backward();
  return leaf.grad();
}

// The type of x, so that f64 can be the reference.
Tensor leaf_like(const Tensor& x, const Shape& shape) {
  return ones(shape, x.dtype()).requires_grad(true);
}

void expect_few_roundings(const std::vector<Sum>& sums, const Tensor& x, double tolerance,
                          const std::vector<std::string_view>& instruction_sets = available_instruction_sets()) {
  const Tensor exact = x.to(DType::f64);
  for (const Sum& s : sums) {
    const std::vector<double> fine = s.f(exact).to_vector();
    for (const std::string_view isa : instruction_sets) {
      const WithInstructionSet guard(isa);
      const std::vector<double> coarse = s.f(x).to_vector();
      double worst = 0;
      for (std::size_t i = 0; i < fine.size(); ++i) {
        worst = std::max(worst, std::abs(coarse[i] - fine[i]) / std::max(0x1p-30, std::abs(fine[i])));
      }
      EXPECT_LE(worst, tolerance) << s.name << ", " << x.numel() << " terms, " << isa;
    }
  }
}

const std::vector<Sum>& reductions() {
  static const std::vector<Sum> all = {
      {"sum", [](const Tensor& x) { return sum(x); }},
      {"sum of rows",
       [](const Tensor& x) {
         return sum(reshape(x, {x.numel() / 2, 2}), {0});
       }},
      {"sum of a column",
       [](const Tensor& x) {
         return sum(reshape(x, {x.numel(), 1}), {0});
       }},
      {"sum along rows",
       [](const Tensor& x) {
         return sum(reshape(x, {2, x.numel() / 2}), {1});
       }},
      {"sum in the middle",
       [](const Tensor& x) {
         return sum(reshape(x, {2, x.numel() / 4, 2}), {1});
       }},
      {"mean", [](const Tensor& x) { return mean(x); }},
      {"mean of rows",
       [](const Tensor& x) {
         return mean(reshape(x, {x.numel() / 2, 2}), {0});
       }},
      {"var", [](const Tensor& x) { return var(x); }},
      {"var of rows",
       [](const Tensor& x) {
         return var(reshape(x, {x.numel() / 2, 2}), {0});
       }},
      {"bias of linear",
       [](const Tensor& x) {
         const Tensor rows = reshape(x, {x.numel(), 1}), bias = leaf_like(x, {1});
         return gradient_of(bias, linear(rows, ones({1, 1}, x.dtype()), bias) * rows);
       }},
  };
  return all;
}

const std::vector<Sum>& products() {
  static const std::vector<Sum> all = {
      {"weight of linear",
       [](const Tensor& x) {
         const Tensor weight = leaf_like(x, {1, 1});
         return gradient_of(weight, linear(reshape(x, {x.numel(), 1}), weight));
       }},
      {"dot product", [](const Tensor& x) { return matmul(x, ones_like(x)); }},
      {"linear of one row",
       [](const Tensor& x) {
         return linear(reshape(x, {1, x.numel()}), ones({1, x.numel()}, x.dtype()));
       }},
      {"a matrix that a batch shares",
       [](const Tensor& x) {
         const Tensor shared = leaf_like(x, {1, 1});
         return gradient_of(shared, matmul(shared, reshape(x, {x.numel(), 1, 1})));
       }},
  };
  return all;
}

const std::vector<Sum>& broadcasts() {
  static const std::vector<Sum> all = {
      {"a number added to all",
       [](const Tensor& x) {
         const Tensor bias = leaf_like(x, {});
         return gradient_of(bias, x * (x + bias));
       }},
      {"a row added to all",
       [](const Tensor& x) {
         const Tensor bias = leaf_like(x, {2}), rows = reshape(x, {x.numel() / 2, 2});
         return gradient_of(bias, rows * (rows + bias));
       }},
      {"a number chosen by where",
       [](const Tensor& x) {
         const Tensor other = leaf_like(x, {1});
         return gradient_of(other, x * where(ones_like(x), other, x));
       }},
      {"a row of an embedding",
       [](const Tensor& x) {
         const Tensor table = leaf_like(x, {1, 1});
         const std::vector<std::int32_t> ids(static_cast<std::size_t>(x.numel()), 0);
         return gradient_of(table, embedding(table, ids) * reshape(x, {x.numel(), 1}));
       }},
      {"weight of layer_norm",
       [](const Tensor& x) {
         const Tensor bias = leaf_like(x, {2}), rows = reshape(x, {x.numel() / 2, 2});
         return gradient_of(bias, layer_norm(rows, ones({2}, x.dtype()), bias) * rows);
       }},
      {"weight of rms_norm",
       [](const Tensor& x) {
         const Tensor weight = leaf_like(x, {2});
         return gradient_of(weight, rms_norm(reshape(x, {x.numel() / 2, 2}), weight));
       }},
      {"bias of conv2d, many images",
       [](const Tensor& x) {
         const Tensor bias = leaf_like(x, {1}), images = reshape(x, {x.numel() / 4, 1, 2, 2});
         return gradient_of(bias, conv2d(images, ones({1, 1, 1, 1}, x.dtype()), bias) * images);
       }},
      {"bias of conv2d, large images",
       [](const Tensor& x) {
         const Tensor bias = leaf_like(x, {1}), images = reshape(x, {2, 1, x.numel() / 2, 1});
         return gradient_of(bias, conv2d(images, ones({1, 1, 1, 1}, x.dtype()), bias) * images);
       }},
      {"weight of conv2d, many images",
       [](const Tensor& x) {
         const Tensor weight = leaf_like(x, {1, 1, 1, 1});
         return gradient_of(weight, conv2d(reshape(x, {x.numel() / 4, 1, 2, 2}), weight));
       }},
      {"avg_pool2d of an image",
       [](const Tensor& x) {
         return avg_pool2d(reshape(x, {2, x.numel() / 2, 1}), {x.numel() / 2, 1});
       }},
      {"softmax of a long row", [](const Tensor& x) { return slice(softmax(x), 0, 0, 1000); }},
      {"log_softmax of a long row", [](const Tensor& x) { return slice(log_softmax(x), 0, 0, 1000); }},
      {"rms_norm of a long row", [](const Tensor& x) { return slice(rms_norm(x), 0, 0, 1000); }},
  };
  return all;
}

TEST(LongSums, TenThousand) {
  for (const auto* sums : {&reductions(), &products(), &broadcasts()}) {
    expect_few_roundings(*sums, terms({10'000}), allowed(10'000));
  }
}

TEST(LongSums, AMillion) {
  for (const auto* sums : {&reductions(), &products(), &broadcasts()}) {
    expect_few_roundings(*sums, terms({1'000'000}), allowed(1'000'000));
  }
}

TEST(LongSums, TenMillion) {
  expect_few_roundings(reductions(), terms({10'000'000}), allowed(10'000'000), {instruction_set()});
}

// Equal terms are rounded in the same direction, each one: the roundings inside a block do not cancel out.
TEST(LongSums, OfEqualTerms) {
  std::vector<Sum> sums = reductions();
  std::erase_if(sums, [](const Sum& s) { return std::string_view(s.name).starts_with("var"); });  // of them: nothing
  for (const std::vector<Sum>* some : {&std::as_const(sums), &products(), &broadcasts()}) {
    expect_few_roundings(*some, full({1'000'000}, 0.1), 4e-6);
  }
}

}  // namespace
}  // namespace gradus::testing
