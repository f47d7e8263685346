// parallel_for on one persistent pool of threads. Work is cut by its size alone, never by the number of threads, so
// results have the same bits at any thread count; the threads only decide who computes which chunk. The pool's threads
// start with the first parallel_for that needs them and live until the program ends. Any thread may call, several at
// once too: one gets the pool, the others compute alone. After fork() the child makes a pool of its own.
#pragma once

#include <type_traits>

#include <gradus/core/dtype.h>
#include <gradus/core/shape.h>

namespace gradus {
#pragma GCC visibility push(default)

inline constexpr int max_threads = 256;
/// How many threads may work on one operation, the calling one included: 1 to max_threads. The default is the number of
/// cores this process may use, or the environment variable GRADUS_NUM_THREADS.
void set_num_threads(int threads);
int num_threads();

/// Inside a chunk: which thread runs it, 0 .. num_threads()-1. Do not index scratch memory by it, since the number of
/// threads may change before the next chunk runs; use parallel_for_scratch().
int thread_index();

namespace detail {
struct Job {
  Index n, grain;
  void (*function)(const void* context, Index begin, Index end, void* scratch);
  const void* context;
  Index scratch = 0;  // elements for each thread, of type dtype
  DType dtype = DType::f32;
};
void run_chunks(const Job& job);
}  // namespace detail

/// Calls f(begin, end) for consecutive ranges of `grain` indices (the last may be shorter) that cover 0 .. n-1, on the
/// pool's threads. Runs serially, in order, when there is one range, one thread, or a parallel_for is running already.
/// f must write to places of its own range only. What f throws reaches the caller once all threads are done.
/// `grain`: enough indices for some 10 us of work; at least 1, or Error is thrown.
template <class F>
void parallel_for(Index n, Index grain, const F& f) {
  if (n <= 0) return;
  if (n <= grain) {
    f(Index{0}, n);
    return;
  }
  const auto call = [](const void* context, Index begin, Index end, void*) {
    (*static_cast<const F*>(context))(begin, end);
  };
  detail::run_chunks({n, grain, call, &f});
}

/// The same for work that needs scratch memory: f(begin, end, scratch) may use `size` elements of T (f32 or f64) from
/// `scratch` on. They are aligned to 64 bytes, not initialized, and not shared with a chunk that runs at the same time.
/// The pool makes one piece per thread, because only the pool knows how many threads take part: set_num_threads() may
/// be called at any time.
template <class T, class F>
void parallel_for_scratch(Index n, Index grain, Index size, const F& f) {
  if (n <= 0) return;
  const auto call = [](const void* context, Index begin, Index end, void* scratch) {
    (*static_cast<const F*>(context))(begin, end, static_cast<T*>(scratch));
  };
  detail::run_chunks({n, grain, call, &f, size, dtype_of<T>()});
}

#pragma GCC visibility pop
}  // namespace gradus
