// The free lists. Sizes are rounded up to classes, eight for each power of two: at most an eighth of a block is unused,
// and a ragged batch finds the block of a slightly shorter one. A thread pushes to and pops from its own lists without
// locks. When its lists hold more than ever before, it gives the blocks that it has not used for a while to lists that
// all threads share; a thread looks there before it asks the system. If sizes change so much that the pool would grow
// past twice the peak use, buffers take larger blocks than they need, and the shared lists return blocks to the system.
// A step that repeats the same sizes does none of this.
#include <gradus/core/runtime/buffer.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>

#include <gradus/core/runtime/platform.h>

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
  constexpr std::size_t log2_steps = 3;
  static_assert(std::size_t{1} << log2_steps == steps);
  const std::size_t base = std::size_t{1} << exponent, shift = exponent - log2_steps;
  const std::size_t step = (bytes - 1 - base) >> shift;  // 0 .. steps-1; a division would cost more than all the rest
  return {exponent * steps + step, base + ((step + 1) << shift)};
}

std::size_t class_bytes(std::size_t index) {
  if (index < steps) return (index + 1) * alignment;
  return (std::size_t{1} << index / steps) / steps * (steps + 1 + index % steps);
}

std::atomic<std::size_t> system_allocations{0};
std::atomic<std::size_t> bytes_in_use{0};
std::atomic<std::size_t> peak_bytes_in_use{0};

// Rare paths are out of line: what remains of pool_allocate() and pool_free() then needs no stack frame.
[[gnu::noinline]] void report(std::ptrdiff_t change) {
  const auto bytes = static_cast<std::size_t>(change);  // wraps around like the sum
  const std::size_t now = bytes_in_use.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::size_t peak = peak_bytes_in_use.load(std::memory_order_relaxed);
  while (change > 0 && now > peak && !peak_bytes_in_use.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

std::atomic<std::size_t> bytes_from_system{0};

void* from_system(std::size_t bytes) {
  void* const block = platform::allocate(bytes);
  if (block == nullptr) return nullptr;
  system_allocations.fetch_add(1, std::memory_order_relaxed);
  bytes_from_system.fetch_add(bytes, std::memory_order_relaxed);
  return block;
}

void to_system(void* block, std::size_t bytes) {
  bytes_from_system.fetch_sub(bytes, std::memory_order_relaxed);
  std::free(block);
}

// On free lists. A block may briefly be counted in neither place or in both.
std::size_t bytes_held() {
  const std::size_t in_use = bytes_in_use.load(std::memory_order_relaxed);
  return std::max(bytes_from_system.load(std::memory_order_relaxed), in_use) - in_use;
}

// How much all blocks together may take before the pool economizes.
std::size_t budget() {
  const std::size_t peak = peak_bytes_in_use.load(std::memory_order_relaxed);
  return peak + std::max(peak, std::size_t{1} << 20);
}

bool over_budget(std::size_t more) {
  return bytes_from_system.load(std::memory_order_relaxed) + more > budget();
}

#ifdef GRADUS_POOL_OFF  // AddressSanitizer sees a use after free only when memory really is freed
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif

struct FreeBlock {
  FreeBlock* next;
  std::size_t round;  // the thread's `round` when it was freed
};

// The first list from `index` on that has a block of at most twice the size, or `classes`.
std::size_t larger(const std::array<FreeBlock*, classes>& heads, std::size_t index) {
  const std::size_t end = std::min(classes, index + steps + 1);
  while (index < end && heads[index] == nullptr) ++index;
  return index < end ? index : classes;
}

// Blocks that threads gave away. Never destroyed: threads may use them after the program's statics are gone.
class SharedLists {
 public:
  FreeBlock* take(std::size_t index) {
    if (bytes_.load(std::memory_order_relaxed) == 0) return nullptr;
    const std::lock_guard lock(mutex_);
    FreeBlock* const block = heads_[index];
    if (block == nullptr) return nullptr;
    heads_[index] = block->next;
    bytes_.fetch_sub(class_bytes(index), std::memory_order_relaxed);
    return block;
  }

  /// The blocks from `first` to `last`, of `bytes` together.
  void put(std::size_t index, FreeBlock* first, FreeBlock* last, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    last->next = std::exchange(heads_[index], first);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }

  /// Gives blocks back to the system until there is room in the budget for `more` bytes. It takes one of each size in
  /// turn, so that no size is always emptied first.
  void trim(std::size_t more) {
    if (bytes_.load(std::memory_order_relaxed) == 0 || !over_budget(more)) return;
    std::unique_lock lock(mutex_);
    while (bytes_.load(std::memory_order_relaxed) > 0 && over_budget(more)) {
      hand_ = (hand_ + classes - 1) % classes;
      FreeBlock* const block = heads_[hand_];
      if (block == nullptr) continue;
      heads_[hand_] = block->next;
      bytes_.fetch_sub(class_bytes(hand_), std::memory_order_relaxed);
      to_system(block, class_bytes(hand_));
      returned_ += class_bytes(hand_);
    }
    if (returned_ < budget() / 8) return;
    // The C library keeps free memory between blocks until malloc_trim(). That call walks through all memory of the
    // program (0.1 ms in a small one, 100 ms beside two million blocks of its own), so it gets a twentieth of the time
    // at most.
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    if (start < next_release_) return;
    returned_ = 0;
    // Keeps other threads from the same call. One second, not forever: if another thread calls fork() during the call,
    // nobody in the child sets this again.
    next_release_ = start + std::chrono::seconds(1);
    lock.unlock();
    platform::release_free_memory();
    const auto end = Clock::now();
    lock.lock();
    next_release_ = end + 20 * (end - start);
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < classes; ++i) {
      while (heads_[i] != nullptr) to_system(std::exchange(heads_[i], heads_[i]->next), class_bytes(i));
    }
    bytes_.store(0, std::memory_order_relaxed);
  }

  // fork() waits until no thread is at the lists: the child has a copy of them, but not of that thread.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::array<FreeBlock*, classes> heads_{};
  std::atomic<std::size_t> bytes_{0};
  std::size_t hand_ = 0, returned_ = 0;
  std::chrono::steady_clock::time_point next_release_;
};

constinit SharedLists shared_lists;

// How often a thread had to exceed the budget. The other threads then look for unused blocks too.
std::atomic<std::size_t> exceeded{0};

struct FreeLists {
  std::array<FreeBlock*, classes> heads{};
  std::ptrdiff_t change = 0;      // of bytes_in_use, not yet reported: a shared counter costs as much as an allocation
  std::size_t round = 0;          // how often surplus was looked for
  std::ptrdiff_t held = 0;        // bytes on these lists at the last settle()
  std::ptrdiff_t ceiling = step;  // settle() looks for surplus when `held` exceeds this
  std::size_t seen_exceeded = 0;

  void count(std::ptrdiff_t bytes) {
    constexpr std::ptrdiff_t worth_reporting = 1 << 16;
    change += bytes;
    if (change >= worth_reporting || change <= -worth_reporting) settle();
  }

  [[gnu::noinline]] void settle() {
    held -= change;
    report(std::exchange(change, 0));
    if (held > ceiling) give_away_surplus();
    if (const std::size_t now = exceeded.load(std::memory_order_relaxed); now != seen_exceeded) {
      seen_exceeded = now;
      ceiling = 0;
      give_away_surplus();
    }
  }

  // Called when the lists hold more than ever before, because sizes change or blocks come from other threads, or when
  // another thread exceeded the budget. Blocks that were not used in this round or the one before are surplus.
  void give_away_surplus() {
    give_away(round++);
    ceiling = std::max(ceiling, held + std::max(held / 8, step));
    shared_lists.trim(0);
  }

  // Makes room in the budget: gives up the blocks first that were unused for longest.
  void make_room(std::size_t more) {
    shared_lists.trim(more);
    for (std::size_t end = round; end <= round + 2 && over_budget(more); ++end) {
      give_away(end);
      shared_lists.trim(more);
    }
    ++round;
  }

  // Blocks that were freed before the round end - 1. Each list is a stack, so the oldest are at its end.
  void give_away(std::size_t end) {
    for (std::size_t i = 0; i < classes; ++i) {
      FreeBlock** link = &heads[i];
      while (*link != nullptr && (*link)->round + 1 >= end) link = &(*link)->next;
      FreeBlock* const first = std::exchange(*link, nullptr);
      if (first == nullptr) continue;
      std::size_t bytes = class_bytes(i);
      FreeBlock* last = first;
      for (; last->next != nullptr; last = last->next) bytes += class_bytes(i);
      shared_lists.put(i, first, last, bytes);
      held -= static_cast<std::ptrdiff_t>(bytes);
    }
  }

  void clear() {
    for (std::size_t i = 0; i < classes; ++i) {
      while (heads[i] != nullptr) to_system(std::exchange(heads[i], heads[i]->next), class_bytes(i));
    }
    held = change;
    ceiling = step;
  }

  static constexpr std::ptrdiff_t step = 1 << 18;  // the least growth that is looked into
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
    owned.settle();
    owned.give_away(std::numeric_limits<std::size_t>::max());
    shared_lists.trim(0);
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

// Runs before the first block is handed out: threads that hold blocks must have destructors to call when they end, and
// fork() must not copy the lists while a thread changes them.
void prepare() {
  static const bool prepared = [] {
    platform::keep_loaded();
    return platform::around_fork([] { shared_lists.lock(); }, [] { shared_lists.unlock(); });
  }();
  check(prepared, "memory: the system has none left to prepare for fork(); free some");
}

// Runs before there are threads: if one made its first allocation while another called fork(), the child would inherit
// a locked lock on the static above. A failure here is reported by the first allocation.
[[maybe_unused]] const bool prepared_early = [] {
  try {
    prepare();
  } catch (const Error&) {
    return false;
  }
  return true;
}();

// A free block of another thread, or a larger one; `index` becomes the block's size class.
void* find_block(FreeLists& free, std::size_t& index, bool may_be_larger) {
  if (FreeBlock* const block = shared_lists.take(index); block != nullptr) {
    const auto bytes = static_cast<std::ptrdiff_t>(class_bytes(index));
    free.held += bytes;
    free.ceiling += bytes;  // so that it is not surplus again if this thread had given it away
    return block;
  }
  if (!over_budget(class_bytes(index))) return nullptr;
  if (const std::size_t found = larger(free.heads, index); may_be_larger && found != classes) {
    index = found;
    return std::exchange(free.heads[found], free.heads[found]->next);
  }
  free.make_room(class_bytes(index));
  if (over_budget(class_bytes(index))) exceeded.fetch_add(1, std::memory_order_relaxed);
  return nullptr;
}

// The block may be larger than `bytes` only if `room` is not null; `room` is set to its size.
[[gnu::noinline]] void* allocate_new(FreeLists* free, std::size_t bytes, SizeClass size, std::size_t* room) {
  check(bytes <= std::size_t{1} << 62, "memory: {} bytes asked for; check the shapes", bytes);
  prepare();
  void* block = free == nullptr ? nullptr : find_block(*free, size.index, room != nullptr);
  if (block == nullptr) {
    block = from_system(size.bytes);
    if (block == nullptr && free != nullptr) {
      empty_cache();
      block = from_system(size.bytes);
    }
    check(block != nullptr, "memory: the system has no {} bytes left; use a smaller batch, context or model",
          size.bytes);
    if (free != nullptr) free->held += static_cast<std::ptrdiff_t>(size.bytes);
  }
  const std::size_t whole = class_bytes(size.index);
  if (room != nullptr) *room = whole;
  count(free, static_cast<std::ptrdiff_t>(whole));
  return block;
}

inline void* allocate(std::size_t bytes, std::size_t* room) {
  const SizeClass size = size_class(bytes);
  FreeLists* const free = free_lists();
  if (free == nullptr || free->heads[size.index] == nullptr) return allocate_new(free, bytes, size, room);
  FreeBlock* const block = free->heads[size.index];
  free->heads[size.index] = block->next;
  free->count(static_cast<std::ptrdiff_t>(size.bytes));
  return block;
}

}  // namespace

void* pool_allocate(std::size_t bytes) {
  return allocate(bytes, nullptr);
}

void pool_free(void* block, std::size_t bytes) noexcept {
  if (block == nullptr) return;
  const SizeClass size = size_class(bytes);
  FreeLists* const free = free_lists();
  if (free == nullptr) {
    report(-static_cast<std::ptrdiff_t>(size.bytes));
    to_system(block, size.bytes);
    return;
  }
  free->heads[size.index] = new (block) FreeBlock{free->heads[size.index], free->round};
  free->count(-static_cast<std::ptrdiff_t>(size.bytes));
}

void empty_cache() {
  if (FreeLists* const free = free_lists()) free->clear();
  shared_lists.clear();
}

MemoryStats memory_stats() {
  if (FreeLists* const free = free_lists()) free->settle();
  return {system_allocations.load(), bytes_in_use.load(), peak_bytes_in_use.load(), bytes_held()};
}

Buffer::Buffer(Index count, DType dtype) {
  constexpr auto limit = std::numeric_limits<Index>::max() / 16;
  check(count >= 0 && count <= limit, "memory: {} elements asked for; check the shapes", count);
  const std::size_t bytes = sizeof(Block) + static_cast<std::size_t>(count) * size_of(dtype);
  std::size_t room = bytes;
  void* const memory = allocate(bytes, &room);
  block_ = new (memory) Block{1, 0, room, ""};
#ifdef GRADUS_FILL_MEMORY
  const std::size_t rest = size_class(room).bytes - sizeof(Block);  // past the end too
  if (dtype == DType::f32) {
    std::fill_n(as<std::uint32_t>(), rest / sizeof(float), 0x7fa00000U);
  } else {
    std::fill_n(as<std::uint64_t>(), rest / sizeof(double), 0x7ff4000000000000U);
  }
#endif
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
