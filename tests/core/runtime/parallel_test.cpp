// parallel_for: every index once, in ranges that depend on the sizes alone; nested, throwing, and from several threads.
#include <gradus/core/runtime/parallel.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/ops/cached_attention.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

using Ranges = std::vector<std::pair<Index, Index>>;

Ranges ranges_of(Index n, Index grain) {
  std::mutex mutex;
  Ranges ranges;
  parallel_for(n, grain, [&](Index begin, Index end) {
    const std::lock_guard lock(mutex);
    ranges.emplace_back(begin, end);
  });
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

TEST(ParallelFor, RunsEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 7}) {
    const WithThreads guard(threads);
    EXPECT_EQ(num_threads(), threads);
    for (const Index n : {1, 2, 16, 999, 1000, 1001}) {
      for (const Index grain : {1, 10, 333, 5000}) {
        std::vector<std::atomic<int>> count(static_cast<std::size_t>(n));
        parallel_for(n, grain, [&](Index begin, Index end) {
          EXPECT_LE(end - begin, grain);
          for (Index i = begin; i < end; ++i) ++count[static_cast<std::size_t>(i)];
        });
        for (const auto& times : count) EXPECT_EQ(times, 1);
      }
    }
  }
}

TEST(ParallelFor, CutsBySizeAndNotByThreads) {
  const Ranges expected{{0, 30}, {30, 60}, {60, 90}, {90, 100}};
  for (const int threads : {1, 2, 5}) {
    const WithThreads guard(threads);
    EXPECT_EQ(ranges_of(100, 30), expected);
  }
}

TEST(ParallelFor, OfNothingDoesNothing) {
  EXPECT_TRUE(ranges_of(0, 10).empty());
  EXPECT_TRUE(ranges_of(-5, 10).empty());
}

TEST(ParallelFor, RefusesAGrainThatIsNone) {
  for (const Index grain : {Index{0}, Index{-1}, std::numeric_limits<Index>::min()}) {
    expect_contains(error_of([&] { parallel_for(10, grain, [](Index, Index) {}); }), fmt::format("grain of {}", grain));
    expect_contains(error_of([&] { parallel_for_scratch<float>(10, grain, 1, [](Index, Index, float*) {}); }), "grain");
  }
  expect_contains(error_of([&] { parallel_for_scratch<float>(10, 1, -1, [](Index, Index, float*) {}); }), "scratch");
  expect_contains(error_of([&] {
                    parallel_for_scratch<double>(10, 1, std::numeric_limits<Index>::max(),
                                                 [](Index, Index, double*) {});
                  }),
                  "memory");
}

TEST(ParallelFor, CountsToTheLargestIndex) {
  constexpr Index n = std::numeric_limits<Index>::max();
  for (const int threads : {1, 7}) {
    const WithThreads guard(threads);
    const Ranges expected{{0, n / 2}, {n / 2, n - 1}, {n - 1, n}};
    EXPECT_EQ(ranges_of(n, n / 2), expected);
    EXPECT_EQ(ranges_of(n, n).size(), 1U);
  }
}

TEST(ParallelForScratch, GivesEachChunkMemoryOfItsOwn) {
  for (const int threads : {1, 2, 7}) {
    const WithThreads guard(threads);
    for (const Index n : {1, 3, 40}) {
      for (const Index size : {0, 1, 17, 500}) {
        std::atomic<Index> wrong{0}, done{0};
        parallel_for_scratch<double>(n, 1, size, [&](Index begin, Index end, double* scratch) {
          if (reinterpret_cast<std::uintptr_t>(scratch) % 64 != 0 || (size > 0 && scratch == nullptr)) ++wrong;
          std::fill_n(scratch, size, static_cast<double>(begin));
          std::this_thread::yield();
          wrong += size - std::count(scratch, scratch + size, static_cast<double>(begin));
          done += end - begin;
        });
        EXPECT_EQ(wrong, 0);
        EXPECT_EQ(done, n);
      }
    }
  }
}

TEST(ParallelFor, UsesSeveralThreads) {
  const WithThreads guard(2);
  std::atomic<int> inside{0};
  std::atomic<bool> together{false};
  // Each of the two chunks waits for the other: only two threads can get through.
  parallel_for(2, 1, [&](Index, Index) {
    ++inside;
    for (int i = 0; i < 5000 && inside < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (inside == 2) together = true;
  });
  EXPECT_TRUE(together);
}

TEST(ParallelFor, RunsNestedOnesSeriallyOnTheSameThread) {
  for (const int threads : {1, 3}) {
    const WithThreads guard(threads);
    std::vector<std::atomic<int>> count(60 * 50);
    parallel_for(60, 1, [&](Index begin, Index) {
      const std::thread::id here = std::this_thread::get_id();
      Index expected = 0;
      parallel_for(50, 7, [&](Index inner, Index end) {
        EXPECT_EQ(std::this_thread::get_id(), here);
        EXPECT_EQ(inner, expected) << "in order";
        expected = end;
        for (Index i = inner; i < end; ++i) ++count[static_cast<std::size_t>(begin * 50 + i)];
      });
    });
    for (const auto& times : count) EXPECT_EQ(times, 1);
  }
}

TEST(ParallelFor, BringsAnExceptionToTheCaller) {
  for (const int threads : {1, 3}) {
    const WithThreads guard(threads);
    for (const Index bad : {0, 57, 99}) {
      try {
        parallel_for(100, 1, [&](Index begin, Index) {
          if (begin == bad) throw std::out_of_range("bad index");
        });
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::out_of_range& error) {
        EXPECT_STREQ(error.what(), "bad index");
      }
    }
    parallel_for(100, 1, [](Index, Index) {});  // the pool still works, and no old exception is left
    EXPECT_EQ(ranges_of(100, 50).size(), 2U);
  }
  EXPECT_THROW(parallel_for(1, 1, [](Index, Index) { throw std::runtime_error("one chunk"); }), std::runtime_error);
}

TEST(SetNumThreads, ChangesAndRefuses) {
  const WithThreads guard(2);
  for (const int threads : {4, 1, 3, 3, 2}) {
    set_num_threads(threads);
    EXPECT_EQ(num_threads(), threads);
    EXPECT_EQ(ranges_of(1000, 1).size(), 1000U);
  }
  for (const int wrong : {0, -1, 100'000}) {
    expect_contains(error_of([&] { set_num_threads(wrong); }), fmt::format("{}", wrong));
  }
  EXPECT_EQ(num_threads(), 2);
}

TEST(ParallelFor, ServesTwoCallersAtOnce) {
  const WithThreads guard(2);
  std::atomic<Index> sums[2] = {};
  const auto caller = [&](std::size_t which) {
    for (int round = 0; round < 300; ++round) {
      parallel_for(100, 3, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) sums[which] += i;
      });
    }
  };
  std::thread first(caller, 0), second(caller, 1);
  first.join();
  second.join();
  EXPECT_EQ(sums[0], 300 * 4950);
  EXPECT_EQ(sums[1], 300 * 4950);
}

TEST(ParallelFor, ServesCallersWhileThreadsChange) {
  const WithThreads guard(2);
  std::atomic<bool> stop{false};
  std::thread caller([&] {
    while (!stop) EXPECT_EQ(ranges_of(64, 4).size(), 16U);
  });
  for (int i = 0; i < 40; ++i) set_num_threads(1 + i % 4);
  stop = true;
  caller.join();
}

// Each op's scratch memory must be for as many threads as then take part. AddressSanitizer sees what lies past it.
TEST(ParallelFor, KeepsScratchInBoundsWhileThreadsChange) {
  const WithThreads guard(1);
  manual_seed(3);
  const Tensor qkv = randn({640, 96}), q = randn({8, 64, 32});
  const std::vector<Index> lengths(10, 64);
  const auto attend = [&] {
    const NoGrad no_grad;
    std::vector<KeyValues> caches(10);
    std::vector<KeyValues*> places;
    for (KeyValues& cache : caches) places.push_back(&cache);
    std::vector<double> all = packed_attention(qkv, 4, lengths, {.causal = true}).to_vector();
    for (const Tensor& y : {scaled_dot_product_attention(q, q, q), cached_attention(qkv, 4, lengths, places)}) {
      const std::vector<double> more = y.to_vector();
      all.insert(all.end(), more.begin(), more.end());
    }
    return bits(all);
  };
  const auto learn = [&] {
    Tensor x = qkv.clone().requires_grad(true);
    sum(packed_attention(x, 4, lengths, {.causal = true}) * 2).backward();
    return bits(x.grad());
  };
  const auto expected = attend(), expected_gradient = learn();
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop; ++i) set_num_threads(1 + i % 7);
  });
  int wrong = 0;
  for (int i = 0; i < 20; ++i) {
    wrong += attend() != expected ? 1 : 0;
    wrong += learn() != expected_gradient ? 1 : 0;
  }
  stop = true;
  changer.join();
  EXPECT_EQ(wrong, 0);
}

// Attention keeps scratch memory for each thread: calls from other threads must not share it.
TEST(ParallelFor, KeepsScratchOfCallersApart) {
  const WithThreads guard(2);
  manual_seed(3);
  const Tensor qkv = randn({400, 96});
  const std::vector<Index> lengths(20, 20);
  const std::vector<std::uint64_t> expected = bits(packed_attention(qkv, 4, lengths, {.causal = true}));
  std::atomic<int> wrong{0};
  const auto caller = [&] {
    for (int i = 0; i < 30; ++i) {
      if (bits(packed_attention(qkv, 4, lengths, {.causal = true})) != expected) ++wrong;
    }
  };
  std::thread first(caller), second(caller);
  first.join();
  second.join();
  EXPECT_EQ(wrong, 0);
}

// 0 when this process can compute with several threads.
int exit_status_of_sum() {
  std::atomic<Index> sum{0};
  parallel_for(1000, 1, [&](Index begin, Index) { sum += begin; });
  return sum == 499'500 ? 0 : 1;
}

// The child has none of the parent's threads: it must neither wait for them nor join them when it exits.
TEST(ParallelFor, WorksInTheChildOfFork) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer does not let the child of a program with threads start some";
#endif
  if (testing::emulated()) GTEST_SKIP() << "qemu does not let the child of a program with threads go on";
  const WithThreads guard(3);
  ASSERT_EQ(exit_status_of_sum(), 0);  // the workers run
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(60);  // ends a child that hangs
    std::atomic<int> inside{0};
    parallel_for(2, 1, [&](Index, Index) {  // gets through only if the child has threads of its own
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
    const int result = exit_status_of_sum() + (num_threads() == 3 ? 0 : 2);
#if defined(__SANITIZE_ADDRESS__)
    std::_Exit(result);  // LeakSanitizer would report the parent's threads, which the child leaves behind on purpose
#else
    std::exit(result);
#endif
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(exit_status_of_sum(), 0);  // and the parent goes on
}

// Computes when all of the main thread's locals are gone; with the threads that there are.
struct ComputesAtTheEnd {
  bool there_was_a_pool = false;
  ~ComputesAtTheEnd() {
    if (!there_was_a_pool) return;  // tests were only listed
    const auto count = [] {
      const std::filesystem::path threads = "/proc/self/task";  // Linux; elsewhere there is nothing to count
      return std::filesystem::exists(threads) ? std::distance(std::filesystem::directory_iterator(threads), {}) : 0;
    };
    const auto before = count();
    if (exit_status_of_sum() != 0 || count() != before) {
      std::fputs("computing at the end of the program is wrong, or starts threads\n", stderr);
      std::_Exit(1);
    }
  }
} computes_at_the_end;

// So that there has been a pool by then, whichever tests were asked for.
struct StartsThePool : ::testing::Environment {
  void TearDown() override {
    EXPECT_EQ(exit_status_of_sum(), 0);
    computes_at_the_end.there_was_a_pool = true;
  }
};
const auto* const starts_the_pool = ::testing::AddGlobalTestEnvironment(new StartsThePool);

}  // namespace
}  // namespace gradus::testing
