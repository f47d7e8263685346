// A trace against the model itself and against attention in plain loops.
#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/gpt/trace.h>

#include "../helpers.h"

namespace gradus::models {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::small_config;

const std::vector<std::int32_t> tokens{3, 1, 4, 1, 5, 9, 2, 6};

std::vector<GPT> models() {
  GPTConfig gpt2 = small_config();
  gpt2.dropout = 0.3;
  manual_seed(2);
  GPTConfig other = small_config();
  other.head_size = 3, other.residual = false, other.norm = NormKind::none, other.init_std = 0.3;
  other.activation = nn::Activation::polynomial, other.activation_coefficients = {0.1, 0.5, 0.3};
  return {GPT(gpt2), GPT(GPTConfig::microgpt(11)), GPT(other)};
}

TEST(Trace, LogitsHaveTheModelsBits) {
  for (GPT& model : models()) {
    const Trace seen = trace(model, tokens);
    const std::vector<Index> two{5, 3};
    const Trace packed = trace(model, tokens, two);
    EXPECT_TRUE(model.training());
    model.eval();
    const NoGrad no_grad;
    const std::vector<Index> one{8};
    EXPECT_EQ(seen.logits.to_vector(), model(tokens, one).to_vector());
    EXPECT_EQ(packed.logits.to_vector(), model(tokens, two).to_vector());
    EXPECT_EQ(lens(model, seen.stream(seen.blocks.size())).to_vector(), seen.logits.to_vector());
    EXPECT_EQ(seen.stream(0).to_vector(), seen.blocks[0].before.to_vector());
    EXPECT_FALSE(seen.logits.requires_grad());
  }
}

TEST(Trace, AttentionIsThatOfPlainLoops) {
  for (GPT& model : models()) {
    model.eval();
    const Trace seen = trace(model, tokens);
    const GPTConfig& config = model.config();
    const auto H = static_cast<std::size_t>(config.n_head), C = static_cast<std::size_t>(config.attention_width());
    const std::size_t T = tokens.size(), D = C / H;
    for (std::size_t l = 0; l < model.h.size(); ++l) {
      const Tensor weights = attention_weights(model.h[l], config.n_head, seen.blocks[l].normed);
      ASSERT_EQ(weights.shape(), (Shape{config.n_head, 8, 8}));
      const NoGrad no_grad;
      const std::vector<double> joint = model.h[l].attn.c_attn(seen.blocks[l].normed).to_vector();
      const auto at = [&](std::size_t t, std::size_t part, std::size_t h, std::size_t d) {
        return joint[t * 3 * C + part * C + h * D + d];
      };
      const std::vector<double> found = weights.to_vector();
      std::vector<double> mixed(T * C);
      for (std::size_t h = 0; h < H; ++h) {
        for (std::size_t t = 0; t < T; ++t) {
          std::vector<double> own(T);
          double sum = 0, row = 0;
          for (std::size_t s = 0; s <= t; ++s) {
            double score = 0;
            for (std::size_t d = 0; d < D; ++d) score += at(t, 0, h, d) * at(s, 1, h, d);
            sum += own[s] = std::exp(score / std::sqrt(static_cast<double>(D)));
          }
          for (std::size_t s = 0; s < T; ++s) {
            const double weight = found[(h * T + t) * T + s];
            EXPECT_NEAR(weight, own[s] / sum, 1e-6);
            row += weight;
            for (std::size_t d = 0; d < D; ++d) mixed[t * C + h * D + d] += weight * at(s, 2, h, d);
          }
          EXPECT_NEAR(row, 1, 1e-6);
        }
      }
      // And it is what the block's own attention makes of it.
      const std::vector<double> out =
          model.h[l].attn.c_proj(tensor(mixed, {static_cast<Index>(T), static_cast<Index>(C)})).to_vector();
      const std::vector<double> really = seen.blocks[l].attn.to_vector();
      for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], really[i], 1e-6);
    }
  }
}

TEST(Trace, WrongLengthsAreTold) {
  const GPT model = models()[0];
  const std::vector<Index> short_of{3}, long_one{9};
  const std::vector<std::int32_t> nine(9, 1);
  EXPECT_THAT(error_of([&] { trace(model, tokens, short_of); }), HasSubstr("add up to 3"));
  EXPECT_THAT(error_of([&] { trace(model, nine, long_one); }), HasSubstr("takes from 1 to 8"));
}

}  // namespace
}  // namespace gradus::models
