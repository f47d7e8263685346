// Generator: the only source of randomness. A Mersenne Twister (Matsumoto & Nishimura 1998), read in the order in which
// PyTorch's CPU generator reads it, with the same arithmetic: the same seed gives the same numbers, bit for bit, as
// PyTorch on an x86-64 processor with AVX2 (on other processors PyTorch's own numbers differ in the last bits).
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gradus/core/shape.h>

namespace gradus {
#pragma GCC visibility push(default)

/// A sequence of random numbers determined by a seed. Only one thread at a time may use it. It is a
/// std::uniform_random_bit_generator: std::shuffle(v.begin(), v.end(), generator) and the distributions of <random>,
/// such as std::normal_distribution<>()(generator), draw from it. What they make of it depends on the standard library.
class Generator {
 public:
  using result_type = std::uint32_t;

  explicit Generator(std::uint64_t seed) { manual_seed(seed); }

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xffffffff; }
  result_type operator()() { return random(); }

  /// Restarts with `seed`, of which the low 32 bits count.
  void manual_seed(std::uint64_t seed);

  /// A whole number, all 32 (or 64) bits equally likely.
  std::uint32_t random() { return static_cast<std::uint32_t>(engine_()); }
  std::uint64_t random64();

  /// A uniform number in [0, 1) with as many random bits as T's fraction holds.
  template <class T>
  T uniform();

  /// A standard normal number (Box & Muller 1958).
  double normal();

  /// A whole number in 0 .. n-1, for n up to 2^32.
  Index below(Index n);

  template <class T>
  void fill_uniform(std::span<T> out, double low, double high);
  template <class T>
  void fill_normal(std::span<T> out, double mean, double std);

  /// 0 .. n-1 in random order (Fisher & Yates), for n up to 2^32.
  std::vector<Index> permutation(Index n);

  /// The whole state as printable text; set_state continues exactly there. Throws Error for a text that is not a state.
  std::string state() const;
  void set_state(const std::string& text);

 private:
  std::mt19937 engine_;
  std::optional<double> next_normal_;  // Box-Muller makes two at a time
};

/// The generator used if none is given. Every thread has its own, and each new thread's is seeded differently.
Generator& default_generator();

/// Seeds the default generator of the calling thread alone, so that threads do not disturb each other's numbers;
/// PyTorch's is one for all threads. A new thread that wants the same numbers calls it too.
void manual_seed(std::uint64_t seed);

/// 0 .. n-1 in random order; PyTorch's order for n up to 214,748,363; for a larger n PyTorch draws 64 bits
/// per number.
std::vector<Index> randperm(Index n, Generator& generator = default_generator());

#pragma GCC visibility pop
}  // namespace gradus
