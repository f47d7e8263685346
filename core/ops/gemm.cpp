// Slabs of B (k_block x n_block) and A (m_block x k_block) are packed by all threads, then tiles of C are handed out.
// Which tiles there are depends on the sizes alone, and each element of C sums over k in one order: the same bits
// whatever the number of threads.
#include <gradus/core/ops/gemm.h>

#include <algorithm>

#include <gradus/core/buffer.h>
#include <gradus/core/parallel.h>

namespace gradus {
namespace {

constexpr Index k_block = 256;   // a strip of A and a panel of B over this many k stay in a 32-48 KB L1
constexpr Index n_block = 4096;  // a slab of B: 4 MB of f32
constexpr Index m_block = 2048;  // a slab of A: 2 MB of f32

Index blocks(Index n, Index size) {
  return (n + size - 1) / size;
}
Index round_up(Index n, Index multiple) {
  return blocks(n, multiple) * multiple;
}

struct Tasks {
  Index rows, cols;  // of C in one task
};

// Large enough to be worth handing out (some 3 us), small enough to keep a few threads evenly busy.
Tasks cut(Index m, Index n, Index k, Index tile_rows, Index panel_cols) {
  Tasks task{std::min<Index>(round_up(m, tile_rows), 16 * tile_rows),
             std::min<Index>(round_up(n, panel_cols), 512 / panel_cols * panel_cols)};
  constexpr Index enough_tasks = 8, small_task = 300'000;  // multiply-adds
  while (blocks(m, task.rows) * blocks(n, task.cols) < enough_tasks && task.rows * task.cols * k > 2 * small_task) {
    if (task.rows > tile_rows && (task.rows >= task.cols || task.cols <= panel_cols)) {
      task.rows = round_up(task.rows / 2, tile_rows);
    } else if (task.cols > panel_cols) {
      task.cols = round_up(task.cols / 2, panel_cols);
    } else {
      break;
    }
  }
  return task;
}

}  // namespace

template <class T>
void gemm(T* c, Index c_stride, kernels::Factor<T> a, kernels::Factor<T> b, Index m, Index n, Index k, bool accumulate,
          const T* bias) {
  if (m == 0 || n == 0) return;
  const kernels::Kernels<T>& kernel = kernels::kernels<T>();
  const Index tile_rows = kernel.tile_rows, panel = kernel.panel_cols;
  // Packing A pays when its strips are read for several panels and lie scattered in memory.
  const bool packs_a = n > 2 * panel && m * std::min(k, k_block) > 8192;
  const Index widest = std::min(n, n_block), deepest = std::min(k, k_block);
  const Buffer b_slab(kernel.packed_size(deepest, widest), dtype_of<T>());
  const Buffer a_slab = packs_a ? Buffer(std::min(m, m_block) * deepest, dtype_of<T>()) : Buffer();
  T* const packed_b = b_slab.as<T>();
  T* const packed_a = a_slab.as<T>();

  for (Index j0 = 0; j0 < n; j0 += n_block) {
    const Index cols = std::min(n - j0, n_block);
    for (Index l0 = 0; l0 == 0 || l0 < k; l0 += k_block) {
      const Index depth = std::min(k - l0, k_block);
      const bool first = l0 == 0;
      for (Index i0 = 0; i0 < m; i0 += m_block) {
        const Index rows = std::min(m - i0, m_block);
        const Index b_tasks = i0 == 0 ? blocks(cols, panel) : 0, a_tasks = packs_a ? blocks(rows, tile_rows) : 0;
        const Index pack_grain = std::max<Index>(1, 8192 / std::max<Index>(1, depth * panel));
        parallel_for(b_tasks + a_tasks, pack_grain, [&](Index begin, Index end) {
          for (Index task = begin; task < end; ++task) {
            if (task < b_tasks) {
              const Index j = task * panel;
              kernel.pack_b(packed_b + j * depth, {b.p + l0 * b.row + (j0 + j) * b.col, b.row, b.col}, depth,
                            std::min(cols - j, panel));
            } else {
              const Index i = (task - b_tasks) * tile_rows;
              kernel.pack_a(packed_a + i * depth, {a.p + (i0 + i) * a.row + l0 * a.col, a.row, a.col},
                            std::min(rows - i, tile_rows), depth);
            }
          }
        });
        const Tasks task = cut(rows, cols, depth, tile_rows, panel);
        const Index down = blocks(rows, task.rows), across = blocks(cols, task.cols);
        parallel_for(down * across, 1, [&](Index begin, Index end) {
          for (Index t = begin; t < end; ++t) {
            const Index i = t % down * task.rows, j = t / down * task.cols;
            kernel.product(c + (i0 + i) * c_stride + j0 + j, c_stride,
                           {a.p + (i0 + i) * a.row + l0 * a.col, a.row, a.col},
                           packs_a ? packed_a + i * depth : nullptr, packed_b + j * depth,
                           std::min(rows - i, task.rows), std::min(cols - j, task.cols), depth, accumulate || !first,
                           first && bias != nullptr ? bias + j0 + j : nullptr);
          }
        });
      }
    }
  }
}

template void gemm<float>(float*, Index, kernels::Factor<float>, kernels::Factor<float>, Index, Index, Index, bool,
                          const float*);
template void gemm<double>(double*, Index, kernels::Factor<double>, kernels::Factor<double>, Index, Index, Index, bool,
                           const double*);

}  // namespace gradus
