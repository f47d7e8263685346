// Initializers: what their numbers look like over a large weight, and PyTorch's first ones.
#include <gradus/nn/init.h>
#include <gradus/nn/layers/embedding.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/norm.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "support.h"

namespace gradus::nn::init {
namespace {

using testing::bits;
using testing::error_of;
using testing::expect_close;

struct Stats {
  double mean, std, low, high;
};

Stats stats(const Tensor& x) {
  const std::vector<double> values = x.to_vector();
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  for (const double value : values) squares += (value - sum / n) * (value - sum / n);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {sum / n, std::sqrt(squares / n), *low, *high};
}

// 200,000 draws: the mean is within 5 std / 447, the standard deviation within 1 %.
const Shape large{200, 1000};

void expect_normal(const Tensor& x, double std) {
  const Stats s = stats(x);
  EXPECT_NEAR(s.mean, 0, 5 * std / 447);
  EXPECT_NEAR(s.std, std, 0.01 * std);
  EXPECT_GT(s.high, 3.5 * std);
}

void expect_uniform(const Tensor& x, double bound) {
  const Stats s = stats(x);
  EXPECT_NEAR(s.mean, 0, 5 * bound / 447);
  EXPECT_NEAR(s.std, bound / std::sqrt(3.0), 0.01 * bound);
  EXPECT_GE(s.low, -bound * (1 + 1e-6));
  EXPECT_LE(s.high, bound * (1 + 1e-6));
  EXPECT_LT(s.low, -0.999 * bound);
  EXPECT_GT(s.high, 0.999 * bound);
}

TEST(Init, Gains) {
  EXPECT_EQ(gain(Nonlinearity::linear), 1);
  EXPECT_EQ(gain(Nonlinearity::sigmoid), 1);
  EXPECT_DOUBLE_EQ(gain(Nonlinearity::tanh), 1.6666666666666667);
  EXPECT_DOUBLE_EQ(gain(Nonlinearity::relu), 1.4142135623730951);
  EXPECT_DOUBLE_EQ(gain(Nonlinearity::leaky_relu), 1.4141428569978354);
  EXPECT_DOUBLE_EQ(gain(Nonlinearity::leaky_relu, 0.2), 1.3867504905630728);
  EXPECT_EQ(gain(Nonlinearity::selu), 0.75);
}

TEST(Init, Distributions) {
  Generator generator(5);
  const Tensor x = Tensor::empty(large);
  normal_(x, 0, 0.3, generator);
  expect_normal(x, 0.3);
  normal_(x, 7, 0.3, generator);
  EXPECT_NEAR(stats(x).mean, 7, 0.01);
  uniform_(x, -0.2, 0.2, generator);
  expect_uniform(x, 0.2);
  constant_(x, 2.5);
  EXPECT_EQ(stats(x).low, 2.5);
  EXPECT_EQ(stats(x).high, 2.5);
  zeros_(x);
  EXPECT_EQ(stats(x).high, 0);
  ones_(x);
  EXPECT_EQ(stats(x).low, 1);
}

// large is (out 200, in 1000)
TEST(Init, XavierUsesBothFans) {
  Generator generator(6);
  const Tensor x = Tensor::empty(large);
  xavier_normal_(x, 1, generator);
  expect_normal(x, std::sqrt(2.0 / 1200));
  xavier_uniform_(x, 1, generator);
  expect_uniform(x, std::sqrt(6.0 / 1200));
  xavier_uniform_(x, gain(Nonlinearity::tanh), generator);
  expect_uniform(x, 5.0 / 3 * std::sqrt(6.0 / 1200));
}

TEST(Init, KaimingUsesOneFan) {
  Generator generator(7);
  const Tensor x = Tensor::empty(large);
  kaiming_normal_(x, 0, Fan::in, Nonlinearity::relu, generator);
  expect_normal(x, std::sqrt(2.0 / 1000));
  kaiming_normal_(x, 0, Fan::out, Nonlinearity::relu, generator);
  expect_normal(x, std::sqrt(2.0 / 200));
  kaiming_uniform_(x, 0, Fan::in, Nonlinearity::leaky_relu, generator);
  expect_uniform(x, std::sqrt(6.0 / 1000));
  kaiming_uniform_(x, std::sqrt(5.0), Fan::in, Nonlinearity::leaky_relu, generator);
  expect_uniform(x, std::sqrt(1.0 / 1000));
  kaiming_uniform_(x, 0, Fan::out, Nonlinearity::linear, generator);
  expect_uniform(x, std::sqrt(3.0 / 200));
}

TEST(Init, FansCountTheReceptiveFieldAsInPyTorch) {
  Generator generator(8);
  const Tensor x = Tensor::empty({100, 50, 10, 4});  // fan_in 50 * 40, fan_out 100 * 40
  kaiming_normal_(x, 0, Fan::in, Nonlinearity::linear, generator);
  expect_normal(x, std::sqrt(1.0 / 2000));
  kaiming_normal_(x, 0, Fan::out, Nonlinearity::linear, generator);
  expect_normal(x, std::sqrt(1.0 / 4000));
}

TEST(Init, ASeedFixesTheNumbersAndTheDefaultGeneratorIsTheDefault) {
  const Tensor x = Tensor::empty({3, 3}), y = Tensor::empty({3, 3});
  Generator generator(9);
  xavier_uniform_(x, 1, generator);
  manual_seed(9);
  xavier_uniform_(y);
  EXPECT_EQ(bits(x), bits(y));
  xavier_uniform_(y);
  EXPECT_NE(bits(x), bits(y));
}

// PyTorch 1.13 on an x86-64 processor with AVX2:
//   torch.manual_seed(42); init = torch.nn.init; e = lambda: torch.empty(2, 3)
//   for x in (init.xavier_uniform_(e()), init.xavier_normal_(e()), init.kaiming_uniform_(e()),
//             init.kaiming_normal_(e(), mode="fan_out", nonlinearity="relu")):
//     print([v.hex() for v in x.flatten().tolist()])
TEST(Init, NumbersArePyTorchs) {
  manual_seed(42);
  const Tensor x = Tensor::empty({2, 3});
  xavier_uniform_(x);
  EXPECT_EQ(x.to_vector(), (std::vector<double>{0x1.acce1ep-1, 0x1.d1865ap-1, -0x1.06cab6p-2, 0x1.019c1cp+0,
                                                -0x1.eb8d7cp-3, 0x1.c4b632p-3}));
  xavier_normal_(x);
  EXPECT_EQ(x.to_vector(), (std::vector<double>{0x1.765f84p-1, 0x1.00c648p-2, -0x1.8f46a0p+0, 0x1.d54210p-3,
                                                0x1.e7bb7ep-3, -0x1.d4645cp-4}));
  kaiming_uniform_(x);
  EXPECT_EQ(x.to_vector(), (std::vector<double>{-0x1.520738p-1, 0x1.7121d6p-2, -0x1.4d9be4p-1, -0x1.53a890p-3,
                                                -0x1.26170cp-1, 0x1.e054f6p-1}));
  kaiming_normal_(x, 0, Fan::out, Nonlinearity::relu);
  EXPECT_EQ(x.to_vector(), (std::vector<double>{0x1.1c3bfcp+0, -0x1.b096aap+0, -0x1.fa58f4p-1, 0x1.ea7b48p-1,
                                                0x1.527772p+0, 0x1.a266b2p-1}));
}

// What modules do by themselves. FNV-1a over the bytes of all 3,826 weights, and the last two of each parameter:
//   torch.manual_seed(42); nn = torch.nn
//   m = nn.Sequential(nn.Embedding(65, 32), nn.Linear(32, 48), nn.Linear(48, 3), nn.Embedding(3, 5))
//   h = 0xcbf29ce484222325
//   for p in m.parameters():
//     print([v.hex() for v in p.flatten()[-2:].tolist()])
//     for b in struct.pack(f"<{p.numel()}f", *p.flatten().tolist()): h = (h ^ b) * 0x100000001b3 & 2**64 - 1
//   print(hex(h))
TEST(Init, ModulesStartWithPyTorchsWeightsBitForBit) {
  manual_seed(42);
  const Embedding first(65, 32);
  const Linear wide(32, 48), narrow(48, 3);
  const Embedding second(3, 5);
  const std::vector<std::pair<Tensor, std::vector<double>>> parameters{
      {first.weight, {-0x1.7a95eep-1, -0x1.82a4ccp+0}}, {wide.weight, {-0x1.0479cep-5, 0x1.eb7cdap-4}},
      {wide.bias, {-0x1.2ee40ap-3, -0x1.cf97bep-6}},    {narrow.weight, {-0x1.1020eap-3, -0x1.8ab0b8p-4}},
      {narrow.bias, {0x1.7f3670p-4, 0x1.8c22a8p-4}},    {second.weight, {0x1.18341ap+1, 0x1.01c424p-1}}};
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const auto& [parameter, expected] : parameters) {
    const std::vector<double> values = parameter.to_vector();
    EXPECT_EQ(std::vector<double>(values.end() - 2, values.end()), expected);
    for (const double value : values) {
      const auto word = std::bit_cast<std::uint32_t>(static_cast<float>(value));
      for (unsigned shift = 0; shift < 32; shift += 8) hash = (hash ^ (word >> shift & 0xff)) * 0x100000001b3U;
    }
  }
  EXPECT_EQ(hash, 0x1f11177cae6ee22eU);
}

struct Net : Module {
  void members(Visitor& visit) const override {
    visit("wte", wte);
    visit("ln", ln);
    visit("mlp", mlp);
  }
  Embedding wte{1000, 100};
  LayerNorm ln{100};
  MLP mlp{100, {.hidden = 2000}};
};

TEST(Init, Gpt2ScalesResidualProjectionsAndZeroesBiases) {
  Net net;
  ones_(net.ln.bias);
  Generator generator(10);
  gpt2_(net, 8, generator);
  expect_normal(net.wte.weight, 0.02);
  expect_normal(net.mlp.c_fc.weight, 0.02);
  expect_normal(net.mlp.c_proj.weight, 0.02 / 4);
  for (const Tensor& bias : {net.mlp.c_fc.bias, net.mlp.c_proj.bias, net.ln.bias}) {
    EXPECT_EQ(bits(bias), bits(zeros(bias.shape())));
  }
  EXPECT_EQ(bits(net.ln.weight), bits(ones({100})));
}

TEST(Init, BadArgumentsAreErrors) {
  const Tensor vector = ones({3}), matrix = ones({3, 3});
  testing::expect_contains(error_of([&] { kaiming_normal_(vector); }), "(3)");
  error_of([&] { xavier_uniform_(vector); });
  error_of([&] { xavier_normal_(Tensor::empty({0, 3})); });
  error_of([&] { normal_(matrix, 0, -1); });
  error_of([&] { normal_(matrix, std::nan(""), 1); });
  error_of([&] { uniform_(matrix, 1, 0); });
  error_of([&] { gpt2_(Net(), 0); });
  EXPECT_EQ(bits(matrix), bits(ones({3, 3})));
}

// As above, after manual_seed(42) one after another; QR and erfinv in f32 differ in the last digits.
//   init.orthogonal_(e(2, 3)), init.orthogonal_(e(3, 2), 2), init.orthogonal_(e(4, 5).double())
//   init.trunc_normal_(e(2, 3)), init.trunc_normal_(e(2, 3).double(), 1, 2, 0, 1.5)
TEST(Init, OrthogonalAndTruncatedNumbersArePyTorchs) {
  manual_seed(42);
  const Tensor wide = Tensor::empty({2, 3}), tall = Tensor::empty({3, 2}), f64 = Tensor::empty({4, 5}, DType::f64);
  orthogonal_(wide);
  expect_close(wide, {0.782948256, 0.299536645, 0.545224667, 0.381516248, -0.923473597, -0.0405214652}, 1e-6);
  orthogonal_(tall, 2);
  expect_close(tall, {1.9048605, -0.576072872, 0.398239255, 0.68167901, 0.461424679, 1.78981948}, 1e-6);
  orthogonal_(f64);
  expect_close(f64, {0.814585421484973,   -0.3901680165760615,   -0.17632599082536068,  -0.23719765262438117,
                     0.31123291679092885, 0.046320515113101354,  -0.42729753681533766,  -0.08965011781506903,
                     0.898162915537833,   -0.023183149905183692, -0.022672294823793182, 0.5413100040717478,
                     -0.3487608438285879, 0.24260366178245193,   0.7252439476762176,    0.5499985007276906,
                     0.5540211546358471,  0.5010043578371473,    0.2787981912108103,    -0.24865319507101247});
  trunc_normal_(wide);
  expect_close(wide, {1.53006375, -0.415302098, -0.437685579, -1.77177918, -0.749781311, 0.303429633}, 1e-6);
  const Tensor narrow = Tensor::empty({2, 3}, DType::f64);
  trunc_normal_(narrow, 1, 2, 0, 1.5);
  expect_close(narrow, {0.7259483469799147, 0.15189187774338586, 0.922274447975426, 0.7657267051723792,
                        1.49765246648683, 0.36821549570229595});
}

TEST(Init, OrthogonalHoldsForLargeWeightsAndKernels) {
  const Tensor x = Tensor::empty({60, 5, 4, 2}, DType::f64), rows = reshape(x, {60, 40});
  orthogonal_(x, 3);
  const Tensor product = matmul(transpose(rows), rows);  // (40, 40)
  for (Index i = 0; i < 40; ++i) {
    for (Index j = 0; j < 40; ++j) {
      EXPECT_NEAR(product.to_vector()[static_cast<std::size_t>(i * 40 + j)], i == j ? 9 : 0, 1e-12);
    }
  }
  orthogonal_(Tensor::empty({0, 3}));
}

TEST(Init, TruncatedNormalKeepsItsEndsAndItsShape) {
  Generator generator(9);
  const Tensor x = Tensor::empty(large);
  trunc_normal_(x, 0, 1, -2, 2, generator);
  const Stats s = stats(x);
  EXPECT_GE(s.low, -2);
  EXPECT_LE(s.high, 2);
  EXPECT_NEAR(s.mean, 0, 0.01);
  EXPECT_NEAR(s.std, 0.87963, 0.005);  // sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))
  trunc_normal_(x, 0, 1, -100, 100, generator);
  EXPECT_NEAR(stats(x).std, 1, 0.01);
  EXPECT_GT(stats(x).high, 3.5);
}

TEST(Init, DiracPassesTheInputOn) {
  const Tensor line = Tensor::empty({4, 2, 3});
  dirac_(line, 2);
  // Output 0 and 2 are channel 0 of their group, 1 and 3 channel 1.
  EXPECT_EQ(line.to_vector(), (std::vector<double>{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,  //
                                                   0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}));
  const Tensor image = Tensor::empty({3, 2, 2, 3});
  dirac_(image);
  std::vector<double> expected(36);
  expected[4] = 1;           // (0, 0, 1, 1)
  expected[12 + 6 + 4] = 1;  // (1, 1, 1, 1); output 2 has no input
  EXPECT_EQ(image.to_vector(), expected);
}

TEST(Init, SkipLeavesNumbersAndGeneratorAsTheyAre) {
  manual_seed(1);
  const std::string before = default_generator().state();
  const Tensor x = ones({4, 4});
  {
    const init::Skip outer;
    { const init::Skip inner; }
    init::normal_(x);
    init::uniform_(x);
    init::trunc_normal_(x);
    init::orthogonal_(x);
    init::xavier_uniform_(x);
    init::kaiming_normal_(x);
    init::gpt2_(Linear(4, 4), 1);
    EXPECT_EQ(x.to_vector(), std::vector<double>(16, 1));
    EXPECT_EQ(default_generator().state(), before);
    EXPECT_THROW(init::normal_(x, 0, -1), Error) << "mistakes are still told";
  }
  init::normal_(x);
  EXPECT_NE(x.to_vector(), std::vector<double>(16, 1));
}

TEST(Init, WrongArgumentsOfTheseAreErrors) {
  testing::expect_contains(error_of([] { orthogonal_(Tensor::empty({3})); }), "orthogonal_: weight (3)");
  testing::expect_contains(error_of([] { orthogonal_(Tensor::empty({3, 2}), std::nan("")); }), "gain is nan");
  testing::expect_contains(error_of([] { trunc_normal_(Tensor::empty({3}), 0, 0); }), "std 0");
  testing::expect_contains(error_of([] { trunc_normal_(Tensor::empty({3}), 0, 1, 2, -2); }), "from 2 to -2");
  testing::expect_contains(error_of([] { dirac_(Tensor::empty({3, 2})); }), "dirac_: weight (3, 2)");
  testing::expect_contains(error_of([] { dirac_(Tensor::empty({3, 2, 1}), 2); }), "3 output channels");
}

}  // namespace
}  // namespace gradus::nn::init
