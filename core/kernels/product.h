// The matrix product after Goto & van de Geijn 2008: B packed in panels as wide as the register tile, A read in place
// or packed in strips as high as the tile, and a tile of C kept in registers over a block of k.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/transpose.h>

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

// Either factor has row or col 1.

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
      transpose_block(packed, padded, padded, source, b.col, cols, k);
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
      transpose_block(packed, rows, rows, source, a.row, rows, k);
    } else {  // the transposed view of a row-major matrix: a.row is 1
      for (Index l = 0; l < k; ++l) {
        const T* const column = source + l * a.col;
        for (Index i = 0; i < rows; i += width<T>) {
          const Index high = rows - i < width<T> ? rows - i : width<T>;
          put(packed + l * rows + i, get(column + i, high), high);
        }
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
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) __builtin_prefetch(c + i * c_stride + j * width<T>, 1);
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
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) {
      const Index m = j + 1 < V ? width<T> : last;
      T* const p = c + i * c_stride + j * width<T>;
      put(p, accumulate ? sums[i][j] + get(p, m) : sums[i][j], m);
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

// C (m, n) = or += A B + bias with B packed, n at most a panel. `packed_a` is null when A is read in place.
template <class T>
GRADUS_INLINE void product_of_panel(T* c, Index c_stride, Factor<T> a, const T* packed_a, const T* panel_b, Index m,
                                    Index n, Index k, bool accumulate, const T* bias) {
  const Index vectors = vectors_for<T>(n);
  for (Index i = 0; i < m; i += tile_rows) {
    const Index rows = m - i < tile_rows ? m - i : tile_rows;
    const Factor<T> strip =
        packed_a == nullptr ? Factor<T>{a.p + i * a.row, a.row, a.col} : Factor<T>{packed_a + i * k, 1, rows};
    if (vectors == 1) {
      tile_of<1>(rows, c + i * c_stride, c_stride, strip, panel_b, n, k, accumulate, bias);
    } else if (vectors == 2) {
      tile_of<2>(rows, c + i * c_stride, c_stride, strip, panel_b, n, k, accumulate, bias);
    } else if constexpr (tile_vectors >= 3) {
      tile_of<3>(rows, c + i * c_stride, c_stride, strip, panel_b, n, k, accumulate, bias);
    }
  }
}

// C (m, n) = or += A B with all of B packed.
template <class T>
void product_of_packed(T* c, Index c_stride, Factor<T> a, const T* packed_b, Index m, Index n, Index k,
                       bool accumulate) {
  for (Index j = 0; j < n; j += panel<T>) {
    const Index cols = n - j < panel<T> ? n - j : panel<T>;
    product_of_panel<T>(c + j, c_stride, a, nullptr, packed_b, m, cols, k, accumulate, nullptr);
    packed_b += k * vectors_for<T>(cols) * width<T>;
  }
}

// C (m, n) = or += A B + bias. Each panel of B is packed right before it is used, so it is read from the L1 cache; A is
// packed into `scratch` (m x product_depth) unless that is null.
template <class T>
void product(T* c, Index c_stride, Factor<T> a, Factor<T> b, Index m, Index n, Index k, bool accumulate, const T* bias,
             T* scratch) {
  alignas(64) T panel_b[product_depth * panel<T>];
  for (Index l = 0; l == 0 || l < k; l += product_depth) {
    const Index depth = k - l < product_depth ? k - l : product_depth;
    const Factor<T> slice{a.p + l * a.col, a.row, a.col};
    if (scratch != nullptr) pack_a(scratch, slice, m, depth);
    for (Index j = 0; j < n; j += panel<T>) {
      const Index cols = n - j < panel<T> ? n - j : panel<T>;
      pack_b(panel_b, Factor<T>{b.p + l * b.row + j * b.col, b.row, b.col}, depth, cols);
      product_of_panel<T>(c + j, c_stride, slice, scratch, panel_b, m, cols, depth, accumulate || l > 0,
                          l > 0 || bias == nullptr ? nullptr : bias + j);
    }
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
