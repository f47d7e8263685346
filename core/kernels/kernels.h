// The kernel table: every loop over numbers that the ops need, on raw pointers and sizes, one table for each
// instruction set and element type. Kernels trust their arguments, run on one thread and add into gradients, or write
// them where `adds` is false. Shapes: x (rows, cols) row-major unless said; strides count elements.
#pragma once

#include <cstdint>

namespace gradus {

enum class UnaryOp : unsigned char {
#define UNARY(name, y, dy) name,
#include <gradus/core/kernels/unary.def>
#undef UNARY
};

enum class BinaryOp : unsigned char {
#define BINARY(name, y, da, db) name,
#include <gradus/core/kernels/binary.def>
#undef BINARY
};

namespace kernels {

using Index = std::int64_t;

/// A matrix product's factor: element (i, j) is p[i * row + j * col], so a transposed matrix is one with row and col
/// swapped.
template <class T>
struct Factor {
  const T* p;
  Index row, col;
};

/// How much of k a product sums up before it touches C again: a strip of A and a panel of B of this depth stay in an L1
/// cache of 48 KB.
inline constexpr Index product_depth = 256;

/// C (m, n) = or += A B + bias. Rows of C are c_stride apart.
template <class T>
struct Product {
  T* c;
  Index c_stride;
  Factor<T> a, b;
  Index m, n, k;
  bool accumulate;
  const T* bias;      // (n), or null
  const T* packed_a;  // what pack_a made of all of A, or null: A is read in place
};

/// One head's attention over one document. Rows are tokens; `*_stride` elements lie between rows.
template <class T>
struct Attention {
  const T *q, *k, *v;
  Index q_stride, k_stride, v_stride, out_stride;
  Index T_, S, D, E;  // queries, keys, size of a query and of a value
  T scale;
  bool causal;
};

template <class T>
struct AttentionGrad {
  const T *dout, *max, *share;
  T *dq, *dk, *dv;  // null: not wanted; same strides as q, k, v
  bool adds_q, adds_k, adds_v;
};

template <class T>
struct AdamCoefficients {
  T keep_m, keep_v;       // beta1, beta2
  T take_m, take_v;       // 1 - beta1, 1 - beta2, subtracted in double: 1 - 0.999f is off by 5e-5
  T step_size;            // lr / (1 - beta1^t)
  T inv_sqrt_correction;  // 1 / sqrt(1 - beta2^t)
  T eps, decay;           // decay: lr * weight_decay when decoupled, else weight_decay added to the gradient
  bool decoupled;
};

template <class T>
struct Kernels {
  const char* isa;

  // pointwise; far, here and below: all of the output is more than caches hold
  void (*unary)(UnaryOp op, const T* x, T* y, Index n, T a, T b, bool far);
  void (*unary_grad)(UnaryOp op, T* dx, bool adds, const T* dy, const T* x, const T* y, Index n, T a, T b, bool far);
  // a_step and b_step are 1, or 0 for one number repeated
  void (*binary)(BinaryOp op, const T* a, Index a_step, const T* b, Index b_step, T* y, Index n);
  // first: the gradient of a (dx points there) or of b; where that argument's step is 0, sums into one number
  void (*binary_grad)(BinaryOp op, bool first, T* dx, bool adds, const T* dy, const T* a, Index a_step, const T* b,
                      Index b_step, const T* y, Index n);
  void (*select)(const T* condition, const T* a, const T* b, T* y, Index n);
  void (*select_grad)(const T* condition, T* da, T* db, const T* dy, Index n);  // null: not wanted
  void (*add)(T* y, const T* x, Index n);                                       // y += x
  void (*add_scalar)(T* y, T x, Index n);                                       // y += x
  void (*scale)(T* x, T factor, Index n);
  // y = or += x keep where the random number of element `first + i` is at least `threshold`, of 2^24; else 0
  void (*dropout)(T* y, const T* x, Index n, Index first, std::uint64_t seed, std::uint32_t threshold, T keep,
                  bool adds);
  T (*sum)(const T* x, Index n);
  double (*squared_norm)(const T* x, Index n, T factor);  // the sum of (factor x)^2

  // rows
  void (*softmax)(const T* x, T* y, Index rows, Index cols);
  void (*softmax_grad)(T* dx, bool adds, const T* dy, const T* y, Index rows, Index cols, bool far);
  void (*log_softmax)(const T* x, T* y, Index rows, Index cols);
  void (*log_softmax_grad)(T* dx, bool adds, const T* dy, const T* y, Index rows, Index cols);
  // mean, rstd: (rows), kept for the gradient; weight, bias: (cols) or null
  void (*layer_norm)(const T* x, const T* weight, const T* bias, T* y, T* mean, T* rstd, Index rows, Index cols, T eps);
  // dx, dweight, dbias: null means not wanted
  void (*layer_norm_grad)(T* dx, bool adds, T* dweight, T* dbias, const T* dy, const T* x, const T* weight,
                          const T* mean, const T* rstd, Index rows, Index cols);
  void (*rms_norm)(const T* x, const T* weight, T* y, T* rstd, Index rows, Index cols, T eps);
  void (*rms_norm_grad)(T* dx, bool adds, T* dweight, const T* dy, const T* x, const T* weight, const T* rstd,
                        Index rows, Index cols);
  // losses, max and log_sum (log of the sum of exp(x - max)): (rows); rows whose target is `ignore` have loss 0;
  // `smoothing` is the share of the loss that all classes have alike
  void (*cross_entropy)(const T* x, const std::int32_t* targets, std::int32_t ignore, T smoothing, T* losses, T* max,
                        T* log_sum, Index rows, Index cols);
  void (*cross_entropy_grad)(T* dx, bool adds, T scale, const T* x, const std::int32_t* targets, std::int32_t ignore,
                             T smoothing, const T* max, const T* log_sum, Index rows, Index cols);

  // products
  Index tile_rows, group_cols;  // rows and columns to cut C at
  // packed: m rounded up to tile_rows, times k; rows i0 .. i1-1 and columns l0 .. l1-1 of A, where i0 and i1 are
  // multiples of tile_rows, l0 and l1 of product_depth, or i1 is m and l1 is k
  void (*pack_a)(T* packed, const Product<T>& p, Index i0, Index i1, Index l0, Index l1);
  void (*product)(const Product<T>& p, Index i0, Index i1, Index j0, Index j1);

  // attention; scratch: attention_scratch() elements; max, share (1 over the sum of exp(score - max)): (T_)
  Index (*attention_scratch)(const Attention<T>& shape);
  void (*attention)(const Attention<T>& in, T* out, T* max, T* share, T* scratch);
  void (*attention_grad)(const Attention<T>& in, const AttentionGrad<T>& grad, T* scratch);

  // generation: Y (rows, n) = X (rows, k) W^T + bias with W (n, k), for a few rows; bias may be null
  void (*matrix_vector)(T* y, Index y_stride, const T* x, const T* w, const T* bias, Index rows, Index n, Index k);
  // one query over n keys and values that lie together: q (D), k and v (n, D), scores (n) for scratch
  void (*attend)(T* out, const T* q, const T* k, const T* v, Index n, Index D, T scale, T* scores);

  // random: `groups` times sixteen uniform numbers, eight for radii and eight for angles, become normal ones
  void (*normal)(T* x, Index groups, T mean, T std);

  // optimizers
  void (*adam)(T* param, T* m, T* v, const T* grad, Index n, const AdamCoefficients<T>& coefficients);
};

/// The table for this CPU: the newest instruction set that was compiled in and that the CPU has, or the one that the
/// environment variable GRADUS_ISA names.
template <class T>
const Kernels<T>& kernels();

namespace sse2 {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
}  // namespace sse2
namespace avx2 {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
}  // namespace avx2
namespace avx512 {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
}  // namespace avx512
namespace neon {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
}  // namespace neon

}  // namespace kernels
}  // namespace gradus
