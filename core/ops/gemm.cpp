// C is cut into blocks, one a task; each task sums its block over all of k with packed copies of its own, so threads
// share nothing but what they read. The cut depends on the sizes alone, and each element of C sums over k in one order:
// the same bits whatever the number of threads.
#include <gradus/core/ops/gemm.h>

#include <algorithm>

#include <gradus/core/buffer.h>
#include <gradus/core/parallel.h>

namespace gradus {
namespace {

Index blocks(Index n, Index size) {
  return (n + size - 1) / size;
}
Index round_up(Index n, Index multiple) {
  return blocks(n, multiple) * multiple;
}

struct Cut {
  Index down, across;  // blocks of C
};

// Blocks as large as a packed A of half a megabyte allows, for packing costs less the larger they are; then more of
// them, until a few threads are evenly busy or a block is too little work (some 3 us) to hand out.
Cut cut(Index m, Index n, Index k, bool packs_a, Index tile_rows, Index panel_cols) {
  constexpr Index most_rows = 512, most_cols = 512, enough_blocks = 8, small_block = 300'000;  // multiply-adds
  Cut cut{blocks(m, most_rows), blocks(n, most_cols)};
  while (cut.down * cut.across < enough_blocks && m * n * k > 2 * small_block * cut.down * cut.across) {
    const Index rows = m / cut.down, cols = n / cut.across;
    const bool by_columns = packs_a ? cols >= rows : cols > 2 * panel_cols;
    if (by_columns && cols > panel_cols) {
      cut.across *= 2;
    } else if (rows > tile_rows) {
      cut.down *= 2;
    } else {
      break;
    }
  }
  return cut;
}

}  // namespace

template <class T>
void gemm(T* c, Index c_stride, kernels::Factor<T> a, kernels::Factor<T> b, Index m, Index n, Index k, bool accumulate,
          const T* bias) {
  if (m == 0 || n == 0) return;
  const kernels::Kernels<T>& kernel = kernels::kernels<T>();
  // Rows of A a multiple of 2 KB apart share the same few sets of the L1 cache.
  const bool scattered = a.col != 1 || a.row * static_cast<Index>(sizeof(T)) % 2048 == 0;
  const bool packs_a = scattered && n > 2 * kernel.panel_cols && m * std::min(k, kernels::product_depth) > 8192;
  const auto [down, across] = cut(m, n, k, packs_a, kernel.tile_rows, kernel.panel_cols);
  const Index rows = round_up(blocks(m, down), kernel.tile_rows), cols = round_up(blocks(n, across), kernel.panel_cols);
  parallel_for(down * across, 1, [&](Index begin, Index end) {
    const Buffer scratch = packs_a ? Buffer(rows * std::min(k, kernels::product_depth), dtype_of<T>()) : Buffer();
    for (Index t = begin; t < end; ++t) {
      const Index i = t % down * rows, j = t / down * cols;
      if (i >= m || j >= n) continue;  // rounding up left this block empty
      kernel.product(c + i * c_stride + j, c_stride, {a.p + i * a.row, a.row, a.col}, {b.p + j * b.col, b.row, b.col},
                     std::min(m - i, rows), std::min(n - j, cols), k, accumulate, bias == nullptr ? nullptr : bias + j,
                     scratch.as<T>());
    }
  });
}

template void gemm<float>(float*, Index, kernels::Factor<float>, kernels::Factor<float>, Index, Index, Index, bool,
                          const float*);
template void gemm<double>(double*, Index, kernels::Factor<double>, kernels::Factor<double>, Index, Index, Index, bool,
                           const double*);

}  // namespace gradus
