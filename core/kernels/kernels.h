// The kernel table: every loop over numbers that the ops need, on raw pointers and sizes, one table for each
// instruction set and element type. Kernels trust their arguments, run on one thread and add into gradients, or write
// them where `adds` is false. Shapes: x (rows, cols) row-major unless said; strides count elements. A kernel with many
// arguments takes a struct, so that the call names each.
#pragma once

#include <cstddef>
#include <cstdint>

#include <gradus/core/narrow_type.h>

namespace gradus {

enum class UnaryOp : unsigned char {
#define UNARY(name, y, dy, rule) name,
#include <gradus/core/kernels/unary.def>
#undef UNARY
};

enum class BinaryOp : unsigned char {
#define BINARY(name, y, da, db, rule_a, rule_b) name,
#include <gradus/core/kernels/binary.def>
#undef BINARY
};

enum class CompareOp : unsigned char {
#define COMPARE(name, mask) name,
#include <gradus/core/kernels/compare.def>
#undef COMPARE
};

namespace kernels {

using Index = std::int64_t;

/// A matrix product's factor: element (i, j) is p[i * row + j * col], so a transposed matrix is one with row and col
/// swapped.
template <class T>
struct Factor {
  const T* p;
  Index row, col;  // one of them is 1
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

/// Y (rows, n) = X (rows, k) W^T + bias with W (n, k), for a few rows. Rows of Y are y_stride apart.
template <class T>
struct FewRows {
  const T *x, *weight, *bias;  // bias: (n), or null
  T* y;
  Index y_stride, rows, n, k;
};

/// dx = or += dy dy/dx for an op of one argument with parameters p and q.
template <class T>
struct UnaryGrad {
  const T *dy, *x, *y;
  T* dx;
  bool adds;
  Index n;
  T p, q;
  bool far;
};

/// dx = or += dy dy/da, or dy dy/db. If that argument is one repeated number (step 0), dx is one number: the sum.
template <class T>
struct BinaryGrad {
  bool first;  // whether dx is the gradient of a, or of b
  const T *dy, *a, *b, *y;
  Index a_step, b_step;  // 1, or 0 for one number repeated
  T* dx;
  bool adds;
  Index n;
};

template <class T>
struct SoftmaxGrad {
  const T *dy, *y;
  T* dx;
  bool adds;
  Index rows, cols;
  bool far = false;  // see below; log_softmax_grad ignores it
};

template <class T>
struct LayerNorm {
  const T *x, *weight, *bias;  // weight, bias: (cols), or null
  T *y, *mean, *rstd;          // mean, rstd: (rows), kept for the gradient
  Index rows, cols;
  T eps;
};

template <class T>
struct LayerNormGrad {
  const T *dy, *x, *weight, *mean, *rstd;
  T* dx;  // here and in the next two: null where it is not wanted
  bool adds;
  T *dweight, *dbias;
  Index rows, cols;
};

template <class T>
struct RmsNorm {
  const T *x, *weight;  // weight: (cols), or null
  T *y, *rstd;          // rstd: (rows), kept for the gradient
  Index rows, cols;
  T eps;
};

template <class T>
struct RmsNormGrad {
  const T *dy, *x, *weight, *rstd;
  T* dx;
  bool adds;
  T* dweight;
  Index rows, cols;
};

/// Rows whose target is `ignore` have loss 0; `smoothing` is the weight of label smoothing: all classes share it.
template <class T>
struct CrossEntropy {
  const T* x;
  const std::int32_t* targets;
  std::int32_t ignore;
  T smoothing;
  T *losses, *max, *log_sum;  // (rows); log_sum: log of the sum of exp(x - max)
  Index rows, cols;
};

template <class T>
struct CrossEntropyGrad {
  const T* x;
  const std::int32_t* targets;
  std::int32_t ignore;
  T smoothing;
  const T *max, *log_sum;
  T scale;  // the gradient of each row's loss
  T* dx;
  bool adds;
  Index rows, cols;
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
struct AttentionResult {
  T *out, *max, *share;  // max, share (1 over the sum of exp(score - max)): (T_), kept for the gradient
};

template <class T>
struct AttentionGrad {
  const T *dout, *max, *share;
  T *dq, *dk, *dv;  // null: not wanted; same strides as q, k, v
  bool adds_q, adds_k, adds_v;
};

/// One query (D) over `keys` keys and values (keys, D) that lie together.
template <class T>
struct CachedAttention {
  const T *q, *k, *v;
  T *out, *scores;  // scores: (keys), scratch
  Index keys, D;
  T scale;
};

/// y[i] = or += x[i] keep where the 24-bit random number of element first + i is at least `threshold`, else 0.
template <class T>
struct Dropout {
  const T* x;
  T* y;
  bool adds;
  Index n, first;
  std::uint64_t seed;
  std::uint32_t threshold;
  T keep;
};

template <class T>
struct Adam {
  const T* grad;
  T *param, *m, *v;
  Index n;
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

  // pointwise; far: the whole output is larger than the caches, so stores go past them
  void (*unary)(UnaryOp op, const T* x, T* y, Index n, T p, T q, bool far);
  void (*unary_grad)(UnaryOp op, UnaryGrad<T> args);
  void (*binary)(BinaryOp op, const T* a, Index a_step, const T* b, Index b_step, T* y, Index n);
  void (*compare)(CompareOp op, const T* a, Index a_step, const T* b, Index b_step, T* y, Index n);
  void (*binary_grad)(BinaryOp op, BinaryGrad<T> args);
  void (*select)(const T* condition, const T* a, const T* b, T* y, Index n);
  void (*select_grad)(const T* condition, T* da, T* db, const T* dy, Index n);  // null: not wanted
  void (*add)(T* y, const T* x, Index n);                                       // y += x
  void (*add_scalar)(T* y, T x, Index n);                                       // y += x
  void (*scale)(T* x, T factor, Index n);
  void (*dropout)(Dropout<T> args);

  // sums
  T (*sum)(const T* x, Index n);
  double (*squared_norm)(const T* x, Index n, T factor);  // the sum of (factor x)^2

  // rows
  void (*softmax)(const T* x, T* y, Index rows, Index cols);
  void (*softmax_grad)(SoftmaxGrad<T> args);
  void (*log_softmax)(const T* x, T* y, Index rows, Index cols);
  void (*log_softmax_grad)(SoftmaxGrad<T> args);
  void (*layer_norm)(LayerNorm<T> args);
  void (*layer_norm_grad)(LayerNormGrad<T> args);
  void (*rms_norm)(RmsNorm<T> args);
  void (*rms_norm_grad)(RmsNormGrad<T> args);
  void (*cross_entropy)(CrossEntropy<T> args);
  void (*cross_entropy_grad)(CrossEntropyGrad<T> args);

  // products
  Index tile_rows, group_cols;  // rows and columns to cut C at
  // Packs rows i0 .. i1-1 and columns l0 .. l1-1 of A. i0 and i1 are multiples of tile_rows, l0 and l1 of
  // product_depth; i1 may be m, and l1 k. packed: (m rounded up to tile_rows) k elements for all of A
  void (*pack_a)(T* packed, const Product<T>& p, Index i0, Index i1, Index l0, Index l1);
  void (*product)(const Product<T>& p, Index i0, Index i1, Index j0, Index j1);
  void (*few_rows)(FewRows<T> args);

  // attention; scratch: attention_scratch() elements
  Index (*attention_scratch)(const Attention<T>& shape);
  void (*attention)(const Attention<T>& in, const AttentionResult<T>& to, T* scratch);
  void (*attention_grad)(const Attention<T>& in, const AttentionGrad<T>& grad, T* scratch);
  void (*cached_attention)(CachedAttention<T> args);

  // random: `groups` times sixteen uniform numbers, eight for radii and eight for angles, become normal ones
  void (*normal)(T* x, Index groups, T mean, T std);

  // optimizers
  void (*adam)(Adam<T> arrays, AdamCoefficients<T> coefficients);
};

/// The table for this CPU: the newest instruction set that was compiled in and that the CPU has, or the one that the
/// environment variable GRADUS_ISA names.
template <class T>
const Kernels<T>& kernels();

// A narrow matrix (n, k) in memory, as core/ops/narrow.h describes it: rows in groups, a group's inputs in runs.
inline constexpr Index narrow_group = 16, narrow_run = 64, narrow_block = 32;

/// What a group of rows takes for each run of inputs: scales, where there are any, and then the numbers.
constexpr Index narrow_run_bytes(NarrowType type) {
  return type == NarrowType::bf16 ? 2048 : type == NarrowType::int8 ? 64 + 1024 : 64 + 512;
}

/// A block of x for a product of whole numbers: x = scale q. offset: the sum of q times minus the number that stands
/// for 0 in the matrix.
struct NarrowBlock {
  std::int8_t q[narrow_block];
  float scale;
  std::int32_t offset;
};

/// Y (rows, n) = X (rows, k) W^T + bias. x: what `input` made of each row, x_stride bytes apart.
struct NarrowProduct {
  NarrowType type;
  const std::byte *weight, *x;
  const float* bias;  // (n), or null
  float* y;
  Index x_stride, y_stride, rows, n, k;
};

/// The kernels for narrow matrices.
struct NarrowKernels {
  /// A group of W: `rows` of its rows are there (the others become 0), k floats each, one after another.
  void (*pack)(NarrowType type, const float* weight, Index rows, Index k, std::byte* to);
  /// A row x (k), filled up with zeros to whole runs: floats for bf16, else NarrowBlocks.
  void (*input)(NarrowType type, const float* x, Index k, std::byte* to);
  /// The columns of Y that groups g0 .. g1-1 of W give.
  void (*product)(const NarrowProduct& p, Index g0, Index g1);
  /// `runs` runs of one group as floats, from `weight` on: to[l * stride + j] is input l of the group's row j.
  void (*widen)(NarrowType type, const std::byte* weight, Index runs, float* to, Index stride);
};

/// The ones for this CPU. AVX-512 has two, with the same results: one for CPUs with VNNI.
const NarrowKernels& narrow_kernels();

namespace sse2 {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
extern const NarrowKernels table_narrow;
}  // namespace sse2
namespace avx2 {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
extern const NarrowKernels table_narrow;
}  // namespace avx2
namespace avx512 {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
extern const NarrowKernels table_narrow;
}  // namespace avx512
namespace avx512vnni {
extern const NarrowKernels table_narrow;
}  // namespace avx512vnni
namespace neon {
extern const Kernels<float> table_f32;
extern const Kernels<double> table_f64;
extern const NarrowKernels table_narrow;
}  // namespace neon

}  // namespace kernels
}  // namespace gradus
