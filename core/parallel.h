// parallel_for on one persistent pool. Work is cut by its size alone, never by the number of threads, so results have
// the same bits at any thread count; threads only decide who computes which chunk. The pool's threads start with the
// first parallel_for that has work for them and end with the program. Any thread may call, also several at once: one
// has the pool and the others work alone. After fork() the child has a pool of its own.
#pragma once

#include <type_traits>

#include <gradus/core/shape.h>

namespace gradus {
#pragma GCC visibility push(default)

/// How many threads may work on one operation, the calling one included: at least 1. The default is the number of
/// cores this process may use, or the environment variable GRADUS_NUM_THREADS.
inline constexpr int max_threads = 256;
void set_num_threads(int threads);
int num_threads();

/// 0 .. num_threads()-1 inside a chunk: which thread runs it; for scratch memory that is not shared.
int thread_index();

namespace detail {
using ChunkFunction = void (*)(const void* context, Index begin, Index end);
void run_chunks(Index n, Index grain, ChunkFunction function, const void* context);
}  // namespace detail

/// Calls f(begin, end) for consecutive ranges of `grain` indices (the last may be shorter) that cover 0 .. n-1, on the
/// pool's threads. Runs serially, in order, when there is one range, one thread, or a parallel_for is running already.
/// f must write to places of its own range only. What f throws reaches the caller once all threads are done.
/// `grain`: enough indices for some 10 us of work.
template <class F>
void parallel_for(Index n, Index grain, const F& f) {
  if (n <= 0) return;
  if (n <= grain) {
    f(Index{0}, n);
    return;
  }
  detail::run_chunks(
      n, grain, [](const void* context, Index begin, Index end) { (*static_cast<const F*>(context))(begin, end); }, &f);
}

#pragma GCC visibility pop
}  // namespace gradus
