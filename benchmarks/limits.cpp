// The machine's limits, which the other suites hold their figures against.
#include "support/machine_limits.h"

#include <benchmark/benchmark.h>

namespace {

void limit(benchmark::State& state, double (*measure)(int), const char* unit) {
  for (auto _ : state) state.counters[unit] = measure(static_cast<int>(state.range(0)));
}
BENCHMARK_CAPTURE(limit, fma, limits::flops, "FLOP/s")->Arg(1)->Arg(2)->Iterations(1)->UseRealTime();
BENCHMARK_CAPTURE(limit, read, limits::read_bytes, "bytes/s")->Arg(1)->Arg(2)->Iterations(1)->UseRealTime();
BENCHMARK_CAPTURE(limit, copy, limits::copy_bytes, "bytes/s")->Arg(1)->Arg(2)->Iterations(1)->UseRealTime();

}  // namespace
