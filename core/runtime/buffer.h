// Memory for tensors, graph nodes and closures: blocks aligned to 64 bytes. A freed block goes to a free list of the
// thread that frees it, so a training step that repeats the same sizes asks the system for nothing. Blocks that a
// thread no longer uses go to other threads. All blocks together take about twice the peak use at
// most.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gradus/core/dtype.h>
#include <gradus/core/shape.h>

namespace gradus {
#pragma GCC visibility push(default)

/// A block of at least `bytes` bytes, aligned to 64. Throws Error when the system has no memory left.
void* pool_allocate(std::size_t bytes);
/// Gives back a block; `bytes` is what was asked for.
void pool_free(void* block, std::size_t bytes) noexcept;
/// Returns free blocks to the system: those of the calling thread, and those that threads gave to the shared lists.
void empty_cache();

/// Counters of the pool. The calling thread is counted exactly; each other thread may not yet have reported its last 64
/// KB of changes.
struct MemoryStats {
  std::size_t system_allocations;  // blocks asked from the system since the program started, by all threads
  std::size_t bytes_in_use;        // in blocks that are not on a free list
  std::size_t peak_bytes_in_use;
  std::size_t bytes_held;  // on the free lists of all threads; together with bytes_in_use at most about twice the peak
};
MemoryStats memory_stats();

/// Lets standard containers and shared_ptr take their memory from the pool.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(pool_allocate(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { pool_free(p, n * sizeof(T)); }
  friend bool operator==(const PoolAllocator&, const PoolAllocator&) { return true; }
};

/// A shared, reference-counted array of numbers; copies share it. Fresh memory is not initialized. A build with
/// GRADUS_FILL_MEMORY fills it with signalling NaNs, which reveal reads of values that nobody wrote.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Index count, DType dtype);
  Buffer(const Buffer& other) noexcept : block_(other.block_) {
    if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Buffer() { release(); }

  explicit operator bool() const { return block_ != nullptr; }
  void reset() noexcept { release(); }
  bool is_same(const Buffer& other) const { return block_ == other.block_; }
  /// Whether other handles hold the same memory.
  bool is_shared() const { return block_ != nullptr && block_->references.load(std::memory_order_acquire) > 1; }

  /// How often the values were written in place, and what wrote them last: backward() compares the count. Not for an
  /// empty handle.
  std::uint32_t version() const { return block_->version.load(std::memory_order_relaxed); }
  const char* writer() const { return block_->writer; }
  /// Takes over the count of the values that this buffer replaces.
  void set_version(std::uint32_t version) const { block_->version.store(version, std::memory_order_relaxed); }
  void mark_written(const char* writer) const {
    block_->writer = writer;
    block_->version.store(version() + 1, std::memory_order_relaxed);
  }

  /// The first element, or null for an empty handle.
  template <class T>
  T* as() const {
    return block_ ? reinterpret_cast<T*>(block_ + 1) : nullptr;
  }

  void fill_zero(std::size_t bytes) const;

 private:
  struct alignas(64) Block {
    std::atomic<int> references;
    std::atomic<std::uint32_t> version;
    std::size_t bytes;  // of the whole block, this header included
    const char* writer;
  };
  void release() noexcept;

  Block* block_ = nullptr;
};

#pragma GCC visibility pop
}  // namespace gradus
