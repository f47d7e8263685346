// peer_blas openblas|onednn: the matrix products of ../support/products.h by gradus and by another library, turn about
// in one process on the same data. Serves compare.py as the suites do; an answer has our median seconds and theirs.
// Row-major on both sides, so nobody copies. The library is loaded by name, so that building needs no package of it.
#include <dlfcn.h>
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../support/products.h"

namespace {

using products::Product;

template <class F>
F* find(void* library, const char* symbol) {
  void* const address = dlsym(library, symbol);
  if (address == nullptr) throw std::runtime_error(fmt::format("peer_blas: the library has no {}", symbol));
  return reinterpret_cast<F*>(address);
}

struct Library {
  std::function<void(const Product&, const float* a, const float* b, float* c)> multiply;
  std::function<void(int)> set_threads;
};

Library load(std::string_view name) {
  const bool openblas = name == "openblas";
  if (!openblas && name != "onednn") throw std::runtime_error("peer_blas: name a library, openblas or onednn");
  void* const handle = dlopen(openblas ? "libopenblas.so.0" : "libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw std::runtime_error(fmt::format("peer_blas: {}; install libopenblas0-openmp and libdnnl2", dlerror()));
  }
  if (openblas) {
    constexpr int row_major = 101, as_is = 111, transposed = 112;  // cblas.h's values
    auto* const sgemm =
        find<void(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int)>(
            handle, "cblas_sgemm");
    return {[sgemm](const Product& p, const float* a, const float* b, float* c) {
              const auto m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
              sgemm(row_major, p.transpose_a ? transposed : as_is, p.transpose_b ? transposed : as_is, m, n, k, 1, a,
                    p.transpose_a ? m : k, b, p.transpose_b ? k : n, 0, c, n);
            },
            find<void(int)>(handle, "openblas_set_num_threads")};
  }
  auto* const sgemm = find<int(char, char, std::int64_t, std::int64_t, std::int64_t, float, const float*, std::int64_t,
                               const float*, std::int64_t, float, float*, std::int64_t)>(handle, "dnnl_sgemm");
  return {[sgemm](const Product& p, const float* a, const float* b, float* c) {
            const int status = sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1, a,
                                     p.transpose_a ? p.m : p.k, b, p.transpose_b ? p.k : p.n, 0, c, p.n);
            if (status != 0) throw std::runtime_error(fmt::format("peer_blas: dnnl_sgemm answers {}", status));
          },
          find<void(int)>(handle, "omp_set_num_threads")};
}

template <class F>
void turn(const F& run, double patience, std::vector<double>& times) {
  // Time for the other side's idle threads to stop spinning, and a run to have one's own caches and threads back.
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  run();
  double total = 0;
  do {
    const auto start = std::chrono::steady_clock::now();
    run();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    total += times.back();
  } while (total < patience);
}

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  return *middle;
}

void answer(const Library& library, const Product& p, int threads, double patience) {
  constexpr int turns = 7;
  gradus::set_num_threads(threads);
  library.set_threads(threads);
  const gradus::NoGrad guard;
  const gradus::Tensor a = p.transpose_a ? gradus::randn({p.k, p.m}) : gradus::randn({p.m, p.k});
  const gradus::Tensor b = p.transpose_b ? gradus::randn({p.n, p.k}) : gradus::randn({p.k, p.n});
  gradus::Tensor theirs = gradus::zeros({p.m, p.n}), ours;
  const auto run_ours = [&] { ours = gradus::matmul(a, b, p.transpose_a, p.transpose_b); };
  const auto run_theirs = [&] {
    library.multiply(p, a.data<float>().data(), b.data<float>().data(), theirs.data<float>().data());
  };
  std::vector<double> our_times, their_times;
  for (int i = 0; i < turns; ++i) {
    turn(run_ours, patience / (2 * turns), our_times);
    turn(run_theirs, patience / (2 * turns), their_times);
  }
  // Sums of k products of normal numbers, in different orders.
  const double apart = max(abs(ours - theirs)).item();
  if (!(apart < 1e-4 * std::sqrt(static_cast<double>(p.k)))) {
    throw std::runtime_error(fmt::format("peer_blas: {}: the two products differ by {}", p.name(), apart));
  }
  fmt::print("{{\"seconds\": {}, \"theirs\": {}, \"flops\": {}}}\n", median(our_times), median(their_times), p.flops());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  const Library library = load(argc > 1 ? argv[1] : "");
  std::string line;
  while (std::getline(std::cin, line)) {
    std::string name;
    int threads = 0;
    double patience = 0;
    std::istringstream(line) >> name >> threads >> patience;
    products::for_each([&](const Product& p) {
      if (p.name() == name) answer(library, p, threads, patience);
    });
  }
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
