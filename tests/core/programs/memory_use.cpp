// Trains for a number of steps and prints what memory it took:
//     memory_use loader|shapes|layers STEPS
// loader: another thread makes the batches; shapes: every step has other sizes; layers: every layer has another size,
// and nothing is kept for gradients. The numbers: the most bytes in use, the most in use and held together, the most
// resident in the first fifth and after it, blocks that the system gave in the second half.
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/buffer.h>

using namespace gradus;

namespace {

// What the process has in memory; 0 where the system does not tell.
std::size_t resident() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, pages = 0;
  file >> all >> pages;
  return pages * 4096;
}

struct Meter {
  int steps, done = 0;
  std::size_t before = resident(), most_together = 0, early = 0, late = 0, first_half = 0;

  explicit Meter(int count) : steps(count) {}
  void step() {
    const MemoryStats stats = memory_stats();
    most_together = std::max(most_together, stats.bytes_in_use + stats.bytes_held);
    std::size_t& most = ++done <= steps / 5 ? early : late;
    most = std::max(most, resident() - std::min(resident(), before));
    if (done == steps / 2) first_half = stats.system_allocations;
  }
  void print() const {
    const MemoryStats stats = memory_stats();
    fmt::print("{} {} {} {} {}\n", stats.peak_bytes_in_use, most_together, early, late,
               stats.system_allocations - first_half);
  }
};

struct Network {
  static constexpr Index C = 64;
  Tensor in = parameter({C, 200}), qkv = parameter({3 * C, C}), out = parameter({C, C});

  static Tensor parameter(const Shape& shape) { return (randn(shape) * 0.05).detach().requires_grad(true); }
  void learn(const Tensor& x, const std::vector<Index>& lengths) {
    const Tensor h = tanh(linear(x, in, {}));
    const Tensor y = linear(packed_attention(linear(h, qkv, {}), 4, lengths, {.causal = true}), out, {});
    mean(y * y).backward();
    for (Tensor* p : {&in, &qkv, &out}) {
      const NoGrad no_grad;
      p->copy_(*p - p->grad() * 0.01);
      p->zero_grad();
    }
  }
};

void loader(int steps) {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Tensor> batches;
  constexpr std::size_t most = 4;
  std::thread maker([&] {
    for (int i = 0; i < steps; ++i) {
      Tensor batch = randn({256, 200});
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return batches.size() < most; });
      batches.push_back(std::move(batch));
      changed.notify_all();
    }
  });
  Network network;
  Meter meter(steps);
  for (int i = 0; i < steps; ++i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !batches.empty(); });
    const Tensor batch = std::move(batches.front());
    batches.pop_front();
    changed.notify_all();
    lock.unlock();
    network.learn(batch, std::vector<Index>(8, 32));
    meter.step();
  }
  maker.join();
  meter.print();
}

void shapes(int steps) {
  Network network;
  Generator generator(1);
  Meter meter(steps);
  for (int i = 0; i < steps; ++i) {
    const Index documents = 1 + generator.below(16), length = 1 + generator.below(128);
    network.learn(randn({documents * length, 200}), std::vector<Index>(static_cast<std::size_t>(documents), length));
    meter.step();
  }
  meter.print();
}

void layers(int steps) {
  const NoGrad no_grad;
  std::vector<Tensor> weights;
  for (Index n = 300; n > 30; n -= 18) weights.push_back(randn({n - 18, n}));
  Meter meter(steps);
  for (int i = 0; i < steps; ++i) {
    Tensor x = randn({1000, 300});
    for (const Tensor& weight : weights) x = relu(linear(x, weight, {}));
    meter.step();
  }
  meter.print();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int steps = std::atoi(argv[2]);
  const std::string_view how = argv[1];
  if (how == "loader") loader(steps);
  if (how == "shapes") shapes(steps);
  if (how == "layers") layers(steps);
}
