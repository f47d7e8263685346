// Memory for tensors, graph nodes and closures: 64-byte aligned blocks kept on per-size free lists of the thread that
// frees them, so a training step that repeats the same sizes asks the system for nothing. What a thread does not use
// again other threads get, and all blocks together are bounded by twice the most that was in use.
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
/// Returns to the system the free blocks of the calling thread, and those that threads gave away for others to use.
void empty_cache();

/// Exact for the calling thread; every other thread may hold back 64 KB of its latest changes.
struct MemoryStats {
  std::size_t system_allocations;  // blocks asked from the system since the program started, by all threads
  std::size_t bytes_in_use;        // in blocks that are not on a free list
  std::size_t peak_bytes_in_use;
  std::size_t bytes_held;  // on free lists, of all threads; with those in use about twice the peak at most
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

/// A shared, reference-counted array of numbers; copying shares. Fresh memory is not initialized; where gradus is built
/// with GRADUS_FILL_MEMORY it holds signalling NaNs of its type, so that what nobody wrote shows.
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

  /// How often the values were written in place, and by what the last time: backward() compares. Not for an empty
  /// handle.
  std::uint32_t version() const { return block_->version.load(std::memory_order_relaxed); }
  const char* writer() const { return block_->writer; }
  /// For values that take the place of others.
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
