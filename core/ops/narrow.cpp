// Products read the narrow numbers and nothing else, for many rows too: a group of the matrix stays in a cache while
// the rows go by. Widening blocks of it for the product of floats was slower, except for more than 32 rows in bf16, by
// 8 % with AVX-512 and by 20 % with AVX2.
#include <gradus/core/ops/narrow.h>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

using kernels::narrow_block;
using kernels::narrow_group;
using kernels::narrow_run;
using kernels::NarrowBlock;

Index blocks(Index n, Index size) {
  return (n + size - 1) / size;
}

Index group_bytes(NarrowType type, Index in) {
  return blocks(in, narrow_run) * kernels::narrow_run_bytes(type);
}

// What `input` makes of each row of x.
struct InputRows {
  Buffer memory;
  Index stride;  // bytes

  InputRows(NarrowType type, const float* x, Index rows, Index in) {
    const Index padded = blocks(in, narrow_run) * narrow_run;
    stride = type == NarrowType::bf16 ? padded * static_cast<Index>(sizeof(float))
                                      : padded / narrow_block * static_cast<Index>(sizeof(NarrowBlock));
    memory = Buffer(rows * stride / static_cast<Index>(sizeof(float)), DType::f32);
    parallel_for(rows, row_grain(in), [&](Index begin, Index end) {
      for (Index r = begin; r < end; ++r) {
        kernels::narrow_kernels().input(type, x + r * in, in, memory.as<std::byte>() + r * stride);
      }
    });
  }
};

}  // namespace

NarrowMatrix::NarrowMatrix(const Tensor& weight, NarrowType type) : type_(type) {
  check_defined("NarrowMatrix", {weight});
  check(
      weight.rank() == 2 && weight.dtype() == DType::f32 && weight.numel() > 0,
      "NarrowMatrix: the weight {} in {} must be a matrix (out, in) in f32; convert it with reshape and to(DType::f32)",
      weight.shape(), weight.dtype());
  out_ = weight.size(0), in_ = weight.size(1);
  const float* const from = weight.node().values<float>();
  constexpr float largest = 0x1p127F;  // a scale times the last whole number is then finite too
  const float* const bad =
      std::find_if_not(from, from + weight.numel(), [](float x) { return std::abs(x) <= largest; });
  if (const Index i = bad - from; i < weight.numel()) {
    fail("NarrowMatrix: the weight at row {}, column {} is {}; all must be within +-2^127", i / in_, i % in_, *bad);
  }
  const Index bytes_of_group = group_bytes(type, in_);
  memory_ = Buffer(saturating_product({groups(), bytes_of_group}) / static_cast<Index>(sizeof(float)), DType::f32);
  parallel_for(groups(), row_grain(narrow_group * in_), [&](Index begin, Index end) {
    for (Index g = begin; g < end; ++g) {
      const Index row = g * narrow_group;
      kernels::narrow_kernels().pack(type, from + row * in_, std::min(narrow_group, out_ - row), in_,
                                     memory_.as<std::byte>() + g * bytes_of_group);
    }
  });
}

Index NarrowMatrix::groups() const {
  return blocks(out_, narrow_group);
}

Index NarrowMatrix::bytes() const {
  return groups() * group_bytes(type_, in_);
}

Tensor NarrowMatrix::to_tensor() const {
  check(defined(), "NarrowMatrix: this one is undefined; make it from a weight first");
  Tensor result = Tensor::empty(shape());
  const Index padded = blocks(in_, narrow_run) * narrow_run;
  parallel_for_scratch<float>(groups(), 1, padded * narrow_group, [&](Index begin, Index end, float* wide) {
    for (Index g = begin; g < end; ++g) {
      const std::byte* const from = memory_.as<std::byte>() + g * group_bytes(type_, in_);
      kernels::narrow_kernels().widen(type_, from, padded / narrow_run, wide, narrow_group);
      for (Index j = g * narrow_group; j < std::min(out_, (g + 1) * narrow_group); ++j) {
        float* const row = result.node().values<float>() + j * in_;
        for (Index l = 0; l < in_; ++l) row[l] = wide[l * narrow_group + j % narrow_group];
      }
    }
  });
  return result;
}

Tensor linear(const Tensor& x, const NarrowMatrix& weight, const Tensor& bias) {
  check_defined("linear", {x});
  if (bias.defined()) check_defined("linear", {bias});
  check(weight.defined(), "linear: the narrow weight is undefined; make it from a weight first");
  check(!grad_enabled(),
        "linear: narrow weights have no gradient; call it under NoGrad, or train with the weights in f32");
  check(x.rank() >= 1 && x.size(-1) == weight.in_,
        "linear: x {} and narrow weight {} do not fit: weight must be (out, in) with `in` the last size of x",
        x.shape(), weight.shape());
  check(x.dtype() == DType::f32 && (!bias.defined() || bias.dtype() == DType::f32),
        "linear: narrow weights are for f32, x is {}; convert with to(DType::f32)", x.dtype());
  check(!bias.defined() || bias.shape() == Shape{weight.out_},
        "linear: bias {} must be ({}), the first size of weight {}", bias.defined() ? bias.shape() : Shape{},
        weight.out_, weight.shape());
  Shape shape = x.shape();
  shape.set(-1, weight.out_);
  Tensor y = Tensor::empty(shape);
  const Index rows = x.shape().as_matrix().rows, in = weight.in_, out = weight.out_;
  const InputRows input(weight.type_, x.node().values<float>(), rows, in);
  // Four groups side by side are the kernel's way; 48 KB take some 3 us to read. 64 rows of x stay in a cache.
  constexpr Index side_by_side = 4, part = 49152, rows_at_once = 64;
  const Index grain = blocks(part, side_by_side * group_bytes(weight.type_, in)) * side_by_side;
  parallel_for(weight.groups(), grain, [&](Index begin, Index end) {
    for (Index r = 0; r < rows; r += rows_at_once) {
      kernels::narrow_kernels().product({.type = weight.type_,
                                         .weight = weight.memory_.as<std::byte>(),
                                         .x = input.memory.as<std::byte>() + r * input.stride,
                                         .bias = values_or_null<const float>(bias),
                                         .y = y.node().values<float>() + r * out,
                                         .x_stride = input.stride,
                                         .y_stride = out,
                                         .rows = std::min(rows_at_once, rows - r),
                                         .n = out,
                                         .k = in},
                                        begin, end);
    }
  });
  return y;
}

}  // namespace gradus
