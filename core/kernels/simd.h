// What kernels see of xsimd: one vector type per element type for the instruction set being compiled, and the few calls
// whose names or signatures differ between xsimd releases. GRADUS_ISA_NAME (sse2, avx2, avx512, neon) names the set.
//
// Every set gets its own copy of everything: this file renames the namespace xsimd to xsimd_<isa>, and kernels live in
// gradus::kernels::<isa>. Otherwise the linker would merge inline functions compiled for different sets into one, and a
// portable program would die on an older CPU. The test kernel_symbols checks that nothing is left to merge.
#pragma once

#define GRADUS_JOIN_(a, b) a##b
#define GRADUS_JOIN(a, b) GRADUS_JOIN_(a, b)
#define xsimd GRADUS_JOIN(xsimd_, GRADUS_ISA_NAME)

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wconversion"
#pragma clang diagnostic ignored "-Wshadow"
#elif defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__clang__)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <cstdint>

#define GRADUS_INLINE __attribute__((always_inline)) inline

namespace gradus::kernels::GRADUS_ISA_NAME {

using Index = std::int64_t;

template <class T>
using Vec = xsimd::batch<T, xsimd::default_arch>;
template <class T>
using Mask = xsimd::batch_bool<T, xsimd::default_arch>;

/// Elements in a vector of T.
template <class T>
inline constexpr Index width = static_cast<Index>(Vec<T>::size);

template <class T>
GRADUS_INLINE Vec<T> load(const T* p) {
  return Vec<T>::load_unaligned(p);
}

template <class T>
GRADUS_INLINE void store(T* p, Vec<T> v) {
  v.store_unaligned(p);
}

/// The first n < width elements, the others 0: the tail of a loop runs the same formula as its body.
template <class T>
GRADUS_INLINE Vec<T> load_part(const T* p, Index n) {
  alignas(64) T part[width<T>] = {};
  for (Index i = 0; i < n; ++i) part[i] = p[i];
  return Vec<T>::load_aligned(part);
}

template <class T>
GRADUS_INLINE void store_part(T* p, Vec<T> v, Index n) {
  alignas(64) T part[width<T>];
  v.store_aligned(part);
  for (Index i = 0; i < n; ++i) p[i] = part[i];
}

/// The sum of the elements.
template <class T>
GRADUS_INLINE T total(Vec<T> v) {
#if XSIMD_VERSION_MAJOR < 10
  return xsimd::hadd(v);
#else
  return xsimd::reduce_add(v);
#endif
}

/// The largest element; NaN if one is NaN.
template <class T>
GRADUS_INLINE T largest(Vec<T> v) {
  alignas(64) T part[width<T>];
  v.store_aligned(part);
  T best = part[0];
  for (Index i = 1; i < width<T>; ++i) best = part[i] > best || part[i] != part[i] ? part[i] : best;
  return best;
}

/// Larger of two, NaN if either is NaN.
template <class V>
GRADUS_INLINE V larger(V a, V b) {
  return xsimd::select((a >= b) || !(a == a), a, b);  // xsimd 8 has a != a false for a NaN on AVX
}

/// a * b + c, in one rounding where the instruction set has it.
template <class V>
GRADUS_INLINE V fma(V a, V b, V c) {
  return xsimd::fma(a, b, c);
}

/// Runs body(i, n) over 0 .. count-1 in whole vectors (n == width) and at most one part (n < width): the loop shape
/// that nearly every kernel has. Loads and stores through get() and put() take the part into account.
template <class T, class Body>
GRADUS_INLINE void each_vector(Index count, const Body& body) {
  Index i = 0;
  for (; i + width<T> <= count; i += width<T>) body(i, width<T>);
  if (i < count) body(i, count - i);
}

template <class T>
GRADUS_INLINE Vec<T> get(const T* p, Index n) {
  return n == width<T> ? load(p) : load_part(p, n);
}

template <class T>
GRADUS_INLINE void put(T* p, Vec<T> v, Index n) {
  if (n == width<T>) {
    store(p, v);
  } else {
    store_part(p, v, n);
  }
}

/// Clears the lanes from n on.
template <class T>
GRADUS_INLINE Vec<T> keep(Vec<T> v, Index n) {
  if (n == width<T>) return v;
  alignas(64) T part[width<T>];
  v.store_aligned(part);
  for (Index i = n; i < width<T>; ++i) part[i] = 0;
  return Vec<T>::load_aligned(part);
}

/// Sum over i in 0 .. n-1 of f(i, m): a vector of terms from position i, lanes from m on being 0. Four vectors side by
/// side hide the latency of addition and keep partial sums short.
template <class T, class F>
GRADUS_INLINE T sum_of(Index n, const F& f) {
  constexpr Index w = width<T>;
  Vec<T> s0(0), s1(0), s2(0), s3(0);
  Index i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    s0 += f(i, w);
    s1 += f(i + w, w);
    s2 += f(i + 2 * w, w);
    s3 += f(i + 3 * w, w);
  }
  for (; i + w <= n; i += w) s0 += f(i, w);
  if (i < n) s1 += f(i, n - i);
  return total((s0 + s1) + (s2 + s3));
}

/// sum_of for long sums: blocks of 4096 add up in double, so that many small terms do not drown.
template <class T, class F>
GRADUS_INLINE double sum_in_blocks(Index n, const F& f) {
  constexpr Index block = 4096;
  double result = 0;
  for (Index begin = 0; begin < n; begin += block) {
    result += static_cast<double>(
        sum_of<T>(n - begin < block ? n - begin : block, [&](Index i, Index m) { return f(begin + i, m); }));
  }
  return result;
}

/// p[0..n) += v
template <class T>
GRADUS_INLINE void add_to(T* p, Vec<T> v, Index n) {
  put(p, get(p, n) + v, n);
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
