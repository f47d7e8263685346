// Attention modules against attention composed of plain ops, and what they must not see.
#include <gradus/nn/layers/attention.h>

#include <cmath>
#include <limits>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;
using testing::expect_gradients;
using In = const std::vector<Tensor>&;

constexpr DType f64 = DType::f64;

// softmax(q k' / sqrt(D) + mask) v per head, with explicit slices. q (T, C), k and v (S, C)
Tensor reference(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, bool causal) {
  const Index time = q.size(0), keys = k.size(0), width = q.size(1) / heads;
  Tensor mask = zeros({time, keys}, q.dtype());
  if (causal) {
    for (Index i = 0; i < time; ++i) {
      for (Index j = i + keys - time + 1; j < keys; ++j) {
        mask.data<double>()[static_cast<std::size_t>(i * keys + j)] = -std::numeric_limits<double>::infinity();
      }
    }
  }
  std::vector<Tensor> parts;
  for (Index h = 0; h < heads; ++h) {
    const auto head = [&](const Tensor& x) { return slice(x, 1, h * width, (h + 1) * width); };
    const Tensor scores = matmul(head(q), head(k), false, true) / std::sqrt(static_cast<double>(width));
    parts.push_back(matmul(softmax(scores + mask), head(v)));
  }
  return concat(parts, 1);
}

Tensor reference(const CausalSelfAttention& attention, const Tensor& x, Index heads) {  // (T, C)
  const Tensor qkv = attention.c_attn(x);
  const Index width = x.size(1);
  const auto part = [&](Index i) { return slice(qkv, 1, i * width, (i + 1) * width); };
  return attention.c_proj(reference(part(0), part(1), part(2), heads, true));
}

Tensor row(const Tensor& x, Index i) {
  return reshape(slice(x, 0, i, i + 1), {x.size(1), x.size(2)});
}

TEST(CausalSelfAttention, EqualsComposedOps) {
  manual_seed(1);
  for (const Index heads : {1, 2, 4}) {
    const CausalSelfAttention attention(8, heads, {.dtype = f64});
    const Tensor x = randn({2, 5, 8}, f64);
    const Tensor y = attention(x);
    ASSERT_EQ(y.shape(), x.shape());
    for (Index b = 0; b < 2; ++b) expect_close(row(y, b), reference(attention, row(x, b), heads));
    expect_close(attention(row(x, 1)), row(y, 1), 0);
  }
}

TEST(CausalSelfAttention, PackedDocumentsEqualSeparateOnes) {
  manual_seed(2);
  const CausalSelfAttention attention(6, 3, {.dtype = f64});
  const Tensor x = randn({9, 6}, f64);
  const std::vector<Index> lengths{4, 1, 3, 1};
  const Tensor y = attention(x, lengths);
  Index begin = 0;
  for (const Index length : lengths) {
    const Tensor document = slice(x, 0, begin, begin + length);
    expect_close(slice(y, 0, begin, begin + length), reference(attention, document, 3));
    expect_close(slice(y, 0, begin, begin + length), attention(document));
    begin += length;
  }
}

TEST(CausalSelfAttention, Gradients) {
  manual_seed(3);
  CausalSelfAttention attention(4, 2, {.dtype = f64});
  expect_gradients(attention, {randn({2, 3, 4}, f64)}, [&](In in) { return attention(in[0]); });
  const std::vector<Index> lengths{2, 3, 1};
  expect_gradients(attention, {randn({6, 4}, f64)}, [&](In in) { return attention(in[0], lengths); });
}

template <class F>
void expect_no_look_ahead(F attention) {
  const Tensor x = randn({1, 6, 8});
  const Tensor y = attention(x);
  for (Index cut = 1; cut < 6; ++cut) {
    const Tensor later = randn({1, 6 - cut, 8}) * 100.0;
    const Tensor changed = concat({slice(x, 1, 0, cut), later}, 1);
    const Tensor z = attention(changed);
    EXPECT_EQ(bits(slice(z, 1, 0, cut)), bits(slice(y, 1, 0, cut))) << cut;
    EXPECT_NE(bits(slice(z, 1, cut, 6)), bits(slice(y, 1, cut, 6))) << cut;
  }
}

TEST(CausalSelfAttention, DoesNotLookAhead) {
  expect_no_look_ahead(CausalSelfAttention(8, 2));
}

TEST(MultiHeadAttention, DoesNotLookAheadWhenCausal) {
  expect_no_look_ahead(MultiHeadAttention(8, 2, {.causal = true}));
}

TEST(MultiHeadAttention, SelfAttentionEqualsComposedOps) {
  manual_seed(4);
  for (const bool causal : {false, true}) {
    const MultiHeadAttention attention(8, 2, {.causal = causal, .dtype = f64});
    const Tensor x = randn({2, 5, 8}, f64);
    const Tensor y = attention(x);
    for (Index b = 0; b < 2; ++b) {
      const Tensor xb = row(x, b);
      expect_close(row(y, b), attention.out_proj(reference(attention.q_proj(xb), attention.k_proj(xb),
                                                           attention.v_proj(xb), 2, causal)));
    }
  }
}

TEST(MultiHeadAttention, CrossAttentionTakesAMemoryOfAnotherLengthAndWidth) {
  manual_seed(5);
  for (const bool causal : {false, true}) {
    MultiHeadAttention attention(4, 2, {.causal = causal, .kv_dim = 6, .dtype = f64});
    const Tensor query = randn({2, 3, 4}, f64), memory = randn({2, 5, 6}, f64);
    const Tensor y = attention(query, memory);
    ASSERT_EQ(y.shape(), query.shape());
    for (Index b = 0; b < 2; ++b) {
      const Tensor mb = row(memory, b);
      expect_close(row(y, b), attention.out_proj(reference(attention.q_proj(row(query, b)), attention.k_proj(mb),
                                                           attention.v_proj(mb), 2, causal)));
    }
    expect_gradients(attention, {query, memory}, [&](In in) { return attention(in[0], in[1]); });
  }
}

TEST(MultiHeadAttention, SelfAttentionGradients) {
  MultiHeadAttention attention(4, 2, {.causal = true, .dtype = f64});
  expect_gradients(attention, {randn({1, 4, 4}, f64)}, [&](In in) { return attention(in[0]); });
}

TEST(MultiHeadAttention, ListsItsFourProjections) {
  EXPECT_EQ(testing::names_of(MultiHeadAttention(4, 2, {.bias = false}).named_parameters()),
            (std::vector<std::string>{"q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight"}));
}

TEST(Attention, ErrorsTeach) {
  expect_contains(error_of([] { CausalSelfAttention(10, 3); }), "width 10 cannot be split into 3 heads");
  expect_contains(error_of([] { MultiHeadAttention(10, 0); }), "0 heads");
  const CausalSelfAttention causal(4, 2);
  error_of([&] { causal(ones({4})); });
  error_of([&] { causal(ones({2, 3, 5})); });
  error_of([&] { causal(ones({3, 4}), std::vector<Index>{2, 2}); });
  error_of([&] { causal(ones({1, 3, 4}), std::vector<Index>{3}); });
  const MultiHeadAttention cross(4, 2);
  expect_contains(error_of([&] { cross(ones({2, 3, 4}), ones({1, 3, 4})); }), "(1, 3, 4)");
  error_of([&] { cross(ones({3, 4})); });
}

TEST(Attention, DropoutActsInTrainingOnly) {
  CausalSelfAttention causal(8, 2, {.dropout = 0.5});
  MultiHeadAttention general(8, 2, {.dropout = 0.5});
  const Tensor x = randn({2, 4, 8});
  EXPECT_NE(bits(causal(x)), bits(causal(x)));
  EXPECT_NE(bits(general(x)), bits(general(x)));
  causal.eval();
  general.eval();
  EXPECT_EQ(bits(causal(x)), bits(causal(x)));
  EXPECT_EQ(bits(general(x)), bits(general(x)));
}

}  // namespace
}  // namespace gradus::nn
