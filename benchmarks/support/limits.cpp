#include "limits.h"

#include <gradus/core/cpu.h>
#include <gradus/core/parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace limits {
namespace {

using Clock = std::chrono::steady_clock;

// Enough chains of dependent multiply-adds to fill two units with four cycles of latency each.
constexpr int rounds = 1 << 20;
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
  for (Four& x : sum) x = Four{1, 1, 1, 1};
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

// The best of a few rounds of `work` on each of the threads at once, in units of work a second.
template <class F>
double best_rate(int threads, double work, const F& f) {
  const int before = gradus::num_threads();
  gradus::set_num_threads(threads);
  double best = 0;
  for (int round = 0; round < 7; ++round) {
    const auto start = Clock::now();
    gradus::parallel_for(threads, 1, [&](gradus::Index begin, gradus::Index end) {
      for (gradus::Index i = begin; i < end; ++i) f(i);
    });
    best = std::max(best, threads * work / std::chrono::duration<double>(Clock::now() - start).count());
  }
  gradus::set_num_threads(before);
  return best;
}

template <class F>
double once(std::map<int, double>& known, int threads, const F& measure) {
  const auto found = known.find(threads);
  return found != known.end() ? found->second : known.emplace(threads, measure()).first->second;
}

void report(benchmark::State& state, const char* unit, double count, double limit) {
  state.counters[unit] = benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of limit"] = benchmark::Counter(count / limit, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

double flops(int threads) {
  static std::map<int, double> known;
  return once(known, threads, [&] {
    const auto set = chains();
    return best_rate(threads, 2.0 * 10 * set.first * rounds,
                     [&](gradus::Index) { benchmark::DoNotOptimize(set.second()); });
  });
}

double read_bytes(int threads) {
  static std::map<int, double> known;
  return once(known, threads, [&] {
    constexpr std::size_t each = std::size_t{1} << 25;  // 256 MB a thread
    const std::vector<std::uint64_t> data(each * static_cast<std::size_t>(threads), 1);
    return best_rate(threads, 8.0 * each, [&](gradus::Index i) {
      const std::uint64_t* const p = data.data() + static_cast<std::size_t>(i) * each;
      std::uint64_t sums[8] = {};
      for (std::size_t k = 0; k < each; k += 8) {
        for (std::size_t j = 0; j < 8; ++j) sums[j] += p[k + j];
      }
      benchmark::DoNotOptimize(sums);
    });
  });
}

void report_flops(benchmark::State& state, double count, int threads) {
  report(state, "FLOP/s", count, flops(threads));
}

void report_bytes(benchmark::State& state, double count, int threads) {
  report(state, "bytes/s", count, read_bytes(threads));
}

}  // namespace limits
