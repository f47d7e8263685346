// python::Random against numbers that CPython 3.11 printed; the statements that printed them stand beside them.
#include <gtest/gtest.h>

#include <numeric>

#include "../../examples/python_random.h"

namespace {

struct Row {
  std::uint64_t seed;
  std::vector<std::uint32_t> words;
  std::vector<double> uniform, normal;
  std::vector<std::uint32_t> below;
};

// import random
// for seed in (42, 0, 2**32 - 1, 2**32, 2**64 - 1):
//     random.seed(seed)
//     print(seed, [random.getrandbits(32) for _ in range(2)], [random.random().hex() for _ in range(2)],
//           [random.gauss(0, 0.08).hex() for _ in range(3)],
//           [random.randrange(n) for n in (1, 2, 3, 27, 1000, 2**31 + 1)])
const std::vector<Row> rows{
    {42,
     {2746317213U, 478163327U},
     {0x1.99c6b5eeb2060p-6, 0x1.19a1491f589dcp-2},
     {0x1.669c97b52d971p-6, 0x1.07cb46bcc56f4p-3, -0x1.33617097139c2p-4},
     {0, 1, 0, 0, 95, 939042955U}},
    {0,
     {3626764237U, 1654615998U},
     {0x1.84129978f9c1ap-1, 0x1.aeaa51052e978p-2},
     {-0x1.5f4e9f7e77e76p-8, 0x1.877e9d8fa9729p-4, -0x1.da317c81a6f8ep-4},
     {0, 1, 1, 18, 913, 938204377U}},
    {0xffffffffU,
     {2728839433U, 2661025012U},
     {0x1.a0274a3720bf8p-3, 0x1.36f8c1616ef77p-1},
     {-0x1.32ddfd1b241e0p-6, 0x1.20b65f9d466e4p-4, -0x1.6f42605f1bf13p-4},
     {0, 1, 1, 13, 65, 931911147U}},
    {0x100000000U,
     {485306839U, 1508871100U},
     {0x1.abdb5477a4f26p-2, 0x1.1139c02ebd380p-6},
     {-0x1.c4e158700057bp-4, -0x1.7efb185964d75p-4, -0x1.93628797c6eeep-5},
     {0, 0, 0, 2, 838, 1860411164U}},
    {0xffffffffffffffffU,
     {93740670U, 1068495656U},
     {0x1.5a35a94f333d8p-2, 0x1.b21c0274c09a4p-3},
     {-0x1.13bbe1b305baap-3, -0x1.e6f5f3d37af44p-4, -0x1.6e9ca842302e8p-4},
     {0, 0, 2, 17, 480, 336024585U}},
};

TEST(PythonRandom, NumbersArePythons) {
  for (const Row& row : rows) {
    python::Random random(row.seed);
    for (const std::uint32_t expected : row.words) EXPECT_EQ(random.getrandbits(32), expected) << row.seed;
    for (const double expected : row.uniform) EXPECT_EQ(random.random(), expected) << row.seed;
    for (const double expected : row.normal) EXPECT_DOUBLE_EQ(random.gauss(0, 0.08), expected) << row.seed;
    const std::uint32_t limits[] = {1, 2, 3, 27, 1000, 0x80000001U};
    for (std::size_t i = 0; i < row.below.size(); ++i) EXPECT_EQ(random.randrange(limits[i]), row.below[i]) << row.seed;
  }
}

// random.seed(42); x = list(range(12)); random.shuffle(x); print(x, random.random())
TEST(PythonRandom, ShufflesAsPython) {
  python::Random random(42);
  std::vector<int> x(12);
  std::iota(x.begin(), x.end(), 0);
  random.shuffle(x);
  EXPECT_EQ(x, (std::vector<int>{7, 5, 2, 8, 9, 6, 11, 3, 4, 0, 1, 10}));
  EXPECT_EQ(random.random(), 0.03178267948178359);
  std::vector<int> none, one{1};
  random.shuffle(none);
  random.shuffle(one);
  EXPECT_EQ(one, std::vector<int>{1});
}

// random.seed(42); print([random.choices(range(5), weights=[.1, 0, .4, .3, .2])[0] for _ in range(20)])
TEST(PythonRandom, ChoosesAsPython) {
  python::Random random(42);
  const std::vector<double> weights{.1, 0, .4, .3, .2};
  std::vector<std::size_t> chosen(20);
  for (std::size_t& choice : chosen) choice = random.choice(weights);
  EXPECT_EQ(chosen, (std::vector<std::size_t>{3, 0, 2, 2, 3, 3, 4, 0, 2, 0, 2, 3, 0, 2, 3, 3, 2, 3, 4, 0}));
  EXPECT_EQ(random.random(), 0.8058192518328079);
}

// random.seed(42); random.gauss(0, 1); print(random.random(), random.gauss(3, .5), random.gauss(3, .5))
TEST(PythonRandom, TheSecondNormalNumberWaits) {
  python::Random random(42);
  random.gauss(0, 1);
  EXPECT_EQ(random.random(), 0.27502931836911926);
  EXPECT_DOUBLE_EQ(random.gauss(3, 0.5), 2.9135481998342403);
  EXPECT_DOUBLE_EQ(random.gauss(3, 0.5), 3.1367995032791915);
}

}  // namespace
