// Matrix products C (m, n) = A (m, k) B (k, n) at the sizes of training steps. n: as written; t: the factor is stored
// transposed, as a Linear's weight (nt) and both products of its backward (nn, tn) have it. The argument is the number
// of threads.
#include <gradus/gradus.h>

#include <string>

#include "support/limits.h"

namespace {

using gradus::Index;

struct Product {
  const char* name;
  Index m, n, k;
};
constexpr Product products[] = {
    {"512x512x512", 512, 512, 512},   {"1024x1024x1024", 1024, 1024, 1024}, {"256x768x768", 256, 768, 768},
    {"256x3072x768", 256, 3072, 768}, {"256x768x3072", 256, 768, 3072},     {"256x50304x768", 256, 50304, 768},
    {"112x64x64", 112, 64, 64},
};

void run(benchmark::State& state, const Product& product, bool transpose_a, bool transpose_b) {
  const int threads = static_cast<int>(state.range(0));
  gradus::set_num_threads(threads);
  const auto [name, m, n, k] = product;
  const gradus::Tensor a = transpose_a ? gradus::randn({k, m}) : gradus::randn({m, k});
  const gradus::Tensor b = transpose_b ? gradus::randn({n, k}) : gradus::randn({k, n});
  const gradus::NoGrad guard;
  for (auto _ : state) {
    gradus::Tensor c = gradus::matmul(a, b, transpose_a, transpose_b);
    benchmark::DoNotOptimize(c.data<float>().data());
  }
  limits::report_flops(state, 2.0 * static_cast<double>(m * n * k), threads);
}

const bool registered = [] {
  for (const Product& product : products) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        if (ta && tb) continue;
        const std::string name = std::string("matmul/") + product.name + (ta ? "_t" : "_n") + (tb ? "t" : "n");
        benchmark::RegisterBenchmark(name.c_str(), run, product, ta, tb)->Arg(1)->Arg(2)->UseRealTime();
      }
    }
  }
  return true;
}();

}  // namespace
