// python::Random: the numbers that Python's `random` module gives for the same seed. A Mersenne Twister as in the C++
// standard, but seeded by init_by_array (Matsumoto & Nishimura 2002), and read as the module's documentation and
// CPython's Modules/_randommodule.c describe.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace python {

/// Fills the state of std::mt19937 from an array of 32-bit words, where the standard's own seeds give other states.
class InitByArray {
 public:
  using result_type = std::uint_least32_t;
  explicit InitByArray(std::vector<std::uint32_t> key) : key_(std::move(key)) {}

  template <class Iterator>
  void generate(Iterator begin, Iterator end) const {
    const std::size_t n = static_cast<std::size_t>(end - begin), last = n - 1;
    std::vector<std::uint32_t> state(n);
    const auto mixed = [&](std::size_t i) { return state[i - 1] ^ (state[i - 1] >> 30); };
    state[0] = 19650218U;
    for (std::size_t i = 1; i < n; ++i) state[i] = 1812433253U * mixed(i) + static_cast<std::uint32_t>(i);

    std::size_t i = 1, j = 0;
    const auto advance = [&] {  // state[0] is only ever the neighbor of state[1]
      if (++i == n) {
        state[0] = state[last];
        i = 1;
      }
    };
    for (std::size_t k = std::max(n, key_.size()); k > 0; --k) {
      state[i] = (state[i] ^ (mixed(i) * 1664525U)) + key_[j] + static_cast<std::uint32_t>(j);
      j = (j + 1) % key_.size();
      advance();
    }
    for (std::size_t k = last; k > 0; --k) {
      state[i] = (state[i] ^ (mixed(i) * 1566083941U)) - static_cast<std::uint32_t>(i);
      advance();
    }
    state[0] = 0x80000000U;  // so that the state is never all zero
    std::copy(state.begin(), state.end(), begin);
  }

 private:
  std::vector<std::uint32_t> key_;
};

class Random {
 public:
  /// random.seed(seed). Python takes the absolute value of a negative seed.
  explicit Random(std::uint64_t seed) {
    std::vector<std::uint32_t> key{static_cast<std::uint32_t>(seed)};
    if (seed >> 32 != 0) key.push_back(static_cast<std::uint32_t>(seed >> 32));
    InitByArray sequence(std::move(key));
    engine_.seed(sequence);
  }

  /// A number in [0, 1) with 53 random bits.
  double random() {
    const std::uint32_t high = word() >> 5, low = word() >> 6;  // in this order: 27 bits, then 26
    return (high * 0x1p26 + low) * 0x1p-53;
  }

  /// A whole number of `bits` random bits, from 1 to 32.
  std::uint32_t getrandbits(int bits) { return word() >> (32 - bits); }

  /// A whole number in 0 .. n-1, n at least 1: randrange(n).
  std::uint32_t randrange(std::uint32_t n) {
    const auto bits = static_cast<int>(std::bit_width(n));
    std::uint32_t drawn = getrandbits(bits);
    while (drawn >= n) drawn = getrandbits(bits);
    return drawn;
  }

  /// Two numbers are made at a time; the second waits for the next call (Box & Muller 1958).
  double gauss(double mean, double std) {
    if (waiting_) return mean + *std::exchange(waiting_, std::nullopt) * std;
    const double angle = random() * (2 * std::numbers::pi);
    const double radius = std::sqrt(-2 * std::log(1 - random()));
    waiting_ = std::sin(angle) * radius;
    return mean + std::cos(angle) * radius * std;
  }

  template <class T>
  void shuffle(std::vector<T>& x) {
    for (std::size_t i = x.size(); i-- > 1;) std::swap(x[i], x[randrange(static_cast<std::uint32_t>(i + 1))]);
  }

  /// choices(range(len(weights)), weights)[0]: i with probability weights[i] / (sum of weights).
  std::size_t choice(std::span<const double> weights) {
    std::vector<double> upto(weights.size());
    std::partial_sum(weights.begin(), weights.end(), upto.begin());
    const auto found = std::upper_bound(upto.begin(), upto.end() - 1, random() * upto.back());
    return static_cast<std::size_t>(found - upto.begin());
  }

 private:
  std::uint32_t word() { return static_cast<std::uint32_t>(engine_()); }

  std::mt19937 engine_;
  std::optional<double> waiting_;
};

}  // namespace python
