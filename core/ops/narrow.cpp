// A product with few rows reads the narrow numbers and nothing else. For many rows, blocks of the matrix are widened to
// floats, in a cache, and go into the matrix product of floats.
#include <gradus/core/ops/narrow.h>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/gemm.h>

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

  // The rows as products of whole numbers see them: (rows, in).
  Buffer rounded(Index rows, Index in) const {
    Buffer result(rows * in, DType::f32);
    for (Index r = 0; r < rows; ++r) {
      const auto* const row = reinterpret_cast<const NarrowBlock*>(memory.as<std::byte>() + r * stride);
      for (Index i = 0; i < in; ++i) {
        const NarrowBlock& block = row[i / narrow_block];
        result.as<float>()[r * in + i] = block.scale * static_cast<float>(block.q[i % narrow_block]);
      }
    }
    return result;
  }
};

struct Sizes2 {
  Index rows, out, in;
};

void few_rows(NarrowType type, const std::byte* weight, const float* x, const float* bias, float* y, Sizes2 size) {
  const InputRows input(type, x, size.rows, size.in);
  // Four groups side by side are the kernel's way with one row; 48 KB take some 3 us to read.
  constexpr Index side_by_side = 4, part = 49152;
  const Index grain = blocks(part, side_by_side * group_bytes(type, size.in)) * side_by_side;
  parallel_for(blocks(size.out, narrow_group), grain, [&](Index begin, Index end) {
    kernels::narrow_kernels().product({.type = type,
                                       .weight = weight,
                                       .x = input.memory.as<std::byte>(),
                                       .bias = bias,
                                       .y = y,
                                       .x_stride = input.stride,
                                       .y_stride = size.out,
                                       .rows = size.rows,
                                       .n = size.out,
                                       .k = size.in},
                                      begin, end);
  });
}

void many_rows(NarrowType type, const std::byte* weight, const float* x, const float* bias, float* y, Sizes2 size) {
  constexpr Index groups = 4, cols = groups * narrow_group, depth = kernels::product_depth, runs = depth / narrow_run;
  Buffer rounded;
  if (type != NarrowType::bf16) rounded = InputRows(type, x, size.rows, size.in).rounded(size.rows, size.in);
  const float* const px = rounded ? rounded.as<float>() : x;
  kernels::Product<float> all{.c = y,
                              .c_stride = size.out,
                              .a = factor(px, size.in),
                              .b = {},
                              .m = size.rows,
                              .n = size.out,
                              .k = size.in,
                              .accumulate = false,
                              .bias = bias,
                              .packed_a = nullptr};
  const Buffer packed = pack_first(all);
  const Index packed_rows =
      blocks(size.rows, kernels::kernels<float>().tile_rows) * kernels::kernels<float>().tile_rows;
  parallel_for_scratch<float>(blocks(size.out, cols), 1, depth * cols, [&](Index begin, Index end, float* wide) {
    for (Index j = begin * cols; j < std::min(size.out, end * cols); j += cols) {
      for (Index l = 0; l < size.in; l += depth) {
        for (Index g = 0; g < groups && j + g * narrow_group < size.out; ++g) {
          const std::byte* const from = weight + (j / narrow_group + g) * group_bytes(type, size.in) +
                                        l / narrow_run * kernels::narrow_run_bytes(type);
          kernels::narrow_kernels().widen(type, from, std::min(runs, blocks(size.in - l, narrow_run)),
                                          wide + g * narrow_group, cols);
        }
        kernels::Product<float> part = all;
        part.c = y + j;
        part.a.p = px + l;
        part.b = factor(static_cast<const float*>(wide), cols);
        part.n = std::min(cols, size.out - j);
        part.k = std::min(depth, size.in - l);
        part.accumulate = l > 0;
        part.bias = l > 0 || bias == nullptr ? nullptr : bias + j;
        if (all.packed_a != nullptr) part.packed_a = all.packed_a + l * packed_rows;
        kernels::kernels<float>().product(part, 0, part.m, 0, part.n);
      }
    }
  });
}

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
  const Sizes2 size{x.shape().as_matrix().rows, weight.out_, weight.in_};
  if (size.rows == 0) return y;
  constexpr Index few = 8;
  (size.rows <= few ? few_rows : many_rows)(weight.type_, weight.memory_.as<std::byte>(), x.node().values<float>(),
                                            values_or_null<const float>(bias), y.node().values<float>(), size);
  return y;
}

}  // namespace gradus
