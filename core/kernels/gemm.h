// The matrix product after Goto & van de Geijn 2008: B packed in panels as wide as the register tile, A in strips as
// high as the tile, or either read in place, and a tile of C kept in registers over a block of k.
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

// Columns of B that are packed at a time: whole panels, and whole cache lines of a row.
template <class T>
inline constexpr Index group = 64 / panel<T>* panel<T>;

template <class T>
GRADUS_INLINE constexpr Index vectors_for(Index n) {
  return (n + width<T> - 1) / width<T>;
}

template <class T>
Index packed_size(Index k, Index n) {
  return k * vectors_for<T>(n) * width<T>;
}

// The offset of a packed strip of A: its first row is i, a multiple of tile_rows, and its slice of k starts at l.
// Slices follow one another; within a slice, strips do.
template <class T>
GRADUS_INLINE Index packed_a_offset(const Product<T>& p, Index l, Index i) {
  const Index depth = at_most(p.k - l, product_depth);
  return l * ((p.m + tile_rows - 1) / tile_rows * tile_rows) + i * depth;
}

// Panel after panel; in each, row after row of B, padded with zeros to whole vectors. A contiguous row of B
// is read once, from front to back, for all panels.
template <class T>
void pack_b(T* packed, Factor<T> b, Index k, Index n) {
  if (b.col == 1) {
    const Index whole = n / panel<T> * panel<T>, rest = n - whole, padded = vectors_for<T>(rest) * width<T>;
    for (Index l = 0; l < k; ++l) {
      const T* const row = b.p + l * b.row;
      T* to = packed + l * panel<T>;
      for (Index j = 0; j < whole; j += panel<T>, to += k * panel<T>) {
#pragma GCC unroll 4
        for (Index v = 0; v < tile_vectors; ++v) store(to + v * width<T>, load(row + j + v * width<T>));
      }
      to = packed + k * whole + l * padded;
      each_vector<T>(rest, [&](Index j, Index m) { store(to + j, get(row + whole + j, m)); });
    }
    return;
  }
  for (Index j = 0; j < n; j += panel<T>) {
    const Index cols = at_most(n - j, panel<T>), padded = vectors_for<T>(cols) * width<T>;
    transpose_block(packed, padded, padded, b.p + j * b.col, b.col, cols, k);
    packed += k * padded;
  }
}

// Rows first .. first + width - 1 of a strip. The matrix has `high` of them, the strip has room for `room`. Columns
// before `whole` are stored as whole vectors, whose excess lands in the next column, which is written later: only the
// last columns need masked stores, which are slow.
template <class T>
struct StripPart {
  T* strip;
  Factor<T> a;  // from the part's first row on
  Index first, high, room, whole;

  GRADUS_INLINE void put_column(Index j, Vec<T> v) const {
    put(strip + j * tile_rows + first, v, j < whole ? width<T> : room);
  }
};

// Columns j0 .. j1-1 of rows that lie in memory as such: squares of them are transposed.
template <class T>
GRADUS_INLINE void pack_rows(const StripPart<T>& part, Index j0, Index j1) {
  constexpr Index w = width<T>;
  for (Index j = j0; j < j1; j += w) {
    const Index wide = at_most(j1 - j, w);
    Vec<T> square[w];
#pragma GCC unroll 16
    for (Index r = 0; r < w; ++r) square[r] = r < part.high ? get(part.a.p + r * part.a.row + j, wide) : Vec<T>(0);
    transpose_square(square);
#pragma GCC unroll 16
    for (Index q = 0; q < w; ++q) {
      if (q < wide) part.put_column(j + q, square[q]);
    }
  }
}

// The same where A is the transposed view of a row-major matrix: its columns lie in memory as such.
template <class T>
GRADUS_INLINE void pack_columns(const StripPart<T>& part, Index j0, Index j1) {
  for (Index j = j0; j < j1; ++j) part.put_column(j, get(part.a.p + j * part.a.col, part.high));
}

// Columns j0 .. j1-1 of the first `rows` rows of `a`, as one strip.
template <class T>
GRADUS_INLINE void pack_strip(T* strip, Factor<T> a, Index rows, Index j0, Index j1, Index whole) {
  constexpr Index w = width<T>, vectors = (tile_rows + w - 1) / w;
  for (Index v = vectors - 1; v >= 0; --v) {  // downwards: the last one spills into the next column's first rows
    const Index first = v * w, high = rows - first < 0 ? 0 : at_most(rows - first, w);
    const StripPart<T> part{strip, {a.p + first * a.row, a.row, a.col}, first,
                            high,  at_most(tile_rows - first, w),       whole};
    if (a.col == 1) {
      pack_rows(part, j0, j1);
    } else {
      pack_columns(part, j0, j1);
    }
  }
}

// Rows i0 .. i1-1 and columns l0 .. l1-1 of A, in strips of tile_rows rows; in each, column after column, a low last
// strip filled up with zeros. A transposed A is packed a few of its rows at a time, for all strips: packed strip by
// strip, a cache line that several strips share would be fetched once for each, because rows a power of two apart evict
// each other.
template <class T>
void pack_a(T* packed, const Product<T>& p, Index i0, Index i1, Index l0, Index l1) {
  for (Index l = l0; l < l1; l += product_depth) {
    const Index depth = at_most(p.k - l, product_depth);
    // The last columns' vectors would reach into the next strip, which another thread may be packing.
    const Index whole = depth - (tile_rows % width<T> != 0 ? width<T> : 0);
    const Index block = p.a.col == 1 ? depth : 8;
    for (Index j = 0; j < depth; j += block) {
      for (Index i = i0; i < i1; i += tile_rows) {
        const Factor<T> a{p.a.p + i * p.a.row + l * p.a.col, p.a.row, p.a.col};
        pack_strip(packed + packed_a_offset(p, l, i), a, at_most(i1 - i, tile_rows), j, at_most(j + block, depth),
                   whole);
      }
    }
  }
}

// C (R, n) = or += A B + bias; the n columns take V vectors, the last one perhaps in part. Everything unrolls, so the
// sums live in registers; rows of A are addressed from every fourth one, which leaves registers for the sums' addresses
// too. The common case stores whole vectors right away; the ragged edge has code of its own, or gcc 12 spills the sums.
// Rows of B, of V whole vectors, lie b_row apart.
template <int R, int V, bool packed, class T>
void tile(T* c, Index c_stride, Factor<T> a, const T* b, Index b_row, Index n, Index k, bool accumulate,
          const T* bias) {
  const Index last = n - (V - 1) * width<T>;
  Vec<T> sums[R][V];
#pragma GCC unroll 4
  for (int j = 0; j < V; ++j) {
    const Vec<T> start = bias == nullptr ? Vec<T>(0) : get(bias + j * width<T>, j + 1 < V ? width<T> : last);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) sums[i][j] = start;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) __builtin_prefetch(c + i * c_stride, 1);
  const Index row = packed ? 1 : a.row, row3 = 3 * row, step = packed ? tile_rows : a.col;
  const Index b_step = packed ? V * width<T> : b_row;  // where A is packed, so is B
  const T *a0 = a.p, *a4 = a.p + 4 * row, *a8 = a.p + 8 * row;
  for (Index l = 0; l < k; ++l) {
    Vec<T> from_b[V];
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) from_b[j] = load(b + j * width<T>);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const T* const group = packed ? a0 + i : i < 4 ? a0 : i < 8 ? a4 : a8;
      const Vec<T> x(group[packed || i % 4 == 0 ? 0 : i % 4 == 1 ? row : i % 4 == 2 ? 2 * row : row3]);
#pragma GCC unroll 4
      for (int j = 0; j < V; ++j) sums[i][j] = multiply_add(x, from_b[j], sums[i][j]);
    }
    b += b_step;
    a0 += step;
    if constexpr (!packed) {
      a4 += step;
      a8 += step;
    }
  }
  with_constant(accumulate, [&](auto adding) GRADUS_INLINED {
    if (last == width<T>) {
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < V; ++j) add_to(c + i * c_stride + j * width<T>, sums[i][j], width<T>, adding);
      }
      return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < V; ++j) {
        add_to(c + i * c_stride + j * width<T>, sums[i][j], j + 1 < V ? width<T> : last, adding);
      }
    }
  });
}

template <int V, class T>
GRADUS_INLINE void tile_of(Index rows, T* c, Index c_stride, Factor<T> a, const T* b, Index b_row, Index n, Index k,
                           bool accumulate, const T* bias) {
  switch (rows) {
#define GRADUS_TILE(R)                                                                                     \
  case R:                                                                                                  \
    if constexpr ((R) <= tile_rows) tile<(R), V, false>(c, c_stride, a, b, b_row, n, k, accumulate, bias); \
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

// A tile of `rows` rows and n columns, at most a panel.
template <class T>
GRADUS_INLINE void tile_of_any(Index rows, T* c, Index c_stride, Factor<T> a, const T* b, Index b_row, Index n, Index k,
                               bool accumulate, const T* bias) {
  const Index vectors = vectors_for<T>(n);
  if (vectors == 1) {
    tile_of<1>(rows, c, c_stride, a, b, b_row, n, k, accumulate, bias);
  } else if (vectors == 2) {
    tile_of<2>(rows, c, c_stride, a, b, b_row, n, k, accumulate, bias);
  } else if constexpr (tile_vectors >= 3) {
    tile_of<3>(rows, c, c_stride, a, b, b_row, n, k, accumulate, bias);
  }
}

// C (m, n) = or += A B + bias for at most a panel of columns, in tiles from the top.
template <class T>
GRADUS_INLINE void product_of_panel(T* c, Index c_stride, Factor<T> a, const T* b, Index b_row, Index m, Index n,
                                    Index k, bool accumulate, const T* bias) {
  for (Index i = 0; i < m; i += tile_rows) {
    tile_of_any(at_most(m - i, tile_rows), c + i * c_stride, c_stride, Factor<T>{a.p + i * a.row, a.row, a.col}, b,
                b_row, n, k, accumulate, bias);
  }
}

// C (m, n) = or += A B + bias with all of B packed.
template <class T>
void product_of_packed(T* c, Index c_stride, Factor<T> a, const T* packed_b, Index m, Index n, Index k, bool accumulate,
                       const T* bias = nullptr) {
  for (Index j = 0; j < n; j += panel<T>) {
    const Index cols = at_most(n - j, panel<T>), padded = vectors_for<T>(cols) * width<T>;
    product_of_panel(c + j, c_stride, a, packed_b, padded, m, cols, k, accumulate,
                     bias == nullptr ? nullptr : bias + j);
    packed_b += k * padded;
  }
}

// One slice of a product's k, rows i0 .. i1-1.
template <class T>
struct Slice {
  const Product<T>& p;
  Index i0, i1, l, depth;
  bool accumulate;
  const T* bias;

  GRADUS_INLINE const T* bias_from(Index j) const { return bias == nullptr ? nullptr : bias + j; }
};

// Columns j .. j+cols-1 of a slice with A as it lies. B is read in place too if few rows use it or if it fits in the L1
// cache; otherwise it is packed.
template <class T>
GRADUS_INLINE void product_in_place(const Slice<T>& s, Factor<T> b, Index j, Index cols, T* packed_b) {
  constexpr Index l1_cache = 32768 / sizeof(T);
  const Product<T>& p = s.p;
  const Index rows = s.i1 - s.i0;
  const bool in_place = b.col == 1 && (rows <= 2 * tile_rows || b.row * s.depth <= l1_cache);
  const Index direct = in_place ? cols / width<T> * width<T> : 0;
  const Factor<T> a{p.a.p + s.i0 * p.a.row + s.l * p.a.col, p.a.row, p.a.col};
  T* const c = p.c + s.i0 * p.c_stride + j;
  for (Index q = 0; q < direct; q += panel<T>) {
    product_of_panel(c + q, p.c_stride, a, b.p + q, b.row, rows, at_most(direct - q, panel<T>), s.depth, s.accumulate,
                     s.bias_from(j + q));
  }
  if (direct == cols) return;
  pack_b(packed_b, Factor<T>{b.p + direct * b.col, b.row, b.col}, s.depth, cols - direct);
  product_of_packed(c + direct, p.c_stride, a, packed_b, rows, cols - direct, s.depth, s.accumulate,
                    s.bias_from(j + direct));
}

// Prefetches the source of the next group of B's panels, a few lines per tile, before it is packed.
template <class T>
class GroupPrefetch {
 public:
  GRADUS_INLINE GroupPrefetch(Factor<T> next, bool wanted, Index tiles)
      : next_(next), share_((lines + tiles - 1) / tiles), done_(wanted ? 0 : lines) {}

  GRADUS_INLINE void some() {
    constexpr Index line = 64 / sizeof(T), lines_wide = group<T> / line, lines_deep = product_depth / line;
    const Index end = at_most(done_ + share_, lines);
    for (Index i = done_; i < end; ++i) {
      __builtin_prefetch(next_.col == 1 ? next_.p + i / lines_wide * next_.row + i % lines_wide * line
                                        : next_.p + i / lines_deep * next_.col + i % lines_deep * line,
                         0, 2);
    }
    done_ = end;
  }

 private:
  static constexpr Index lines = product_depth * group<T> * static_cast<Index>(sizeof(T)) / 64;
  Factor<T> next_;
  Index share_, done_;
};

// Columns j .. j+cols-1 of a slice with A packed: while B's packed panels are used, A's strips come by in blocks that
// stay in the L2 cache.
template <class T>
GRADUS_INLINE void product_of_strips(const Slice<T>& s, const T* packed_b, Index j, Index cols,
                                     GroupPrefetch<T> prefetch) {
  constexpr Index block = 16 * tile_rows;
  const Product<T>& p = s.p;
  for (Index i_block = s.i0; i_block < s.i1; i_block += block) {
    const Index i_end = at_most(i_block + block, s.i1);
    const T* panel_b = packed_b;
    for (Index q = 0; q < cols; q += panel<T>, panel_b += s.depth * panel<T>) {
      const Index wide = at_most(cols - q, panel<T>);
      for (Index i = i_block; i < i_end; i += tile_rows) {
        prefetch.some();
        T* const corner = p.c + i * p.c_stride + j + q;
        const Factor<T> strip{p.packed_a + packed_a_offset(p, s.l, i), 1, tile_rows};
        if (i + tile_rows <= i_end && wide == panel<T>) {
          tile<tile_rows, tile_vectors, true>(corner, p.c_stride, strip, panel_b, panel<T>, wide, s.depth, s.accumulate,
                                              s.bias_from(j + q));
        } else {
          tile_of_any(at_most(i_end - i, tile_rows), corner, p.c_stride, strip, panel_b,
                      vectors_for<T>(wide) * width<T>, wide, s.depth, s.accumulate, s.bias_from(j + q));
        }
      }
    }
  }
}

// Rows i0 .. i1-1 and columns j0 .. j1-1 of a product. A group of B's panels is packed right before it is used, while
// the next one's source is prefetched.
template <class T>
void product(const Product<T>& p, Index i0, Index i1, Index j0, Index j1) {
  alignas(64) T packed_b[product_depth * group<T>];
  for (Index l = 0; l == 0 || l < p.k; l += product_depth) {
    const Slice<T> slice{.p = p,
                         .i0 = i0,
                         .i1 = i1,
                         .l = l,
                         .depth = at_most(p.k - l, product_depth),
                         .accumulate = p.accumulate || l > 0,
                         .bias = l > 0 ? nullptr : p.bias};
    for (Index j = j0; j < j1; j += group<T>) {
      const Index cols = at_most(j1 - j, group<T>);
      const Factor<T> b{p.b.p + l * p.b.row + j * p.b.col, p.b.row, p.b.col};
      if (p.packed_a == nullptr) {
        product_in_place(slice, b, j, cols, packed_b);
        continue;
      }
      pack_b(packed_b, b, slice.depth, cols);
      const Factor<T> next{b.p + group<T> * b.col, b.row, b.col};
      const bool wanted = j + 2 * group<T> <= j1 && slice.depth == product_depth;
      const Index tiles = (i1 - i0 + tile_rows - 1) / tile_rows * (group<T> / panel<T>);
      product_of_strips(slice, packed_b, j, cols, GroupPrefetch<T>(next, wanted, tiles));
    }
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
