#include "machine_limits.h"

#include <benchmark/benchmark.h>
#include <gradus/core/runtime/cpu.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace limits {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t numbers = std::size_t{1} << 25;  // of 64 bits: 256 MB a thread, more than the caches hold

// Enough chains of dependent multiply-adds to fill two units with four cycles of latency each.
constexpr int rounds = 1 << 22;
#if defined(__x86_64__)
__attribute__((target("avx512f"))) float chains_avx512() {
  __m512 sum[10];
  for (__m512& x : sum) x = _mm512_set1_ps(1);
  const __m512 factor = _mm512_set1_ps(0.999F), term = _mm512_set1_ps(0.001F);
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 10
    for (int j = 0; j < 10; ++j) sum[j] = _mm512_fmadd_ps(sum[j], factor, term);
  }
  float total = 0;
  for (const __m512& x : sum) total += _mm512_cvtss_f32(x);
  return total;
}
__attribute__((target("avx2,fma"))) float chains_avx2() {
  __m256 sum[10];
  for (__m256& x : sum) x = _mm256_set1_ps(1);
  const __m256 factor = _mm256_set1_ps(0.999F), term = _mm256_set1_ps(0.001F);
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 10
    for (int j = 0; j < 10; ++j) sum[j] = _mm256_fmadd_ps(sum[j], factor, term);
  }
  float total = 0;
  for (const __m256& x : sum) total += _mm256_cvtss_f32(x);
  return total;
}
#endif
// Four floats at a time, as SSE2 and NEON have them, multiply and add apart.
float chains_of_four() {
  using Four = float __attribute__((vector_size(16)));
  Four sum[10];
  for (Four& x : sum) x = Four{0.5F, 0.5F, 0.5F, 0.5F};  // from 1 nothing would change, and the compiler sees that
  const Four factor{0.999F, 0.999F, 0.999F, 0.999F}, term{0.001F, 0.001F, 0.001F, 0.001F};
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 10
    for (int j = 0; j < 10; ++j) sum[j] = sum[j] * factor + term;
  }
  float total = 0;
  for (const Four& x : sum) total += x[0];
  return total;
}

// Floats in a vector, and the loop.
std::pair<int, float (*)()> chains() {
#if defined(__x86_64__)
  if (gradus::instruction_set() == "avx512") return {16, chains_avx512};
  if (gradus::instruction_set() == "avx2") return {8, chains_avx2};
#endif
  return {4, chains_of_four};
}

// The best of a few rounds of `work` on each of the threads at once, in units of work a second. The threads are its own
// and meet before every round: the pool lets the caller do all the work while its worker still wakes up, and that rate
// is one thread's. A round lasts from the first thread's start to the last one's end.
template <class F>
double best_rate(int threads, double work, const F& f) {
  constexpr int repetitions = 15;
  std::vector<std::vector<Clock::time_point>> starts(repetitions), ends(repetitions);
  for (auto* times : {&starts, &ends}) {
    for (auto& round : *times) round.resize(static_cast<std::size_t>(threads));
  }
  std::barrier meeting(threads);
  {
    std::vector<std::jthread> running;
    for (std::size_t thread = 0; thread < static_cast<std::size_t>(threads); ++thread) {
      running.emplace_back([&, thread] {
        auto mine = f();  // its own memory, touched first by the thread that will read it
        for (std::size_t round = 0; round < repetitions; ++round) {
          meeting.arrive_and_wait();
          starts[round][thread] = Clock::now();
          mine();
          ends[round][thread] = Clock::now();
        }
      });
    }
  }
  double best = 0;
  for (std::size_t round = 0; round < repetitions; ++round) {
    const std::chrono::duration<double> time = std::ranges::max(ends[round]) - std::ranges::min(starts[round]);
    best = std::max(best, threads * work / time.count());
  }
  return best;
}

template <class F>
double once(std::map<int, double>& known, int threads, const F& measure) {
  const auto found = known.find(threads);
  return found != known.end() ? found->second : known.emplace(threads, measure()).first->second;
}

}  // namespace

double flops(int threads) {
  static std::map<int, double> known;
  return once(known, threads, [&] {
    const auto set = chains();
    return best_rate(threads, 2.0 * 10 * set.first * rounds,
                     [&] { return [&] { benchmark::DoNotOptimize(set.second()); }; });
  });
}

double read_bytes(int threads) {
  static std::map<int, double> known;
  return once(known, threads, [&] {
    return best_rate(threads, 8.0 * numbers, [] {
      return [data = std::vector<std::uint64_t>(numbers, 1)] {
        std::uint64_t sums[8] = {};
        for (std::size_t k = 0; k < numbers; k += 8) {
          for (std::size_t j = 0; j < 8; ++j) sums[j] += data[k + j];
        }
        benchmark::DoNotOptimize(sums);
      };
    });
  });
}

double copy_bytes(int threads) {
  static std::map<int, double> known;
  return once(known, threads, [&] {
    return best_rate(threads, 2 * 8.0 * numbers, [] {
      return [from = std::vector<std::uint64_t>(numbers, 1), to = std::vector<std::uint64_t>(numbers)]() mutable {
        std::memcpy(to.data(), from.data(), 8 * numbers);
        benchmark::DoNotOptimize(to.data());
      };
    });
  });
}

}  // namespace limits
