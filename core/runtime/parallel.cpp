// The pool. After a job workers spin for a short while, because the next job usually follows within microseconds, and
// then sleep. One job runs at a time; an atomic counter hands out the chunks. A job waits only for the workers that
// joined it, not for one that the system has not scheduled (waiting for those made training on a loaded machine seven
// times slower than one thread). The workers are not joined when the program ends, which may happen while they or other
// threads compute.
#include <gradus/core/runtime/parallel.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include <gradus/core/runtime/buffer.h>
#include <gradus/core/runtime/platform.h>

namespace gradus {
namespace {

using detail::Job;

thread_local bool inside_job = false;
thread_local int this_thread_index = 0;

int default_threads() {
  if (const char* text = std::getenv("GRADUS_NUM_THREADS"); text != nullptr && *text != '\0') {
    int threads = 0;
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), threads);
    check(error == std::errc{} && *end == '\0' && threads >= 1 && threads <= max_threads,
          "GRADUS_NUM_THREADS: got '{}'; it must be a whole number from 1 to {}, or unset", text, max_threads);
    return threads;
  }
  return std::min(max_threads, platform::processors());
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Chunks are counted, not their first indices: adding the grain once more than there are chunks could overflow.
Index chunks(const Job& job) {
  return (job.n - 1) / job.grain + 1;
}

void run_chunk(const Job& job, Index chunk, std::byte* scratch) {
  const Index begin = chunk * job.grain;
  job.function(job.context, begin, begin + std::min(job.grain, job.n - begin), scratch);
}

// Scratch memory for some threads, each piece in cache lines of its own.
struct Scratch {
  Buffer memory;
  std::size_t piece = 0;  // bytes
  Scratch() = default;
  Scratch(const Job& job, int threads) {
    if (job.scratch == 0) return;
    constexpr Index line = 16;
    const Index size = saturating_product({(job.scratch - 1) / line + 1, line});
    memory = Buffer(saturating_product({size, threads}), job.dtype);
    piece = static_cast<std::size_t>(size) * size_of(job.dtype);
  }
  std::byte* of(int thread) const {
    return memory ? memory.as<std::byte>() + static_cast<std::size_t>(thread) * piece : nullptr;
  }
};

void run_serially(const Job& job) {
  const Scratch scratch(job, 1);
  for (Index chunk = 0; chunk < chunks(job); ++chunk) run_chunk(job, chunk, scratch.of(0));
}

class Pool {
 public:
  explicit Pool(int threads) : threads_(threads) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int threads) {
    const std::lock_guard lock(job_mutex_);
    if (threads == threads_) return;
    stop_workers();
    threads_ = threads;
    refused_ = false;
  }

  void run(const Job& job) {
    std::unique_lock lock(job_mutex_, std::defer_lock);
    if (threads() == 1 || !lock.try_lock()) {  // without the lock, so that a nested call may get the pool
      run_serially(job);
      return;
    }
    const Scratch scratch(job, threads());  // which stays as it is while the lock is held
    if (workers_.empty() && !refused_) start_workers();
    job_ = job;
    scratch_ = &scratch;
    next_.store(0, std::memory_order_relaxed);
    {
      const std::lock_guard wake(sleep_mutex_);
      state_.store(next_generation() | open, std::memory_order_release);
    }
    if (sleepers_.load(std::memory_order_acquire) > 0) wake_.notify_all();
    work(0);
    state_.fetch_and(~open, std::memory_order_relaxed);
    for (int spins = 0; (state_.load(std::memory_order_acquire) & joined) != 0; ++spins) {
      if (spins < 10'000) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void work(int thread) {
    inside_job = true;
    for (const Index count = chunks(job_);;) {
      const Index chunk = next_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= count) break;
      try {
        run_chunk(job_, chunk, scratch_->of(thread));
      } catch (...) {  // out of memory, say: the first to fail is reported, by the caller's thread
        const std::lock_guard lock(sleep_mutex_);
        if (!error_) error_ = std::current_exception();
      }
    }
    inside_job = false;
  }

  void worker(int index, std::uint64_t seen) {
    this_thread_index = index;
    for (;;) {
      wait_for_job(seen);
      if (stopping_.load(std::memory_order_relaxed)) return;
      std::uint64_t state = state_.load(std::memory_order_acquire);
      while ((state & open) != 0) {
        if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) {
          work(index);
          state_.fetch_sub(1, std::memory_order_release);
          break;
        }
      }
      seen = state >> generation_shift;
    }
  }

  void wait_for_job(std::uint64_t seen) {
    const auto changed = [&] { return state_.load(std::memory_order_acquire) >> generation_shift != seen; };
    const auto patience = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
    while (std::chrono::steady_clock::now() < patience) {
      for (int i = 0; i < 64; ++i) {
        if (changed()) return;
        relax();
      }
    }
    std::unique_lock lock(sleep_mutex_);
    sleepers_.fetch_add(1, std::memory_order_release);
    wake_.wait(lock, changed);
    sleepers_.fetch_sub(1, std::memory_order_release);
  }

  // The job's number, above a bit that says whether it may be joined and the count of workers that did.
  static constexpr int generation_shift = 16;
  static constexpr std::uint64_t open = 1U << 15, joined = open - 1;
  std::uint64_t next_generation() const {
    return ((state_.load(std::memory_order_relaxed) >> generation_shift) + 1) << generation_shift;
  }

  void start_workers() {
    stopping_ = false;
    const std::uint64_t seen = state_.load() >> generation_shift;
    try {
      for (int index = 1; index < threads(); ++index) {
        workers_.emplace_back([this, index, seen] { worker(index, seen); });
      }
    } catch (const std::system_error&) {
      // The system gives no more threads: the caller and the workers that did start do the work, and nobody asks again.
      refused_ = true;
    }
  }

  void stop_workers() {
    if (workers_.empty()) return;
    {
      const std::lock_guard lock(sleep_mutex_);
      stopping_ = true;
      state_.store(next_generation(), std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& thread : workers_) thread.join();
    workers_.clear();
  }

  std::mutex job_mutex_;
  std::vector<std::thread> workers_;
  std::atomic<int> threads_;
  Job job_{};
  const Scratch* scratch_ = nullptr;
  std::exception_ptr error_;
  bool refused_ = false;
  alignas(64) std::atomic<Index> next_{0};
  alignas(64) std::atomic<std::uint64_t> state_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<int> sleepers_{0};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
};

// Never destroyed: the program may end at any moment, with a job running or from inside one, and destructors that run
// then may compute. fork() copies the pool but not its threads: the child makes a new one in its place, whose threads
// start when they are needed.
Pool& pool() {
  alignas(Pool) static std::byte place[sizeof(Pool)];
  static Pool& instance = *::new (static_cast<void*>(place)) Pool(default_threads());
  static const bool prepared = [] {
    platform::keep_loaded();
    return platform::after_fork([] { ::new (static_cast<void*>(place)) Pool(instance.threads()); });
  }();
  check(prepared, "parallel_for: the system has no memory to prepare for fork(); free some");
  return instance;
}

}  // namespace

void set_num_threads(int threads) {
  check(threads >= 1 && threads <= max_threads, "set_num_threads: got {}; use 1 to {}", threads, max_threads);
  check(!inside_job, "set_num_threads: called from inside a parallel_for; call it between operations");
  pool().set_threads(threads);
}

int num_threads() {
  return pool().threads();
}
int thread_index() {
  return this_thread_index;
}

void detail::run_chunks(const Job& job) {
  check(job.grain > 0, "parallel_for: a grain of {}; it must be at least 1", job.grain);
  check(job.scratch >= 0, "parallel_for_scratch: {} elements of scratch memory; it must be at least 0", job.scratch);
  if (inside_job || job.n <= job.grain) {
    run_serially(job);
  } else {
    pool().run(job);
  }
}

}  // namespace gradus
