// A large product packs A once for all tasks; C is cut into blocks. A task computes one block: it packs what it needs
// of B and sums over all of k, so threads share nothing but what they read. The cut depends on the sizes alone, and
// each element of C sums over k in one order: the same bits whatever the number of threads.
#include <gradus/core/ops/detail/gemm.h>

#include <algorithm>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

Index blocks(Index n, Index size) {
  return (n + size - 1) / size;
}
Index round_up(Index n, Index multiple) {
  return blocks(n, multiple) * multiple;
}

struct Blocks {  // of C
  Index down, across;
};

// Tall blocks of a few hundred columns, because a panel of B is packed once for each block of rows; then more of them,
// until a few threads are evenly busy or a block is too little work (some 3 us) to hand out.
Blocks cut(Index m, Index n, Index k, Index tile_rows, Index group_cols) {
  constexpr Index most_rows = 512, most_cols = 512, enough_blocks = 8, small_block = 300'000;  // multiply-adds
  Blocks cut{blocks(m, most_rows), blocks(n, most_cols)};
  while (cut.down * cut.across < enough_blocks && m * n * k > 2 * small_block * cut.down * cut.across) {
    const Index rows = m / cut.down, cols = n / cut.across;
    if (cols > group_cols) {
      cut.across *= 2;
    } else if (rows > 2 * tile_rows) {
      cut.down *= 2;
    } else {
      break;
    }
  }
  return cut;
}

}  // namespace

template <class T>
void gemm(T* c, kernels::Factor<T> a, kernels::Factor<T> b, Index m, Index n, Index k, bool accumulate, const T* bias) {
  if (m == 0 || n == 0) return;
  if (constexpr Index deep = 256 * kernels::product_depth; k > deep) {  // more slices of k than may be added in a row
    for (Index i = 0; i < m; ++i) {
      if (!accumulate) std::fill_n(c + i * n, n, T(0));
      if (bias != nullptr) kernels::kernels<T>().add(c + i * n, bias, n);
    }
    sum_in_tree(c, m * n, k, deep, [&](T* to, Index begin, Index end) {
      gemm(to, {a.p + begin * a.col, a.row, a.col}, {b.p + begin * b.row, b.row, b.col}, m, n, end - begin, true);
    });
    return;
  }
  const kernels::Kernels<T>& kernel = kernels::kernels<T>();
  kernels::Product<T> product{.c = c,
                              .c_stride = n,
                              .a = a,
                              .b = b,
                              .m = m,
                              .n = n,
                              .k = k,
                              .accumulate = accumulate,
                              .bias = bias,
                              .packed_a = nullptr};
  Buffer packed;
  if (n > kernel.group_cols && m >= kernel.tile_rows && k >= 16) {
    packed = Buffer(round_up(m, kernel.tile_rows) * k, dtype_of<T>());
    // A task packs 16,384 elements or somewhat more. A transposed A is cut along k too, and a task takes at least six
    // cache lines of each of its rows in memory: a line that two tasks share is fetched by both.
    constexpr Index six_lines = 6 * 64 / static_cast<Index>(sizeof(T)), task = 16384;
    const bool transposed = a.col != 1;
    const Index high = round_up(std::max(transposed ? six_lines : Index{1}, task / k), kernel.tile_rows);
    const Index deep = transposed ? round_up(task / six_lines, kernels::product_depth) : k;
    const Index across = blocks(m, high);
    parallel_for(across * blocks(k, deep), 1, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        const Index i = t % across * high, l = t / across * deep;
        kernel.pack_a(packed.as<T>(), product, i, std::min(m, i + high), l, std::min(k, l + deep));
      }
    });
    product.packed_a = packed.as<T>();
  }
  const auto [down, across] = cut(m, n, k, kernel.tile_rows, kernel.group_cols);
  const Index rows = round_up(blocks(m, down), kernel.tile_rows), cols = round_up(blocks(n, across), kernel.group_cols);
  const Index rows_of_blocks = blocks(m, rows);
  parallel_for(rows_of_blocks * blocks(n, cols), 1, [&](Index begin, Index end) {
    for (Index t = begin; t < end; ++t) {
      const Index i = t % rows_of_blocks * rows, j = t / rows_of_blocks * cols;
      kernel.product(product, i, std::min(m, i + rows), j, std::min(n, j + cols));
    }
  });
}

template void gemm<float>(float*, kernels::Factor<float>, kernels::Factor<float>, Index, Index, Index, bool,
                          const float*);
template void gemm<double>(double*, kernels::Factor<double>, kernels::Factor<double>, Index, Index, Index, bool,
                           const double*);

}  // namespace gradus
