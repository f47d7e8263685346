// Layers of op_layers.h and losses of loss.h: each is the op of its name.
#include <gradus/nn/layers/loss.h>
#include <gradus/nn/layers/op_layers.h>
#include <gradus/nn/layers/sequential.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

void expect_equal(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  EXPECT_EQ(a.to_vector(), b.to_vector());
}

TEST(Functions, AreTheOpsOfTheirNames) {
  manual_seed(1);
  const Tensor x = randn({2, 8, 4, 4});
  expect_equal(nn::SELU()(x), selu(x));
  expect_equal(nn::Hardswish()(x), hardswish(x));
  expect_equal(nn::LeakyReLU()(x), leaky_relu(x));
  expect_equal(nn::ELU(0.5)(x), elu(x, 0.5));
  expect_equal(nn::CELU(0.5)(x), celu(x, 0.5));
  expect_equal(nn::Hardshrink(0.3)(x), hardshrink(x, 0.3));
  expect_equal(nn::Softshrink(0.3)(x), softshrink(x, 0.3));
  expect_equal(nn::Hardtanh(-2, 1)(x), hardtanh(x, -2, 1));
  expect_equal(nn::Threshold(0.1, 20)(x), threshold(x, 0.1, 20));
  expect_equal(nn::LogSoftmax(1)(x), log_softmax(x, 1));
  expect_equal(nn::Softmin()(x), softmin(x));
  expect_equal(nn::Softmax2d()(x), softmax(x, 1));
  expect_equal(nn::PixelShuffle(2)(x), pixel_shuffle(x, 2));
  expect_equal(nn::PixelUnshuffle(2)(x), pixel_unshuffle(x, 2));
  expect_equal(nn::ChannelShuffle(2)(x), channel_shuffle(x, 2));
  expect_equal(nn::Unflatten(1, {2, 4})(x), unflatten(x, 1, {2, 4}));
  expect_equal(nn::ConstantPad1d(1, 2)(x), pad(x, {1, 1}, 2));
  expect_equal(nn::ConstantPad2d({1, 0, 2, 3}, 2)(x), pad(x, {1, 0, 2, 3}, 2));
  expect_equal(nn::ZeroPad2d(1)(x), pad(x, {1, 1, 1, 1}));
  expect_equal(nn::LocalResponseNorm(3, 0.5)(x), local_response_norm(x, 3, 0.5));
  expect_equal(nn::LPPool1d(2, 2)(x), lp_pool1d(x, 2, 2));
  expect_equal(nn::LPPool2d(2, 2)(x), lp_pool2d(x, 2, 2));
}

TEST(Functions, NoiseIsOfTrainingAlone) {
  const Tensor x = full({2, 3, 4}, -1);
  nn::Sequential net(nn::Dropout2d(0.5), nn::AlphaDropout(0.5), nn::RReLU());
  net.eval();
  expect_equal(net(x), x * (11.0 / 48));
  net.train();
  EXPECT_NE(net(x).to_vector(), net(x).to_vector());
}

TEST(Losses, AreTheOpsOfTheirNames) {
  manual_seed(1);
  const Tensor x = randn({3, 4}), y = rand({3, 4}), z = randn({3, 4}), signs = tensor({1, -1, 1});
  const Ids ids{0, 3, 1};
  expect_equal(nn::MSELoss(Reduction::sum)(x, y), mse_loss(x, y, Reduction::sum));
  expect_equal(nn::L1Loss()(x, y), l1_loss(x, y));
  expect_equal(nn::KLDivLoss()(x, y), kl_div(x, y, Reduction::mean));
  expect_equal(nn::SoftMarginLoss()(x, y), soft_margin_loss(x, y));
  expect_equal(nn::CrossEntropyLoss({.label_smoothing = 0.1})(x, ids), cross_entropy(x, ids, -1, 0.1));
  expect_equal(nn::NLLLoss()(x, ids), nll_loss(x, ids));
  expect_equal(nn::BCELoss()(y, y), binary_cross_entropy(y, y));
  expect_equal(nn::BCEWithLogitsLoss()(x, y), binary_cross_entropy_with_logits(x, y));
  expect_equal(nn::HuberLoss(Reduction::mean, 0.5)(x, y), huber_loss(x, y, 0.5));
  expect_equal(nn::SmoothL1Loss()(x, y), smooth_l1_loss(x, y));
  expect_equal(nn::GaussianNLLLoss()(x, y, y), gaussian_nll_loss(x, y, y));
  expect_equal(nn::PoissonNLLLoss()(x, y), poisson_nll_loss(x, y));
  expect_equal(nn::HingeEmbeddingLoss(0.5)(x, sign(z)), hinge_embedding_loss(x, sign(z), 0.5));
  expect_equal(nn::MarginRankingLoss(0.5)(x, y, sign(z)), margin_ranking_loss(x, y, sign(z), 0.5));
  expect_equal(nn::CosineEmbeddingLoss(0.5)(x, y, signs), cosine_embedding_loss(x, y, signs, 0.5));
  expect_equal(nn::TripletMarginLoss()(x, y, z), triplet_margin_loss(x, y, z));
  expect_equal(nn::MultiMarginLoss()(x, ids), multi_margin_loss(x, ids));
  expect_equal(nn::MultiLabelSoftMarginLoss()(x, y), multilabel_soft_margin_loss(x, y));
  expect_equal(nn::CosineSimilarity()(x, y), cosine_similarity(x, y));
  expect_equal(nn::PairwiseDistance(1)(x, y), pairwise_distance(x, y, 1));
}

}  // namespace
}  // namespace gradus::testing
