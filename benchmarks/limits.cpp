// The machine's limits, which the other suites hold their figures against.
#include "support/limits.h"

namespace {

void fma(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(limits::flops(static_cast<int>(state.range(0))));
  state.counters["FLOP/s"] = limits::flops(static_cast<int>(state.range(0)));
}
BENCHMARK(fma)->Arg(1)->Arg(2)->Iterations(1);

void memory_read(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(limits::read_bytes(static_cast<int>(state.range(0))));
  state.counters["bytes/s"] = limits::read_bytes(static_cast<int>(state.range(0)));
}
BENCHMARK(memory_read)->Arg(1)->Arg(2)->Iterations(1);

}  // namespace
