// Matrix products at the sizes that training steps have. The argument is the number of threads.
#include <benchmark/benchmark.h>
#include <gradus/gradus.h>

namespace {

using gradus::Index;

// (m, k) x (k, n), or x (n, k)^T as a Linear layer has it.
void product(benchmark::State& state, Index m, Index n, Index k, bool transposed) {
  gradus::set_num_threads(static_cast<int>(state.range(0)));
  const gradus::Tensor a = gradus::randn({m, k});
  const gradus::Tensor b = transposed ? gradus::randn({n, k}) : gradus::randn({k, n});
  for (auto _ : state) {
    gradus::Tensor c = gradus::matmul(a, b, false, transposed);
    benchmark::DoNotOptimize(c.data<float>().data());
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(2.0 * static_cast<double>(m * n * k), benchmark::Counter::kIsIterationInvariantRate);
}

#define PRODUCT(name, ...) BENCHMARK_CAPTURE(product, name, __VA_ARGS__)->Arg(1)->Arg(2)->UseRealTime()
PRODUCT(square_512, 512, 512, 512, false);
PRODUCT(square_1024, 1024, 1024, 1024, false);
PRODUCT(linear_256x768x768, 256, 768, 768, true);
PRODUCT(linear_256x3072x768, 256, 3072, 768, true);
PRODUCT(linear_256x768x3072, 256, 768, 3072, true);
PRODUCT(linear_224x64x64, 224, 64, 64, true);

}  // namespace
