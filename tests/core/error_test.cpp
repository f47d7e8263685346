// Every wrong call that a user can make ends in an Error whose text names the op, shows what arrived and says what is
// needed; and none of them crashes or leaves something behind.
#include <functional>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/gradcheck.h>
#include <gradus/core/ops.h>
#include <gradus/core/ops/update.h>

#include "../support.h"

// Asking for too much memory is one of the calls; sanitizers end the program there unless told not to.
#ifdef GRADUS_TEST_SANITIZED
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" const char* __tsan_default_options() {
  return "allocator_may_return_null=1";
}
#endif

namespace gradus::testing {
namespace {

using Ids = std::vector<std::int32_t>;

struct WrongCall {
  const char* name;
  std::function<void()> call;
  const char* text;  // names the op, what arrived, what is needed and what to do
};

constexpr Index large = 1;

// The tensors of a wrong call, by their sizes: f32(2, 3). Without nested braces a row stays on its line.
template <class... Sizes>
Tensor f32(Sizes... sizes) {
  return ones(Shape{Index{sizes}...});
}
template <class... Sizes>
Tensor f64(Sizes... sizes) {
  return ones(Shape{Index{sizes}...}, DType::f64);
}
template <class... Tensors>
std::vector<Tensor> tensors(const Tensors&... all) {
  return {all...};
}
template <class... Values>
std::vector<Index> list(Values... values) {
  return {Index{values}...};
}
template <class... Values>
Ids ids(Values... values) {
  return {std::int32_t{values}...};
}

const std::vector<WrongCall>& wrong_calls() {
  static const std::vector<WrongCall> calls{
      {"add_shapes", [] { f32(2, 3) + f32(4); },
       "add: shapes (2, 3) and (4) do not broadcast: counted from the end, sizes must be equal or 1; reshape one"},
      {"sub_shapes", [] { f32(2, 3) - f32(3, 2); },
       "sub: shapes (2, 3) and (3, 2) do not broadcast: counted from the end, sizes must be equal or 1; reshape one"},
      {"mul_types", [] { f32(2) * f64(2); },
       "mul: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"div_shapes", [] { f32(2, 3) / f32(2); },
       "div: shapes (2, 3) and (2) do not broadcast: counted from the end, sizes must be equal or 1; reshape one"},
      {"maximum_shapes", [] { maximum(f32(2), f32(3)); },
       "maximum: shapes (2) and (3) do not broadcast: counted from the end, sizes must be equal or 1; reshape one"},
      {"minimum_shapes", [] { minimum(f32(2), f32(3)); },
       "minimum: shapes (2) and (3) do not broadcast: counted from the end, sizes must be equal or 1; reshape one"},
      {"pow_shapes", [] { pow(f32(2), f32(3)); },
       "pow: shapes (2) and (3) do not broadcast: counted from the end, sizes must be equal or 1; reshape one"},
      {"where_shapes", [] { where(f32(2), f32(3), f32(3)); },
       "where: shapes (2) and (3) do not broadcast: counted from the end, sizes must be equal or 1; reshape one"},
      {"where_types", [] { where(f32(2), f32(2), f64(2)); },
       "where: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"clamp_borders", [] { clamp(f32(2), 2, 1); }, "clamp: low is 2 and high 1; low must not be above high"},
      {"clamp_nan", [] { clamp(f32(2), std::numeric_limits<double>::quiet_NaN(), 1); },
       "clamp: low is nan and high 1; low must not be above high"},
      {"broadcast_to", [] { broadcast_to(f32(2, 3), list(3, 3)); },
       "broadcast_to: (2, 3) cannot be repeated to (3, 3); counted from the end, sizes must be equal or 1"},
      {"broadcast_to_fewer", [] { broadcast_to(f32(2, 3), list(3)); },
       "broadcast_to: (2, 3) cannot be repeated to (3); counted from the end, sizes must be equal or 1"},
      {"reshape", [] { reshape(f32(2, 3), list(4)); },
       "reshape: (2, 3) has 6 elements, (4) needs 4; the counts must be equal"},
      {"reshape_negative", [] { reshape(f32(2, 3), list(-2)); },
       "shape: size -2 in dimension 0; sizes must be at least 0 (only reshape takes a -1, once: the size to infer)"},
      {"reshape_two_unknown",
       [] {
         reshape(f32(2, 3), {-1, -1});
       },
       "reshape: -1 stands twice in (-1, -1); it may stand once"},
      {"reshape_uneven",
       [] {
         reshape(f32(2, 3), {4, -1});
       },
       "reshape: (2, 3) has 6 elements; they must be a multiple of 4, the product of the other sizes in (4, -1)"},
      {"permute_count", [] { permute(f32(2, 3), list(0)); },
       "permute: 1 dimensions named for shape (2, 3); name each of its 2 once"},
      {"permute_twice", [] { permute(f32(2, 3), list(0, 0)); },
       "permute: dimension 0 is named twice; name each of the 2 once"},
      {"permute_outside", [] { permute(f32(2, 3), list(0, 2)); },
       "permute: there is no dimension 2 in a tensor with 2 dimensions; use -2 .. 1"},
      {"transpose_outside", [] { transpose(f32(3)); },
       "transpose: there is no dimension -2 in a tensor with 1 dimension; use -1 .. 0"},
      {"slice_step", [] { slice(f32(2, 3), 1, 0, 3, 0); },
       "slice: the step is 0; it must be at least 1 (flip() turns a dimension around)"},
      {"narrow_bounds", [] { narrow(f32(2, 3), 1, 1, 3); },
       "narrow: 3 elements from 1 of dimension 1 of (2, 3); they must lie in 0 .. 3"},
      {"select_bounds", [] { select(f32(2, 3), 1, 3); },
       "select: there is no index 3 in dimension 1 of (2, 3); use -3 .. 2"},
      {"sizes_count", [] { f32(2, 3).sizes<3>(); }, "sizes: (2, 3) has 2 dimensions, 3 names came"},
      {"flatten_order", [] { flatten(f32(2, 3), 1, 0); },
       "flatten: dimension 1 comes after 0; start_dim must not be behind end_dim"},
      {"unsqueeze_place", [] { unsqueeze(f32(2, 3), 3); },
       "unsqueeze: there is no place 3 among 3 dimensions; use -3 .. 2"},
      {"expand_new",
       [] {
         expand(f32(3), {-1, 3});
       },
       "expand: -1 keeps a size, but the new dimension 0 has none; write it out"},
      {"repeat_rank", [] { repeat(f32(2, 3), 2); },
       "repeat: (2, 3) has 2 dimensions, 1 counts came; name one per dimension"},
      {"flip_twice",
       [] {
         flip(f32(2, 3), {0, -2});
       },
       "flip: dimension -2 is named twice; name each once"},
      {"pad_widths",
       [] {
         pad(f32(3), {1, 1, 1});
       },
       "pad: 3 widths for (3); give two per dimension, before and after, from the last dimension on"},
      {"pad_cut",
       [] {
         pad(f32(3), {-2, -2});
       },
       "pad: -2 and -2 cut more than the 3 elements of dimension -1"},
      {"split_size", [] { split(f32(3), 0); }, "split: parts of 0 elements; they must have at least 1"},
      {"chunk_count", [] { chunk(f32(3), 0); }, "chunk: 0 parts; there must be at least 1"},
      {"diagonal_dims", [] { diagonal(f32(2, 3), 0, 1, -1); },
       "diagonal: dimensions 1 and -1 of (2, 3) are one; name two"},
      {"slice_scatter_shape", [] { slice_scatter(f32(2, 3), f32(2, 2), 1, 0, 1); },
       "slice_scatter: source (2, 2) for a place of (2, 1); the shapes must be equal"},
      {"gather_rank",
       [] {
         gather(f32(2, 3), 1, {0, 1});
       },
       "gather: ids (2) for a tensor (2, 3); both need the same number of dimensions"},
      {"gather_size",
       [] {
         gather(f32(2, 3), 1, gradus::Ids({0, 1, 2}, {3, 1}));
       },
       "gather: ids (3, 1) are larger than (2, 3) in dimension 0; only dimension 1 may be larger"},
      {"gather_id",
       [] {
         gather(f32(2, 3), 1, gradus::Ids({3}, {1, 1}));
       },
       "gather: id 3 is outside dimension 1 of (2, 3); ids must be 0 .. 2"},
      {"scatter_add_source",
       [] {
         scatter_add(f32(2, 3), 1, gradus::Ids({0}, {1, 1}), f32(2, 1));
       },
       "scatter_add: source (2, 1) and ids (1, 1) must have equal shapes; slice one"},
      {"index_select_list",
       [] {
         index_select(f32(2, 3), 0, gradus::Ids({0}, {1, 1}));
       },
       "index_select: ids (1, 1) have 2 dimensions; reshape(-1) them to a list, or use gather"},
      {"index_select_id", [] { index_select(f32(2, 3), 0, {2}); },
       "index_select: id 2 is outside dimension 0 of (2, 3); ids must be 0 .. 1"},
      {"take_along_dim_shape",
       [] {
         take_along_dim(f32(4, 3), gradus::Ids({0, 0}, {2, 1}), 1);
       },
       "take_along_dim: ids (2, 1) do not broadcast to (4, 3) outside dimension 1"},
      {"to_ids_fraction",
       [] {
         to_ids(tensor({1, 0.5}));
       },
       "to_ids: 0.5 is no id; ids are whole numbers of 32 bits: take floor(x) or round(x), or argmax(x)"},
      {"one_hot_id",
       [] {
         one_hot({0, 5}, 3);
       },
       "one_hot: id 5 is outside dimension 1 of (3); ids must be 0 .. 2"},
      {"ids_of_64_bits", [] { gradus::Ids(std::vector<Index>{Index{1} << 40}); },
       "ids: 1099511627776 does not fit in 32 bits; ids must be -2147483648 .. 2147483647"},
      {"ids_shape",
       [] {
         gradus::Ids({0, 1}, {3});
       },
       "ids: 2 ids do not fill shape (3), which needs 3"},
      {"topk_count", [] { topk(f32(2, 3), 4); }, "topk: 4 elements of dimension -1 of (2, 3); there are 3"},
      {"median_of_nothing", [] { median(f32(2, 0), 1); },
       "median: shape (2, 0) has no element to choose from along dimension 1; its size must be at least 1"},
      {"norm_nan", [] { norm(f32(3), std::nan("")); },
       "norm: p is NaN; give a number, or infinity for the largest size"},
      {"einsum_letters",
       [] {
         einsum("ij,j->i", {f32(2, 3), f32(3, 1)});
       },
       "einsum: \"j\" names 1 dimensions of a tensor (3, 1); name each, or write ... for the rest"},
      {"einsum_parts",
       [] {
         einsum("ij->i", {f32(2, 3), f32(3)});
       },
       "einsum: \"ij->i\" does not name the dimensions of 2 tensors; give one part each, separated by commas"},
      {"einsum_sizes",
       [] {
         einsum("ij,j->i", {f32(2, 3), f32(2)});
       },
       "einsum: 'j' in \"ij,j->i\" is 3 in one operand and 2 in another; they must be equal"},
      {"einsum_result", [] { einsum("ij->k", {f32(2, 3)}); },
       "einsum: 'k' of the result of \"ij->k\" is in no operand; name it there"},
      {"einsum_sign", [] { einsum("i*->i", {f32(2, 3)}); },
       "einsum: '*' in \"i*->i\" is no letter; name each dimension by one letter a-z or A-Z"},
      {"outer_shapes", [] { outer(f32(2, 3), f32(3)); }, "outer: shapes (2, 3) and (3); both must have one dimension"},
      {"dot_shapes", [] { dot(f32(2), f32(3)); }, "dot: shapes (2) and (3); both must be (n), with one n"},
      {"bmm_shapes", [] { bmm(f32(2, 3), f32(3)); },
       "bmm: shapes (2, 3) and (3); they must be (B, m, k) and (B, k, n), with one B"},
      {"glu_odd", [] { glu(f32(2, 3)); }, "glu: size 3 of dimension -1 of (2, 3); it must be even, for two halves"},
      {"prelu_weight", [] { prelu(f32(2, 3), f32(2)); }, "prelu: weight (2) for x (2, 3); it must be (1) or (3)"},
      {"randint_bounds", [] { randint(2, 2, {3}); },
       "randint: low is 2, high 2; low must be below high, which is left out"},
      {"bernoulli_probability", [] { bernoulli(full({1}, 1.5)); }, "bernoulli: probability 1.5 is not in 0 .. 1"},
      {"multinomial_weights",
       [] {
         multinomial(tensor({1.0, 0.0}), 2);
       },
       "multinomial: row 0 has 1 weights above 0 and needs 2; draw fewer, or with replacement"},
      {"nll_rows", [] { nll_loss(f32(2, 3), {0}); }, "nll_loss: 2 rows but 1 targets came; give one per row"},
      {"nll_target",
       [] {
         nll_loss(f32(2, 3), {0, 3});
       },
       "nll_loss: target 3 is none of the 3 classes; targets must be 0 .. 2, or -1 to be ignored"},
      {"cross_entropy_weight",
       [] {
         cross_entropy(f32(2, 3), {0, 1}, CrossEntropyOptions{.weight = f32(2)});
       },
       "cross_entropy: weight (2) for 3 classes; give one number per class"},
      {"cross_entropy_probabilities", [] { cross_entropy(f32(2, 3), f32(2, 4)); },
       "cross_entropy: logits (2, 3) and probabilities (2, 4) must have equal shapes; reshape one"},
      {"smooth_l1_beta", [] { smooth_l1_loss(f32(2), f32(2), Reduction::mean, -1); },
       "smooth_l1_loss: beta is -1; it must be at least 0"},
      {"linspace_steps", [] { linspace(0, 1, -1); }, "linspace: -1 steps; there must be at least 0"},
      {"slice_dimension", [] { slice(f32(2, 3), 2, 0, 1); },
       "slice: there is no dimension 2 in a tensor with 2 dimensions; use -2 .. 1"},
      {"concat_nothing", [] { concat(tensors()); }, "concat: no tensors were given; at least one is needed"},
      {"concat_shapes", [] { concat(tensors(f32(2, 3), f32(2, 4))); },
       "concat: (2, 3) and (2, 4) differ outside dimension 0; all other sizes must be equal"},
      {"concat_ranks", [] { concat(tensors(f32(2, 3), f32(2))); },
       "concat: (2, 3) and (2) have different numbers of dimensions; reshape one, or stack() equal shapes"},
      {"concat_types", [] { concat(tensors(f32(2), f64(2))); },
       "concat: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"stack_nothing", [] { stack(tensors()); }, "stack: no tensors were given; at least one is needed"},
      {"stack_shapes", [] { stack(tensors(f32(2), f32(3))); }, "stack: (2) and (3) differ; all shapes must be equal"},
      {"stack_dimension", [] { stack(tensors(f32(2), f32(2)), 3); },
       "stack: there is no place 3 among 2 dimensions; use -2 .. 1"},
      {"sum_dimension", [] { sum(f32(2, 3), list(2)); },
       "sum: there is no dimension 2 in a tensor with 2 dimensions; use -2 .. 1"},
      {"sum_twice", [] { sum(f32(2, 3), list(1, -1)); },
       "sum: dimension -1 of shape (2, 3) is named twice; name each once"},
      {"sum_none", [] { sum(f32(2, 3), list()); },
       "sum: an empty list of dimensions for shape (2, 3); name some, or leave the list out to reduce all"},
      {"mean_dimension", [] { mean(f32(2, 3), list(-3)); },
       "mean: there is no dimension -3 in a tensor with 2 dimensions; use -2 .. 1"},
      {"max_dimension", [] { max(f32(2, 3), list(5)); },
       "max: there is no dimension 5 in a tensor with 2 dimensions; use -2 .. 1"},
      {"max_of_nothing", [] { max(f32(0, 3)); },
       "max: shape (0, 3) has no element to choose from; the reduced sizes must be at least 1"},
      {"max_along_nothing", [] { max(f32(3, 0), list(1)); },
       "max: shape (3, 0) has no element to choose from; the reduced sizes must be at least 1"},
      {"var_dimension", [] { var(f32(2, 3), list(2)); },
       "var: there is no dimension 2 in a tensor with 2 dimensions; use -2 .. 1"},
      {"argmax_of_nothing", [] { argmax(f32(2, 0)); },
       "argmax: shape (2, 0) has no element to choose from along dimension -1; its size must be at least 1"},
      {"argmax_of_a_number", [] { argmax(f32(), 1); }, "argmax: a single number has no dimension 1; reshape it first"},
      {"matmul_sizes", [] { matmul(f32(4, 17), f32(16, 3)); },
       "matmul: a (4, 17) and b (16, 3) do not fit: the last size of a (17) must equal the second-last size of b (16); "
       "transpose one, or check the layer before"},
      {"matmul_transposed", [] { matmul(f32(4, 17), f32(16, 3), true); },
       "matmul: a (4, 17) transposed and b (16, 3) do not fit: the second-last size of a (4) must equal the "
       "second-last size of b (16); transpose one, or check the layer before"},
      {"matmul_leading", [] { matmul(f32(2, 3, 4), f32(3, 4, 5)); },
       "matmul: a (2, 3, 4) and b (3, 4, 5) do not fit: leading dimensions must broadcast, counted from the end equal "
       "or 1"},
      {"matmul_number", [] { matmul(f32(), f32(3)); },
       "matmul: a () and b (3): both need at least one dimension; use * for numbers"},
      {"matmul_vector_flag", [] { matmul(f32(3), f32(3, 2), true); },
       "matmul: a (3) and b (3, 2): a vector cannot be transposed; leave the flag out"},
      {"matmul_types", [] { matmul(f32(2, 2), f64(2, 2)); },
       "matmul: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"linear_sizes", [] { linear(f32(2, 5), f32(3, 4)); },
       "linear: x (2, 5) and weight (3, 4) do not fit: weight must be (out, in) with `in` the last size of x"},
      {"linear_weight", [] { linear(f32(2, 5), f32(5)); },
       "linear: x (2, 5) and weight (5) do not fit: weight must be (out, in) with `in` the last size of x"},
      {"linear_number", [] { linear(f32(), f32(1, 1)); },
       "linear: x () and weight (1, 1) do not fit: weight must be (out, in) with `in` the last size of x"},
      {"linear_bias", [] { linear(f32(2, 5), f32(3, 5), f32(5)); },
       "linear: bias (5) must be (3), the first size of weight (3, 5)"},
      {"linear_types", [] { linear(f32(2, 5), f64(3, 5)); },
       "linear: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"softmax_dimension", [] { softmax(f32(2, 3), 2); },
       "softmax: there is no dimension 2 in a tensor with 2 dimensions; use -2 .. 1"},
      {"softmax_number", [] { softmax(f32(), 1); }, "softmax: a single number has no dimension 1; reshape it first"},
      {"log_softmax_dimension", [] { log_softmax(f32(2, 3), -3); },
       "log_softmax: there is no dimension -3 in a tensor with 2 dimensions; use -2 .. 1"},
      {"layer_norm_weight", [] { layer_norm(f32(2, 3), f32(2)); },
       "layer_norm: weight (2) must be (3), the last size of x (2, 3)"},
      {"layer_norm_bias", [] { layer_norm(f32(2, 3), f32(3), f32(1, 3)); },
       "layer_norm: bias (1, 3) must be (3), the last size of x (2, 3)"},
      {"layer_norm_number", [] { layer_norm(f32()); },
       "layer_norm: x is a single number; it needs a last dimension to normalize over"},
      {"layer_norm_types", [] { layer_norm(f32(2, 3), f64(3)); },
       "layer_norm: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"rms_norm_weight", [] { rms_norm(f32(2, 3), f32(2)); },
       "rms_norm: weight (2) must be (3), the last size of x (2, 3)"},
      {"embedding_id", [] { embedding(f32(3, 2), ids(0, 3)); },
       "embedding: id 3 is outside the table (3, 2); ids must be 0 .. 2"},
      {"embedding_negative", [] { embedding(f32(3, 2), ids(-1)); },
       "embedding: id -1 is outside the table (3, 2); ids must be 0 .. 2"},
      {"embedding_weight", [] { embedding(f32(3), ids(0)); },
       "embedding: weight (3) must have two dimensions, (rows, size of a row)"},
      {"embedding_shape", [] { embedding(f32(3, 2), ids(0, 1), list(3)); },
       "embedding: 2 ids do not fill shape (3), which needs 3; leave the shape out for a list of rows"},
      {"dropout_above", [] { dropout(f32(3), 1.5); }, "dropout: the probability is 1.5; it must be from 0 to 1"},
      {"dropout_nan", [] { dropout(f32(3), std::numeric_limits<double>::quiet_NaN()); },
       "dropout: the probability is nan; it must be from 0 to 1"},
      {"cross_entropy_count", [] { cross_entropy(f32(2, 3), ids(0)); },
       "cross_entropy: logits (2, 3) have 2 rows but 1 targets came; one per row"},
      {"cross_entropy_target", [] { cross_entropy(f32(2, 3), ids(0, 3)); },
       "cross_entropy: target 3 is outside the 3 classes of logits (2, 3); targets must be 0 .. 2, or -1 to be "
       "ignored"},
      {"cross_entropy_number", [] { cross_entropy(f32(), ids(0)); },
       "cross_entropy: logits are a single number; the last dimension must be the classes"},
      {"cross_entropy_smoothing", [] { cross_entropy(f32(2, 3), ids(0, 1), -1, 1); },
       "cross_entropy: label_smoothing is 1; it must be at least 0 and below 1"},
      {"mse_loss_shapes", [] { mse_loss(f32(2), f32(2, 1)); },
       "mse_loss: prediction (2) and target (2, 1) must have equal shapes; reshape one"},
      {"mse_loss_types", [] { mse_loss(f32(2), f64(2)); },
       "mse_loss: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"attention_sizes", [] { scaled_dot_product_attention(f32(2, 3, 4), f32(2, 3, 5), f32(2, 3, 4)); },
       "scaled_dot_product_attention: q (2, 3, 4), k (2, 3, 5) and v (2, 3, 4) do not fit; they must be (.., T, D), "
       "(.., S, D) and (.., S, E) with equal leading dimensions"},
      {"attention_keys", [] { scaled_dot_product_attention(f32(3, 4), f32(5, 4), f32(6, 4)); },
       "scaled_dot_product_attention: q (3, 4), k (5, 4) and v (6, 4) do not fit; they must be (.., T, D), (.., S, D) "
       "and (.., S, E) with equal leading dimensions"},
      {"attention_leading", [] { scaled_dot_product_attention(f32(2, 3, 4), f32(1, 3, 4), f32(2, 3, 4)); },
       "scaled_dot_product_attention: q (2, 3, 4), k (1, 3, 4) and v (2, 3, 4) do not fit; they must be (.., T, D), "
       "(.., S, D) and (.., S, E) with equal leading dimensions"},
      {"attention_vectors", [] { scaled_dot_product_attention(f32(3), f32(3), f32(3)); },
       "scaled_dot_product_attention: q (3), k (3) and v (3) do not fit; they must be (.., T, D), (.., S, D) and (.., "
       "S, E) with equal leading dimensions"},
      {"attention_types", [] { scaled_dot_product_attention(f32(3, 4), f64(3, 4), f32(3, 4)); },
       "scaled_dot_product_attention: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"packed_heads", [] { packed_attention(f32(4, 12), 3, list(4)); },
       "packed_attention: qkv (4, 12) must be (tokens, 3 x width) with the width a multiple of 3 heads"},
      {"packed_no_heads", [] { packed_attention(f32(4, 12), 0, list(4)); },
       "packed_attention: qkv (4, 12) must be (tokens, 3 x width) with the width a multiple of 0 heads"},
      {"packed_lengths", [] { packed_attention(f32(4, 12), 2, list(1, 2)); },
       "packed_attention: the lengths add up to 3 but qkv (4, 12) has 4 rows"},
      {"packed_negative", [] { packed_attention(f32(4, 12), 2, list(5, -1)); },
       "packed_attention: a document of length -1; lengths must be at least 0"},
      {"backward_shape", [] { f32(2).requires_grad(true).backward(); },
       "backward: needs one number, got shape (2); reduce it first, e.g. mean(x), or pass a weight"},
      {"backward_constant", [] { sum(f32(2)).backward(); },
       "backward: nothing this value was computed from wants a gradient (or it was computed under NoGrad); call "
       "requires_grad(true) on a leaf first"},
      {"backward_weight", [] { f32(2).requires_grad(true).backward(f32(3)); },
       "backward: the weight is f32 (3) but the tensor is f32 (2); they must agree"},
      {"backward_weight_type", [] { f32(2).requires_grad(true).backward(f64(2)); },
       "backward: the weight is f64 (2) but the tensor is f32 (2); they must agree"},
      {"undefined", [] { Tensor().shape(); },
       "tensor: this one is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"undefined_in_an_op", [] { f32(2) + Tensor(); },
       "add: tensor 2 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"undefined_in_matmul", [] { matmul(Tensor(), f32(2)); },
       "matmul: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"undefined_in_linear", [] { linear(f32(2, 3), Tensor()); },
       "linear: tensor 2 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"undefined_in_concat", [] { concat(tensors(f32(2), Tensor())); },
       "concat: tensor 2 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"undefined_in_where", [] { where(f32(2), Tensor(), f32(2)); },
       "where: tensor 2 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"undefined_in_attention", [] { scaled_dot_product_attention(f32(2, 3), Tensor(), f32(2, 3)); },
       "scaled_dot_product_attention: tensor 2 is undefined (default-made, or a gradient nothing has added to); make "
       "it first"},
      {"undefined_in_softmax", [] { softmax(Tensor()); },
       "softmax: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"item_of_many", [] { f32(2).item(); }, "item: needs one number, got shape (2); reduce it first or read data()"},
      {"data_of_the_other_type", [] { f32(2).data<double>(); },
       "data: the tensor holds f32, data<double> was asked for; use to(DType) or the right type"},
      {"copy_shape", [] { f32(2).copy_(f32(3)); },
       "copy_: f32 (3) cannot be copied into f32 (2); reshape or convert it first"},
      {"copy_type", [] { f32(2).copy_(f64(2)); },
       "copy_: f64 (2) cannot be copied into f32 (2); reshape or convert it first"},
      {"tensor_count",
       [] {
         tensor({1, 2, 3}, Shape{2, 2});
       },
       "tensor: 3 values do not fill shape (2, 2), which needs 4"},
      {"size_of_no_dimension", [] { f32(2).size(1); },
       "shape: there is no dimension 1 in a tensor with 1 dimension; use -1 .. 0"},
      {"arange_backwards", [] { arange(1, 0); },
       "arange: start 1, end 0, step 1 never arrives; the step must lead from start to end"},
      {"arange_no_step", [] { arange(0, 1, 0); },
       "arange: start 0, end 1, step 0 never arrives; the step must lead from start to end"},
      {"too_many_dimensions", [] { f32(1, 1, 1, 1, 1, 1, 1, 1, 1); },
       "shape: more than 8 dimensions; merge some with reshape"},
      {"too_many_elements", [] { f32(large << 40, large << 40); }, "shape: more elements than fit in 63 bits"},
      {"too_much_memory", [] { f32(large << 50); },
       "memory: the system has no 5066549580791808 bytes left; use a smaller batch, context or model"},
      {"adam_shapes", [] { adam_update(f32(2), f32(2), f32(3), f32(2), AdamStep{}); },
       "adam: a parameter of f32 (2) was given f32 (3); both must be alike (make the optimizer after converting the "
       "module)"},
      {"sgd_types", [] { sgd_update(f32(2), {}, f64(2), SgdStep{}); },
       "sgd: a parameter of f32 (2) was given f64 (2); both must be alike (make the optimizer after converting the "
       "module)"},
      {"threads", [] { set_num_threads(0); }, "set_num_threads: got 0; use 1 to 256"},
      {"record_own_input",
       [] {
         Tensor x = f32(2);
         x.requires_grad(true);
         record("same", x, {x}, [](const Node&, Inputs) {});
       },
       "record: the result of 'same' is one of its inputs, or was recorded before; return a new tensor"},
      {"gradcheck_type", [] { gradcheck([](const std::vector<Tensor>& x) { return x[0].to(DType::f32); }, {f32(2)}); },
       "gradcheck: f returned f32; it was given f64 tensors and must compute in f64, so convert its constants"},
      {"softplus_undefined", [] { softplus(Tensor()); },
       "softplus: tensor 1 is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"conv2d_channels", [] { conv2d(f32(1, 3, 8, 8), f32(4, 2, 3, 3)); },
       "conv2d: x (1, 3, 8, 8) and weight (4, 2, 3, 3) must be (batch, in, height, width) and (out, in, height, width) "
       "with the same in; one image needs a batch of 1"},
      {"conv2d_one_image", [] { conv2d(f32(3, 8, 8), f32(4, 3, 3, 3)); },
       "conv2d: x (3, 8, 8) and weight (4, 3, 3, 3) must be (batch, in, height, width) and (out, in, height, width) "
       "with the same in; one image needs a batch of 1"},
      {"conv2d_bias", [] { conv2d(f32(1, 3, 8, 8), f32(4, 3, 3, 3), f32(3)); },
       "conv2d: bias (3) must be (4), the first size of weight (4, 3, 3, 3)"},
      {"conv2d_types", [] { conv2d(f32(1, 3, 8, 8), f64(4, 3, 3, 3)); },
       "conv2d: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"conv2d_kernel", [] { conv2d(f32(1, 3, 4, 8), f32(4, 3, 5, 5)); },
       "conv2d: a kernel of 5 x 5 with dilation 1 x 1 does not fit on x (1, 3, 4, 8) with padding 0 x 0; pad more, or "
       "take a smaller kernel"},
      {"conv2d_stride", [] { conv2d(f32(1, 3, 4, 8), f32(4, 3, 3, 3), {}, {.stride = 0}); },
       "conv2d: a stride of 0 x 0; both must be at least 1"},
      {"conv2d_padding", [] { conv2d(f32(1, 3, 4, 8), f32(4, 3, 3, 3), {}, {.padding = -1}); },
       "conv2d: a padding of -1 x -1; both must be at least 0"},
      {"conv2d_dilation", [] { conv2d(f32(1, 3, 4, 8), f32(4, 3, 3, 3), {}, {.dilation = 0}); },
       "conv2d: a dilation of 0 x 0; both must be at least 1"},
      {"conv1d_channels", [] { conv1d(f32(1, 3, 8), f32(4, 2, 3)); },
       "conv1d: x (1, 3, 8) and weight (4, 2, 3) must be (batch, in, length) and (out, in, length) with the same in; "
       "one series needs a batch of 1"},
      {"conv1d_bias", [] { conv1d(f32(1, 3, 8), f32(4, 3, 3), f32(3)); },
       "conv1d: bias (3) must be (4), the first size of weight (4, 3, 3)"},
      {"conv1d_types", [] { conv1d(f32(1, 3, 8), f64(4, 3, 3)); },
       "conv1d: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"conv1d_kernel", [] { conv1d(f32(1, 3, 4), f32(4, 3, 5)); },
       "conv1d: a kernel of 5 with dilation 1 does not fit on x (1, 3, 4) with padding 0; pad more, or take a smaller "
       "kernel"},
      {"conv1d_no_kernel", [] { conv1d(f32(1, 3, 4), f32(4, 3, 0)); },
       "conv1d: weight (4, 3, 0) has a kernel of 0; it must be at least 1"},
      {"conv1d_stride", [] { conv1d(f32(1, 3, 4), f32(4, 3, 3), {}, {.stride = 0}); },
       "conv1d: a stride of 0; it must be at least 1"},
      {"conv1d_padding", [] { conv1d(f32(1, 3, 4), f32(4, 3, 3), {}, {.padding = -1}); },
       "conv1d: a padding of -1; it must be at least 0"},
      {"conv1d_dilation", [] { conv1d(f32(1, 3, 4), f32(4, 3, 3), {}, {.dilation = 0}); },
       "conv1d: a dilation of 0; it must be at least 1"},
      {"max_pool2d_of_nothing", [] { max_pool2d(f32(1, 1, 0, 4), 2, {.padding = 1}); },
       "max_pool2d: x (1, 1, 0, 4) has no element to pool; height and width must be at least 1"},
      {"avg_pool2d_of_nothing", [] { avg_pool2d(f32(1, 1, 4, 0), 2, {.padding = 1}); },
       "avg_pool2d: x (1, 1, 4, 0) has no element to pool; height and width must be at least 1"},
      {"max_pool2d_vector", [] { max_pool2d(f32(8), 2); }, "max_pool2d: x (8) must be (.., height, width)"},
      {"max_pool2d_kernel", [] { max_pool2d(f32(2, 2), 3); },
       "max_pool2d: a kernel of 3 x 3 with dilation 1 x 1 does not fit on x (2, 2) with padding 0 x 0; pad more, or "
       "take a smaller kernel"},
      {"avg_pool2d_padding", [] { avg_pool2d(f32(4, 4), 2, {.padding = 2}); },
       "avg_pool2d: a padding of 2 x 2 is more than half the window of 2 x 2; some windows would hold nothing else"},
      {"l1_loss_shapes", [] { l1_loss(f32(2), f32(2, 1)); },
       "l1_loss: prediction (2) and target (2, 1) must have equal shapes; reshape one"},
      {"unflatten_sizes",
       [] {
         unflatten(f32(2, 6), 1, {4, 2});
       },
       "unflatten: (4, 2) does not fit dimension 1 of (2, 6); the product must be 6"},
      {"t_rank", [] { t(f32(2, 3, 4)); },
       "t: (2, 3, 4) has 3 dimensions; it takes 2 at most, use transpose or permute"},
      {"rot90_rank", [] { rot90(f32(3)); }, "rot90: (3) has 1 dimensions; a turn needs at least 2"},
      {"hstack_none", [] { hstack({}); }, "hstack: no tensors came; give at least one"},
      {"hsplit_parts", [] { hsplit(f32(2, 3), 2); },
       "hsplit: dimension 1 of (2, 3) cannot be cut into 2 equal parts; use tensor_split"},
      {"split_sizes", [] { split(f32(2, 5), list(2, 2), 1); },
       "split: the sizes add up to 4; they must make dimension 1 of (2, 5), which is 5"},
      {"diag_rank", [] { diag(f32(2, 3, 4)); }, "diag: (2, 3, 4) has 3 dimensions; give a vector or a matrix"},
      {"trace_rank", [] { trace(f32(3)); }, "trace: (3) has 1 dimensions; give a matrix"},
      {"meshgrid_indexing", [] { meshgrid(tensors(f32(2)), "yx"); },
       "meshgrid: indexing is \"yx\"; it must be \"ij\" or \"xy\""},
      {"index_add_ids",
       [] {
         index_add(f32(2, 3), 1, {0, 1}, f32(2, 3));
       },
       "index_add: ids (2) and source (2, 3) along dimension 1; they need one id for each index there"},
      {"pixel_shuffle_channels", [] { pixel_shuffle(f32(1, 6, 2, 2), 2); },
       "pixel_shuffle: (1, 6, 2, 2) with factor 2; the channels, third from the end, must be a multiple of its square"},
      {"channel_shuffle_groups", [] { channel_shuffle(f32(1, 5, 2), 2); },
       "channel_shuffle: (1, 5, 2) with 2 groups; they must divide the channels, dimension 1 of (B, C, ..)"},
      {"quantile_q", [] { quantile(f32(3), 2); }, "quantile: q is 2; it must be from 0 to 1"},
      {"kthvalue_k", [] { kthvalue(f32(3), 4); }, "kthvalue: k is 4; it must be 1 .. 3"},
      {"searchsorted_rank", [] { searchsorted(f32(2, 3), f32(2)); },
       "searchsorted: the sorted numbers (2, 3) have 2 dimensions; give a vector"},
      {"bincount_negative",
       [] {
         bincount({0, -1});
       },
       "bincount: id -1; it counts numbers from 0 on"},
      {"histc_range", [] { histc(f32(3), 4, 2, 1); },
       "histc: 4 bins from 2 to 1; there must be at least 1, and min at most max"},
      {"mm_rank", [] { mm(f32(2, 3, 4), f32(4, 2)); }, "mm: a (2, 3, 4) has 3 dimensions; it must have 2"},
      {"inner_sizes", [] { inner(f32(2, 3), f32(3, 2)); },
       "inner: a (2, 3) and b (3, 2) must have equal last sizes; transpose one"},
      {"tensordot_sizes", [] { tensordot(f32(2, 3, 4), f32(4, 3, 2)); },
       "tensordot: the last 2 sizes of (2, 3, 4) must be the first of (4, 3, 2)"},
      {"matrix_power_square", [] { matrix_power(f32(2, 3), 2); },
       "matrix_power: (2, 3) must be square matrices, (.., n, n)"},
      {"cross_size", [] { cross(f32(2, 4), f32(2, 4)); },
       "cross: a (2, 4) and b (2, 4) must have equal shapes, with size 3 in dimension -1"},
      {"cdist_sizes", [] { cdist(f32(2, 3), f32(2, 4)); },
       "cdist: a (2, 3) and b (2, 4) must be rows of equal length, (.., m, k) and (.., n, k)"},
      {"dropout2d_rank", [] { dropout2d(f32(3), 0.5); }, "dropout2d: (3) has 1 dimensions; it must be (B, C, ..)"},
      {"gumbel_softmax_tau", [] { gumbel_softmax(f32(3), 0); }, "gumbel_softmax: tau is 0; it must be above 0"},
      {"multi_margin_targets", [] { multi_margin_loss(f32(2, 3), ids(0)); },
       "multi_margin_loss: x (2, 3) and targets (1); it needs (B, classes) and one target per row"},
      {"isclose_tolerance", [] { isclose(f32(2), f32(2), -1); },
       "isclose: rtol is -1 and atol 1e-08; both must be at least 0"},
      {"rrelu_bounds", [] { rrelu(f32(2), 2, 1); }, "rrelu: lower is 2 and upper 1; lower must not be above upper"},
      {"huber_loss_delta", [] { huber_loss(f32(2), f32(2), 0); }, "huber_loss: delta is 0; it must be above 0"},
      {"bce_shapes", [] { binary_cross_entropy_with_logits(f32(2, 1), f32(2)); },
       "binary_cross_entropy_with_logits: logits (2, 1) and target (2) must have equal shapes; reshape one"},
      {"kl_div_types", [] { kl_div(f32(2, 3), f64(2, 3)); },
       "kl_div: got f32 and f64 tensors; all must have one type, convert with to(DType)"},
      {"cross_entropy_classes_second", [] { cross_entropy(f32(2, 3, 4), ids(0, 1, 2, 0, 1, 2, 0, 1)); },
       "cross_entropy: logits (2, 3, 4) have 6 rows but 8 targets came; one per row, with the classes last: "
       "permute() them there if they are second"},
      {"backward_twice",
       [] {
         const Tensor loss = sum(exp(f32(2).requires_grad(true)));
         loss.backward();
         loss.backward();
       },
       "backward: the graph behind this 'sum' was released by an earlier backward; call that one with retain_graph = "
       "true, or compute the value again"},
      {"backward_through_released",
       [] {
         const Tensor x = f32(2).requires_grad(true), y = exp(x);
         sum(y).backward();
         sum(y).backward();
       },
       "backward: the graph behind 'exp' was released by an earlier backward; call that one with retain_graph = true, "
       "or compute the value again"},
      {"requires_grad_of_a_result", [] { exp(f32(2).requires_grad(true)).requires_grad(false); },
       "requires_grad: this tensor is the result of 'exp', not a leaf; use detach() to start a new graph"},
      {"grad_of_undefined", [] { Tensor().grad(); },
       "tensor: this one is undefined (default-made, or a gradient nothing has added to); make it first"},
      {"below_nothing", [] { Generator(1).below(0); }, "random: below(0) asked for; n must be from 1 to 2^32"},
  };
  return calls;
}

class EachWrongCall : public ::testing::TestWithParam<const WrongCall*> {};

TEST_P(EachWrongCall, SaysWhatArrivedAndWhatToDo) {
  const std::string text = error_of(GetParam()->call);
  EXPECT_EQ(text, GetParam()->text);
  EXPECT_NE(text.find(": "), std::string::npos) << text;
  const std::size_t before = memory_stats().bytes_in_use;
  error_of(GetParam()->call);
  EXPECT_EQ(memory_stats().bytes_in_use, before) << "memory is left behind";
}

std::vector<const WrongCall*> pointers() {
  std::vector<const WrongCall*> all;
  for (const WrongCall& call : wrong_calls()) all.push_back(&call);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Errors, EachWrongCall, ::testing::ValuesIn(pointers()),
                         [](const auto& given) { return std::string(given.param->name); });

// Every op, and which of its tensors is undefined.
TEST(Error, AnUndefinedTensorIsNamedByTheOp) {
  struct Case {
    const char* text;
    std::function<void()> call;
  };
  const Tensor no, x = f32(2, 3);
  const std::vector<Case> cases{
      {"neg: tensor 1", [&] { -no; }},
      {"exp: tensor 1", [&] { no.exp(); }},
      {"gelu: tensor 1", [&] { gelu(no, Gelu::tanh); }},
      {"clamp: tensor 1", [&] { clamp(no, 0, 1); }},
      {"add: tensor 1", [&] { no + 1; }},
      {"sub: tensor 2", [&] { 1 - no; }},
      {"mul: tensor 1", [&] { mul(no, x); }},
      {"div: tensor 2", [&] { x / no; }},
      {"pow: tensor 2", [&] { pow(x, no); }},
      {"where: tensor 1", [&] { where(no, x, x); }},
      {"where: tensor 3", [&] { where(x, x, no); }},
      {"broadcast_to: tensor 1", [&] { broadcast_to(no, {2}); }},
      {"reshape: tensor 1", [&] { reshape(no, {2}); }},
      {"permute: tensor 1", [&] { permute(no, {0}); }},
      {"transpose: tensor 1", [&] { transpose(no); }},
      {"slice: tensor 1", [&] { slice(no, 0, 0, 1); }},
      {"concat: tensor 1",
       [&] {
         concat({no, x});
       }},
      {"stack: tensor 2",
       [&] {
         stack({x, no});
       }},
      {"sum: tensor 1", [&] { sum(no); }},
      {"sum: tensor 1", [&] { sum(no, {0}); }},
      {"mean: tensor 1", [&] { mean(no); }},
      {"mean: tensor 1", [&] { mean(no, {0}); }},
      {"max: tensor 1", [&] { max(no); }},
      {"max: tensor 1", [&] { max(no, {0}); }},
      {"var: tensor 1", [&] { var(no); }},
      {"var: tensor 1", [&] { var(no, {0}); }},
      {"argmax: tensor 1", [&] { argmax(no); }},
      {"any: tensor 1", [&] { any(no); }},
      {"norm: tensor 1", [&] { norm(no); }},
      {"cumsum: tensor 1", [&] { cumsum(no, 0); }},
      {"flip: tensor 1", [&] { flip(no, 0); }},
      {"pad: tensor 1",
       [&] {
         pad(no, {1, 1});
       }},
      {"gather: tensor 1", [&] { gather(no, 0, {0}); }},
      {"scatter_add: tensor 2", [&] { scatter_add(x, 0, {0}, no); }},
      {"sort: tensor 1", [&] { sort(no); }},
      {"median: tensor 1", [&] { median(no); }},
      {"einsum: tensor 1", [&] { einsum("i->", {no}); }},
      {"glu: tensor 1", [&] { glu(no); }},
      {"matmul: tensor 2", [&] { matmul(x, no); }},
      {"linear: tensor 1", [&] { linear(no, x); }},
      {"log_softmax: tensor 1", [&] { log_softmax(no); }},
      {"layer_norm: tensor 1", [&] { layer_norm(no); }},
      {"rms_norm: tensor 1", [&] { rms_norm(no); }},
      {"embedding: tensor 1", [&] { embedding(no, ids(0)); }},
      {"dropout: tensor 1", [&] { dropout(no, 0.5); }},
      {"cross_entropy: tensor 1", [&] { cross_entropy(no, ids(0)); }},
      {"mse_loss: tensor 2", [&] { mse_loss(x, no); }},
      {"l1_loss: tensor 1", [&] { l1_loss(no, x); }},
      {"huber_loss: tensor 2", [&] { huber_loss(x, no); }},
      {"binary_cross_entropy_with_logits: tensor 2", [&] { binary_cross_entropy_with_logits(x, no); }},
      {"kl_div: tensor 2", [&] { kl_div(x, no); }},
      {"conv1d: tensor 2", [&] { conv1d(f32(1, 2, 3), no); }},
      {"conv2d: tensor 1", [&] { conv2d(no, f32(1, 1, 1, 1)); }},
      {"max_pool2d: tensor 1", [&] { max_pool2d(no, 2); }},
      {"avg_pool2d: tensor 1", [&] { avg_pool2d(no, 2); }},
      {"scaled_dot_product_attention: tensor 3", [&] { scaled_dot_product_attention(x, x, no); }},
      {"packed_attention: tensor 1", [&] { packed_attention(no, 1, list(1)); }},
      {"to: tensor 1", [&] { no.to(DType::f64); }},
      {"clone: tensor 1", [&] { no.clone(); }},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(error_of(c.call), std::string(c.text) +
                                    " is undefined (default-made, or a gradient nothing has added to); "
                                    "make it first");
  }
}

TEST(Error, DerivesFromStdException) {
  EXPECT_THROW(check(false, "x {}", 1), std::exception);
}

}  // namespace
}  // namespace gradus::testing
