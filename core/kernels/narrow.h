// Products with narrow matrices. Each of a group's 16 rows has a lane of its own in every vector, so nothing is summed
// up across lanes. The numbers are widened in registers (bf16) or multiplied as whole numbers, four at a time, by
// numbers of 8 bits that x is rounded to (int8, int4): a scale is due only once for 32 of them.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/transpose.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

using Lanes = Vec<std::uint32_t>;
using Wholes = Vec<std::int32_t>;
using Shorts = Vec<std::int16_t>;

/// Vectors that hold a number for each row of a group.
inline constexpr int group_vectors = static_cast<int>(narrow_group / width<float>);

#if defined(__AVX512F__)
// Rows of x that share what is read of the matrix; groups of the matrix side by side where there is one row.
inline constexpr int narrow_rows = 4, narrow_groups = 4;
#elif defined(__AVX2__)
inline constexpr int narrow_rows = 2, narrow_groups = 2;
#else
inline constexpr int narrow_rows = 1, narrow_groups = 1;
#endif

GRADUS_INLINE Lanes load_lanes(const std::byte* p) {
  return Lanes::load_unaligned(reinterpret_cast<const std::uint32_t*>(p));
}

/// The bf16 numbers in the lower halves of the lanes, and those in the upper ones.
GRADUS_INLINE Vec<float> lower_bf16(Lanes pairs) {
  return __builtin_bit_cast(Vec<float>, pairs << 16);
}
GRADUS_INLINE Vec<float> upper_bf16(Lanes pairs) {
  return __builtin_bit_cast(Vec<float>, pairs & Lanes(0xffff0000U));
}

/// Asks for what lies a kilobyte and a half further on: 64 bytes.
GRADUS_INLINE void prefetch_cell(const std::byte* p) {
  constexpr Index ahead = 1536;
  __builtin_prefetch(p + ahead);
}

/// Sums of products: for each of 32-bit lanes a b + c d of the 16-bit numbers in it.
GRADUS_INLINE Wholes pair_products(Shorts a, Shorts b) {
#if defined(__AVX512F__)
  return _mm512_madd_epi16(a, b);
#elif defined(__AVX2__)
  return _mm256_madd_epi16(a, b);
#elif defined(__SSE2__)
  return _mm_madd_epi16(a, b);
#else
  const int16x8_t x = a, y = b;
  return vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
#endif
}

/// Four numbers of x, in every lane, and sums of their products with four unsigned numbers of 8 bits in each lane.
/// `small`: these are below 16.
#if defined(__AVX512VNNI__)
struct Four {
  Wholes q;
  GRADUS_INLINE explicit Four(std::int32_t bytes) : q(bytes) {}
  template <bool small>
  GRADUS_INLINE Wholes add_to(Wholes sum, Lanes w) const {
    return _mm512_dpbusd_epi32(sum, w, q);
  }
};
#else
struct Four {
  Shorts q, even, odd;
  GRADUS_INLINE explicit Four(std::int32_t bytes)
      : q(__builtin_bit_cast(Shorts, Wholes(bytes))), even((q << 8) >> 8), odd(q >> 8) {}
  template <bool small>
  GRADUS_INLINE Wholes add_to(Wholes sum, Lanes w) const {
#if defined(__AVX512F__)
    if constexpr (small) return sum + pair_products(_mm512_maddubs_epi16(w, q), Shorts(1));
#elif defined(__AVX2__)
    if constexpr (small) return sum + pair_products(_mm256_maddubs_epi16(w, q), Shorts(1));
#endif
    const Shorts low = __builtin_bit_cast(Shorts, w & Lanes(0x00ff00ffU));
    const Shorts high = __builtin_bit_cast(Shorts, __builtin_bit_cast(Vec<std::uint16_t>, w) >> 8);
    return sum + pair_products(low, even) + pair_products(high, odd);
  }
};
#endif

/// Writes sums of groups g .. g+G-1 for rows r .. r+R-1 of X.
template <int R, int G>
GRADUS_INLINE void put_sums(const NarrowProduct& p, Index g, Index r, Vec<float> (&sums)[G][group_vectors][R]) {
#pragma GCC unroll 4
  for (int i = 0; i < G; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < group_vectors; ++v) {
      const Index j = (g + i) * narrow_group + v * width<float>, m = at_most(p.n - j, width<float>);
      if (m <= 0) return;
      const Vec<float> bias = p.bias == nullptr ? Vec<float>(0) : get(p.bias + j, m);
#pragma GCC unroll 4
      for (int q = 0; q < R; ++q) put(p.y + (r + q) * p.y_stride + j, sums[i][v][q] + bias, m);
    }
  }
}

template <int R, int G>
void bf16_product(const NarrowProduct& p, Index g, Index r) {
  const Index runs = (p.k + narrow_run - 1) / narrow_run, group_bytes = runs * narrow_run_bytes(NarrowType::bf16);
  const std::byte* w = p.weight + g * group_bytes;
  const float* x = reinterpret_cast<const float*>(p.x + r * p.x_stride);
  const Index x_stride = p.x_stride / static_cast<Index>(sizeof(float));
  Vec<float> even[G][group_vectors][R], odd[G][group_vectors][R];
#pragma GCC unroll 4
  for (int i = 0; i < G; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < group_vectors; ++v) {
#pragma GCC unroll 4
      for (int q = 0; q < R; ++q) even[i][v][q] = odd[i][v][q] = Vec<float>(0);
    }
  }
  for (Index l = 0; l < runs * narrow_run; l += 2) {
#pragma GCC unroll 4
    for (int i = 0; i < G; ++i) {
      prefetch_cell(w + i * group_bytes);
#pragma GCC unroll 4
      for (int v = 0; v < group_vectors; ++v) {
        const Lanes pairs = load_lanes(w + i * group_bytes + 4 * v * width<float>);
#pragma GCC unroll 4
        for (int q = 0; q < R; ++q) {
          const float* const two = x + q * x_stride + l;
          even[i][v][q] = multiply_add(lower_bf16(pairs), Vec<float>(two[0]), even[i][v][q]);
          odd[i][v][q] = multiply_add(upper_bf16(pairs), Vec<float>(two[1]), odd[i][v][q]);
        }
      }
    }
    w += 64;
  }
#pragma GCC unroll 4
  for (int i = 0; i < G; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < group_vectors; ++v) {
#pragma GCC unroll 4
      for (int q = 0; q < R; ++q) even[i][v][q] += odd[i][v][q];
    }
  }
  put_sums<R, G>(p, g, r, even);
}

template <int R, int G>
using WholeSums = Wholes[G][group_vectors][R];

/// Adds the products of a block: `cells` cells of 64 bytes a group, from w on.
template <NarrowType type, int R, int G>
GRADUS_INLINE void add_block(WholeSums<R, G>& sums, const std::byte* w, Index group_bytes, const NarrowBlock* x,
                             Index x_stride) {
  constexpr bool four_bits = type == NarrowType::int4;
  constexpr int cells = four_bits ? 4 : 8, halves = four_bits ? 2 : 1;
#pragma GCC unroll 8
  for (int c = 0; c < cells; ++c) {
    Lanes cell[G][group_vectors];
#pragma GCC unroll 4
    for (int i = 0; i < G; ++i) {
      prefetch_cell(w + i * group_bytes + 64 * c);
#pragma GCC unroll 4
      for (int v = 0; v < group_vectors; ++v)
        cell[i][v] = load_lanes(w + i * group_bytes + 64 * c + 4 * v * width<float>);
    }
#pragma GCC unroll 2
    for (int half = 0; half < halves; ++half) {
#pragma GCC unroll 4
      for (int q = 0; q < R; ++q) {
        std::int32_t bytes;
        __builtin_memcpy(&bytes, x[q * x_stride].q + 4 * (halves * c + half), sizeof bytes);
        const Four four(bytes);
#pragma GCC unroll 4
        for (int i = 0; i < G; ++i) {
#pragma GCC unroll 4
          for (int v = 0; v < group_vectors; ++v) {
            Lanes numbers = cell[i][v];
            if constexpr (four_bits) numbers = (numbers >> (4 * half)) & Lanes(0x0f0f0f0fU);
            sums[i][v][q] = four.template add_to<four_bits>(sums[i][v][q], numbers);
          }
        }
      }
    }
  }
}

template <NarrowType type, int R, int G>
void int_product(const NarrowProduct& p, Index g, Index r) {
  constexpr Index run_bytes = narrow_run_bytes(type), block_bytes = (run_bytes - 64) / 2;
  const Index runs = (p.k + narrow_run - 1) / narrow_run, group_bytes = runs * run_bytes;
  const std::byte* w = p.weight + g * group_bytes;
  const NarrowBlock* x = reinterpret_cast<const NarrowBlock*>(p.x + r * p.x_stride);
  const Index x_stride = p.x_stride / static_cast<Index>(sizeof(NarrowBlock));
  Vec<float> sums[G][group_vectors][R];
#pragma GCC unroll 4
  for (int i = 0; i < G; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < group_vectors; ++v) {
#pragma GCC unroll 4
      for (int q = 0; q < R; ++q) sums[i][v][q] = Vec<float>(0);
    }
  }
  for (Index run = 0; run < runs; ++run, w += run_bytes, x += 2) {
#pragma GCC unroll 2
    for (int block = 0; block < 2; ++block) {
      Wholes whole[G][group_vectors][R];
#pragma GCC unroll 4
      for (int i = 0; i < G; ++i) {
#pragma GCC unroll 4
        for (int v = 0; v < group_vectors; ++v) {
#pragma GCC unroll 4
          for (int q = 0; q < R; ++q) whole[i][v][q] = Wholes(x[q * x_stride + block].offset);
        }
      }
      add_block<type, R, G>(whole, w + 64 + block * block_bytes, group_bytes, x + block, x_stride);
#pragma GCC unroll 4
      for (int i = 0; i < G; ++i) {
#pragma GCC unroll 4
        for (int v = 0; v < group_vectors; ++v) {
          const Lanes pairs = load_lanes(w + i * group_bytes + 4 * v * width<float>);
          const Vec<float> scale = upper_bf16(pairs << (block == 0 ? 16 : 0));
#pragma GCC unroll 4
          for (int q = 0; q < R; ++q) {
            const Vec<float> both = scale * Vec<float>(x[q * x_stride + block].scale);
            sums[i][v][q] = multiply_add(xsimd::to_float(whole[i][v][q]), both, sums[i][v][q]);
          }
        }
      }
    }
  }
  put_sums<R, G>(p, g, r, sums);
}

template <NarrowType type, int R, int G>
GRADUS_INLINE void product_of_groups(const NarrowProduct& p, Index g, Index r) {
  if constexpr (type == NarrowType::bf16) {
    bf16_product<R, G>(p, g, r);
  } else {
    int_product<type, R, G>(p, g, r);
  }
}

// Groups are taken a few at a time, which stay in a cache while all rows go by. Every element of Y is summed up in the
// same order, whatever the number of rows.
template <NarrowType type>
void product_of_type(const NarrowProduct& p, Index g0, Index g1) {
  for (Index g = g0; g < g1; g += narrow_groups) {
    const Index groups = at_most(g1 - g, narrow_groups);
    Index r = 0;
    for (; r + narrow_rows <= p.rows && narrow_rows > 1; r += narrow_rows) {
      for (Index i = 0; i < groups; ++i) product_of_groups<type, narrow_rows, 1>(p, g + i, r);
    }
    for (; r < p.rows; ++r) {
      if (groups == narrow_groups) {
        product_of_groups<type, 1, narrow_groups>(p, g, r);
      } else {
        for (Index i = 0; i < groups; ++i) product_of_groups<type, 1, 1>(p, g + i, r);
      }
    }
  }
}

/// Calls f with `type` as a constant.
template <class F>
GRADUS_INLINE void with_type(NarrowType type, const F& f) {
  if (type == NarrowType::bf16) {
    f(std::integral_constant<NarrowType, NarrowType::bf16>{});
  } else if (type == NarrowType::int8) {
    f(std::integral_constant<NarrowType, NarrowType::int8>{});
  } else {
    f(std::integral_constant<NarrowType, NarrowType::int4>{});
  }
}

inline void narrow_product(const NarrowProduct& p, Index g0, Index g1) {
  with_type(p.type, [&](auto type) GRADUS_INLINED { product_of_type<type.value>(p, g0, g1); });
}

/// Rounds a block of up to 32 numbers to q / scale with |q| <= 127. Numbers too small to matter become 0; a block with
/// a NaN or an infinity becomes NaN as a whole, through its scale.
inline void round_block(const float* x, Index n, std::int32_t zero, NarrowBlock& to) {
  constexpr float least = 1e-30F, to_integer = 0x1.8p23F;
  Vec<float> sizes(0), zeros(0);
  each_vector<float>(n, [&](Index i, Index m) {
    const Vec<float> v = get(x + i, m);
    sizes = xsimd::max(sizes, xsimd::abs(v));
    zeros = zeros + v * Vec<float>(0);  // NaN where v is not finite
  });
  const float most = largest(sizes), nothing = total(zeros);
  if (!(most >= least) || !(nothing == 0)) {
    to = {.q = {}, .scale = nothing, .offset = 0};
    return;
  }
  const Vec<float> inverse(127 / most), shift(to_integer);
  alignas(64) float shifted[narrow_block];
  for (float& number : shifted) number = to_integer;
  Vec<float> sums(0);
  each_vector<float>(n, [&](Index i, Index m) {
    const Vec<float> q = rounded(get(x + i, m) * inverse) + shift;
    put(shifted + i, q, m);
    sums = sums + (rounded(q) - shift);
  });
  for (Index i = 0; i < narrow_block; ++i) {
    to.q[i] = static_cast<std::int8_t>(__builtin_bit_cast(std::int32_t, shifted[i]) & 0xff);
  }
  to.scale = most / 127;
  to.offset = -zero * static_cast<std::int32_t>(total(sums));
}

inline void narrow_input(NarrowType type, const float* x, Index k, std::byte* to) {
  const Index padded = (k + narrow_run - 1) / narrow_run * narrow_run;
  if (type == NarrowType::bf16) {
    float* const row = reinterpret_cast<float*>(to);
    each_vector<float>(k, [&](Index i, Index m) { put(row + i, get(x + i, m), m); });
    for (Index i = k; i < padded; ++i) row[i] = 0;
    return;
  }
  const std::int32_t zero = type == NarrowType::int8 ? 128 : 8;
  NarrowBlock* const blocks = reinterpret_cast<NarrowBlock*>(to);
  for (Index i = 0; i < padded; i += narrow_block) {
    const Index n = k - i;
    round_block(x + i, n < 0 ? 0 : at_most(n, narrow_block), zero, blocks[i / narrow_block]);
  }
}

/// bf16 in the upper halves of the lanes: rounded to nearest, to even, but never to infinity.
GRADUS_INLINE Lanes rounded_to_bf16(Vec<float> x) {
  const Lanes bits = __builtin_bit_cast(Lanes, x);
  const Lanes rounded = bits + Lanes(0x7fffU) + ((bits >> 16) & Lanes(1U));
  const Vec<float> size = xsimd::abs(__builtin_bit_cast(Vec<float>, rounded & Lanes(0xffff0000U)));
  const Vec<float> kept = xsimd::select(size <= Vec<float>(__FLT_MAX__), __builtin_bit_cast(Vec<float>, rounded), x);
  return __builtin_bit_cast(Lanes, kept) & Lanes(0xffff0000U);
}

/// A block of as many rows as a vector has lanes: x[l * narrow_group], rounded with one scale a row.
struct RoundedBlock {
  Lanes scale;  // bf16 in the upper halves
  Vec<float> q[narrow_block];

  /// `end` becomes `divisor`, and all others a whole number from `least` to `most`. Weights so small that 1 / scale may
  /// be infinite become 0.
  GRADUS_INLINE RoundedBlock(const float* x, Vec<float> end, float divisor, float least, float most) {
    using V = Vec<float>;
    const V near = __builtin_bit_cast(V, rounded_to_bf16(end * V(1 / divisor)));
    const auto is_normal = xsimd::abs(near) >= V(1e-36F);
    const V factor = xsimd::select(is_normal, quotient(V(1), near), V(0)), to_integer(0x1.8p23F);
    scale = __builtin_bit_cast(Lanes, xsimd::select(is_normal, near, V(0)));
    for (Index l = 0; l < narrow_block; ++l) {
      const V share = rounded(load(x + l * narrow_group) * factor);
      q[l] = rounded(xsimd::min(V(most), xsimd::max(V(least), share)) + to_integer) - to_integer;
    }
  }
};

/// The number of largest size, with its sign.
GRADUS_INLINE Vec<float> extreme(const float* x) {
  Vec<float> most(0);
  for (Index l = 0; l < narrow_block; ++l) {
    const Vec<float> w = load(x + l * narrow_group);
    most = xsimd::select(xsimd::abs(w) > xsimd::abs(most), w, most);
  }
  return most;
}

/// A run of a group: x[l * narrow_group + row].
template <NarrowType type>
GRADUS_INLINE void pack_run(const float* x, std::byte* to) {
  for (int v = 0; v < group_vectors; ++v, x += width<float>, to += 4 * width<float>) {
    const auto put_cell = [&](Index cell, Lanes lanes) {
      lanes.store_unaligned(reinterpret_cast<std::uint32_t*>(to + 64 * cell));
    };
    if constexpr (type == NarrowType::bf16) {
      for (Index l = 0; l < narrow_run; l += 2) {
        put_cell(l / 2, (rounded_to_bf16(load(x + l * narrow_group)) >> 16) |
                            rounded_to_bf16(load(x + (l + 1) * narrow_group)));
      }
    } else {
      constexpr bool four_bits = type == NarrowType::int4;
      constexpr Index inputs = four_bits ? 8 : 4, cells = narrow_block / inputs;
      Lanes scales(0U);
      for (int b = 0; b < 2; ++b) {
        const float* const from = x + b * narrow_block * narrow_group;
        const RoundedBlock block(from, extreme(from), four_bits ? -8 : 127, four_bits ? -8 : -127, four_bits ? 7 : 127);
        scales = scales | (block.scale >> (b == 0 ? 16 : 0));
        for (Index c = 0; c < cells; ++c) {
          Lanes cell(0U);
          for (int i = 0; i < inputs; ++i) {
            const Vec<float> number = block.q[c * inputs + i] + Vec<float>(0x1p23F + (four_bits ? 8 : 128));
            const Lanes bits = __builtin_bit_cast(Lanes, number) & Lanes(255U);
            cell = cell | bits << (8 * (i % 4) + 4 * (i / 4));
          }
          put_cell(1 + b * cells + c, cell);
        }
      }
      put_cell(0, scales);
    }
  }
}

/// A group of the matrix: `rows` of its 16 rows are there, k numbers each, one after another.
inline void narrow_pack(NarrowType type, const float* weight, Index rows, Index k, std::byte* to) {
  with_type(type, [&](auto constant) GRADUS_INLINED {
    for (Index l = 0; l < k; l += narrow_run, to += narrow_run_bytes(constant.value)) {
      alignas(64) float x[narrow_run * narrow_group];
      const Index cols = at_most(k - l, narrow_run);
      transpose_block(x, narrow_group, narrow_group, weight + l, k, rows, cols);
      for (Index i = cols * narrow_group; i < narrow_run * narrow_group; ++i) x[i] = 0;
      pack_run<constant.value>(x, to);
    }
  });
}

/// Cells of whole numbers as floats: (numbers - zero) scale.
template <NarrowType type>
GRADUS_INLINE void widen_block(const std::byte* w, Vec<float> scale, float* to, Index stride) {
  constexpr Index bits = type == NarrowType::int4 ? 4 : 8, inputs = 32 / bits;
  const Wholes zero(type == NarrowType::int4 ? 8 : 128);
  for (Index l = 0; l < narrow_block; l += inputs, w += 64) {
    const Lanes cell = load_lanes(w);
#pragma GCC unroll 8
    for (int i = 0; i < inputs; ++i) {
      // Bytes follow one another; of a byte with two numbers, the lower half is in the first four of the cell.
      const int shift = bits == 8 ? 8 * i : 8 * (i % 4) + 4 * (i / 4);
      const Wholes number = __builtin_bit_cast(Wholes, (cell >> shift) & Lanes(bits == 8 ? 255U : 15U));
      store(to + (l + i) * stride, xsimd::to_float(number - zero) * scale);
    }
  }
}

inline void narrow_widen(NarrowType type, const std::byte* weight, Index runs, float* to, Index stride) {
  with_type(type, [&](auto constant) GRADUS_INLINED {
    constexpr NarrowType t = constant.value;
    constexpr Index run_bytes = narrow_run_bytes(t), block_bytes = (run_bytes - 64) / 2;
    for (Index run = 0; run < runs; ++run, weight += run_bytes, to += narrow_run * stride) {
      for (int v = 0; v < group_vectors; ++v) {
        const std::byte* const w = weight + 4 * v * width<float>;
        float* const part = to + v * width<float>;
        const Lanes scales = load_lanes(w);
        if constexpr (t == NarrowType::bf16) {
          for (Index l = 0; l < narrow_run; l += 2) {
            const Lanes pairs = load_lanes(w + 32 * l);
            store(part + l * stride, lower_bf16(pairs));
            store(part + (l + 1) * stride, upper_bf16(pairs));
          }
        } else {
          widen_block<t>(w + 64, lower_bf16(scales), part, stride);
          widen_block<t>(w + 64 + block_bytes, upper_bf16(scales), part + narrow_block * stride, stride);
        }
      }
    }
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
