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

// softmax(q k' / sqrt(D) + bias) v, where hidden keys get no weight, written out. All f64, q (B, H, T, D)
Tensor written_out(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& hidden, const Tensor& bias) {
  const Tensor scores = matmul(q, k, false, true) / std::sqrt(static_cast<double>(q.size(-1))) + bias;
  const Tensor weights = exp(scores) * (1.0 - hidden);
  return matmul(weights / sum(weights, -1, true), v);
}

TEST(ScaledDotProductAttention, TakesMasksAndBiases) {
  manual_seed(6);
  const Tensor q = randn({2, 2, 3, 4}, f64), k = randn({2, 2, 5, 4}, f64), v = randn({2, 2, 5, 6}, f64);
  const Tensor mask = tensor({{1, 1, 0, 0, 0}, {0, 1, 1, 0, 1}, {1, 0, 1, 1, 1}}, f64), bias = randn({2, 1, 3, 5}, f64);
  const Tensor none = zeros({}, f64), later = triu(ones({3, 5}, f64), 3);
  expect_close(scaled_dot_product_attention(q, k, v, {.attn_mask = mask}), written_out(q, k, v, 1.0 - mask, none));
  expect_close(scaled_dot_product_attention(q, k, v, {.attn_bias = bias}), written_out(q, k, v, none, bias));
  expect_close(scaled_dot_product_attention(q, k, v, {.causal = true, .attn_bias = bias}),
               written_out(q, k, v, later, bias));
  expect_close(scaled_dot_product_attention(q, k, v, {.causal = true, .attn_mask = mask, .attn_bias = bias}),
               written_out(q, k, v, logical_or(later, 1.0 - mask), bias));
  expect_close(scaled_dot_product_attention(q, k, v, {.scale = 0.7, .attn_mask = ones({1}, f64)}),
               scaled_dot_product_attention(q, k, v, {.scale = 0.7}));
  EXPECT_TRUE(gradcheck(
      [&](In in) {
        return scaled_dot_product_attention(in[0], in[1], in[2],
                                            {.causal = true, .attn_mask = mask, .attn_bias = in[3]});
      },
      {q.clone(), k.clone(), v.clone(), bias.clone()}));
}

TEST(ScaledDotProductAttention, AQueryThatSeesNoKeyGetsZero) {
  Tensor q = parameter(randn({2, 3}));
  const Tensor k = randn({4, 3}), v = randn({4, 3});
  const Tensor y = scaled_dot_product_attention(q, k, v, {.attn_mask = tensor({{0, 0, 0, 0}, {0, 1, 0, 0}})});
  expect_close(y, concat({zeros({1, 3}), slice(v, 0, 1, 2)}), 1e-6);
  sum(y).backward();
  expect_close(q.grad(), zeros({2, 3}), 1e-6);
}

TEST(ScaledDotProductAttention, DropsWeights) {
  const Tensor q = zeros({1, 64}), k = zeros({400, 64}), v = ones({400, 1});
  manual_seed(8);
  const double kept = scaled_dot_product_attention(q, k, v, {.dropout_p = 0.25}).item();
  manual_seed(8);
  EXPECT_NEAR(kept, sum(dropout(ones({1, 400}), 0.25)).item() / 400, 1e-6);
  EXPECT_NE(kept, 1);
  EXPECT_EQ(scaled_dot_product_attention(q, k, v, {.dropout_p = 1}).item(), 0);
}

TEST(ScaledDotProductAttention, ErrorsTeach) {
  const Tensor x = ones({2, 3, 4});
  const auto error = [&](const AttentionOptions& options) {
    return error_of([&] { scaled_dot_product_attention(x, x, x, options); });
  };
  expect_contains(error({.attn_mask = ones({3, 4})}), "attn_mask (3, 4) must broadcast to the scores (2, 3, 3)");
  expect_contains(error({.attn_mask = ones({1, 2, 3, 3})}), "must broadcast");
  expect_contains(error({.attn_bias = ones({2})}), "attn_bias (2)");
  expect_contains(error({.attn_mask = full({3, 3}, -INFINITY)}), "attn_mask holds -inf; it must hold 0 and 1");
  expect_contains(error({.dropout_p = 1.5}), "dropout_p is 1.5; it must be from 0 to 1");
  error({.attn_bias = ones({3, 3}, f64)});
  const std::vector<Index> lengths{2};
  expect_contains(error_of([&] {
                    packed_attention(ones({2, 3}), 1, lengths, {.attn_mask = ones({2, 2})});
                  }),
                  "packed_attention: an attn_mask or attn_bias came");
  expect_contains(error_of([&] { packed_attention(ones({2, 3}), 1, lengths, {.dropout_p = -1}); }), "dropout_p is -1");
}

// The documents' weights fall out one document after another, those of equal documents in one piece.
TEST(PackedAttention, DropsWeightsOfEachDocument) {
  manual_seed(9);
  const Tensor qkv = randn({7, 12}, f64);
  const auto document = [&](Index begin, Index end) {
    const auto part = [&](Index i) {
      const Tensor rows = slice(slice(qkv, 0, begin, end), 1, 4 * i, 4 * i + 4);
      return transpose(reshape(rows, {end - begin, 2, 2}), 0, 1);  // (H, T, D)
    };
    const Tensor y = scaled_dot_product_attention(part(0), part(1), part(2), {.causal = true, .dropout_p = 0.5});
    return reshape(transpose(y, 0, 1), {end - begin, 4});
  };
  const auto packed = [&](const std::vector<Index>& lengths, double p) {
    manual_seed(10);
    return packed_attention(qkv, 2, lengths, {.causal = true, .dropout_p = p});
  };
  const Tensor ragged = packed({4, 0, 3}, 0.5);
  manual_seed(10);
  const Tensor head = document(0, 4), tail = document(4, 7);
  expect_close(ragged, concat({head, tail}));
  const Tensor whole = packed({7}, 0.5);
  manual_seed(10);
  expect_close(whole, document(0, 7));
  expect_close(packed({4, 3}, 1e-300), packed({4, 3}, 0));
  EXPECT_EQ(packed_attention(ones({0, 12}), 2, {}, {.dropout_p = 0.5}).numel(), 0);
}

TEST(CausalSelfAttention, DropsAttentionWeightsInTrainingOnly) {
  CausalSelfAttention attention(8, 2, {.attn_dropout = 0.5});
  const CausalSelfAttention without = [&] {
    CausalSelfAttention same(8, 2);
    same.c_attn = attention.c_attn, same.c_proj = attention.c_proj;
    return same;
  }();
  const Tensor x = randn({2, 4, 8});
  EXPECT_NE(bits(attention(x)), bits(attention(x)));
  EXPECT_NE(bits(attention(x)), bits(without(x)));
  attention.eval();
  EXPECT_EQ(bits(attention(x)), bits(without(x)));
  expect_contains(error_of([] { CausalSelfAttention(8, 2, {.attn_dropout = 1}); }), "probability 1");
}

TEST(MultiHeadAttention, SharesHeadsOfKeys) {
  manual_seed(11);
  const MultiHeadAttention shared(8, 4, {.dtype = f64, .n_kv_heads = 2});
  EXPECT_EQ(shared.k_proj.weight.shape(), (Shape{4, 8}));
  EXPECT_EQ(shared.v_proj.bias.shape(), (Shape{4}));
  MultiHeadAttention full(8, 4, {.dtype = f64});
  full.q_proj = shared.q_proj, full.out_proj = shared.out_proj;
  const auto doubled = [](const Tensor& x) {  // heads 0 0 1 1
    const Tensor first = slice(x, 0, 0, 2), second = slice(x, 0, 2, 4);
    return concat({first, first, second, second});
  };
  full.k_proj.weight = doubled(shared.k_proj.weight), full.k_proj.bias = doubled(shared.k_proj.bias);
  full.v_proj.weight = doubled(shared.v_proj.weight), full.v_proj.bias = doubled(shared.v_proj.bias);
  const Tensor x = randn({2, 5, 8}, f64);
  expect_close(shared(x), full(x));
  expect_gradients(shared, {x}, [&](In in) { return shared(in[0]); });
  expect_contains(error_of([] { MultiHeadAttention(8, 4, {.n_kv_heads = 3}); }), "3 heads of keys for 4 of queries");
}

TEST(MultiHeadAttention, TakesMasks) {
  manual_seed(12);
  const MultiHeadAttention attention(4, 2, {.dtype = f64});
  const Tensor x = randn({2, 3, 4}, f64), later = triu(ones({3, 3}, f64), 1);
  const AttentionMasks masks{.attn_mask = later};
  MultiHeadAttention causal(4, 2, {.causal = true, .dtype = f64});
  causal.q_proj = attention.q_proj, causal.k_proj = attention.k_proj;
  causal.v_proj = attention.v_proj, causal.out_proj = attention.out_proj;
  expect_close(attention(x, x, masks), causal(x));
  expect_close(attention(x, x, {.attn_bias = masked_fill(zeros({3, 3}, f64), later, -INFINITY)}), causal(x));
  const Tensor per_head = broadcast_to(later, {4, 3, 3});
  expect_close(attention(x, x, {.attn_mask = per_head}), causal(x));
  const Tensor padding = tensor({{0, 0, 1}, {0, 0, 0}}, f64);
  const Tensor y = attention(x, x, {.key_padding_mask = padding});
  expect_close(slice(y, 0, 1, 2), slice(attention(x), 0, 1, 2));
  const Tensor first = slice(x, 0, 0, 1);
  expect_close(slice(y, 0, 0, 1), attention(first, slice(first, 1, 0, 2)));
  expect_contains(
      error_of([&] {
        attention(x, x, {.attn_mask = ones({2, 3, 3}, f64)});
      }),
      "attn_mask (2, 3, 3) came; for 3 queries and 3 keys it must be (3, 3) or, one for each sequence and head, "
      "(4, 3, 3)");
  expect_contains(error_of([&] { attention(x, x, {.key_padding_mask = ones({3, 2}, f64)}); }), "it must be (2, 3)");
  expect_contains(error_of([&] { attention(x, x, {.attn_mask = full({3, 3}, 0.5, f64)}); }), "attn_mask holds 0.5");
  expect_contains(error_of([&] {
                    attention(x, x, {.key_padding_mask = full({2, 3}, 2, f64)});
                  }),
                  "key_padding_mask holds 2");
}

TEST(MultiHeadAttention, DropsAttentionWeightsInTrainingOnly) {
  MultiHeadAttention attention(8, 2, {.attn_dropout = 0.5});
  MultiheadAttention other(8, 2, {.dropout = 0.5});
  const Tensor x = randn({2, 4, 8});
  EXPECT_NE(bits(attention(x)), bits(attention(x)));
  EXPECT_NE(bits(other(x)), bits(other(x)));
  attention.eval();
  other.eval();
  EXPECT_EQ(bits(attention(x)), bits(attention(x)));
  EXPECT_EQ(bits(other(x)), bits(other(x)));
}

TEST(MultiheadAttention, IsMultiHeadAttentionWithOneWeight) {
  manual_seed(13);
  MultiheadAttention packed(4, 2, {.dtype = f64});
  testing::randomize(packed);
  MultiHeadAttention apart(4, 2, {.dtype = f64});
  const auto part = [&](Linear& linear, Index i) {
    linear.weight = slice(packed.in_proj_weight, 0, 4 * i, 4 * i + 4);
    linear.bias = slice(packed.in_proj_bias, 0, 4 * i, 4 * i + 4);
  };
  part(apart.q_proj, 0), part(apart.k_proj, 1), part(apart.v_proj, 2);
  apart.out_proj = packed.out_proj;
  const Tensor x = randn({2, 3, 4}, f64), memory = randn({2, 5, 4}, f64);
  expect_close(packed(x), apart(x));
  expect_close(packed(x, memory, memory), apart(x, memory));
  expect_gradients(packed, {x, memory, randn({2, 5, 4}, f64)}, [&](In in) { return packed(in[0], in[1], in[2]); });
  EXPECT_EQ(testing::names_of(MultiheadAttention(4, 2, {.bias = false}).named_parameters()),
            (std::vector<std::string>{"in_proj_weight", "out_proj.weight"}));
  expect_contains(error_of([&] { packed(x, memory, x); }), "key (2, 5, 4) and value (2, 3, 4) came");
  expect_contains(error_of([] { MultiheadAttention(10, 3); }), "MultiheadAttention: width 10");
}

}  // namespace
}  // namespace gradus::nn
