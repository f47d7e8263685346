// The free lists: sizes are rounded up to a ladder with eight steps to each power of two, so at most an eighth of a
// block is unused and a ragged batch finds the block of a slightly shorter one.
#include <gradus/core/buffer.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include <gradus/core/platform.h>

#if defined(__SANITIZE_ADDRESS__)
#define GRADUS_POOL_OFF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GRADUS_POOL_OFF 1
#endif
#endif

namespace gradus {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t steps = 8;  // size classes for each power of two
constexpr std::size_t classes = 64 * steps;

struct SizeClass {
  std::size_t index, bytes;
};

SizeClass size_class(std::size_t bytes) {
  if (bytes <= alignment * steps) {
    const std::size_t index = bytes == 0 ? 0 : (bytes - 1) / alignment;
    return {index, (index + 1) * alignment};
  }
  const auto exponent = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;  // 2^exponent < bytes
  const std::size_t step = (std::size_t{1} << exponent) / steps;
  const std::size_t multiple = (bytes - (std::size_t{1} << exponent) + step - 1) / step;  // 1 .. steps
  return {exponent * steps + multiple - 1, (std::size_t{1} << exponent) + multiple * step};
}

std::atomic<std::size_t> system_allocations{0};
std::atomic<std::size_t> bytes_in_use{0};
std::atomic<std::size_t> peak_bytes_in_use{0};

// Out of line, as all that is rare here: what remains of pool_allocate() and pool_free() then needs no stack frame.
[[gnu::noinline]] void report(std::ptrdiff_t change) {
  const auto bytes = static_cast<std::size_t>(change);  // wraps around like the sum
  const std::size_t now = bytes_in_use.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::size_t peak = peak_bytes_in_use.load(std::memory_order_relaxed);
  while (change > 0 && now > peak && !peak_bytes_in_use.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

void* from_system(std::size_t bytes) {
  system_allocations.fetch_add(1, std::memory_order_relaxed);
  return platform::allocate(bytes);
}

#ifdef GRADUS_POOL_OFF  // AddressSanitizer sees a use after free only when memory really is freed
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif

struct FreeBlock {
  FreeBlock* next;
};

struct FreeLists {
  std::array<FreeBlock*, classes> heads{};
  std::ptrdiff_t change = 0;  // of bytes_in_use, not yet reported: a shared counter costs as much as an allocation
  void count(std::ptrdiff_t bytes) {
    constexpr std::ptrdiff_t worth_reporting = 1 << 16;
    change += bytes;
    if (change >= worth_reporting || change <= -worth_reporting) report(std::exchange(change, 0));
  }
  void clear() {
    for (FreeBlock*& head : heads) {
      while (head != nullptr) std::free(std::exchange(head, head->next));
    }
  }
};

// A plain pointer has no destructor, so blocks freed while the program or thread ends (static tensors, say) still find
// a defined state: null lists and `ended`, and go straight back to the system.
thread_local FreeLists* lists = nullptr;
thread_local bool ended = false;

struct Owner {
  FreeLists owned;
  Owner() { lists = &owned; }
  ~Owner() {
    ended = true;
    lists = nullptr;
    report(owned.change);
    owned.clear();
  }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
};

[[gnu::noinline]] FreeLists* first_free_lists() {
  if (!ended && pooled) {
    thread_local Owner owner;
  }
  return lists;
}

FreeLists* free_lists() {
  return lists != nullptr ? lists : first_free_lists();
}

void count(FreeLists* free, std::ptrdiff_t bytes) {
  if (free != nullptr) {
    free->count(bytes);
  } else {
    report(bytes);
  }
}

[[gnu::noinline]] void* allocate_new(FreeLists* free, std::size_t bytes, SizeClass size) {
  check(bytes <= std::size_t{1} << 62, "memory: {} bytes asked for; check the shapes", bytes);
  void* block = from_system(size.bytes);
  if (block == nullptr && free != nullptr) {
    free->clear();
    block = from_system(size.bytes);
  }
  check(block != nullptr, "memory: the system has no {} bytes left; use a smaller batch, context or model", size.bytes);
  count(free, static_cast<std::ptrdiff_t>(size.bytes));
  return block;
}

}  // namespace

void* pool_allocate(std::size_t bytes) {
  const SizeClass size = size_class(bytes);
  FreeLists* const free = free_lists();
  if (free == nullptr || free->heads[size.index] == nullptr) return allocate_new(free, bytes, size);
  FreeBlock* const block = free->heads[size.index];
  free->heads[size.index] = block->next;
  free->count(static_cast<std::ptrdiff_t>(size.bytes));
  return block;
}

void pool_free(void* block, std::size_t bytes) noexcept {
  if (block == nullptr) return;
  const SizeClass size = size_class(bytes);
  FreeLists* const free = free_lists();
  count(free, -static_cast<std::ptrdiff_t>(size.bytes));
  if (free == nullptr) {
    std::free(block);
    return;
  }
  free->heads[size.index] = new (block) FreeBlock{free->heads[size.index]};
}

void empty_cache() {
  if (FreeLists* const free = free_lists()) free->clear();
}

MemoryStats memory_stats() {
  if (FreeLists* const free = free_lists()) report(std::exchange(free->change, 0));
  return {system_allocations.load(), bytes_in_use.load(), peak_bytes_in_use.load()};
}

Buffer::Buffer(Index count, DType dtype) {
  constexpr auto limit = std::numeric_limits<Index>::max() / 16;
  check(count >= 0 && count <= limit, "memory: {} elements asked for; check the shapes", count);
  const std::size_t bytes = sizeof(Block) + static_cast<std::size_t>(count) * size_of(dtype);
  block_ = new (pool_allocate(bytes)) Block{1, 0, bytes, ""};
}

void Buffer::release() noexcept {
  // The only owner need not pay for an atomic subtraction.
  if (block_ != nullptr && (block_->references.load(std::memory_order_acquire) == 1 ||
                            block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1)) {
    pool_free(block_, block_->bytes);
  }
  block_ = nullptr;
}

void Buffer::fill_zero(std::size_t bytes) const {
  if (bytes != 0) std::memset(as<std::byte>(), 0, bytes);
}

}  // namespace gradus
