// The matrix product's inner parts, after Goto & van de Geijn 2008: B packed in panels as wide as the register tile, A
// read in place or packed in strips as high as the tile, and a tile of C kept in registers over the whole of k.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/simd.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// Tile sizes: rows x vectors accumulators, plus the vectors of one row of B and one broadcast, fill the register file.
#if defined(__AVX512F__)
inline constexpr int tile_rows = 12, tile_vectors = 2;  // 24 + 2 + 1 of 32 registers
#elif defined(__AVX2__)
inline constexpr int tile_rows = 6, tile_vectors = 2;  // 12 + 2 + 1 of 16
#elif defined(__aarch64__)
inline constexpr int tile_rows = 8, tile_vectors = 3;  // 24 + 3 + 1 of 32
#else
inline constexpr int tile_rows = 4, tile_vectors = 2;  // 8 + 2 + 1, and one for the product, of 16
#endif

template <class T>
inline constexpr Index panel = tile_vectors* width<T>;

template <class T>
GRADUS_INLINE constexpr Index vectors_for(Index n) {
  return (n + width<T> - 1) / width<T>;
}

template <class T>
Index packed_size(Index k, Index n) {
  return k * vectors_for<T>(n) * width<T>;
}

// Panel after panel; in each, row after row of B, padded with zeros to whole vectors.
template <class T>
void pack_b(T* packed, Factor<T> b, Index k, Index n) {
  for (Index j0 = 0; j0 < n; j0 += panel<T>) {
    const Index cols = n - j0 < panel<T> ? n - j0 : panel<T>;
    const Index padded = vectors_for<T>(cols) * width<T>;
    const T* const source = b.p + j0 * b.col;
    if (b.col == 1) {
      for (Index l = 0; l < k; ++l) {
        for (Index j = 0; j < padded; j += width<T>) {
          const Index m = cols - j < width<T> ? cols - j : width<T>;
          store(packed + l * padded + j, get(source + l * b.row + j, m));
        }
      }
    } else {
      constexpr Index block = 16;  // of k: one cache line of each column of a transposed B
      for (Index l0 = 0; l0 < k; l0 += block) {
        const Index end = l0 + block < k ? l0 + block : k;
        for (Index j = 0; j < padded; ++j) {
          const T* const column = source + j * b.col;
          for (Index l = l0; l < end; ++l) packed[l * padded + j] = j < cols ? column[l * b.row] : T(0);
        }
      }
    }
    packed += k * padded;
  }
}

// Strip after strip of tile_rows rows (the last one lower); in each, column after column.
template <class T>
void pack_a(T* packed, Factor<T> a, Index m, Index k) {
  for (Index i0 = 0; i0 < m; i0 += tile_rows) {
    const Index rows = m - i0 < tile_rows ? m - i0 : tile_rows;
    const T* const source = a.p + i0 * a.row;
    if (a.col == 1) {
      constexpr Index block = 16;
      for (Index l0 = 0; l0 < k; l0 += block) {
        const Index end = l0 + block < k ? l0 + block : k;
        for (Index i = 0; i < rows; ++i) {
          for (Index l = l0; l < end; ++l) packed[l * rows + i] = source[i * a.row + l];
        }
      }
    } else {
      for (Index l = 0; l < k; ++l) {
        for (Index i = 0; i < rows; ++i) packed[l * rows + i] = source[i * a.row + l * a.col];
      }
    }
    packed += rows * k;
  }
}

// C (R, n) = or += A B + bias, n within the last of V vectors. Everything unrolls, so the sums live in registers; rows
// of A are addressed from every fourth one, which leaves registers for the sums' addresses too. The common case stores
// whole vectors right away; the ragged edge goes through memory, in code of its own, or gcc 12 spills the sums.
template <int R, int V, class T>
void tile(T* c, Index c_stride, Factor<T> a, const T* b, Index n, Index k, bool accumulate, const T* bias) {
  const Index last = n - (V - 1) * width<T>;
  Vec<T> sums[R][V];
#pragma GCC unroll 4
  for (int j = 0; j < V; ++j) {
    const Vec<T> start = bias == nullptr ? Vec<T>(0) : get(bias + j * width<T>, j + 1 < V ? width<T> : last);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) sums[i][j] = start;
  }
  const Index row = a.row, row3 = 3 * row, step = a.col;
  const T *a0 = a.p, *a4 = a.p + 4 * row, *a8 = a.p + 8 * row;
  for (Index l = 0; l < k; ++l) {
    Vec<T> from_b[V];
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) from_b[j] = load(b + j * width<T>);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const T* const group = i < 4 ? a0 : i < 8 ? a4 : a8;
      const Vec<T> x(group[i % 4 == 0 ? 0 : i % 4 == 1 ? row : i % 4 == 2 ? 2 * row : row3]);
#pragma GCC unroll 4
      for (int j = 0; j < V; ++j) sums[i][j] = fma(x, from_b[j], sums[i][j]);
    }
    b += V * width<T>;
    a0 += step;
    a4 += step;
    a8 += step;
  }
  if (last == width<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < V; ++j) {
        T* const p = c + i * c_stride + j * width<T>;
        store(p, accumulate ? sums[i][j] + load(p) : sums[i][j]);
      }
    }
    return;
  }
  alignas(64) T edge[R * V * width<T>];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) sums[i][j].store_aligned(edge + (i * V + j) * width<T>);
  }
  for (int i = 0; i < R; ++i) {
    for (Index j = 0; j < n; ++j) {
      T* const p = c + i * c_stride + j;
      *p = accumulate ? *p + edge[i * V * width<T> + j] : edge[i * V * width<T> + j];
    }
  }
}

template <int V, class T>
GRADUS_INLINE void tile_of(Index rows, T* c, Index c_stride, Factor<T> a, const T* b, Index n, Index k, bool accumulate,
                           const T* bias) {
  switch (rows) {
#define GRADUS_TILE(R)                                                                   \
  case R:                                                                                \
    if constexpr (R <= tile_rows) tile<R, V>(c, c_stride, a, b, n, k, accumulate, bias); \
    return;
    GRADUS_TILE(1)
    GRADUS_TILE(2)
    GRADUS_TILE(3)
    GRADUS_TILE(4)
    GRADUS_TILE(5)
    GRADUS_TILE(6)
    GRADUS_TILE(7)
    GRADUS_TILE(8)
    GRADUS_TILE(9)
    GRADUS_TILE(10)
    GRADUS_TILE(11)
    GRADUS_TILE(12)
#undef GRADUS_TILE
    default:
      return;
  }
}

template <class T>
void product(T* c, Index c_stride, Factor<T> a, const T* packed_a, const T* packed_b, Index m, Index n, Index k,
             bool accumulate, const T* bias) {
  for (Index j0 = 0; j0 < n; j0 += panel<T>) {
    const Index cols = n - j0 < panel<T> ? n - j0 : panel<T>;
    const Index vectors = vectors_for<T>(cols);
    const T* const bias_j = bias == nullptr ? nullptr : bias + j0;
    for (Index i0 = 0; i0 < m; i0 += tile_rows) {
      const Index rows = m - i0 < tile_rows ? m - i0 : tile_rows;
      const Factor<T> strip =
          packed_a == nullptr ? Factor<T>{a.p + i0 * a.row, a.row, a.col} : Factor<T>{packed_a + i0 * k, 1, rows};
      T* const corner = c + i0 * c_stride + j0;
      if (vectors == 1) {
        tile_of<1>(rows, corner, c_stride, strip, packed_b, cols, k, accumulate, bias_j);
      } else if (vectors == 2) {
        tile_of<2>(rows, corner, c_stride, strip, packed_b, cols, k, accumulate, bias_j);
      } else if constexpr (tile_vectors >= 3) {
        tile_of<3>(rows, corner, c_stride, strip, packed_b, cols, k, accumulate, bias_j);
      }
    }
    packed_b += k * vectors * width<T>;
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
