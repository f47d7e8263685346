// PyTorch's transformer layers: names, initial values, masks, options.
#include <gradus/nn/layers/transformer.h>

#include <gradus/nn/gradcheck.h>

#include "../support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;
using testing::names_of;
using testing::randomize;
using Names = std::vector<std::string>;

constexpr DType f64 = DType::f64;

const Names attention_names{"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"};

Names with_prefix(const std::string& prefix, const Names& names) {
  Names all;
  for (const std::string& name : names) all.push_back(prefix + name);
  return all;
}

Names layer_names(const Names& attentions, int norms) {
  Names all;
  const auto add = [&](const Names& names) { all.insert(all.end(), names.begin(), names.end()); };
  for (const std::string& attention : attentions) add(with_prefix(attention + ".", attention_names));
  add({"linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"});
  for (int i = 1; i <= norms; ++i) add({fmt::format("norm{}.weight", i), fmt::format("norm{}.bias", i)});
  return all;
}

TEST(Transformer, HasPyTorchsNames) {
  const TransformerEncoderLayer encoder(4, 2, {.dim_feedforward = 6});
  EXPECT_EQ(names_of(encoder.named_parameters()), layer_names({"self_attn"}, 2));
  const TransformerDecoderLayer decoder(4, 2, {.dim_feedforward = 6});
  EXPECT_EQ(names_of(decoder.named_parameters()), layer_names({"self_attn", "multihead_attn"}, 3));
  Names all;
  for (const std::string layer : {"layers.0.", "layers.1."}) {
    for (const std::string& name : with_prefix(layer, layer_names({"self_attn"}, 2))) all.push_back(name);
  }
  EXPECT_EQ(names_of(TransformerEncoder(encoder, 2).named_parameters()), all);
  all.insert(all.end(), {"norm.weight", "norm.bias"});
  EXPECT_EQ(names_of(TransformerEncoder(encoder, 2, LayerNorm(4)).named_parameters()), all);
  EXPECT_EQ(names_of(TransformerDecoder(decoder, 1, LayerNorm(4)).named_parameters()).back(), "norm.bias");
  EXPECT_EQ(encoder.linear1.weight.shape(), (Shape{6, 4}));
  EXPECT_EQ(TransformerEncoderLayer(4, 2).linear1.weight.size(0), 2048);
}

// torch.manual_seed(7); l = nn.TransformerEncoderLayer(4, 2, 6, dropout=0., batch_first=True)
// l(torch.arange(12.).reshape(1, 3, 4) / 10 - .5, src_mask=torch.triu(torch.ones(3, 3), 1).bool())
TEST(Transformer, StartsWithPyTorchsNumbersAndMasksAsItDoes) {
  manual_seed(7);
  const TransformerEncoderLayer layer(4, 2, {.dim_feedforward = 6, .dropout = 0});
  expect_close(slice(reshape(layer.self_attn.in_proj_weight, {48}), 0, 0, 3), {0.468927383, -0.106341265, 0.314997613},
               1e-7);
  expect_close(slice(reshape(layer.linear1.weight, {24}), 0, 0, 2), {0.167938828, 0.287764132}, 1e-7);
  EXPECT_NEAR(layer.linear2.bias.to_vector()[3], -0.116573647, 1e-7);
  EXPECT_EQ(layer.self_attn.out_proj.bias.to_vector(), std::vector<double>(4));
  std::vector<double> numbers;
  for (int i = 0; i < 12; ++i) numbers.push_back(i / 10.0 - 0.5);
  const Tensor y = layer(tensor(numbers, {1, 3, 4}), {.attn_mask = triu(ones({3, 3}), 1)});
  expect_close(y,
               {-1.289351106, -0.655409932, 0.880392730, 1.064368367, -1.357870936, -0.547405303, 0.808668494,
                1.096607566, -1.398827791, -0.470085025, 0.739725530, 1.129187584},
               2e-6);
}

TEST(Transformer, EncoderLayersStartEqualButAreTheirOwn) {
  const TransformerEncoderLayer layer(4, 2, {.dim_feedforward = 6});
  const TransformerEncoder encoder(layer, 2);
  EXPECT_EQ(bits(encoder.layers[0].linear1.weight), bits(encoder.layers[1].linear1.weight));
  EXPECT_NE(encoder.layers[0].linear1.weight.node_ptr(), encoder.layers[1].linear1.weight.node_ptr());
  EXPECT_NE(encoder.layers[0].linear1.weight.node_ptr(), layer.linear1.weight.node_ptr());
}

TEST(Transformer, MasksGoToTheAttentionsThatTheyAreFor) {
  manual_seed(5);
  for (const bool norm_first : {false, true}) {
    const TransformerDecoderLayer layer(4, 2,
                                        {.dim_feedforward = 6, .dropout = 0, .norm_first = norm_first, .dtype = f64});
    const TransformerDecoder decoder(layer, 2, LayerNorm(4, {.dtype = f64}));
    randomize(decoder);
    const Tensor tgt = randn({2, 3, 4}, f64), memory = randn({2, 5, 4}, f64);
    const auto first = [](const Tensor& y) { return bits(slice(y, 1, 0, 1)); };
    const AttentionMasks causal{.attn_mask = triu(ones({3, 3}, f64), 1)};
    const AttentionMasks padding{.key_padding_mask = tensor({{0, 0, 0, 1, 1}, {0, 0, 0, 1, 1}}, f64)};
    const Tensor later = concat({slice(tgt, 1, 0, 1), randn({2, 2, 4}, f64)}, 1);
    EXPECT_EQ(first(decoder(later, memory, causal)), first(decoder(tgt, memory, causal)));
    EXPECT_NE(first(decoder(later, memory)), first(decoder(tgt, memory)));
    const Tensor padded = concat({slice(memory, 1, 0, 3), randn({2, 2, 4}, f64)}, 1);
    EXPECT_EQ(bits(decoder(tgt, padded, {}, padding)), bits(decoder(tgt, memory, {}, padding)));
    EXPECT_NE(bits(decoder(tgt, padded)), bits(decoder(tgt, memory)));
    EXPECT_TRUE(gradcheck(decoder, [&] { return decoder(tgt, memory, causal, padding); }));
  }
}

TEST(Transformer, NormFirstAndTheActivationMatter) {
  const auto result = [](TransformerLayerOptions options) {
    manual_seed(6);
    options.dim_feedforward = 6;
    options.dropout = 0;
    return bits(TransformerEncoderLayer(4, 2, options)(randn({1, 3, 4})));
  };
  EXPECT_NE(result({.norm_first = true}), result({}));
  EXPECT_NE(result({.activation = Activation::gelu_erf}), result({}));
  EXPECT_NE(result({.layer_norm_eps = 0.5}), result({}));
}

TEST(Transformer, DropsInTrainingOnly) {
  TransformerEncoderLayer encoder(4, 2, {.dim_feedforward = 6, .dropout = 0.5});
  TransformerDecoderLayer decoder(4, 2, {.dim_feedforward = 6, .dropout = 0.5});
  const Tensor x = randn({2, 3, 4});
  EXPECT_NE(bits(encoder(x)), bits(encoder(x)));
  EXPECT_NE(bits(decoder(x, x)), bits(decoder(x, x)));
  encoder.eval();
  decoder.eval();
  EXPECT_EQ(bits(encoder(x)), bits(encoder(x)));
  EXPECT_EQ(bits(decoder(x, x)), bits(decoder(x, x)));
}

TEST(Transformer, ErrorsTeach) {
  expect_contains(error_of([] { TransformerEncoderLayer(10, 3); }), "width 10 cannot be split into 3 heads");
  expect_contains(error_of([] { TransformerEncoderLayer(4, 2, {.dropout = 1}); }), "probability 1");
  const TransformerEncoderLayer layer(4, 2, {.dim_feedforward = 6});
  expect_contains(error_of([&] { TransformerEncoder(layer, 0); }), "0 layers");
  expect_contains(error_of([&] { layer(ones({3, 4})); }), "(batch, time, 4)");
  expect_contains(error_of([&] { layer(ones({1, 3, 4}), {.attn_mask = ones({2, 2})}); }), "it must be (3, 3)");
}

}  // namespace
}  // namespace gradus::nn
