// Every wrong call that a user can make ends in an Error whose text names the op, shows what arrived and says what is
// needed; and none of them crashes or leaves something behind.
#include <functional>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/gradcheck.h>
#include <gradus/core/ops.h>
#include <gradus/core/update.h>

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
  std::vector<const char*> parts;  // of the text
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
      {"add_shapes", [] { f32(2, 3) + f32(4); }, {"add:", "(2, 3)", "(4)", "equal or 1", "reshape"}},
      {"sub_shapes", [] { f32(2, 3) - f32(3, 2); }, {"sub:", "(2, 3)", "(3, 2)"}},
      {"mul_types", [] { f32(2) * f64(2); }, {"mul:", "f32", "f64", "to(DType)"}},
      {"div_shapes", [] { f32(2, 3) / f32(2); }, {"div:", "(2, 3)", "(2)"}},
      {"maximum_shapes", [] { maximum(f32(2), f32(3)); }, {"maximum:", "(2)", "(3)"}},
      {"minimum_shapes", [] { minimum(f32(2), f32(3)); }, {"minimum:", "(2)", "(3)"}},
      {"pow_shapes", [] { pow(f32(2), f32(3)); }, {"pow:", "(2)", "(3)"}},
      {"where_shapes", [] { where(f32(2), f32(3), f32(3)); }, {"where:", "(2)", "(3)"}},
      {"where_types", [] { where(f32(2), f32(2), f64(2)); }, {"where:", "f32", "f64"}},
      {"clamp_borders", [] { clamp(f32(2), 2, 1); }, {"clamp:", "2", "1", "must not be above"}},
      {"clamp_nan", [] { clamp(f32(2), std::numeric_limits<double>::quiet_NaN(), 1); }, {"clamp:", "nan"}},
      {"broadcast_to", [] { broadcast_to(f32(2, 3), list(3, 3)); }, {"broadcast_to:", "(2, 3)", "(3, 3)"}},
      {"broadcast_to_fewer", [] { broadcast_to(f32(2, 3), list(3)); }, {"broadcast_to:", "(2, 3)", "(3)"}},
      {"reshape", [] { reshape(f32(2, 3), list(4)); }, {"reshape:", "(2, 3)", "6", "(4)", "4"}},
      {"reshape_negative", [] { reshape(f32(2, 3), list(-1)); }, {"size -1", "at least 0"}},
      {"permute_count", [] { permute(f32(2, 3), list(0)); }, {"permute:", "1 dimension", "(2, 3)", "2"}},
      {"permute_twice", [] { permute(f32(2, 3), list(0, 0)); }, {"permute:", "twice"}},
      {"permute_outside", [] { permute(f32(2, 3), list(0, 2)); }, {"permute:", "no dimension 2", "-2 .. 1"}},
      {"transpose_outside", [] { transpose(f32(3)); }, {"transpose:", "no dimension -2", "1 dimension;"}},
      {"slice_bounds", [] { slice(f32(2, 3), 1, 1, 4); }, {"slice:", "1 .. 4", "(2, 3)", "0 .. 3"}},
      {"slice_backwards", [] { slice(f32(2, 3), 1, 2, 1); }, {"slice:", "2 .. 1"}},
      {"slice_dimension", [] { slice(f32(2, 3), 2, 0, 1); }, {"slice:", "no dimension 2"}},
      {"concat_nothing", [] { concat(tensors()); }, {"concat:", "at least one"}},
      {"concat_shapes", [] { concat(tensors(f32(2, 3), f32(2, 4))); }, {"concat:", "(2, 3)", "(2, 4)", "dimension 0"}},
      {"concat_ranks", [] { concat(tensors(f32(2, 3), f32(2))); }, {"concat:", "(2, 3)", "(2)"}},
      {"concat_types", [] { concat(tensors(f32(2), f64(2))); }, {"concat:", "f32", "f64"}},
      {"stack_nothing", [] { stack(tensors()); }, {"stack:", "at least one"}},
      {"stack_shapes", [] { stack(tensors(f32(2), f32(3))); }, {"stack:", "(2)", "(3)", "equal"}},
      {"stack_dimension", [] { stack(tensors(f32(2), f32(2)), 3); }, {"stack:", "3", "-2 .. 1"}},
      {"sum_dimension", [] { sum(f32(2, 3), list(2)); }, {"sum:", "no dimension 2", "-2 .. 1"}},
      {"sum_twice", [] { sum(f32(2, 3), list(1, -1)); }, {"sum:", "twice"}},
      {"sum_none", [] { sum(f32(2, 3), list()); }, {"sum:", "(2, 3)", "leave the list out"}},
      {"mean_dimension", [] { mean(f32(2, 3), list(-3)); }, {"no dimension -3"}},
      {"max_dimension", [] { max(f32(2, 3), list(5)); }, {"max:", "no dimension 5"}},
      {"max_of_nothing", [] { max(f32(0, 3)); }, {"max:", "at least 1"}},
      {"max_along_nothing", [] { max(f32(3, 0), list(1)); }, {"max:", "(3, 0)", "at least 1"}},
      {"var_dimension", [] { var(f32(2, 3), list(2)); }, {"no dimension 2"}},
      {"argmax_of_nothing", [] { argmax(f32(2, 0)); }, {"argmax:", "(2, 0)"}},
      {"argmax_of_a_number", [] { argmax(f32()); }, {"argmax:", "no dimension -1", "single number"}},
      {"matmul_sizes",
       [] { matmul(f32(4, 17), f32(16, 3)); },
       {"matmul:", "(4, 17)", "(16, 3)", "last size of a (17)", "second-last size of b (16)", "transpose"}},
      {"matmul_transposed", [] { matmul(f32(4, 17), f32(16, 3), true); }, {"matmul:", "transposed", "(4)", "(16)"}},
      {"matmul_leading", [] { matmul(f32(2, 3, 4), f32(3, 4, 5)); }, {"matmul:", "(2, 3, 4)", "(3, 4, 5)", "leading"}},
      {"matmul_number", [] { matmul(f32(), f32(3)); }, {"matmul:", "()", "(3)", "use *"}},
      {"matmul_vector_flag", [] { matmul(f32(3), f32(3, 2), true); }, {"matmul:", "(3)", "(3, 2)", "flag"}},
      {"matmul_types", [] { matmul(f32(2, 2), f64(2, 2)); }, {"matmul:", "f32", "f64"}},
      {"linear_sizes", [] { linear(f32(2, 5), f32(3, 4)); }, {"linear:", "(2, 5)", "(3, 4)", "(out, in)"}},
      {"linear_weight", [] { linear(f32(2, 5), f32(5)); }, {"linear:", "(2, 5)", "(5)"}},
      {"linear_number", [] { linear(f32(), f32(1, 1)); }, {"linear:", "()", "(1, 1)"}},
      {"linear_bias", [] { linear(f32(2, 5), f32(3, 5), f32(5)); }, {"linear:", "(5)", "(3)", "(3, 5)"}},
      {"linear_types", [] { linear(f32(2, 5), f64(3, 5)); }, {"linear:", "f32", "f64"}},
      {"softmax_dimension", [] { softmax(f32(2, 3), 2); }, {"softmax:", "no dimension 2"}},
      {"softmax_number", [] { softmax(f32()); }, {"softmax:", "single number"}},
      {"log_softmax_dimension", [] { log_softmax(f32(2, 3), -3); }, {"log_softmax:", "no dimension -3"}},
      {"layer_norm_weight", [] { layer_norm(f32(2, 3), f32(2)); }, {"layer_norm:", "weight (2)", "(3)", "(2, 3)"}},
      {"layer_norm_bias", [] { layer_norm(f32(2, 3), f32(3), f32(1, 3)); }, {"layer_norm:", "bias (1, 3)", "(2, 3)"}},
      {"layer_norm_number", [] { layer_norm(f32()); }, {"layer_norm:", "last dimension"}},
      {"layer_norm_types", [] { layer_norm(f32(2, 3), f64(3)); }, {"layer_norm:", "f32", "f64"}},
      {"rms_norm_weight", [] { rms_norm(f32(2, 3), f32(2)); }, {"rms_norm:", "weight (2)", "(2, 3)"}},
      {"embedding_id", [] { embedding(f32(3, 2), ids(0, 3)); }, {"embedding:", "id 3", "(3, 2)", "0 .. 2"}},
      {"embedding_negative", [] { embedding(f32(3, 2), ids(-1)); }, {"embedding:", "id -1"}},
      {"embedding_weight", [] { embedding(f32(3), ids(0)); }, {"embedding:", "(3)", "two dimensions"}},
      {"embedding_shape", [] { embedding(f32(3, 2), ids(0, 1), list(3)); }, {"embedding:", "2 ids", "(3)"}},
      {"dropout_above", [] { dropout(f32(3), 1.5); }, {"dropout:", "1.5", "0 to 1"}},
      {"dropout_nan", [] { dropout(f32(3), std::numeric_limits<double>::quiet_NaN()); }, {"dropout:", "nan"}},
      {"cross_entropy_count",
       [] { cross_entropy(f32(2, 3), ids(0)); },
       {"cross_entropy:", "(2, 3)", "2 rows", "1 targets"}},
      {"cross_entropy_target",
       [] { cross_entropy(f32(2, 3), ids(0, 3)); },
       {"cross_entropy:", "target 3", "3 classes", "(2, 3)", "0 .. 2", "-1"}},
      {"cross_entropy_number", [] { cross_entropy(f32(), ids(0)); }, {"cross_entropy:", "classes"}},
      {"mse_loss_shapes", [] { mse_loss(f32(2), f32(2, 1)); }, {"mse_loss:", "(2)", "(2, 1)", "reshape"}},
      {"attention_sizes",
       [] { scaled_dot_product_attention(f32(2, 3, 4), f32(2, 3, 5), f32(2, 3, 4)); },
       {"scaled_dot_product_attention:", "(2, 3, 4)", "(2, 3, 5)", "(.., S, D)"}},
      {"attention_keys", [] { scaled_dot_product_attention(f32(3, 4), f32(5, 4), f32(6, 4)); }, {"(5, 4)", "(6, 4)"}},
      {"attention_leading",
       [] { scaled_dot_product_attention(f32(2, 3, 4), f32(1, 3, 4), f32(2, 3, 4)); },
       {"(2, 3, 4)", "(1, 3, 4)", "equal leading"}},
      {"attention_vectors", [] { scaled_dot_product_attention(f32(3), f32(3), f32(3)); }, {"(3)"}},
      {"attention_types", [] { scaled_dot_product_attention(f32(3, 4), f64(3, 4), f32(3, 4)); }, {"f32", "f64"}},
      {"packed_heads", [] { packed_attention(f32(4, 12), 3, list(4)); }, {"packed_attention:", "(4, 12)", "3 heads"}},
      {"packed_no_heads", [] { packed_attention(f32(4, 12), 0, list(4)); }, {"0 heads"}},
      {"packed_lengths", [] { packed_attention(f32(4, 12), 2, list(1, 2)); }, {"add up to 3", "(4, 12)"}},
      {"packed_negative", [] { packed_attention(f32(4, 12), 2, list(5, -1)); }, {"length -1"}},
      {"backward_shape", [] { f32(2).requires_grad(true).backward(); }, {"backward:", "(2)", "mean(x)"}},
      {"backward_constant", [] { sum(f32(2)).backward(); }, {"backward:", "requires_grad(true)"}},
      {"backward_weight", [] { f32(2).requires_grad(true).backward(f32(3)); }, {"backward:", "(2)", "(3)"}},
      {"backward_weight_type", [] { f32(2).requires_grad(true).backward(f64(2)); }, {"backward:", "f32", "f64"}},
      {"undefined", [] { Tensor().shape(); }, {"undefined"}},
      {"undefined_in_an_op", [] { f32(2) + Tensor(); }, {"undefined"}},
      {"undefined_in_matmul", [] { matmul(Tensor(), f32(2)); }, {"undefined"}},
      {"undefined_in_linear", [] { linear(f32(2, 3), Tensor()); }, {"undefined"}},
      {"undefined_in_concat", [] { concat(tensors(f32(2), Tensor())); }, {"undefined"}},
      {"undefined_in_where", [] { where(f32(2), Tensor(), f32(2)); }, {"undefined"}},
      {"undefined_in_attention", [] { scaled_dot_product_attention(f32(2, 3), Tensor(), f32(2, 3)); }, {"undefined"}},
      {"undefined_in_softmax", [] { softmax(Tensor()); }, {"undefined"}},
      {"item_of_many", [] { f32(2).item(); }, {"item:", "(2)"}},
      {"data_of_the_other_type", [] { f32(2).data<double>(); }, {"data:", "f32", "double", "to(DType)"}},
      {"copy_shape", [] { f32(2).copy_(f32(3)); }, {"copy_:", "(3)", "(2)"}},
      {"copy_type", [] { f32(2).copy_(f64(2)); }, {"copy_:", "f64", "f32"}},
      {"tensor_count",
       [] {
         tensor({1, 2, 3}, Shape{2, 2});
       },
       {"tensor:", "3 values", "(2, 2)", "4"}},
      {"size_of_no_dimension", [] { f32(2).size(1); }, {"no dimension 1"}},
      {"arange_backwards", [] { arange(1, 0); }, {"arange:", "1", "0"}},
      {"arange_no_step", [] { arange(0, 1, 0); }, {"arange:", "step 0"}},
      {"too_many_dimensions", [] { f32(1, 1, 1, 1, 1, 1, 1, 1, 1); }, {"more than 8 dimensions"}},
      {"too_many_elements", [] { f32(large << 40, large << 40); }, {"63 bits"}},
      {"too_much_memory", [] { f32(large << 50); }, {"memory:"}},
      {"adam_shapes", [] { adam_update(f32(2), f32(2), f32(3), f32(2), AdamStep{}); }, {"adam:", "(2)", "(3)"}},
      {"sgd_types", [] { sgd_update(f32(2), {}, f64(2), SgdStep{}); }, {"sgd:", "f32", "f64"}},
      {"threads", [] { set_num_threads(0); }, {"set_num_threads:", "0", "1"}},
      {"record_own_input",
       [] {
         Tensor x = f32(2);
         x.requires_grad(true);
         record("same", x, {x}, [](const Node&, Inputs) {});
       },
       {"record:", "'same'", "new tensor"}},
      {"gradcheck_type",
       [] { gradcheck([](const std::vector<Tensor>& x) { return x[0].to(DType::f32); }, {f32(2)}); },
       {"gradcheck:", "f32", "f64"}},
      {"below_nothing", [] { Generator(1).below(0); }, {"below(0)"}},
  };
  return calls;
}

class EachWrongCall : public ::testing::TestWithParam<const WrongCall*> {};

TEST_P(EachWrongCall, SaysWhatArrivedAndWhatToDo) {
  const std::string text = error_of(GetParam()->call);
  for (const char* part : GetParam()->parts) expect_contains(text, part);
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

TEST(Error, DerivesFromStdException) {
  EXPECT_THROW(check(false, "x {}", 1), std::exception);
}

}  // namespace
}  // namespace gradus::testing
