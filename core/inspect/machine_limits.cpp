// What the machine can do, measured with what the library computes with. On a thread of its own: watchers of the
// caller's thread see nothing, and the caller's NoGrad does not matter.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <map>
#include <memory>
#include <mutex>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/profile.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/parallel.h>

namespace gradus {
namespace {

using Clock = std::chrono::steady_clock;

// The best of as many rounds as fit in some 15 ms, at least two: the first one also touches the memory.
template <class F>
double best_seconds(const F& f) {
  constexpr std::chrono::milliseconds enough{15};
  f();
  double best = std::numeric_limits<double>::infinity();
  const Clock::time_point start = Clock::now();
  for (int round = 0; round < 2 || Clock::now() - start < enough; ++round) {
    const Clock::time_point begin = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return std::max(best, 1e-9);
}

double product_flops() {
  constexpr Index n = 512;
  const NoGrad no_grad;
  const Tensor a = ones({n, n}), b = ones({n, n});
  return 2.0 * n * n * n / best_seconds([&] { matmul(a, b); });
}

double copy_bytes() {
  constexpr Index size = Index{32} << 20, piece = Index{1} << 20;  // more than the caches of most machines
  const auto from = std::make_unique<char[]>(size), to = std::make_unique<char[]>(size);
  return 2.0 * size / best_seconds([&] {
           parallel_for(size, piece, [&](Index begin, Index end) {
             std::memcpy(to.get() + begin, from.get() + begin, static_cast<std::size_t>(end - begin));
           });
         });
}

}  // namespace

MachineLimits machine_limits() {
  static std::mutex mutex;
  static std::map<int, MachineLimits> known;
  const std::lock_guard lock(mutex);
  const int threads = num_threads();
  const auto found = known.find(threads);
  if (found != known.end()) return found->second;
  const auto measure = [&] { return MachineLimits{product_flops(), copy_bytes(), threads}; };
  return known.emplace(threads, std::async(std::launch::async, measure).get()).first->second;
}

}  // namespace gradus
