// The index of the ops (clone() and to() are in tensor.h, cached_attention() in its own header). Shapes stand beside
// the names; (..) is any number of leading dimensions. All tensors of one call must have the same DType; the result has
// it too. Every tensor argument gets a gradient unless a line says otherwise or it only decides between values, as a
// mask or a sign does. A mistake throws Error with the shapes that arrived and what to do.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <gradus/core/ids.h>
#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

// ---- pointwise, one argument: any shape -> the same shape (formulas: kernels/unary.def)
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);   // 2^x
Tensor expm1(const Tensor& x);  // e^x - 1, accurate near 0
Tensor log(const Tensor& x);    // natural logarithm
Tensor log2(const Tensor& x);
Tensor log1p(const Tensor& x);  // log(1 + x), accurate near 0
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

// ---- comparisons: 1 where it holds, else 0, in the type of the arguments; no gradient. They broadcast.
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

// ---- masks. They get no gradient, the values do.
/// a where condition is not 0, else b; all three broadcast.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);
Tensor where(const Tensor& condition, double a, double b);
/// x where mask is 0, else `value`; they broadcast.
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);
/// x on and below (tril) or on and above (triu) a diagonal of the last two dimensions, else 0. Diagonal 0 is the main
/// one, 1 the next above it. (.., m, n) -> (.., m, n)
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
inline Tensor operator%(const Tensor& a, const Tensor& b) {
  return remainder(a, b);
}
inline Tensor remainder(const Tensor& a, double b) {
  return remainder(a, detail::number_for(a, b));
}
inline Tensor fmod(const Tensor& a, double b) {
  return fmod(a, detail::number_for(a, b));
}
inline Tensor operator%(const Tensor& a, double b) {
  return remainder(a, detail::number_for(a, b));
}
/// Of masks, element by element.
inline Tensor operator!(const Tensor& x) {
  return logical_not(x);
}
inline Tensor operator~(const Tensor& x) {
  return logical_not(x);
}
inline Tensor operator&(const Tensor& a, const Tensor& b) {
  return logical_and(a, b);
}
inline Tensor operator|(const Tensor& a, const Tensor& b) {
  return logical_or(a, b);
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
/// Ids beside a tensor are compared element by element; of two Ids == tells whether they are the same.
inline Tensor operator==(const Ids& a, const Tensor& b) {
  return eq(a, b);
}
inline Tensor operator==(const Tensor& a, const Ids& b) {
  return eq(a, b);
}
inline Tensor operator!=(const Ids& a, const Tensor& b) {
  return ne(a, b);
}
inline Tensor operator!=(const Tensor& a, const Ids& b) {
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
/// Makes a the name of `value`, or copies `value` into the memory of a parameter. `op` is "+=" and the like.
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
Tensor reshape(const Tensor& x, const Sizes& sizes);  // shares memory; one size may be -1: inferred from the others
Tensor view(const Tensor& x, const Sizes& sizes);     // the same
Tensor flatten(const Tensor& x, Index start_dim = 0, Index end_dim = -1);  // these dimensions become one
Tensor unsqueeze(const Tensor& x, Index dim);                              // a new dimension of size 1
Tensor squeeze(const Tensor& x);                                           // without the dimensions of size 1
Tensor squeeze(const Tensor& x, Index dim);                       // without this one if its size is 1, else x itself
Tensor permute(const Tensor& x, const std::vector<Index>& dims);  // dimension i of the result is dims[i] of x; copies
Tensor movedim(const Tensor& x, Index source, Index destination);
Tensor transpose(const Tensor& x, Index dim0 = -2, Index dim1 = -1);  // copies; matmul and linear need no transpose
/// Indices begin, begin + step, .. below end of one dimension; copies. Negative ones count from the end, and what lies
/// outside is left out: slice(x, 0, -3, 99) is the last three.
Tensor slice(const Tensor& x, Index dim, Index begin, Index end, Index step = 1);
Tensor narrow(const Tensor& x, Index dim, Index start, Index length);
Tensor select(const Tensor& x, Index dim, Index index);  // one index of a dimension, without it: (2, 3, 4) -> (2, 4)
/// x with `source` in the place of slice(x, dim, begin, end, step), or of select(x, dim, index): assignment to a slice,
/// as a new tensor.
Tensor slice_scatter(const Tensor& x, const Tensor& source, Index dim, Index begin, Index end, Index step = 1);
Tensor select_scatter(const Tensor& x, const Tensor& source, Index dim, Index index);
/// The elements with index i in dim1 and i + offset in dim2; the two dimensions become the last one. (m, n, ..) -> (..,
/// length)
Tensor diagonal(const Tensor& x, Index offset = 0, Index dim1 = 0, Index dim2 = 1);
Tensor flip(const Tensor& x, const Dims& dims);        // these dimensions turned around
Tensor roll(const Tensor& x, Index shift, Index dim);  // index i moves to i + shift, past the end to the front
/// `value` around x: pairs of widths (before, after), for the last dimension first; a negative width crops. {1, 2} adds
/// one element before and two after each row.
Tensor pad(const Tensor& x, const std::vector<Index>& widths, double value = 0);
std::vector<Tensor> split(const Tensor& x, Index size, Index dim = 0);    // parts of `size`, the last may be smaller
std::vector<Tensor> chunk(const Tensor& x, Index chunks, Index dim = 0);  // at most so many, equal but for the last
std::vector<Tensor> unbind(const Tensor& x, Index dim = 0);               // select() of every index
Tensor concat(const std::vector<Tensor>& parts, Index dim = 0);           // joined along an existing dimension
Tensor stack(const std::vector<Tensor>& parts, Index dim = 0);            // equal shapes, joined along a new dimension
Tensor broadcast_to(const Tensor& x, const Shape& shape);                 // repeated as NumPy broadcasting would
Tensor expand(const Tensor& x, const Sizes& sizes);                       // the same; -1 keeps a size
Tensor repeat(const Tensor& x, const Sizes& counts);  // x so many times along each dimension, as tiles

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
/// The square root of var; gradient 0 where it is 0.
Tensor std(const Tensor& x);
Tensor std(const Tensor& x, const Dims& dims, bool keepdim = false, double correction = 1);
Tensor min(const Tensor& x);  // equal minima share the gradient evenly
Tensor min(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor amax(const Tensor& x, const Dims& dims, bool keepdim = false);  // max and min under PyTorch's other names
Tensor amin(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor prod(const Tensor& x);
Tensor prod(const Tensor& x, const Dims& dims, bool keepdim = false);
/// log of the sum of e^x, without overflow.
Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim = false);
/// (sum of |x|^p)^(1/p); infinity: the largest |x|, -infinity: the smallest, 0: how many are not 0. Gradient 0 where
/// the norm is 0.
Tensor norm(const Tensor& x, double p = 2);
Tensor norm(const Tensor& x, double p, const Dims& dims, bool keepdim = false);
Tensor cumsum(const Tensor& x, Index dim);   // the sum of the elements up to each one; same shape
Tensor cumprod(const Tensor& x, Index dim);  // likewise the product
/// any and all: 1 if any or all of the elements are not 0, else 0. count_nonzero: how many are not 0. No gradient.
Tensor any(const Tensor& x);
Tensor any(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor all(const Tensor& x);
Tensor all(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor count_nonzero(const Tensor& x);
Tensor count_nonzero(const Tensor& x, const Dims& dims);
/// The index of the largest value along `dim`: the first of equal ones, and a NaN counts as the largest. The shape is
/// that of x without `dim`.
Ids argmax(const Tensor& x, Index dim = -1);
Ids argmin(const Tensor& x, Index dim = -1);  // likewise of the smallest

// ---- order. A NaN counts as larger than every number, and equal values keep their order.
/// Values, which have gradients, and where they were along the dimension.
struct Sorted {
  Tensor values;
  Ids indices;
};
Ids argsort(const Tensor& x, Index dim = -1, bool descending = false);
Sorted sort(const Tensor& x, Index dim = -1, bool descending = false);
/// The k largest in descending order, or the k smallest in ascending order.
Sorted topk(const Tensor& x, Index k, Index dim = -1, bool largest = true);
/// The value in the middle of the order, the lower one of two; NaN if one is there.
Tensor median(const Tensor& x);
Sorted median(const Tensor& x, Index dim, bool keepdim = false);

// ---- picked by ids
/// y[i][j][k] = x[i][ids[i][j][k]][k] for dim 1, likewise for others; the ids have x's number of dimensions, and at
/// most its size in all but `dim`. The result has the shape of the ids.
Tensor gather(const Tensor& x, Index dim, Ids ids);
/// x with source[i][j][k] added at [i][ids[i][j][k]][k] for dim 1, likewise for others; source has the shape of the
/// ids.
Tensor scatter_add(const Tensor& x, Index dim, Ids ids, const Tensor& source);
Tensor index_select(const Tensor& x, Index dim, Ids ids);  // these indices of one dimension, in this order
/// gather() with ids that have size 1 where they broadcast to x.
Tensor take_along_dim(const Tensor& x, const Ids& ids, Index dim);
/// The whole numbers of x as ids of its shape: PyTorch's x.long(). tensor(ids) is the way back. Throws Error for a
/// number that is not whole or does not fit in 32 bits. No gradient.
Ids to_ids(const Tensor& x);
/// 1 at each id and 0 elsewhere: ids of any shape -> (shape of ids, classes).
Tensor one_hot(const Ids& ids, Index classes, DType dtype = DType::f32);

// ---- products
/// (.., m, k) x (.., k, n) -> (.., m, n); leading dimensions broadcast; 1-D arguments as in NumPy. The flags take a
/// factor as if its last two dimensions were swapped, without a copy.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
Tensor bmm(const Tensor& a, const Tensor& b);    // (B, m, k) x (B, k, n) -> (B, m, n)
Tensor dot(const Tensor& a, const Tensor& b);    // (n), (n) -> ()
Tensor outer(const Tensor& a, const Tensor& b);  // (m), (n) -> (m, n)
/// Products summed as the equation says: "bij,bjk->bik" is bmm. A letter names a dimension; those that are not in the
/// result are summed over; a letter that stands twice in an operand takes the diagonal; "..." stands for further
/// dimensions, which broadcast. Without "->" the result has the letters that stand once, in alphabetical order.
Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands);
/// x weight^T + bias: (.., in), (out, in), (out) -> (.., out). An undefined bias is none.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// ---- over one dimension
/// e^x / sum of e^x along `dim`, and its logarithm, without overflow for large x; any shape -> the same shape.
Tensor softmax(const Tensor& x, Index dim = -1);
Tensor log_softmax(const Tensor& x, Index dim = -1);
Tensor softmin(const Tensor& x, Index dim = -1);  // softmax(-x)
/// The first half of `dim` times the sigmoid of the second (Dauphin et al. 2017), or the silu of the first times the
/// second (Shazeer 2020). (.., 2 n) -> (.., n)
Tensor glu(const Tensor& x, Index dim = -1);
Tensor swiglu(const Tensor& x, Index dim = -1);
/// x where x > 0, else weight x (He et al. 2015); weight is (1), or (C) for x (B, C, ..).
Tensor prelu(const Tensor& x, const Tensor& weight);
/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimension (Ba, Kiros & Hinton 2016); weight and bias have
/// its size or are undefined.  (.., n), (n), (n) -> (.., n)
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
/// The channels of x in `groups` equal parts, each brought to mean 0 and variance 1 as in layer_norm, then scaled by a
/// weight and moved by a bias for each channel (Wu & He 2018).  (B, C, ..), (C), (C) -> (B, C, ..)
Tensor group_norm(const Tensor& x, Index groups, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
/// x / sqrt(mean(x^2) + eps) * weight over the last dimension (Zhang & Sennrich 2019).  (.., n), (n) -> (.., n)
Tensor rms_norm(const Tensor& x, const Tensor& weight = {}, double eps = 1e-5);

// ---- networks
/// Rows of `weight` picked by `ids`: (rows, n) -> (shape of ids, n).
Tensor embedding(const Tensor& weight, Ids ids);
Tensor embedding(const Tensor& weight, Ids ids, const Shape& ids_shape);
/// Each element set to 0 with probability p, the others divided by 1 - p; x itself unless training (or p is 0).
Tensor dropout(const Tensor& x, double p, bool training = true);
Tensor dropout(const Tensor& x, double p, bool training, Generator& generator);
/// Uniform ids from low to high - 1.
Ids randint(Index low, Index high, const Shape& shape, Generator& generator = default_generator());
/// 1 with the given probability, else 0, for each element; no gradient.
Tensor bernoulli(const Tensor& probability, Generator& generator = default_generator());
/// Indices drawn in proportion to weights (n), or to each row of weights (rows, n).
Ids multinomial(const Tensor& weights, Index num_samples, bool replacement = false,
                Generator& generator = default_generator());

// ---- losses. `reduction` says what becomes of the losses of the elements, or rows: they themselves, their mean, their
// sum.
enum class Reduction { none, mean, sum };
/// Mean over the targets t != ignore_index of -log softmax(logits)[t]: (.., V) and one target per row -> one number.
/// The classes are the last dimension, not the second as in PyTorch: pass permute(logits, {0, 2, 1}) for its (B, C, L).
/// If every target is ignored, the loss and its gradient are 0. Label smoothing p (Szegedy et al. 2016, section 7; 0 <=
/// p < 1) weighs that mean with 1 - p and the mean of -log softmax(logits) over all V classes with p.
Tensor cross_entropy(const Tensor& logits, Ids targets, std::int32_t ignore_index = -1, double label_smoothing = 0);
struct CrossEntropyOptions {
  Tensor weight = {};  // (V): a factor per class; the mean divides by the sum of the factors
  std::int32_t ignore_index = -1;
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;
};
Tensor cross_entropy(const Tensor& logits, const Ids& targets, const CrossEntropyOptions& options);
/// Against probabilities of the classes: -sum p log softmax(logits) per row. (.., V), (.., V) -> one number. A tensor
/// of one dimension less holds targets: (.., V), (..).
Tensor cross_entropy(const Tensor& logits, const Tensor& probabilities, const CrossEntropyOptions& options = {});
struct NLLOptions {
  Tensor weight = {};
  std::int32_t ignore_index = -1;
  Reduction reduction = Reduction::mean;
};
/// cross_entropy that takes log_softmax(logits) instead of the logits.
Tensor nll_loss(const Tensor& log_probabilities, const Ids& targets, const NLLOptions& options = {});
/// (prediction - target)^2; equal shapes.
Tensor mse_loss(const Tensor& prediction, const Tensor& target);
Tensor mse_loss(const Tensor& prediction, const Tensor& target, Reduction reduction);
/// |prediction - target|; equal shapes.
Tensor l1_loss(const Tensor& prediction, const Tensor& target);
Tensor l1_loss(const Tensor& prediction, const Tensor& target, Reduction reduction);
/// d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d = prediction - target (Huber 1964).
Tensor huber_loss(const Tensor& prediction, const Tensor& target, double delta = 1);
Tensor huber_loss(const Tensor& prediction, const Tensor& target, Reduction reduction, double delta = 1);
Tensor smooth_l1_loss(const Tensor& prediction, const Tensor& target, Reduction reduction = Reduction::mean,
                      double beta = 1);  // huber_loss with delta = beta, divided by beta
struct BinaryCrossEntropyOptions {
  Tensor weight = {};      // a factor per loss, which broadcasts
  Tensor pos_weight = {};  // a factor of the target's part, which broadcasts
  Reduction reduction = Reduction::mean;
};
/// -(t log s(x) + (1 - t) log(1 - s(x))) with s = sigmoid; equal shapes. Targets t should be from 0 to 1, which is not
/// checked: others give the formula's value, which has no lower bound.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target);
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const BinaryCrossEntropyOptions& options);
/// The same of probabilities s(x). A logarithm counts as -100 at least and has a slope of 1e12 at most, as in PyTorch:
/// the loss and the gradient are finite at 0 and 1.
Tensor binary_cross_entropy(const Tensor& probability, const Tensor& target,
                            const BinaryCrossEntropyOptions& options = {});
/// Kullback & Leibler's divergence, sum of t (log t - log_prediction) over everything, divided by the first size:
/// PyTorch's with reduction "batchmean". log_prediction is log_softmax of logits; target holds probabilities.
Tensor kl_div(const Tensor& log_prediction, const Tensor& target);
Tensor kl_div(const Tensor& log_prediction, const Tensor& target, Reduction reduction);
struct GaussianNLLOptions {
  bool full = false;  // with the constant log(2 pi) / 2
  double eps = 1e-6;  // the least variance
  Reduction reduction = Reduction::mean;
};
/// (log var + (prediction - target)^2 / var) / 2 (Nix & Weigend 1994); the three broadcast.
Tensor gaussian_nll_loss(const Tensor& prediction, const Tensor& target, const Tensor& var,
                         const GaussianNLLOptions& options = {});
struct PoissonNLLOptions {
  bool log_input = true;  // prediction is the logarithm of the rate, else the rate
  bool full = false;      // with Stirling's approximation of log(target!)
  double eps = 1e-8;      // added to the rate inside the logarithm
  Reduction reduction = Reduction::mean;
};
/// rate - target log(rate); equal shapes.
Tensor poisson_nll_loss(const Tensor& prediction, const Tensor& target, const PoissonNLLOptions& options = {});
/// In the next four, targets are 1 or -1. x for 1, max(0, margin - x) for -1.
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin = 1,
                            Reduction reduction = Reduction::mean);
/// max(0, -target (x1 - x2) + margin).
Tensor margin_ranking_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin = 0,
                           Reduction reduction = Reduction::mean);
/// log(1 + e^(-target x)).
Tensor soft_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
/// 1 - cosine for 1, max(0, cosine - margin) for -1, of the rows of x1 and x2. (.., n), (.., n), (..)
Tensor cosine_embedding_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin = 0,
                             Reduction reduction = Reduction::mean);
struct TripletMarginOptions {
  double margin = 1;
  double p = 2;  // of the norm
  double eps = 1e-6;
  bool swap = false;  // measure to the negative from anchor or positive, whichever is nearer (Balntas et al. 2016)
  Reduction reduction = Reduction::mean;
};
/// max(0, distance(anchor, positive) - distance(anchor, negative) + margin) of rows.
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginOptions& options = {});
/// The norm of x1 - x2 + eps over the last dimension.
Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p = 2, double eps = 1e-6, bool keepdim = false);
/// x divided by its norm along `dim`, which is eps at least.
Tensor normalize(const Tensor& x, double p = 2, Index dim = 1, double eps = 1e-12);
/// The dot product of the normalized x1 and x2 along `dim`.
Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, Index dim = 1, double eps = 1e-8);

/// Height and width; one number stands for both.
struct Size2 {
  Index height = 0, width = 0;
  Size2() = default;
  Size2(Index both) : height(both), width(both) {}
  Size2(Index h, Index w) : height(h), width(w) {}
};
/// valid: no padding. same: as much as makes the result as long as the input.
enum class Padding { valid, same };
/// Zeros on both sides of an input, as many as `size`. Padding::same adds dilation (kernel - 1) of them in total; if
/// that is odd, the end gets one more, as in PyTorch. It needs a stride of 1.
struct Padding1d {
  Index size = 0;
  bool same = false;
  Padding1d() = default;
  Padding1d(Index both_sides) : size(both_sides) {}
  Padding1d(Padding kind) : same(kind == Padding::same) {}
};
/// The same for height and width.
struct Padding2d {
  Size2 size = 0;
  bool same = false;
  Padding2d() = default;
  Padding2d(Index all_sides) : size(all_sides) {}
  Padding2d(Index height, Index width) : size(height, width) {}
  Padding2d(Size2 both) : size(both) {}
  Padding2d(Padding kind) : same(kind == Padding::same) {}
};
struct Conv1dOptions {
  Index stride = 1;
  Padding1d padding = 0;
  Index dilation = 1;
  Index groups = 1;
};
struct Conv2dOptions {
  Size2 stride = 1;
  Padding2d padding = 0;
  Size2 dilation = 1;
  Index groups = 1;
};
struct ConvTranspose1dOptions {
  Index stride = 1, padding = 0, output_padding = 0, groups = 1, dilation = 1;
};
struct ConvTranspose2dOptions {
  Size2 stride = 1, padding = 0, output_padding = 0;
  Index groups = 1;
  Size2 dilation = 1;
};
struct Pool1dOptions {
  Index stride = 0;  // 0: the window's size
  Index padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
};
struct Pool2dOptions {
  Size2 stride = 0;  // 0: the window's size
  Size2 padding = 0;
  // The last window may reach beyond the padding; what is there never counts.
  bool ceil_mode = false;
  bool count_include_pad = true;  // in means: padding counts as zeros
};
/// Cross-correlation, as PyTorch's convolution is: y[o, p] = bias[o] + sum over c and k of weight[o, c, k]
/// x[c, stride p + dilation k - padding], where x is 0 outside.
/// (B, in, L), (out, in, K), (out) -> (B, out, (L + 2 padding - dilation (K - 1) - 1) / stride + 1)
/// With groups (Krizhevsky et al. 2012), which must divide in and out, each is a convolution of its own from its part
/// of the inputs to its part of the outputs, and weight is (out, in / groups, K).
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Conv1dOptions options = {});
/// The same in two dimensions: (B, in, H, W), (out, in, KH, KW), (out) -> (B, out, H', W'), sizes as in conv1d.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Conv2dOptions options = {});
/// The gradient of conv1d by its input as an op (Zeiler et al. 2010): y[o, stride p + dilation k - padding] is bias[o]
/// plus the sum over c of weight[c, o, k] x[c, p]. output_padding lengthens the result at its end; it must be less than
/// stride or dilation.
/// (B, in, L), (in, out / groups, K), (out)
/// -> (B, out, (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1)
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        ConvTranspose1dOptions options = {});
/// The same in two dimensions: (B, in, H, W), (in, out / groups, KH, KW), (out) -> (B, out, H', W').
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        ConvTranspose2dOptions options = {});
/// The largest value under each window; the first of equals gets the gradient. Padding is never the largest.
/// (.., L) -> (.., (L + 2 padding - kernel) / stride + 1), with ceil_mode rounded up
Tensor max_pool1d(const Tensor& x, Index kernel, Pool1dOptions options = {});
/// The same in two dimensions: (.., H, W) -> (.., H', W').
Tensor max_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options = {});
/// The mean under each window; padding counts as zeros, as in PyTorch, unless count_include_pad is false. (.., L) ->
/// (.., L'), sizes as in max_pool1d.
Tensor avg_pool1d(const Tensor& x, Index kernel, Pool1dOptions options = {});
/// The same in two dimensions: (.., H, W) -> (.., H', W').
Tensor avg_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options = {});
/// The mean of `size` windows that cover x evenly: the i-th is floor(i L / size) .. ceil((i + 1) L / size) - 1.
/// (.., L) -> (.., size)
Tensor adaptive_avg_pool1d(const Tensor& x, Index size);
/// The same in two dimensions: (.., H, W) -> (.., size.height, size.width).
Tensor adaptive_avg_pool2d(const Tensor& x, Size2 size);
/// The largest value of such windows; the first of equals gets the gradient.
Tensor adaptive_max_pool2d(const Tensor& x, Size2 size);

/// How interpolate() finds a value between others: linear is for (B, C, L), bilinear for (B, C, H, W), as in PyTorch.
enum class Interpolation { nearest, linear, bilinear };
/// A factor for height and width; one number stands for both.
struct Scale2 {
  double height = 0, width = 0;
  Scale2() = default;
  Scale2(double both) : height(both), width(both) {}
  Scale2(double h, double w) : height(h), width(w) {}
};
/// One of size and scale_factor.
struct InterpolateOptions {
  Size2 size = 0;           // of the result
  Scale2 scale_factor = 0;  // the result's size is x's times this, rounded down
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;  // the corner elements of x and of the result coincide, not their outer edges
};
/// x drawn larger or smaller: result o lies at s (o + 1/2) - 1/2 of x, s being 1 / scale_factor, or the size of x by
/// that of the result; with align_corners at o (size - 1) / (result's size - 1). bilinear weighs both neighbours of
/// that place along each dimension, nearest takes the element at floor(s o), all as PyTorch does. (B, C, H, W) -> (B,
/// C, H', W'); (B, C, L) -> (B, C, L'), given as the width
Tensor interpolate(const Tensor& x, InterpolateOptions options);

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
/// A query that sees no key gets 0, where PyTorch 1.13 gives NaN.
/// q (.., T, D), k (.., S, D), v (.., S, E) -> (.., T, E)
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});
/// Self-attention with `heads` heads, computed from the joint projection, each document by itself: the rows of qkv are
/// tokens, the documents stand one after another, the i-th has lengths[i] rows, N in total. The columns are q, k and v,
/// each split into heads. (N, 3 C) -> (N, C)
Tensor packed_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths,
                        const AttentionOptions& options = {});

// ---- more of PyTorch's ops, most of them composed of those above
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor erfc(const Tensor& x);  // 1 - erf(x), accurate for large x too
Tensor frac(const Tensor& x);  // x - trunc(x)
Tensor sinc(const Tensor& x);  // sin(pi x) / (pi x), and 1 at 0
Tensor deg2rad(const Tensor& x);
Tensor rad2deg(const Tensor& x);
Tensor signbit(const Tensor& x);  // 1 where x < 0 or x is -0; no gradient, as of the next two
Tensor isposinf(const Tensor& x);
Tensor isneginf(const Tensor& x);
/// log(x / (1 - x)); x is kept within [eps, 1 - eps] if eps is not negative.
Tensor logit(const Tensor& x, double eps = -1);
/// These values in the place of NaN and of the infinities. Without one, the type's largest number, or its negative.
Tensor nan_to_num(const Tensor& x, double nan = 0);
Tensor nan_to_num(const Tensor& x, double nan, double posinf, double neginf);
Tensor threshold(const Tensor& x, double threshold, double value);  // x where x > threshold, else value
Tensor clamp_min(const Tensor& x, double low);
Tensor clamp_max(const Tensor& x, double high);
/// x where x >= 0, else a x with a drawn from [lower, upper) for each element, or their mean unless training.
Tensor rrelu(const Tensor& x, double lower = 1.0 / 8, double upper = 1.0 / 3, bool training = false);
Tensor hypot(const Tensor& a, const Tensor& b);           // sqrt(a^2 + b^2); gradient 0 where both are 0
Tensor logaddexp(const Tensor& a, const Tensor& b);       // log(e^a + e^b), without overflow
Tensor logaddexp2(const Tensor& a, const Tensor& b);      // log2(2^a + 2^b)
Tensor xlogy(const Tensor& x, const Tensor& y);           // x log(y), and 0 where x is 0
Tensor heaviside(const Tensor& x, const Tensor& values);  // 0 below 0, 1 above, `values` at 0; no gradient
Tensor copysign(const Tensor& a, const Tensor& b);        // |a| with the sign of b, also of -0
Tensor fmax(const Tensor& a, const Tensor& b);            // maximum and minimum, but a number wins over a NaN
Tensor fmin(const Tensor& a, const Tensor& b);
Tensor floor_divide(const Tensor& a, const Tensor& b);                                // floor(a / b)
Tensor ldexp(const Tensor& x, const Tensor& exponent);                                // x 2^exponent
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);  // x + value a b
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);  // x + value a / b
/// 1 where |a - b| <= atol + rtol |b|; equal infinities are close, NaNs if equal_nan. No gradient.
Tensor isclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
bool equal(const Tensor& a, const Tensor& b);                      // the same shape and numbers
Tensor isin(const Tensor& elements, const Tensor& test_elements);  // 1 where the element is one of these; no gradient

Tensor ravel(const Tensor& x);                                      // flatten(x)
Tensor t(const Tensor& x);                                          // the transpose of a matrix; a vector as it is
Tensor swapaxes(const Tensor& x, Index axis0, Index axis1);         // transpose
Tensor moveaxis(const Tensor& x, Index source, Index destination);  // movedim
Tensor unflatten(const Tensor& x, Index dim, const Sizes& sizes);   // this dimension becomes several
Tensor tile(const Tensor& x, const Sizes& counts);  // repeat, with counts of 1 for the leading dimensions left out
Tensor fliplr(const Tensor& x);                     // flip(x, 1)
Tensor flipud(const Tensor& x);                     // flip(x, 0)
Tensor rot90(const Tensor& x, Index k = 1, Index dim0 = 0, Index dim1 = 1);  // k quarter turns from dim0 to dim1
Tensor atleast_1d(const Tensor& x);                                          // () -> (1)
Tensor atleast_2d(const Tensor& x);                                          // (n) -> (1, n)
Tensor atleast_3d(const Tensor& x);                                          // (n) -> (1, n, 1), (m, n) -> (m, n, 1)
Tensor hstack(const std::vector<Tensor>& parts);                             // joined side by side
Tensor vstack(const std::vector<Tensor>& parts);                             // one below another
Tensor dstack(const std::vector<Tensor>& parts);                             // joined along dimension 2
Tensor column_stack(const std::vector<Tensor>& parts);                       // hstack, with vectors as columns
Tensor block_diag(const std::vector<Tensor>& parts);                         // matrices along the diagonal, 0 elsewhere
std::vector<Tensor> split(const Tensor& x, const std::vector<Index>& sizes, Index dim = 0);  // parts of these sizes
std::vector<Tensor> tensor_split(const Tensor& x, Index sections, Index dim = 0);  // the first parts may be larger by 1
std::vector<Tensor> hsplit(const Tensor& x, Index sections);  // equal parts of dimension 1, of 0 in a vector
std::vector<Tensor> vsplit(const Tensor& x, Index sections);  // of dimension 0
std::vector<Tensor> dsplit(const Tensor& x, Index sections);  // of dimension 2
std::vector<Tensor> broadcast_tensors(const std::vector<Tensor>& tensors);
/// A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector.
Tensor diag(const Tensor& x, Index diagonal = 0);
Tensor diagflat(const Tensor& x, Index offset = 0);    // diag(flatten(x))
Tensor diag_embed(const Tensor& x, Index offset = 0);  // (.., n) -> (.., m, m), the rows as diagonals
Tensor trace(const Tensor& x);                         // the sum of a matrix's diagonal
/// The coordinates of a grid: each vector, repeated along the dimensions of the others. "ij": dimension i belongs to
/// tensor i; "xy" swaps the first two.
std::vector<Tensor> meshgrid(const std::vector<Tensor>& tensors, std::string_view indexing = "ij");
Tensor cartesian_prod(const std::vector<Tensor>& tensors);  // all combinations: (a), (b) -> (a b, 2)
/// Repeats each index of `dim` that many times in succession; without `dim`, each element of flatten(x).
Tensor repeat_interleave(const Tensor& x, Index repeats);
Tensor repeat_interleave(const Tensor& x, Index repeats, Index dim);
Tensor take(const Tensor& x, const Ids& ids);               // elements of flatten(x), in the shape of the ids
Tensor masked_select(const Tensor& x, const Tensor& mask);  // the elements where mask is not 0, as a vector
Ids nonzero(const Tensor& x);                               // where x is not 0: (count, dimensions)
Ids tril_indices(Index row, Index col, Index offset = 0);   // rows and columns of tril: (2, count)
Ids triu_indices(Index row, Index col, Index offset = 0);
/// x with source in the place of these indices of `dim`, or added there, or with `value` there.
Tensor index_copy(const Tensor& x, Index dim, const Ids& ids, const Tensor& source);
Tensor index_add(const Tensor& x, Index dim, const Ids& ids, const Tensor& source, double alpha = 1);
Tensor index_fill(const Tensor& x, Index dim, const Ids& ids, double value);
/// (.., C r^2, H, W) -> (.., C, H r, W r) and back (Shi et al. 2016).
Tensor pixel_shuffle(const Tensor& x, Index upscale_factor);
Tensor pixel_unshuffle(const Tensor& x, Index downscale_factor);
/// The channels of (B, C, ..) as a table of `groups` rows, read by columns (Zhang et al. 2018).
Tensor channel_shuffle(const Tensor& x, Index groups);

Tensor nansum(const Tensor& x);  // NaN counts as 0
Tensor nansum(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor nanmean(const Tensor& x);  // of what is not NaN
Tensor nanmean(const Tensor& x, const Dims& dims, bool keepdim = false);
/// The q-quantile, linear between two neighbors; NaN if x has one.
Tensor quantile(const Tensor& x, double q);
Tensor quantile(const Tensor& x, double q, Index dim, bool keepdim = false);
Sorted kthvalue(const Tensor& x, Index k, Index dim = -1, bool keepdim = false);  // the k-th smallest; 1 is the first
Sorted mode(const Tensor& x, Index dim = -1, bool keepdim = false);  // the most frequent, the smallest of several
Tensor msort(const Tensor& x);                                       // sort(x, 0).values
Sorted cummax(const Tensor& x, Index dim);  // the largest up to each element; the last place of equal ones
Sorted cummin(const Tensor& x, Index dim);
Tensor logcumsumexp(const Tensor& x, Index dim);                   // log of cumsum(e^x), without overflow
Tensor diff(const Tensor& x, Index n = 1, Index dim = -1);         // n times: x[i + 1] - x[i]
Tensor trapezoid(const Tensor& y, double dx = 1, Index dim = -1);  // the integral by the trapezoidal rule
Tensor trapezoid(const Tensor& y, const Tensor& x, Index dim = -1);
Tensor cumulative_trapezoid(const Tensor& y, double dx = 1, Index dim = -1);  // up to each element but the first
Tensor dist(const Tensor& a, const Tensor& b, double p = 2);                  // norm(a - b, p); they broadcast
std::pair<Tensor, Tensor> var_mean(const Tensor& x, const Dims& dims, bool keepdim = false, double correction = 1);
std::pair<Tensor, Tensor> std_mean(const Tensor& x, const Dims& dims, bool keepdim = false, double correction = 1);
std::pair<Tensor, Tensor> aminmax(const Tensor& x, const Dims& dims, bool keepdim = false);
/// Of variables in rows and observations in columns: (n, count) -> (n, n).
Tensor cov(const Tensor& x, double correction = 1);
Tensor corrcoef(const Tensor& x);
/// How many of the sorted numbers are below each value, or not above it if `right`: where it would be put in.
Ids searchsorted(const Tensor& sorted, const Tensor& values, bool right = false);
Ids bucketize(const Tensor& values, const Tensor& boundaries, bool right = false);  // the same
Ids bincount(const Ids& ids, Index minlength = 0);                                  // how often each number is there
Tensor unique(const Tensor& x);              // in ascending order, each once; no gradient
Tensor unique_consecutive(const Tensor& x);  // without repeats in succession; no gradient
/// How many numbers are in each of `bins` equal parts from min to max, or of what x spans if both are 0. No
/// gradient.
Tensor histc(const Tensor& x, Index bins = 100, double min = 0, double max = 0);

Tensor mm(const Tensor& a, const Tensor& b);     // (m, k), (k, n) -> (m, n)
Tensor mv(const Tensor& a, const Tensor& b);     // (m, k), (k) -> (m)
Tensor vdot(const Tensor& a, const Tensor& b);   // dot
Tensor inner(const Tensor& a, const Tensor& b);  // over the last dimension of both
/// beta scales x, alpha the product.
struct AddOptions {
  double beta = 1, alpha = 1;
};
Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options = {});  // beta x + alpha mm(a, b)
Tensor addmv(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options = {});
Tensor addr(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options = {});     // outer
Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options = {});  // bmm
Tensor addbmm(const Tensor& x, const Tensor& a, const Tensor& b,
              AddOptions options = {});                              // bmm, summed over the batch
Tensor chain_matmul(const std::vector<Tensor>& matrices);            // from left to right
Tensor tensordot(const Tensor& a, const Tensor& b, Index dims = 2);  // over the last of a and the first of b
Tensor kron(const Tensor& a, const Tensor& b);                       // each element of a times b, in its place
Tensor matrix_power(const Tensor& x, Index n);                       // x times itself; n >= 0
Tensor cross(const Tensor& a, const Tensor& b, Index dim = -1);      // of vectors of three numbers
/// Distances between the rows of both: (.., m, k), (.., n, k) -> (.., m, n). Gradient 0 where one is 0.
Tensor cdist(const Tensor& a, const Tensor& b, double p = 2);
Tensor pdist(const Tensor& x, double p = 2);  // of every two rows, once: (n, k) -> (n (n - 1) / 2)
/// Powers of the numbers: (n) -> (n, count), from count - 1 down to 0, or up if increasing. Count 0 is n.
Tensor vander(const Tensor& x, Index count = 0, bool increasing = false);
/// x1 W x2 + bias for each of `out` matrices: (.., a), (.., b), (out, a, b), (out) -> (.., out)
Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias = {});
/// base to the power of `steps` numbers from start to end at equal distances.
Tensor logspace(double start, double end, Index steps = 100, double base = 10, DType dtype = DType::f32);
/// Windows for the spectrum of a signal; periodic ones leave the last number out.
Tensor hann_window(Index length, bool periodic = true, DType dtype = DType::f32);
Tensor hamming_window(Index length, bool periodic = true, DType dtype = DType::f32);
Tensor blackman_window(Index length, bool periodic = true, DType dtype = DType::f32);
Tensor bartlett_window(Index length, bool periodic = true, DType dtype = DType::f32);
Tensor normal(const Tensor& mean, const Tensor& std);  // N(mean, std^2), each element of its own

/// dropout of whole channels: of (B, C, ..).
Tensor dropout1d(const Tensor& x, double p = 0.5, bool training = true);
Tensor dropout2d(const Tensor& x, double p = 0.5, bool training = true);
/// Dropped elements, or whole channels, become selu's lower limit; then all are scaled and moved so that mean 0 and
/// variance 1 stay (Klambauer et al. 2017).
Tensor alpha_dropout(const Tensor& x, double p = 0.5, bool training = false);
Tensor feature_alpha_dropout(const Tensor& x, double p = 0.5, bool training = false);
/// softmax((logits + Gumbel noise) / tau); hard: 1 at the largest and 0 elsewhere, with the same gradient (Jang et al.
/// 2017).
Tensor gumbel_softmax(const Tensor& logits, double tau = 1, bool hard = false, Index dim = -1);
/// x / (k + alpha mean of x^2 over `size` neighboring channels)^beta (Krizhevsky et al. 2012). (B, C, ..)
Tensor local_response_norm(const Tensor& x, Index size, double alpha = 1e-4, double beta = 0.75, double k = 1);
Tensor lp_pool1d(const Tensor& x, double norm_type, Index kernel, Index stride = 0);  // (sum of x^p)^(1/p) per window
Tensor lp_pool2d(const Tensor& x, double norm_type, Size2 kernel, Size2 stride = 0);
struct MultiMarginOptions {
  double p = 1;
  double margin = 1;
  Tensor weight = {};  // (V): a factor per class
  Reduction reduction = Reduction::mean;
};
/// sum over the wrong classes of max(0, margin - x[target] + x[class])^p, divided by V. (B, V), (B)
Tensor multi_margin_loss(const Tensor& x, const Ids& targets, const MultiMarginOptions& options = {});
/// binary_cross_entropy_with_logits, its mean over the last dimension.
Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                                   Reduction reduction = Reduction::mean);

#pragma GCC visibility pop
}  // namespace gradus
