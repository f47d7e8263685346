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
#include <type_traits>

#define GRADUS_INLINED __attribute__((always_inline))  // for lambdas
#define GRADUS_INLINE GRADUS_INLINED inline

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

/// The sum of the elements.
template <class T>
GRADUS_INLINE T total(Vec<T> v) {
#if XSIMD_VERSION_MAJOR < 10
  return xsimd::hadd(v);
#else
  return xsimd::reduce_add(v);
#endif
}

/// The largest element; any, if one is NaN.
template <class T>
GRADUS_INLINE T largest(Vec<T> v) {
  alignas(64) T part[width<T>];
  v.store_aligned(part);
  T best = part[0];
  for (Index i = 1; i < width<T>; ++i) best = part[i] > best ? part[i] : best;
  return best;
}

/// The square root. xsimd 8.1 approximates that of floats on NEON, and then has a NaN for infinity.
template <class T, class A>
GRADUS_INLINE xsimd::batch<T, A> root(xsimd::batch<T, A> x) {
#if XSIMD_WITH_NEON64
  if constexpr (std::is_same_v<T, float>) return vsqrtq_f32(x);
#endif
  return xsimd::sqrt(x);
}

/// a / b. xsimd 8.1 approximates the quotient of floats on NEON.
template <class T, class A>
GRADUS_INLINE xsimd::batch<T, A> quotient(xsimd::batch<T, A> a, xsimd::batch<T, A> b) {
#if XSIMD_WITH_NEON64
  if constexpr (std::is_same_v<T, float>) return vdivq_f32(a, b);
#endif
  return a / b;
}

/// Larger of two, NaN if either is NaN.
template <class V>
GRADUS_INLINE V larger(V a, V b) {
  return xsimd::select((a >= b) || !(a == a), a, b);  // xsimd 8 has a != a false for a NaN on AVX
}

/// a * b + c, in one rounding where the instruction set has it. xsimd 8.1's fma has two on AVX-512, and for floats on
/// NEON, unless the compiler fuses them, which clang does not. (Were this called fma, calls would find xsimd's.)
template <class T, class A>
GRADUS_INLINE xsimd::batch<T, A> multiply_add(xsimd::batch<T, A> a, xsimd::batch<T, A> b, xsimd::batch<T, A> c) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return _mm512_fmadd_ps(a, b, c);
  if constexpr (std::is_same_v<T, double>) return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
  if constexpr (std::is_same_v<T, float>) return _mm256_fmadd_ps(a, b, c);
  if constexpr (std::is_same_v<T, double>) return _mm256_fmadd_pd(a, b, c);
#elif XSIMD_WITH_NEON64
  if constexpr (std::is_same_v<T, float>) return vfmaq_f32(c, a, b);
  if constexpr (std::is_same_v<T, double>) return vfmaq_f64(c, a, b);
#else
  return a * b + c;
#endif
}

/// c - a * b, likewise.
template <class T, class A>
GRADUS_INLINE xsimd::batch<T, A> subtract_product(xsimd::batch<T, A> c, xsimd::batch<T, A> a, xsimd::batch<T, A> b) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return _mm512_fnmadd_ps(a, b, c);
  if constexpr (std::is_same_v<T, double>) return _mm512_fnmadd_pd(a, b, c);
#elif defined(__FMA__)
  if constexpr (std::is_same_v<T, float>) return _mm256_fnmadd_ps(a, b, c);
  if constexpr (std::is_same_v<T, double>) return _mm256_fnmadd_pd(a, b, c);
#elif XSIMD_WITH_NEON64
  if constexpr (std::is_same_v<T, float>) return vfmsq_f32(c, a, b);
  if constexpr (std::is_same_v<T, double>) return vfmsq_f64(c, a, b);
#else
  return c - a * b;
#endif
}

/// v as it is rounded: a product that the compiler must not fuse with the sum that it goes into.
template <class V>
GRADUS_INLINE V rounded(V v) {
#if defined(__aarch64__)
  asm("" : "+w"(v.data));
#elif defined(__AVX512F__)
  asm("" : "+v"(v.data));
#else
  asm("" : "+x"(v.data));
#endif
  return v;
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
