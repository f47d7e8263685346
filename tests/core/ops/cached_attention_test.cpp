// Attention over kept keys and values, against attention over the whole sequence.
#include <gradus/core/ops/cached_attention.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../../support.h"

namespace gradus {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using ::testing::HasSubstr;
using testing::tested_instruction_sets;
using testing::WithInstructionSet;
using testing::WithThreads;

// All rows of each sequence through one cache in parts of the given lengths, put together again in order.
Tensor in_parts(const Tensor& qkv, Index heads, const std::vector<Index>& parts) {
  KeyValues cache;
  KeyValues* const caches[] = {&cache};
  std::vector<Tensor> results;
  Index begin = 0;
  for (const Index length : parts) {
    results.push_back(
        cached_attention(slice(qkv, 0, begin, begin + length), heads, std::array{length}, std::span(caches)));
    begin += length;
  }
  EXPECT_EQ(cache.length, qkv.size(0));
  return concat(results);
}

TEST(CachedAttention, EqualsAttentionOverTheWholeSequence) {
  const NoGrad no_grad;
  for (const std::string_view isa : tested_instruction_sets()) {
    const WithInstructionSet use(isa);
    for (const Index head_size : {1, 3, 8, 17, 64, 67}) {
      const Tensor qkv = randn({40, 3 * 2 * head_size}, DType::f64);
      const Tensor whole = packed_attention(qkv, 2, std::array<Index, 1>{40}, {.causal = true});
      expect_close(in_parts(qkv, 2, std::vector<Index>(40, 1)), whole);
      expect_close(in_parts(qkv, 2, {7, 1, 1, 13, 1, 17}), whole);
      EXPECT_EQ(bits(in_parts(qkv, 2, {40})), bits(whole));
      const Tensor f32 = qkv.to(DType::f32);
      expect_close(in_parts(f32, 2, {20, 1, 1, 1, 1, 16}).to(DType::f64), whole, 1e-5);
    }
  }
}

TEST(CachedAttention, SequencesAreIndependentAtAnyNumberOfThreads) {
  const NoGrad no_grad;
  const Tensor first = randn({30, 48}), second = randn({5, 48});
  const auto run = [&](int threads) {
    const WithThreads use(threads);
    KeyValues a, b;
    KeyValues* const both[] = {&a, &b};
    KeyValues* const only[] = {&a};
    cached_attention(concat({slice(first, 0, 0, 28), slice(second, 0, 0, 4)}), 4, std::array<Index, 2>{28, 4}, both);
    const Tensor y = cached_attention(concat({slice(first, 0, 28, 29), slice(second, 0, 4, 5)}), 4,
                                      std::array<Index, 2>{1, 1}, both);
    return concat({y, cached_attention(slice(first, 0, 29, 30), 4, std::array<Index, 1>{1}, only)});
  };
  const Tensor y = run(1);
  EXPECT_EQ(bits(y), bits(run(3)));
  expect_close(slice(y, 0, 1, 2), slice(in_parts(second, 4, {4, 1}), 0, 4, 5), 0);
  expect_close(slice(y, 0, 2, 3), slice(in_parts(first, 4, {28, 1, 1}), 0, 29, 30), 0);
}

TEST(CachedAttention, Mistakes) {
  KeyValues cache;
  KeyValues* const caches[] = {&cache};
  const std::array<Index, 1> one{1};
  EXPECT_THAT(error_of([&] { cached_attention(zeros({1, 12}), 2, one, caches); }), HasSubstr("no gradient"));
  const NoGrad no_grad;
  EXPECT_THAT(error_of([&] { cached_attention(zeros({1, 13}), 2, one, caches); }), HasSubstr("(1, 13)"));
  EXPECT_THAT(error_of([&] { cached_attention(zeros({2, 12}), 2, one, caches); }), HasSubstr("add up to 1"));
  EXPECT_THAT(error_of([&] {
                cached_attention(zeros({0, 12}), 2, std::array<Index, 1>{0}, caches);
              }),
              HasSubstr("at least 1"));
  EXPECT_THAT(error_of([&] { cached_attention(zeros({1, 12}), 2, one, {}); }), HasSubstr("0 caches"));
  cached_attention(zeros({1, 12}), 2, one, caches);
  EXPECT_THAT(error_of([&] { cached_attention(zeros({1, 24}), 2, one, caches); }), HasSubstr("another model"));
  EXPECT_THAT(error_of([&] { cached_attention(zeros({1, 12}, DType::f64), 2, one, caches); }), HasSubstr("f64"));
}

// linear() with a few rows reads the weights where they are; each row's numbers do not depend on how many there are.
TEST(LinearOfFewRows, EqualsManyRows) {
  for (const std::string_view isa : tested_instruction_sets()) {
    const WithInstructionSet use(isa);
    for (const Index in : {1, 7, 16, 33, 64, 100}) {
      const Tensor x = randn({9, in}, DType::f64), weight = randn({37, in}, DType::f64), bias = randn({37}, DType::f64);
      const Tensor many = linear(x, weight, bias);
      for (const Index rows : {1, 2, 3, 4}) {
        const Tensor few = linear(slice(x, 0, 0, rows), weight, bias);
        expect_close(few, slice(many, 0, 0, rows));
        EXPECT_EQ(bits(slice(few, 0, 0, 1)), bits(linear(slice(x, 0, 0, 1), weight, bias)));
        const WithThreads three(3);
        EXPECT_EQ(bits(few), bits(linear(slice(x, 0, 0, rows), weight, bias)));
      }
      expect_close(linear(slice(x, 0, 0, 2), weight), slice(many, 0, 0, 2) - bias);
    }
  }
}

}  // namespace
}  // namespace gradus
