// Generator: PyTorch's numbers for the same seed, states that come back exactly, and fair draws.
#include <gradus/core/random.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include <gradus/core/tensor.h>

#include "../support.h"

namespace gradus::testing {
namespace {

// torch.manual_seed(42); torch.randn(20); sixteen or more are made in groups, fewer one by one.
TEST(Random, NormalNumbersArePyTorchs) {
  manual_seed(42);
  const std::vector<double> many = randn({20}).to_vector();
  const std::vector<double> expected_many{1.9269, 1.4873, 0.9007, -2.1055};
  for (std::size_t i = 0; i < expected_many.size(); ++i) EXPECT_NEAR(many[i], expected_many[i], 5.1e-5);
  manual_seed(42);
  expect_close(randn({5}), {0.3367, 0.1288, 0.2345, 0.2303, -1.1229}, 5.1e-5);
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
