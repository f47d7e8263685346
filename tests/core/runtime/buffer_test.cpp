// The memory under tensors: alignment, sharing, reuse, and a training step that asks the system for nothing. This file
// replaces the global operator new and delete of the test program in order to count.
#include <gradus/core/runtime/buffer.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/ops/update.h>

#include "../../support.h"

namespace {

std::atomic<std::size_t> news{0};

}  // namespace

#ifndef GRADUS_TEST_SANITIZED  // sanitizers bring their own
namespace {

void* counted(std::size_t size, std::size_t alignment) {
  news.fetch_add(1, std::memory_order_relaxed);
  void* const p = alignment == 0 ? std::malloc(size == 0 ? 1 : size)
                                 : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(std::size_t size) {
  return counted(size, 0);
}
void* operator new[](std::size_t size) {
  return counted(size, 0);
}
void* operator new(std::size_t size, std::align_val_t a) {
  return counted(size, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t size, std::align_val_t a) {
  return counted(size, static_cast<std::size_t>(a));
}
// Inlined into a caller, GCC would see new's memory go to free and warn.
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete[](void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete[](void* p, std::size_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete[](void* p, std::align_val_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
#endif

namespace gradus::testing {
namespace {

// Outlives the thread locals of the main thread, the free lists among them; sanitizers watch it end.
const Tensor outlives_main = ones({100}).requires_grad(true);
const Tensor graph_outlives_main = tanh(outlives_main * outlives_main);

TEST(Buffer, IsAlignedAndHoldsWhatIsWritten) {
  for (const Index count : {0, 1, 7, 16, 100, 12345}) {
    const Buffer buffer(count, DType::f64);
    ASSERT_TRUE(buffer);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.as<double>()) % 64, 0U);
    for (Index i = 0; i < count; ++i) buffer.as<double>()[i] = static_cast<double>(i);
    for (Index i = 0; i < count; ++i) EXPECT_EQ(buffer.as<double>()[i], static_cast<double>(i));
    buffer.fill_zero(static_cast<std::size_t>(count) * sizeof(double));
    for (Index i = 0; i < count; ++i) EXPECT_EQ(buffer.as<double>()[i], 0);
  }
}

TEST(Buffer, IsShared) {
  Buffer a(10, DType::f32);
  a.as<float>()[3] = 7;
  Buffer b = a;
  EXPECT_EQ(b.as<float>(), a.as<float>());
  a.reset();
  EXPECT_FALSE(a);
  EXPECT_EQ(a.as<float>(), nullptr);
  EXPECT_EQ(b.as<float>()[3], 7);
  const Buffer c = std::move(b);
  EXPECT_EQ(c.as<float>()[3], 7);
  Buffer d(1, DType::f32);
  d = c;
  const Buffer& itself = d;
  d = itself;
  EXPECT_EQ(d.as<float>()[3], 7);
}

TEST(Pool, CountsWhatIsInUse) {
  empty_cache();  // a block that is there already may be larger
  const std::size_t before = memory_stats().bytes_in_use;
  {
    const Buffer buffer(1'000'000, DType::f32);
    const std::size_t used = memory_stats().bytes_in_use - before;
    EXPECT_GE(used, 4'000'000U);
    EXPECT_LE(used, 4'500'000U + 64) << "an eighth may be lost to rounding, not more";
    EXPECT_GE(memory_stats().peak_bytes_in_use, before + used);
  }
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

TEST(Pool, GivesTheSameBlockAgain) {
  if (sanitized) GTEST_SKIP() << "under AddressSanitizer memory goes back at once";
  pool_free(pool_allocate(5000), 5000);
  const std::size_t before = memory_stats().system_allocations;
  void* const first = pool_allocate(5000);
  pool_free(first, 5000);
  void* const second = pool_allocate(4990);  // the same size class
  EXPECT_EQ(second, first);
  pool_free(second, 4990);
  EXPECT_EQ(memory_stats().system_allocations, before);
  empty_cache();
  pool_free(pool_allocate(5000), 5000);
  EXPECT_EQ(memory_stats().system_allocations, before + 1);
}

TEST(Pool, TellsWhatItHolds) {
  empty_cache();
  const std::size_t before = memory_stats().bytes_held;  // by other threads
  void* const block = pool_allocate(1'000'000);
  EXPECT_EQ(memory_stats().bytes_held, before);
  pool_free(block, 1'000'000);
  EXPECT_GE(memory_stats().bytes_held, before + (sanitized ? 0 : 1'000'000));
  empty_cache();
  EXPECT_EQ(memory_stats().bytes_held, before);
}

// What this thread never asks for, but frees again and again, reaches the thread that asks for it.
TEST(Pool, GivesBlocksBackToTheThreadThatMakesThem) {
  if (!pool_keeps_blocks()) GTEST_SKIP() << "under AddressSanitizer memory goes back at once";
  empty_cache();
  const MemoryStats before = memory_stats();
  constexpr std::size_t bytes = 100'000, rounds = 1000, together = 10;
  for (std::size_t round = 0; round < rounds; ++round) {
    std::vector<void*> blocks(together);
    std::thread([&] {
      for (void*& block : blocks) block = pool_allocate(bytes);
    }).join();
    for (void* const block : blocks) pool_free(block, bytes);
  }
  const MemoryStats after = memory_stats();
  EXPECT_LE(after.system_allocations - before.system_allocations, 10 * together) << "of " << rounds * together;
  EXPECT_LE(after.bytes_held, before.bytes_held + 10 * together * bytes);
}

TEST(Pool, UsesLargerBlocksRatherThanGrowWithoutBound) {
  if (!pool_keeps_blocks()) GTEST_SKIP() << "under AddressSanitizer memory goes back at once";
  empty_cache();
  const std::size_t others = memory_stats().bytes_held, in_use = memory_stats().bytes_in_use;
  std::size_t most = 0, largest = 0;
  for (Index count = 1000; count < 8'000'000; count += count / 16) {
    const Buffer buffer(count, DType::f32);
    buffer.fill_zero(static_cast<std::size_t>(count) * 4);  // sanitizers watch the end
    largest = std::max(largest, memory_stats().bytes_in_use - in_use);
    most = std::max(most, memory_stats().bytes_held);
  }
  const std::size_t peak = memory_stats().peak_bytes_in_use;
  EXPECT_LE(most, others + 2 * std::max(largest, peak));
  EXPECT_LE(largest, 2 * std::size_t{36'000'000});
}

#ifdef GRADUS_FILL_MEMORY
TEST(Buffer, ComesFilledWithSignallingNaNs) {
  for (int round = 0; round < 2; ++round) {  // fresh from the system, and used before
    const Buffer f32(100, DType::f32), f64(100, DType::f64);
    for (int i = 0; i < 100; ++i) {
      std::uint32_t narrow = 0;
      std::uint64_t wide = 0;
      std::memcpy(&narrow, f32.as<float>() + i, sizeof narrow);
      std::memcpy(&wide, f64.as<double>() + i, sizeof wide);
      EXPECT_EQ(narrow, 0x7fa00000U);
      EXPECT_EQ(wide, 0x7ff4000000000000U);
    }
    f32.fill_zero(400);
    f64.fill_zero(800);
  }
}
#endif

struct MemoryUse {
  double peak, together, early, late, from_system;
};

MemoryUse memory_use(const char* how, int quick, int soak) {
  const int steps = std::getenv("GRADUS_SOAK") != nullptr ? soak : quick;
  const std::string text = output_of(fmt::format("memory_use {} {}", how, steps));
  std::istringstream in(text);
  MemoryUse use{};
  in >> use.peak >> use.together >> use.early >> use.late >> use.from_system;
  EXPECT_FALSE(in.fail()) << text;
  if (steps == soak) {
    fmt::print(
        "{}, {} steps: peak in use {:.2f} MB; with what is held {:.2f}; resident {:.2f}, then {:.2f}; blocks from "
        "the system in the second half {}\n",
        how, steps, use.peak / 1e6, use.together / 1e6, use.early / 1e6, use.late / 1e6, use.from_system);
  }
  return use;
}

TEST(MemoryUse, StaysWhenAnotherThreadMakesTheBatches) {
  if (emulated()) GTEST_SKIP() << "the emulator takes memory too";
  const MemoryUse use = memory_use("loader", 300, 20'000);
  EXPECT_LE(use.together, 2 * use.peak);
  if (sanitized) return;  // which take memory of their own
  EXPECT_LE(use.from_system, 30) << "a block now and then, as the threads come to overlap";
  constexpr double beside = 1e6;  // resident, but not the pool's: stacks, what the C library keeps for each thread
  EXPECT_LE(use.late, 1.25 * use.early + beside);
  EXPECT_LE(use.late, 2 * use.peak + beside);
}

TEST(MemoryUse, IsBoundedWhenSizesChange) {
  if (emulated()) GTEST_SKIP() << "the emulator takes memory too";
  const MemoryUse use = memory_use("shapes", 100, 20'000);
  EXPECT_LE(use.together, 2.1 * use.peak);
  if (!sanitized) {
    EXPECT_LE(use.late, 3 * use.peak);
  }
}

// More blocks are needed than may be held, so larger ones serve.
TEST(MemoryUse, IsSteadyWhereEveryLayerHasASizeOfItsOwn) {
  if (emulated()) GTEST_SKIP() << "the emulator takes memory too";
  const MemoryUse use = memory_use("layers", 40, 2000);
  EXPECT_LE(use.together, 2.1 * use.peak);
  if (pool_keeps_blocks()) {
    EXPECT_EQ(use.from_system, 0);
  }
}

TEST(Pool, HasBlocksOfEverySizeAtLeastAsLargeAsAsked) {
  for (std::size_t bytes = 0; bytes < 5000; bytes += bytes < 700 ? 1 : 37) {
    auto* const p = static_cast<unsigned char*>(pool_allocate(bytes));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0U) << bytes;
    for (std::size_t i = 0; i < bytes; ++i) p[i] = static_cast<unsigned char>(i);  // sanitizers watch the end
    pool_free(p, bytes);
  }
  pool_free(nullptr, 10);
}

TEST(Pool, TakesBackBlocksOnAnotherThread) {
  const std::size_t before = memory_stats().bytes_in_use;
  Tensor x = ones({1000}).requires_grad(true);
  Tensor y = tanh(x * x);
  std::thread([x = std::move(x), y = std::move(y)]() mutable {
    sum(y).backward();
    y = {};
    x = {};
    const Tensor z = ones({1000}) + 1;  // from the blocks just freed
  }).join();
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

TEST(Pool, ServesTensorsThatOutliveTheirThread) {
  Tensor kept;
  std::thread([&] { kept = tanh(ones({1000}).requires_grad(true)); }).join();
  sum(kept).backward();
  EXPECT_NEAR(kept.to_vector()[999], 0.76159, 1e-5);
}

TEST(StaticTensors, CanBeUsed) {
  EXPECT_TRUE(graph_outlives_main.requires_grad());
}

// A transformer block by hand, from ops.
class Network {
 public:
  static constexpr Index V = 30, C = 24, T = 11, B = 4, H = 3;

  Network() {
    manual_seed(1);
    for (const Shape& shape : {Shape{V, C}, Shape{C}, Shape{C}, Shape{3 * C, C}, Shape{3 * C}, Shape{C, C},
                               Shape{4 * C, C}, Shape{4 * C}, Shape{C, 4 * C}, Shape{C}, Shape{T, C}}) {
      params_.push_back(randn(shape) * 0.1);
      params_.back().requires_grad(true);
      m_.push_back(zeros(shape));
      v_.push_back(zeros(shape));
    }
    for (Index i = 0; i < B * T; ++i) {
      tokens_.push_back(static_cast<std::int32_t>(i * 7 % V));
      targets_.push_back(static_cast<std::int32_t>((i * 7 + 7) % V));
      positions_.push_back(static_cast<std::int32_t>(i % T));
    }
    lengths_.assign(B, T);
  }

  double step() {
    const auto& p = params_;
    Tensor x = embedding(p[0], tokens_) + embedding(p[10], positions_);
    const Tensor qkv = linear(layer_norm(x, p[1], p[2]), p[3], p[4]);
    x = x + linear(packed_attention(qkv, H, lengths_, {.causal = true}), p[5]);
    const Tensor h = reshape(rms_norm(x, p[1]), {B, T, C});
    const Tensor attended = scaled_dot_product_attention(h, h, h, {.causal = true});
    x = x + reshape(attended, {B * T, C});
    x = x + linear(gelu(linear(x, p[6], p[7])), p[8], p[9]);
    x = matmul(x, p[0], false, true);
    const Tensor loss = cross_entropy(x, targets_) + mean(softmax(x) * x) * 0.01 + max(p[4]) * 0.01;
    loss.backward();
    ++t_;
    for (std::size_t i = 0; i < params_.size(); ++i) {
      adam_update(params_[i], m_[i], v_[i], params_[i].grad(),
                  {.lr = 0.01,
                   .beta1 = 0.9,
                   .beta2 = 0.99,
                   .eps = 1e-8,
                   .weight_decay = 0.1,
                   .decoupled = true,
                   .bias_correction1 = 1 - std::pow(0.9, t_),
                   .bias_correction2 = 1 - std::pow(0.99, t_)});
      params_[i].zero_grad();
    }
    return loss.item();
  }

 private:
  std::vector<Tensor> params_, m_, v_;
  std::vector<std::int32_t> tokens_, targets_, positions_;
  std::vector<Index> lengths_;
  int t_ = 0;
};

TEST(TrainingStep, AllocatesNothingAfterTheThird) {
  if (sanitized) GTEST_SKIP() << "sanitizers bring their own memory";
  for (const int threads : {1, 2}) {
    const WithThreads guard(threads);
    Network network;
    double first = 0;
    for (int i = 0; i < 3; ++i) first = std::max(first, network.step());
    const MemoryStats before = memory_stats();
    const std::size_t news_before = news;
    double last = 0;
    for (int i = 0; i < 20; ++i) last = network.step();
    const std::size_t news_after = news;
    const MemoryStats after = memory_stats();
    EXPECT_EQ(after.system_allocations, before.system_allocations);
    EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
    EXPECT_EQ(after.peak_bytes_in_use, before.peak_bytes_in_use);
    EXPECT_EQ(news_after, news_before) << "operator new was called in a step";
    EXPECT_LT(last, first) << "and it learns";
  }
}

}  // namespace
}  // namespace gradus::testing
