// Every op, once: the index of the engine (clone() and to() are in tensor.h). Shapes stand beside the names; (..) is
// any number of leading dimensions. All tensors of one call must have the same DType; the result has it too. Unless a
// line says otherwise every tensor argument gets a gradient, and a mistake throws Error with the shapes that arrived
// and what to do.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

// ---- pointwise, one argument: any shape -> the same shape (formulas: kernels/unary.def)
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);   // 2^x
Tensor expm1(const Tensor& x);  // e^x - 1, with all digits near 0
Tensor log(const Tensor& x);    // natural logarithm
Tensor log2(const Tensor& x);
Tensor log1p(const Tensor& x);  // log(1 + x), with all digits near 0
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);  // 1 / sqrt(x)
Tensor reciprocal(const Tensor& x);
Tensor square(const Tensor& x);
Tensor abs(const Tensor& x);  // gradient 0 at 0
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor erf(const Tensor& x);   // 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x
Tensor sign(const Tensor& x);  // -1, 0 or 1; 0 for NaN. Gradient 0, as of the next four
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor round(const Tensor& x);                                     // halves to the even neighbor
Tensor trunc(const Tensor& x);                                     // toward 0
Tensor sigmoid(const Tensor& x);                                   // 1 / (1 + e^-x)
Tensor relu(const Tensor& x);                                      // max(x, 0); gradient 0 at 0
Tensor silu(const Tensor& x);                                      // x sigmoid(x)
Tensor softplus(const Tensor& x);                                  // log(1 + e^x)
Tensor logsigmoid(const Tensor& x);                                // log(sigmoid(x))
Tensor mish(const Tensor& x);                                      // x tanh(softplus(x)) (Misra 2019)
Tensor hardswish(const Tensor& x);                                 // x relu6(x + 3) / 6 (Howard et al. 2019)
Tensor hardsigmoid(const Tensor& x);                               // relu6(x + 3) / 6
Tensor relu6(const Tensor& x);                                     // x kept within [0, 6]; gradient 0 at both ends
Tensor softsign(const Tensor& x);                                  // x / (1 + |x|)
Tensor tanhshrink(const Tensor& x);                                // x - tanh(x)
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);  // x where x > 0, else negative_slope x
/// x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015).
Tensor elu(const Tensor& x, double alpha = 1);
Tensor celu(const Tensor& x, double alpha = 1);                      // the same with e^(x / alpha) (Barron 2017)
Tensor selu(const Tensor& x);                                        // 1.0507 elu(x, 1.6733) (Klambauer et al. 2017)
Tensor hardtanh(const Tensor& x, double low = -1, double high = 1);  // as clamp, but gradient 0 at both ends
Tensor hardshrink(const Tensor& x, double lambd = 0.5);              // x where |x| > lambd, else 0
Tensor softshrink(const Tensor& x, double lambd = 0.5);              // x moved toward 0 by lambd, at most to 0
/// The two forms of gelu.
enum class Gelu { erf, tanh };
/// x Phi(x) (Hendrycks & Gimpel 2016): exact with the error function, or the tanh approximation that GPT-2 uses.
Tensor gelu(const Tensor& x, Gelu form = Gelu::erf);
Tensor pow(const Tensor& x, double exponent);  // NaN for negative x unless the exponent is whole
/// x kept within [low, high]; the gradient passes where low <= x <= high.
Tensor clamp(const Tensor& x, double low, double high);

// ---- pointwise, two arguments, broadcast against each other as in NumPy (formulas: kernels/binary.def)
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);  // equal values share the gradient half and half
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Tensor& b);        // a^b; da is 0 where b is 0, db is 0 where a is 0 and b >= 0
Tensor fmod(const Tensor& a, const Tensor& b);       // a - b trunc(a / b): has the sign of a
Tensor remainder(const Tensor& a, const Tensor& b);  // a - b floor(a / b): has the sign of b
Tensor atan2(const Tensor& a, const Tensor& b);      // the angle of the point (b, a), from -pi to pi
/// start + weight (end - start).
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight);
Tensor lerp(const Tensor& start, const Tensor& end, double weight);

// ---- comparisons and masks: 1 where it holds, else 0, in the type of the arguments; no gradient. They broadcast.
// Comparisons with NaN are 0, but for ne, which is 1 (formulas: kernels/compare.def).
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
Tensor isfinite(const Tensor& x);
Tensor logical_not(const Tensor& x);  // here and below any number but 0 is true
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
/// a where condition is not 0, else b; all three broadcast. The condition gets no gradient.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);
/// x where mask is 0, else `value`; they broadcast.
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);
/// The last two dimensions below, or above, a diagonal and on it; 0 elsewhere. Diagonal 0 is the main one, 1 the next
/// above it. (.., m, n) -> (.., m, n)
Tensor tril(const Tensor& x, Index diagonal = 0);
Tensor triu(const Tensor& x, Index diagonal = 0);

namespace detail {
// A number in the type of x. If x is undefined, any type will do, since the op refuses x.
inline Tensor number_for(const Tensor& x, double number) {
  return tensor(number, x.defined() ? x.dtype() : DType::f32);
}
}  // namespace detail

inline Tensor operator-(const Tensor& x) {
  return neg(x);
}
inline Tensor operator+(const Tensor& a, const Tensor& b) {
  return add(a, b);
}
inline Tensor operator-(const Tensor& a, const Tensor& b) {
  return sub(a, b);
}
inline Tensor operator*(const Tensor& a, const Tensor& b) {
  return mul(a, b);
}
inline Tensor operator/(const Tensor& a, const Tensor& b) {
  return div(a, b);
}
inline Tensor operator+(const Tensor& a, double b) {
  return add(a, detail::number_for(a, b));
}
inline Tensor operator-(const Tensor& a, double b) {
  return sub(a, detail::number_for(a, b));
}
inline Tensor operator*(const Tensor& a, double b) {
  return mul(a, detail::number_for(a, b));
}
inline Tensor operator/(const Tensor& a, double b) {
  return div(a, detail::number_for(a, b));
}
inline Tensor operator+(double a, const Tensor& b) {
  return add(detail::number_for(b, a), b);
}
inline Tensor operator-(double a, const Tensor& b) {
  return sub(detail::number_for(b, a), b);
}
inline Tensor operator*(double a, const Tensor& b) {
  return mul(detail::number_for(b, a), b);
}
inline Tensor operator/(double a, const Tensor& b) {
  return div(detail::number_for(b, a), b);
}
inline Tensor operator==(const Tensor& a, const Tensor& b) {
  return eq(a, b);
}
inline Tensor operator==(const Tensor& a, double b) {
  return eq(a, detail::number_for(a, b));
}
inline Tensor operator==(double a, const Tensor& b) {
  return eq(detail::number_for(b, a), b);
}
inline Tensor operator!=(const Tensor& a, const Tensor& b) {
  return ne(a, b);
}
inline Tensor operator!=(const Tensor& a, double b) {
  return ne(a, detail::number_for(a, b));
}
inline Tensor operator!=(double a, const Tensor& b) {
  return ne(detail::number_for(b, a), b);
}
inline Tensor operator<(const Tensor& a, const Tensor& b) {
  return lt(a, b);
}
inline Tensor operator<(const Tensor& a, double b) {
  return lt(a, detail::number_for(a, b));
}
inline Tensor operator<(double a, const Tensor& b) {
  return lt(detail::number_for(b, a), b);
}
inline Tensor operator<=(const Tensor& a, const Tensor& b) {
  return le(a, b);
}
inline Tensor operator<=(const Tensor& a, double b) {
  return le(a, detail::number_for(a, b));
}
inline Tensor operator<=(double a, const Tensor& b) {
  return le(detail::number_for(b, a), b);
}
inline Tensor operator>(const Tensor& a, const Tensor& b) {
  return gt(a, b);
}
inline Tensor operator>(const Tensor& a, double b) {
  return gt(a, detail::number_for(a, b));
}
inline Tensor operator>(double a, const Tensor& b) {
  return gt(detail::number_for(b, a), b);
}
inline Tensor operator>=(const Tensor& a, const Tensor& b) {
  return ge(a, b);
}
inline Tensor operator>=(const Tensor& a, double b) {
  return ge(a, detail::number_for(a, b));
}
inline Tensor operator>=(double a, const Tensor& b) {
  return ge(detail::number_for(b, a), b);
}
// a += b and the like. A leaf that wants a gradient (a parameter) is updated in place, which is legal under NoGrad only
// and an Error elsewhere, as in PyTorch. Everything else gets a new node: the old value stays in the graph, and only
// the name a moves on.
namespace detail {
/// `value` under the name a, or in its memory. `op` is "+=" and the like.
Tensor& assign(const char* op, Tensor& a, const Tensor& value);
}  // namespace detail
inline Tensor& operator+=(Tensor& a, const Tensor& b) {
  return detail::assign("+=", a, a + b);
}
inline Tensor& operator-=(Tensor& a, const Tensor& b) {
  return detail::assign("-=", a, a - b);
}
inline Tensor& operator*=(Tensor& a, const Tensor& b) {
  return detail::assign("*=", a, a * b);
}
inline Tensor& operator/=(Tensor& a, const Tensor& b) {
  return detail::assign("/=", a, a / b);
}
inline Tensor& operator+=(Tensor& a, double b) {
  return detail::assign("+=", a, a + b);
}
inline Tensor& operator-=(Tensor& a, double b) {
  return detail::assign("-=", a, a - b);
}
inline Tensor& operator*=(Tensor& a, double b) {
  return detail::assign("*=", a, a * b);
}
inline Tensor& operator/=(Tensor& a, double b) {
  return detail::assign("/=", a, a / b);
}

// ---- shape
Tensor reshape(const Tensor& x, const Shape& shape);              // shares memory; same number of elements
Tensor permute(const Tensor& x, const std::vector<Index>& dims);  // dimension i of the result is dims[i] of x; copies
Tensor transpose(const Tensor& x, Index dim0 = -2, Index dim1 = -1);  // copies; matmul and linear need no transpose
Tensor slice(const Tensor& x, Index dim, Index begin, Index end);     // indices begin .. end-1 of one dimension; copies
Tensor concat(const std::vector<Tensor>& parts, Index dim = 0);       // joined along an existing dimension
Tensor stack(const std::vector<Tensor>& parts, Index dim = 0);        // equal shapes, joined along a new dimension
Tensor broadcast_to(const Tensor& x, const Shape& shape);             // repeated as NumPy broadcasting would

// ---- reductions: over all dimensions to one number, or over `dims` (one, sum(x, 1), or a list, sum(x, {0, 2})), which
// stay with size 1 when keepdim
Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor max(const Tensor& x);  // equal maxima share the gradient evenly
Tensor max(const Tensor& x, const Dims& dims, bool keepdim = false);
/// The variance; divides by (count - correction): 1 is Bessel's correction, 0 the plain mean of squares.
Tensor var(const Tensor& x);
Tensor var(const Tensor& x, const Dims& dims, bool keepdim = false, double correction = 1);
/// The index of the largest value along `dim`: the first of equal ones, and a NaN counts as the largest. Plain numbers,
/// no gradient.
std::vector<Index> argmax(const Tensor& x, Index dim = -1);

// ---- products
/// (.., m, k) x (.., k, n) -> (.., m, n); leading dimensions broadcast; 1-D arguments as in NumPy. The flags take a
/// factor as if its last two dimensions were swapped, without a copy.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
/// x weight^T + bias: (.., in), (out, in), (out) -> (.., out). An undefined bias is none.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// ---- over one dimension
/// e^x / sum of e^x along `dim`, and its logarithm, without overflow for large x; any shape -> the same shape.
Tensor softmax(const Tensor& x, Index dim = -1);
Tensor log_softmax(const Tensor& x, Index dim = -1);
/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimension (Ba, Kiros & Hinton 2016); weight and bias have
/// its size or are undefined.  (.., n), (n), (n) -> (.., n)
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
/// x / sqrt(mean(x^2) + eps) * weight over the last dimension (Zhang & Sennrich 2019).  (.., n), (n) -> (.., n)
Tensor rms_norm(const Tensor& x, const Tensor& weight = {}, double eps = 1e-5);

// ---- networks
/// Rows of `weight` picked by `ids`: (rows, n) -> (ids.size(), n), or (shape of ids, n) when that shape is given.
Tensor embedding(const Tensor& weight, std::span<const std::int32_t> ids);
Tensor embedding(const Tensor& weight, std::span<const std::int32_t> ids, const Shape& ids_shape);
/// Each element set to 0 with probability p, the others divided by 1 - p; x itself unless training (or p is 0).
Tensor dropout(const Tensor& x, double p, bool training = true);
Tensor dropout(const Tensor& x, double p, bool training, Generator& generator);
/// Mean over the targets t != ignore_index of -log softmax(logits)[t]: (.., V) and one target per row -> one number.
/// The classes are the last dimension, not the second as in PyTorch: pass permute(logits, {0, 2, 1}) for its (B, C, L).
/// If every target is ignored, the loss and its gradient are 0. Label smoothing p (Szegedy et al. 2016, section 7; 0 <=
/// p < 1) weighs that mean with 1 - p and the mean of -log softmax(logits) over all V classes with p.
Tensor cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets, std::int32_t ignore_index = -1,
                     double label_smoothing = 0);
/// Mean of (prediction - target)^2; equal shapes -> one number.
Tensor mse_loss(const Tensor& prediction, const Tensor& target);
/// Mean of |prediction - target|; equal shapes -> one number.
Tensor l1_loss(const Tensor& prediction, const Tensor& target);
/// Mean of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d = prediction - target (Huber 1964).
Tensor huber_loss(const Tensor& prediction, const Tensor& target, double delta = 1);
/// Mean of -(t log s(x) + (1 - t) log(1 - s(x))) with s = sigmoid; equal shapes -> one number. Targets t should be from
/// 0 to 1, which is not checked: others give the formula's value, which has no lower bound.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target);
/// Kullback & Leibler's divergence, sum of t (log t - log_prediction) over everything, divided by the first size:
/// PyTorch's with reduction "batchmean". log_prediction is log_softmax of logits; target holds probabilities.
Tensor kl_div(const Tensor& log_prediction, const Tensor& target);

/// Height and width; one number stands for both.
struct Size2 {
  Index height = 0, width = 0;
  Size2() = default;
  Size2(Index both) : height(both), width(both) {}
  Size2(Index h, Index w) : height(h), width(w) {}
};
struct Conv1dOptions {
  Index stride = 1, padding = 0, dilation = 1;
};
struct Conv2dOptions {
  Size2 stride = 1, padding = 0, dilation = 1;  // padding with zeros, on both sides
};
struct Pool2dOptions {
  Size2 stride = 0;  // 0: the window's size
  Size2 padding = 0;
};
/// Cross-correlation, as PyTorch's convolution is: y[o, p] = bias[o] + sum over c and k of weight[o, c, k]
/// x[c, stride p + dilation k - padding], where x is 0 outside.
/// (B, in, L), (out, in, K), (out) -> (B, out, (L + 2 padding - dilation (K - 1) - 1) / stride + 1)
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Conv1dOptions options = {});
/// The same in two dimensions: (B, in, H, W), (out, in, KH, KW), (out) -> (B, out, H', W'), sizes as in conv1d.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Conv2dOptions options = {});
/// The largest value under each window; the first of equals gets the gradient. (.., H, W) -> (.., H', W'), sizes as in
/// conv2d. Padding is never the largest.
Tensor max_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options = {});
/// The mean under each window; padding counts as zeros, as in PyTorch. (.., H, W) -> (.., H', W')
Tensor avg_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options = {});

/// Of scaled_dot_product_attention and packed_attention.
struct AttentionOptions {
  // Query i sees keys 0 .. i + (S - T), so the last query sees all keys. Generation needs this, because the keys of
  // earlier tokens come from a cache. PyTorch's is_causal counts from the first key (0 .. i); both agree if S = T.
  bool causal = false;
  double scale = 0;  // 0: 1 / sqrt(D)
  // Each weight is set to 0 with this probability, the others are divided by 1 - dropout_p: pass 0 outside of training.
  double dropout_p = 0;
  // Of scaled_dot_product_attention alone. Both broadcast to (.., T, S).
  Tensor attn_mask = {};  // 1 where the query sees the key, else 0: PyTorch's boolean attn_mask. No gradient
  Tensor attn_bias = {};  // added to the scores: PyTorch's attn_mask of numbers
};
namespace detail {
/// Throws Error unless the mask holds only 0 and 1: numbers to add to scores, given as a mask by mistake, would hide
/// keys.
void check_flags(const char* op, const char* name, const Tensor& mask);
}  // namespace detail
/// softmax(q k^T scale) v for each leading index (Vaswani et al. 2017, eq. 1). The T x S weights are not kept, unless a
/// mask, a bias or dropout is given: then matmul, softmax and dropout compute them.
/// Keys that causal or the mask hides have weight 0; values there must still be finite, since 0 times infinity is NaN.
/// A query that sees no key gets 0, also in place of PyTorch 1.13's NaN.
/// q (.., T, D), k (.., S, D), v (.., S, E) -> (.., T, E)
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});
/// Self-attention with `heads` heads, computed from the joint projection, each document by itself: the rows of qkv are
/// tokens, the documents stand one after another, and the i-th has lengths[i] rows (all rows together). The columns are
/// q, k and v, each split into heads. (N, 3 C) -> (N, C)
Tensor packed_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths,
                        const AttentionOptions& options = {});

#pragma GCC visibility pop
}  // namespace gradus
