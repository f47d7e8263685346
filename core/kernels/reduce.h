// Sums: how every kernel adds up many terms, and the kernels of sum.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

/// How many terms a block sums in T. Blocks are added in double: the error of one long sum in T would grow with its
/// length.
inline constexpr Index sum_block = 4096;

/// Sum over i in begin .. end-1 of f(i, m): a vector of terms from position i, lanes from m on being 0. Four vectors
/// side by side hide the latency of addition and keep partial sums short.
template <class T, class F>
GRADUS_INLINE T sum_between(Index begin, Index end, const F& f) {
  constexpr Index w = width<T>;
  Vec<T> s0(0), s1(0), s2(0), s3(0);
  Index i = begin;
  for (; i + 4 * w <= end; i += 4 * w) {
    s0 += f(i, w);
    s1 += f(i + w, w);
    s2 += f(i + 2 * w, w);
    s3 += f(i + 3 * w, w);
  }
  for (; i + w <= end; i += w) s0 += f(i, w);
  if (i < end) s1 += f(i, end - i);
  return total((s0 + s1) + (s2 + s3));
}

/// The same from 0 on, in double from block to block.
template <class T, class F>
GRADUS_INLINE double sum_in_blocks(Index n, const F& f) {
  double result = 0;
  for (Index begin = 0; begin < n; begin += sum_block) {
    result += static_cast<double>(sum_between<T>(begin, at_most(begin + sum_block, n), f));
  }
  return result;
}

/// Sum over i in 0 .. n-1 of f(i, m), in blocks when it is long. Both ways are inlined: a call would make f's variables
/// live in memory.
template <class T, class F>
GRADUS_INLINE T sum_of(Index n, const F& f) {
  if (n <= sum_block) [[likely]]
    return sum_between<T>(0, n, f);
  return static_cast<T>(sum_in_blocks<T>(n, f));
}

template <class T>
struct Pair {
  Vec<T> first, second;
};
template <class T>
struct Sums {
  T first, second;
};

/// Two sums in one pass over what they share: f gives a pair of vectors.
template <class T, class F>
GRADUS_INLINE Sums<T> sums_between(Index begin, Index end, const F& f) {
  constexpr Index w = width<T>;
  Pair<T> even{Vec<T>(0), Vec<T>(0)}, odd = even;
  const auto add = [](Pair<T>& sum, Pair<T> terms) {
    sum.first += terms.first;
    sum.second += terms.second;
  };
  Index i = begin;
  for (; i + 2 * w <= end; i += 2 * w) {
    add(even, f(i, w));
    add(odd, f(i + w, w));
  }
  for (; i < end; i += w) add(even, f(i, at_most(end - i, w)));
  return {total(even.first + odd.first), total(even.second + odd.second)};
}

template <class T, class F>
GRADUS_INLINE Sums<T> sums_of(Index n, const F& f) {
  if (n <= sum_block) [[likely]]
    return sums_between<T>(0, n, f);
  double first = 0, second = 0;
  for (Index begin = 0; begin < n; begin += sum_block) {
    const Sums<T> sums = sums_between<T>(begin, at_most(begin + sum_block, n), f);
    first += static_cast<double>(sums.first);
    second += static_cast<double>(sums.second);
  }
  return {static_cast<T>(first), static_cast<T>(second)};
}

template <class T>
T sum(const T* x, Index n) {
  return sum_of<T>(n, [&](Index i, Index m) { return get(x + i, m); });
}

template <class T>
void add_scalar(T* y, T x, Index n) {
  each_vector<T>(n, [&](Index i, Index m) { add_to(y + i, Vec<T>(x), m); });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
