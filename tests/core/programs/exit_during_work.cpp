// Ends while threads compute:
//     exit_during_work main|thread|chunk|quick THREADS MICROSECONDS
// main: main() returns while a detached thread trains; thread: a second thread calls std::exit() while main() trains;
// chunk: a chunk of a parallel_for calls it; quick: std::quick_exit(). MICROSECONDS pass between the first step and
// that.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/parallel.h>

using namespace gradus;

namespace {

// Destroyed at exit, and computes then, as a program's own statics may.
struct ComputesAtExit {
  Tensor kept = ones({1000});
  ~ComputesAtExit() {
    std::atomic<Index> total{0};
    parallel_for(1000, 1, [&](Index begin, Index) { total += begin; });
    if (total != 499'500 || sum(kept + 1).item() != 2000) {
      std::fputs("computing at exit is wrong\n", stderr);
      std::_Exit(1);
    }
  }
} computes_at_exit;

// Uses the pool, all free lists, an op with an absent input and the default generator. The many small jobs meet the end
// of the program at every point of their course.
void train() {
  const Tensor small = randn({40'000}).requires_grad(true);
  const std::vector<Index> lengths(8, 16);
  const Tensor weight = randn({192, 64}).requires_grad(true), back = randn({64, 64}).requires_grad(true);
  for (;;) {
    const Tensor x = dropout(randn({128, 64}), 0.1, true);
    const Tensor y = linear(packed_attention(linear(x, weight, {}), 4, lengths, {.causal = true}), back, {});
    mean(y * y).backward();
    for (int i = 0; i < 20; ++i) sum(relu(small * small)).backward();
    weight.zero_grad();
    back.zero_grad();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string_view how = argv[1];
  set_num_threads(std::atoi(argv[2]));
  const std::chrono::microseconds more(std::atoi(argv[3]));
  if (how == "thread") {
    std::thread([more] {
      std::this_thread::sleep_for(more);
      std::exit(0);
    }).detach();
    train();
  }
  std::thread(train).detach();
  std::this_thread::sleep_for(more);
  if (how == "quick") std::quick_exit(0);
  if (how != "chunk") return 0;
  std::atomic<bool> exits{false};
  for (;;) {
    parallel_for(64, 1, [&](Index begin, Index) {
      if (begin == 40 && !exits.exchange(true)) std::exit(0);
    });
  }
}
