// Compiled once per instruction set, with that set's compiler flags and GRADUS_ISA_NAME: fills the kernel tables but
// for instantiate_narrow.cpp's.
#include <gradus/core/kernels/attention.h>
#include <gradus/core/kernels/cached_attention.h>
#include <gradus/core/kernels/cross_entropy.h>
#include <gradus/core/kernels/dropout.h>
#include <gradus/core/kernels/gemm.h>
#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/matmul.h>
#include <gradus/core/kernels/norm.h>
#include <gradus/core/kernels/pointwise.h>
#include <gradus/core/kernels/random.h>
#include <gradus/core/kernels/reduce.h>
#include <gradus/core/kernels/softmax.h>
#include <gradus/core/kernels/update.h>

namespace gradus::kernels::GRADUS_ISA_NAME {
namespace {

#define GRADUS_TEXT_(x) #x
#define GRADUS_TEXT(x) GRADUS_TEXT_(x)

template <class T>
constexpr Kernels<T> make_table() {
  return {
      .isa = GRADUS_TEXT(GRADUS_ISA_NAME),
      .unary = unary<T>,
      .unary_grad = unary_grad<T>,
      .binary = binary<T>,
      .compare = compare<T>,
      .binary_grad = binary_grad<T>,
      .select = select<T>,
      .select_grad = select_grad<T>,
      .add = add<T>,
      .add_scalar = add_scalar<T>,
      .scale = scale<T>,
      .dropout = dropout<T>,
      .sum = sum<T>,
      .squared_norm = squared_norm<T>,
      .softmax = softmax<T>,
      .softmax_grad = softmax_grad<T>,
      .log_softmax = log_softmax<T>,
      .log_softmax_grad = log_softmax_grad<T>,
      .layer_norm = layer_norm<T>,
      .layer_norm_grad = layer_norm_grad<T>,
      .rms_norm = rms_norm<T>,
      .rms_norm_grad = rms_norm_grad<T>,
      .cross_entropy = cross_entropy<T>,
      .cross_entropy_grad = cross_entropy_grad<T>,
      .tile_rows = tile_rows,
      .group_cols = group<T>,
      .pack_a = pack_a<T>,
      .product = product<T>,
      .few_rows = few_rows<T>,
      .attention_scratch = attention_scratch<T>,
      .attention = attention<T>,
      .attention_grad = attention_grad<T>,
      .cached_attention = cached_attention<T>,
      .normal = normal<T>,
      .adam = adam<T>,
  };
}

}  // namespace

constexpr Kernels<float> table_f32 = make_table<float>();
constexpr Kernels<double> table_f64 = make_table<double>();

}  // namespace gradus::kernels::GRADUS_ISA_NAME
