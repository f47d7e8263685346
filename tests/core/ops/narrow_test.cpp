// Narrow matrices: what they stand for, and products with them against the same products in f64.
#include <gradus/core/ops/narrow.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/kernels/kernels.h>
#include <gradus/core/ops.h>

#include "../../support.h"

namespace gradus {
namespace {

using testing::bits;
using testing::error_of;
using ::testing::HasSubstr;
using testing::tested_instruction_sets;
using testing::WithInstructionSet;
using testing::WithThreads;

constexpr NarrowType types[] = {NarrowType::bf16, NarrowType::int8, NarrowType::int4};
constexpr std::size_t block = 32;

// Calls f with each instruction set and type.
template <class F>
void each_kind(const F& f) {
  for (const std::string_view isa : tested_instruction_sets()) {
    const WithInstructionSet use(isa);
    for (const NarrowType type : types) {
      SCOPED_TRACE(fmt::format("{} {}", isa, type));
      f(type);
    }
  }
}

// x as a product with whole numbers sees it, and the largest number of each number's block.
struct RoundedRows {
  std::vector<double> values, size;
};
RoundedRows rounded_rows(const Tensor& x, NarrowType type) {
  RoundedRows result{x.to_vector(), std::vector<double>(static_cast<std::size_t>(x.numel()))};
  if (type == NarrowType::bf16) return result;
  const auto cols = static_cast<std::size_t>(x.size(-1));
  for (std::size_t begin = 0; begin < result.values.size(); begin += cols) {
    for (std::size_t b = 0; b < cols; b += block) {
      double most = 0;
      for (std::size_t i = b; i < std::min(cols, b + block); ++i) {
        most = std::max(most, std::abs(result.values[begin + i]));
      }
      for (std::size_t i = b; i < std::min(cols, b + block); ++i) {
        double& value = result.values[begin + i];
        if (most > 0) value = std::nearbyint(value * 127 / most) * most / 127;
        result.size[begin + i] = most;
      }
    }
  }
  return result;
}

// |y - x W^T - bias| is a few roundings of the sum of the terms' sizes; where a number of x lies half-way between two
// whole numbers, it may become either: `doubtful` such numbers, each off by a 127th of its block's largest.
void expect_product(const Tensor& x, const NarrowMatrix& weight, const Tensor& bias) {
  const Tensor y = linear(x, weight, bias);
  ASSERT_EQ(y.shape(), (Shape{x.size(0), weight.shape()[0]}));
  const std::vector<double> w = weight.to_tensor().to_vector(), got = y.to_vector();
  const RoundedRows rows = rounded_rows(x, weight.type());
  const std::vector<double> exact = x.to_vector();
  const auto in = static_cast<std::size_t>(weight.shape()[1]), out = static_cast<std::size_t>(weight.shape()[0]);
  for (std::size_t r = 0; r < static_cast<std::size_t>(x.size(0)); ++r) {
    for (std::size_t j = 0; j < out; ++j) {
      const double start = bias.defined() ? bias.to_vector()[j] : 0;
      double sum = start, size = std::abs(start), doubt = 0;
      for (std::size_t i = 0; i < in; ++i) {
        const std::size_t at = r * in + i;
        const double term = rows.values[at] * w[j * in + i], most = rows.size[at];
        sum += term;
        size += std::abs(term);
        const double share = most > 0 ? std::abs(exact[at]) * 127 / most : 0;
        if (std::abs(share - std::floor(share) - 0.5) < 1e-4) doubt += most / 127 * std::abs(w[j * in + i]);
      }
      ASSERT_NEAR(got[r * out + j], sum, 2e-6 * size + 1.001 * doubt + 1e-30) << "row " << r << ", output " << j;
    }
  }
}

TEST(NarrowMatrix, ProductsEqualThoseInF64AtEverySize) {
  const NoGrad no_grad;
  manual_seed(3);
  each_kind([](NarrowType type) {
    for (const auto& [out, in] : {std::pair<Index, Index>{1, 1},
                                  {5, 3},
                                  {15, 31},
                                  {16, 32},
                                  {17, 33},
                                  {33, 63},
                                  {64, 64},
                                  {65, 65},
                                  {130, 300},
                                  {70, 777}}) {
      const NarrowMatrix weight(randn({out, in}), type);
      for (const Index rows : {1, 2, 3, 4, 5, 7, 9, 32, 33, 70}) {
        SCOPED_TRACE(fmt::format("{} rows, ({}, {})", rows, out, in));
        expect_product(randn({rows, in}), weight, rows % 2 == 0 ? Tensor() : randn({out}));
      }
    }
  });
}

TEST(NarrowMatrix, AnyShapeOfXHasItsRows) {
  const NoGrad no_grad;
  const NarrowMatrix weight(randn({6, 10}), NarrowType::int8);
  const Tensor x = randn({2, 3, 10});
  const Tensor y = linear(x, weight);
  EXPECT_EQ(y.shape(), (Shape{2, 3, 6}));
  EXPECT_EQ(bits(y), bits(linear(x.reshape({6, 10}), weight)));
  EXPECT_EQ(linear(randn({10}), weight).shape(), Shape{6});
  EXPECT_EQ(linear(zeros({0, 10}), weight).shape(), (Shape{0, 6}));
}

// The largest of each block of a row, by size.
std::vector<double> block_sizes(const Tensor& w) {
  std::vector<double> values = w.to_vector(), result(values.size());
  const auto in = static_cast<std::size_t>(w.size(1));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t row = i / in * in, begin = row + (i - row) / block * block;
    for (std::size_t k = begin; k < std::min(row + in, begin + block); ++k) {
      result[i] = std::max(result[i], std::abs(values[k]));
    }
  }
  return result;
}

TEST(NarrowMatrix, StandsForNumbersNearTheOnesItWasMadeFrom) {
  manual_seed(4);
  each_kind([](NarrowType type) {
    for (const double size : {1.0, 1e-20, 1e20}) {
      const Tensor w = randn({37, 100}) * size;
      const std::vector<double> values = w.to_vector(), sizes = block_sizes(w);
      const std::vector<double> back = NarrowMatrix(w, type).to_tensor().to_vector();
      for (std::size_t i = 0; i < values.size(); ++i) {
        // bf16 has 8 binary digits. A scale is off by up to 2^-9; at one end of 4 bits there is one number less.
        const double allowed = type == NarrowType::bf16   ? std::abs(values[i]) * 0x1p-8
                               : type == NarrowType::int8 ? sizes[i] / 127 * 0.51
                                                          : sizes[i] / 8 * 1.02;
        ASSERT_NEAR(back[i], values[i], allowed) << i;
      }
    }
  });
}

TEST(NarrowMatrix, ItsNumbersAreItsOwnAgain) {
  manual_seed(5);
  each_kind([](NarrowType type) {
    const Tensor once = NarrowMatrix(randn({20, 90}), type).to_tensor();
    EXPECT_EQ(bits(NarrowMatrix(once, type).to_tensor()), bits(once));
  });
}

TEST(NarrowMatrix, Bf16RoundsToNearestEvenAndNotToInfinity) {
  each_kind([](NarrowType) {
    const auto rounded = [](double x) { return NarrowMatrix(full({1, 1}, x), NarrowType::bf16).to_tensor().item(); };
    EXPECT_EQ(rounded(1 + 0x1p-8), 1);              // half-way, to even
    EXPECT_EQ(rounded(1 + 0x3p-8), 1 + 0x4p-8);     // half-way, to even
    EXPECT_EQ(rounded(1 + 0x1.02p-8), 1 + 0x1p-7);  // above half-way
    EXPECT_EQ(rounded(-0x1p127), -0x1p127);
    EXPECT_EQ(rounded(0x1p-149), 0);
    EXPECT_EQ(rounded(0x1p-133), 0x1p-133);  // its least
  });
}

TEST(NarrowMatrix, ABlockOfZerosAndOneNumberIsExact) {
  const NoGrad no_grad;
  each_kind([](NarrowType type) {
    const Tensor w = zeros({3, 64});
    constexpr float number = -127.0F / 256;  // 127 times a power of two, of which bf16 has an eighth too
    for (const std::size_t i : {0U, 5U, 40U, 63U, 70U, 130U}) w.data<float>()[i] = number;
    const NarrowMatrix narrow(w, type);
    EXPECT_EQ(narrow.to_tensor().to_vector(), w.to_vector());
    for (const Index rows : {1, 33}) {
      const std::vector<double> y = linear(ones({rows, 64}), narrow).to_vector();
      for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], (i % 3 == 0 ? 4 : 1) * number, 1e-6);
    }
  });
}

TEST(NarrowMatrix, ZerosAndTinyAndHugeNumbersStayWhatTheyAre) {
  const NoGrad no_grad;
  each_kind([](NarrowType type) {
    for (const Index rows : {1, 33}) {
      const auto product = [&](double w, double x) {
        return linear(full({rows, 50}, x), NarrowMatrix(full({4, 50}, w), type)).to_vector();
      };
      for (const double y : product(0, 1)) EXPECT_EQ(y, 0);
      for (const double y : product(1, 0)) EXPECT_EQ(y, 0);
      for (const double y : product(1e-42, 1)) EXPECT_NEAR(y, 5e-41, 5e-41);
      for (const double y : product(1, 1e-42)) EXPECT_NEAR(y, 5e-41, 5e-41);
      for (const double y : product(1e30, 1e5)) EXPECT_NEAR(y / 5e36, 1, 0.01);
      for (const double y : product(1e-5, 1e35)) EXPECT_NEAR(y / 5e31, 1, 0.01);
      for (const double y : product(0x1p127, 1e5)) EXPECT_EQ(y, std::numeric_limits<double>::infinity());
    }
  });
}

TEST(NarrowMatrix, NumbersOfXThatAreNotFiniteReachTheirRowAlone) {
  const NoGrad no_grad;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  each_kind([](NarrowType type) {
    const NarrowMatrix weight(ones({20, 70}), type);
    for (const Index rows : {3, 33}) {
      for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity}) {
        for (const std::size_t at : {70U, 101U, 139U}) {  // of row 1
          const Tensor x = ones({rows, 70});
          x.data<float>()[at] = bad;
          const std::vector<double> y = linear(x, weight).to_vector();
          for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(std::isfinite(y[i]), i / 20 != 1) << i;
        }
      }
    }
  });
}

TEST(NarrowMatrix, TheSameBitsWithAnyNumberOfThreadsAndWhateverRowsAreBesideIt) {
  const NoGrad no_grad;
  manual_seed(6);
  each_kind([](NarrowType type) {
    const Tensor w = randn({1000, 200}), x = randn({40, 200});
    const auto all = [&](int threads) {
      const WithThreads use(threads);
      const NarrowMatrix weight(w, type);
      std::vector<std::uint64_t> result = bits(weight.to_tensor());
      for (const Index rows : {1, 3, 8, 33, 40}) {
        for (const std::uint64_t y : bits(linear(slice(x, 0, 0, rows), weight))) result.push_back(y);
      }
      return result;
    };
    const std::vector<std::uint64_t> one = all(1);
    for (const int threads : {2, 3, 7}) EXPECT_EQ(all(threads), one) << threads;

    const NarrowMatrix weight(w, type);
    const Tensor together = linear(slice(x, 0, 0, 7), weight);
    for (Index r = 0; r < 7; ++r) EXPECT_EQ(bits(linear(x[r], weight)), bits(together[r])) << r;
  });
}

// AVX-512 has two sets of these kernels; a CPU with VNNI uses the one, and here it runs the other too.
TEST(NarrowMatrix, Avx512HasTheSameBitsWithAndWithoutVnni) {
#if defined(__x86_64__)
  if (instruction_set() != "avx512" || !__builtin_cpu_supports("avx512vnni")) GTEST_SKIP() << "needs AVX-512 VNNI";
  manual_seed(7);
  constexpr Index out = 100, in = 170, groups = (out + 15) / 16, runs = (in + 63) / 64, rows = 5;
  const Tensor w = randn({out, in}), x = randn({rows, in});
  for (const NarrowType type : types) {
    const auto run = [&](const kernels::NarrowKernels& kernel) {
      const Index group_bytes = runs * kernels::narrow_run_bytes(type), row_bytes = runs * 256;
      std::vector<std::byte> weight(static_cast<std::size_t>(groups * group_bytes)), input(rows * row_bytes);
      std::vector<float> y(rows * out);
      for (Index g = 0; g < groups; ++g) {
        kernel.pack(type, w.data<float>().data() + g * 16 * in, std::min<Index>(16, out - g * 16), in,
                    weight.data() + g * group_bytes);
      }
      const Index stride = type == NarrowType::bf16 ? row_bytes : runs * 2 * Index{sizeof(kernels::NarrowBlock)};
      for (Index r = 0; r < rows; ++r)
        kernel.input(type, x.data<float>().data() + r * in, in, input.data() + r * stride);
      kernel.product({.type = type,
                      .weight = weight.data(),
                      .x = input.data(),
                      .bias = nullptr,
                      .y = y.data(),
                      .x_stride = stride,
                      .y_stride = out,
                      .rows = rows,
                      .n = out,
                      .k = in},
                     0, groups);
      return y;
    };
    ASSERT_NE(&kernels::avx512vnni::table_narrow, &kernels::avx512::table_narrow);
    EXPECT_EQ(run(kernels::avx512vnni::table_narrow), run(kernels::avx512::table_narrow)) << name_of(type);
  }
#else
  GTEST_SKIP() << "needs AVX-512";
#endif
}

TEST(NarrowMatrix, SaysWhatItNeeds) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_of([] { NarrowMatrix(Tensor(), NarrowType::int8); }), HasSubstr("NarrowMatrix"));
  EXPECT_THAT(error_of([] { NarrowMatrix(ones({3}), NarrowType::int8); }), HasSubstr("(3) in f32 must be a matrix"));
  EXPECT_THAT(error_of([] { NarrowMatrix(ones({3, 2}, DType::f64), NarrowType::int8); }), HasSubstr("in f64"));
  EXPECT_THAT(error_of([] { NarrowMatrix(ones({0, 2}), NarrowType::int8); }), HasSubstr("(0, 2)"));
  for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 2e38F}) {
    const Tensor w = ones({3, 2});
    w.data<float>()[3] = bad;
    EXPECT_THAT(error_of([&] { NarrowMatrix(w, NarrowType::bf16); }), HasSubstr("row 1, column 1"));
  }
  const NarrowMatrix weight(ones({3, 2}), NarrowType::int8);
  EXPECT_THAT(error_of([&] { linear(ones({4, 2}), weight); }), HasSubstr("NoGrad"));
  const NoGrad no_grad;
  EXPECT_THAT(error_of([&] { linear(ones({4, 3}), weight); }), HasSubstr("x (4, 3) and narrow weight (3, 2)"));
  EXPECT_THAT(error_of([&] { linear(ones({4, 2}, DType::f64), weight); }), HasSubstr("f64"));
  EXPECT_THAT(error_of([&] { linear(ones({4, 2}), weight, ones({2})); }), HasSubstr("bias (2) must be (3)"));
  EXPECT_THAT(error_of([&] { linear(ones({4, 2}), NarrowMatrix()); }), HasSubstr("undefined"));
  EXPECT_THAT(error_of([&] { NarrowMatrix().to_tensor(); }), HasSubstr("undefined"));
}

TEST(NarrowMatrix, TakesAHalfAQuarterAnEighthOfTheBytes) {
  const Tensor w = zeros({64, 640});
  const Index floats = 4 * w.numel();
  EXPECT_EQ(NarrowMatrix(w, NarrowType::bf16).bytes(), floats / 2);
  EXPECT_EQ(NarrowMatrix(w, NarrowType::int8).bytes(), floats / 4 / 16 * 17);  // with its scales
  EXPECT_EQ(NarrowMatrix(w, NarrowType::int4).bytes(), floats / 8 / 8 * 9);
}

}  // namespace
}  // namespace gradus
