// Generator: PyTorch's numbers for the same seed, states that come back exactly, and fair draws.
#include <gradus/core/runtime/random.h>

#include <algorithm>
#include <cmath>
#include <locale>
#include <numeric>
#include <random>
#include <thread>

#include <gradus/core/runtime/cpu.h>
#include <gradus/core/tensor.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

// Each row as PyTorch 1.13 prints it on an x86-64 processor with AVX2:
//   torch.manual_seed(42); print([x.hex() for x in torch.empty(n, dtype=dtype).normal_(0.3, 0.7).tolist()])
// or with uniform_; normal_(0, 1) is randn(n), uniform_(0, 1) is rand(n). Sixteen normal numbers or more are made in
// groups, fewer one by one.
struct PyTorchRow {
  DType dtype;
  bool normal;
  double a, b;  // mean and standard deviation, or from and to
  std::vector<double> expected;
};

const std::vector<PyTorchRow> pytorch_rows{
    {DType::f32, false, 0, 1, {0x1.c3b8ccp-1, 0x1.d47b66p-1, 0x1.880d70p-2, 0x1.eb2a1cp-1, 0x1.8fd1a8p-2}},
    {DType::f32, false, -0.3, 1.1, {0x1.decf86p-1, 0x1.f6465ep-1, 0x1.e358d6p-3, 0x1.0b03e2p+0, 0x1.f917dap-3}},
    {DType::f32, true, 0, 1, {0x1.58c55cp-2, 0x1.07cd3ap-3, 0x1.e02dcep-3, 0x1.d7b8d8p-3, -0x1.1f7384p+0}},
    {DType::f32, true, 0.3, 0.7, {0x1.124514p-1, 0x1.8f87d4p-2, 0x1.db433cp-2, 0x1.d84d7ep-2, -0x1.f1a9d8p-2}},
    {DType::f32, true, 0, 1, {0x1.ed4a52p+0,  0x1.7cbea6p+0,  0x1.cd2acep-1,  -0x1.0d81b6p+1, -0x1.8429c4p-1,
                              0x1.140ca0p+0,  0x1.9a0288p-1,  0x1.ae3d26p+0,  0x1.6c668ap-2,  -0x1.5f8d0cp-1,
                              -0x1.f93268p-2, 0x1.ee9126p-3,  -0x1.da5ddap-3, 0x1.561800p-5,  -0x1.019cf4p-2,
                              0x1.b83f60p-1,  -0x1.3d2904p-2, -0x1.953522p-2, 0x1.9b5878p-1,  -0x1.3e41c0p-1}},
    {DType::f32,
     true,
     0.3,
     0.7,
     {0x1.a61a6cp+0, 0x1.575240p+0, -0x1.8aad24p-5, 0x1.372618p-1, -0x1.d874eep-3, 0x1.0e08d6p+0, 0x1.b89b60p-1,
      0x1.79f79ap+0, 0x1.1923e4p-1, -0x1.71f152p-3, 0x1.746424p-1, 0x1.3bfc2ap+0, 0x1.1a57eap-3, 0x1.51221ap-2,
      0x1.fb7bc0p-4, 0x1.cdc5f6p-1, 0x1.54c060p-4, 0x1.78e02ep-6}},
    {DType::f64,
     false,
     0,
     1,
     {0x1.dc66cbea3db30p-5, 0x1.01ae177aca870p-4, 0x1.fa3563ccea238p-4, 0x1.aebc98cb2c140p-5, 0x1.0d66672221879p-1}},
    {DType::f64,
     false,
     -0.3,
     1.1,
     {-0x1.bfa8d23ad0ce2p-3, -0x1.b20622c3a56e4p-3, -0x1.040dd3bd5c1a5p-3, -0x1.cfa4641f4a2c3p-3,
      0x1.bf1eba5f91154p-2}},
    {DType::f64,
     true,
     0,
     1,
     {0x1.58c55b33d44ccp-2, 0x1.07cd39b3d4b85p-3, 0x1.e02dcdb63ec41p-3, 0x1.d7b8d7b0a7c22p-3, -0x1.1f7383f8320c1p+0}},
    {DType::f64,
     true,
     0.3,
     0.7,
     {0x1.1245131ef0b47p-1, 0x1.8f87d432240d5p-2, 0x1.db433b32fc5e3p-2, 0x1.d84d7eb10783fp-2, -0x1.f1a9d7ea25bb5p-2}},
    {DType::f64, true, 0, 1, {0x1.32bee22ccb503p-2,  0x1.f063c46668b78p-3,  0x1.22011e840abbdp-2,
                              -0x1.dd10ce0b8c5a4p-3, -0x1.30c45c7145abep-5, 0x1.0905f784f7792p+0,
                              -0x1.4a7b7ceff41c7p-7, 0x1.6e82bfad73187p-4,  0x1.3adc896b5cc6ap-5,
                              -0x1.e4538c09260c9p-4, -0x1.be9b43ed602a1p+0, -0x1.e0ba28e5487fep-2,
                              0x1.91cd551d1ca00p-2,  0x1.1bc41cab382c5p+0,  0x1.baf804309bfb6p-1,
                              0x1.b5deddd314d28p-1,  0x1.fecba7d412db7p-3,  0x1.0bdc98531685dp-2,
                              -0x1.86cb9522f4ff6p+0, -0x1.53162f2f5ea4fp-2}},
    {DType::f64,
     true,
     0.3,
     0.7,
     {0x1.04f6025c7a5c1p-1, 0x1.e0efb7f0a4a6ap-2, 0x1.30ab4a38233fep+0, 0x1.7754d1c4a847ap-1, 0x1.18886b1c7d1a9p-2,
      0x1.0650fa1046d4cp+0, 0x1.2bf87faac0429p-2, 0x1.7356e18b27577p-2, 0x1.4ec018d2fe849p-2, 0x1.bce2c22fff7b9p-3,
      -0x1.b1b8af0e384a9p-4, 0x1.d38536daa958cp-1, 0x1.263b10fd639e6p-1, 0x1.136fadab0db8ap+0, 0x1.cfad9c886d2ffp-1,
      0x1.cc1c01ad5b602p-1, 0x1.e5fa7abd6d000p-2, 0x1.eeb4043a295dap-2}},
};

TEST(Random, NumbersArePyTorchs) {
  for (const std::string_view isa : tested_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const PyTorchRow& row : pytorch_rows) {
      SCOPED_TRACE(fmt::format("{}, {}, {} {} {} of {}", isa, row.dtype, row.normal ? "normal" : "uniform", row.a,
                               row.b, row.expected.size()));
      const Tensor x = Tensor::empty({static_cast<Index>(row.expected.size())}, row.dtype);
      Generator generator(42);
      dispatch(row.dtype, [&]<class T>() {
        row.normal ? generator.fill_normal(x.data<T>(), row.a, row.b)
                   : generator.fill_uniform(x.data<T>(), row.a, row.b);
      });
      const std::vector<double> values = x.to_vector();
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (row.dtype == DType::f64 && row.normal) {
          EXPECT_DOUBLE_EQ(values[i], row.expected[i]) << i;  // the system's logarithm, sine and cosine
        } else {
          EXPECT_EQ(values[i], row.expected[i]) << i;
        }
      }
    }
  }
}

TEST(Random, RandAndRandnAreTheseNumbers) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Generator generator(42);
    const Tensor uniform = Tensor::empty({3, 7}, dtype), normal = Tensor::empty({3, 7}, dtype);
    dispatch(dtype, [&]<class T>() {
      generator.fill_uniform(uniform.data<T>(), 0, 1);
      generator.fill_normal(normal.data<T>(), 0, 1);
    });
    manual_seed(42);
    EXPECT_EQ(bits(rand({3, 7}, dtype)), bits(uniform));
    EXPECT_EQ(bits(randn({3, 7}, dtype)), bits(normal));
  }
}

// torch.manual_seed(42); print(torch.randperm(12).tolist(), torch.rand(1).item().hex())
// torch.manual_seed(7); p = torch.randperm(100000); print([p[i].item() for i in (0, 1, 2, 50000, 99999)])
TEST(Random, PermutationsArePyTorchs) {
  manual_seed(42);
  EXPECT_EQ(randperm(12), (std::vector<Index>{6, 8, 1, 7, 0, 2, 10, 11, 4, 3, 5, 9}));
  EXPECT_EQ(rand({1}).item(), 0x1.2fe9acp-1);  // as many draws were taken
  manual_seed(7);
  const std::vector<Index> p = randperm(100'000);
  EXPECT_EQ((std::vector<Index>{p[0], p[1], p[2], p[50'000], p[99'999]}),
            (std::vector<Index>{41615, 23657, 92717, 52913, 73623}));
  expect_contains(error_of([] { randperm(-1); }), "-1");
}

// The Mersenne Twister of the C++ standard: the 10,000th number of seed 5489 is 4123659995.
TEST(Random, TheEngineIsTheStandards) {
  Generator generator(5489);
  std::uint32_t last = 0;
  for (int i = 0; i < 10'000; ++i) last = generator.random();
  EXPECT_EQ(last, 4123659995U);
}

TEST(Random, SameSeedSameNumbers) {
  Generator a(7), b(7), c(8);
  EXPECT_EQ(bits(randn({33}, DType::f64, a)), bits(randn({33}, DType::f64, b)));
  EXPECT_NE(bits(rand({33}, DType::f32, a)), bits(rand({33}, DType::f32, c)));
  a.normal();  // leaves a second one waiting
  a.manual_seed(7);
  b.manual_seed(7);
  EXPECT_EQ(a.normal(), b.normal());
}

TEST(Random, UniformStaysInItsRange) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Generator generator(1);
    const std::vector<double> x = rand({100'000}, dtype, generator).to_vector();
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    EXPECT_GE(*low, 0);
    EXPECT_LT(*high, 1);
    EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0) / 1e5, 0.5, 0.004);  // four standard deviations
  }
}

TEST(Random, NormalHasMeanAndSpread) {
  Generator generator(1);
  std::vector<double> x(100'003);
  generator.fill_normal(std::span(x), 3, 2);
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  double squares = 0;
  for (const double value : x) squares += (value - mean) * (value - mean);
  EXPECT_NEAR(mean, 3, 0.026);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(x.size())), 2, 0.018);
}

TEST(Random, StateContinuesExactly) {
  for (const int waiting : {0, 1}) {
    Generator a(3);
    for (int i = 0; i < 1000; ++i) a.random();
    for (int i = 0; i < waiting; ++i) a.normal();  // one normal number leaves its twin waiting in the state
    Generator b(99);
    b.normal();
    b.set_state(a.state());
    EXPECT_EQ(b.state(), a.state());
    for (int i = 0; i < 5; ++i) EXPECT_EQ(b.normal(), a.normal());
    EXPECT_EQ(b.random64(), a.random64());
  }
}

// A program may have any locale; states are the same text in all.
TEST(Random, StateIsTheSameInEveryLocale) {
  struct Groups : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
    char do_decimal_point() const override { return ','; }
  };
  Generator generator(3);
  generator.normal();
  const std::string text = generator.state();
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Groups));
  const std::string grouped = generator.state();
  Generator other(4);
  const std::string error = error_if_any([&] { other.set_state(text); });
  std::locale::global(before);
  EXPECT_EQ(grouped, text);
  EXPECT_EQ(error, "");
  EXPECT_EQ(other.state(), text);
}

TEST(Random, NumbersInAStateMustBeWhole) {
  Generator generator(3);
  const std::string state = generator.state(), engine = state.substr(0, state.rfind(' ') + 1);
  for (const char* number : {"0x1.8p+0", "-0x1.8p-3", "0x0p+0", "-0x0p+0"}) {
    generator.set_state(engine + number);
    EXPECT_EQ(generator.state(), engine + number);
  }
  for (const char* number : {"0x", "1.5", "0x-1p+0", "--0x1p+0", "0x1.8p+0,", "0x1,8p+0"}) {
    expect_contains(error_of([&] { generator.set_state(engine + number); }), "damaged");
  }
}

TEST(Random, ADamagedStateIsAnErrorAndChangesNothing) {
  Generator generator(3);
  generator.normal();
  const std::string good = generator.state();
  for (const std::string& bad : {std::string(), std::string("hello"), good.substr(0, good.size() / 2), "x" + good,
                                 good.substr(0, good.rfind(' ')), good.substr(0, good.rfind(' ')) + " 1.5x",
                                 good.substr(0, good.rfind(' ')) + " nothing", good + " more"}) {
    expect_contains(error_of([&] { generator.set_state(bad); }), "damaged");
    EXPECT_EQ(generator.state(), good);
  }
}

TEST(Random, PermutationHasEveryNumberOnce) {
  Generator generator(3);
  std::vector<Index> order = generator.permutation(1000);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  EXPECT_NE(generator.permutation(1000), order);
  std::sort(order.begin(), order.end());
  for (Index i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(generator.permutation(0).empty());
  EXPECT_EQ(generator.permutation(1), std::vector<Index>{0});
}

TEST(Random, PermutationsAreFair) {
  Generator generator(3);
  std::vector<int> first(6);
  for (int i = 0; i < 60'000; ++i) ++first[static_cast<std::size_t>(generator.permutation(6)[2])];
  for (const int count : first) EXPECT_NEAR(count, 10'000, 4 * 92);  // four standard deviations
}

TEST(Random, BelowCoversItsRange) {
  Generator generator(3);
  std::vector<int> seen(5);
  for (int i = 0; i < 1000; ++i) ++seen[static_cast<std::size_t>(generator.below(5))];
  for (const int count : seen) EXPECT_GT(count, 100);
}

TEST(Random, TheStandardLibraryDrawsFromAGenerator) {
  static_assert(std::uniform_random_bit_generator<Generator>);
  static_assert(Generator::min() == 0 && Generator::max() == 0xffffffff);
  Generator generator(3), same(3);
  EXPECT_EQ(generator(), same.random());

  std::vector<int> order(100);
  std::iota(order.begin(), order.end(), 0);
  std::vector<int> shuffled = order, again = order;
  std::shuffle(shuffled.begin(), shuffled.end(), generator);
  EXPECT_NE(shuffled, order);
  std::shuffle(again.begin(), again.end(), same);
  EXPECT_EQ(again, shuffled);
  std::ranges::sort(shuffled);
  EXPECT_EQ(shuffled, order);

  constexpr int count = 20'000;
  std::normal_distribution<> normal(3, 2);
  std::uniform_int_distribution<std::int64_t> wide(0, (std::int64_t{1} << 40) - 1);  // more bits than one draw has
  double sum = 0, high = 0;
  for (int i = 0; i < count; ++i) {
    sum += normal(generator);
    high += wide(generator) >> 39 == 1 ? 1 : 0;
  }
  EXPECT_NEAR(sum / count, 3, 0.1);
  EXPECT_NEAR(high / count, 0.5, 0.02);
}

TEST(Random, ThreadsHaveTheirOwnDefaultGenerator) {
  manual_seed(42);
  const std::string before = default_generator().state();
  std::string other;
  std::thread([&] {
    other = default_generator().state();
    manual_seed(1);
    randn({100});
  }).join();
  EXPECT_EQ(default_generator().state(), before);
  EXPECT_NE(other, before);
}

}  // namespace
}  // namespace gradus::testing
