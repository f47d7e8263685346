// Weights in fewer bits, for generation: a token costs reading all weights once, so a half or a quarter of the bytes
// takes a half or a quarter of the time.
//
// bf16: each number is rounded to the nearest bfloat16 (to even; the largest one where that would be infinity).
// int8, int4: a row's inputs are cut into blocks of 32, and a weight is stored as a whole number q that stands for
// scale q. With e the weight of largest size in the block, scale is e / 127 or -e / 8 rounded to bfloat16, and q the
// whole number nearest to w / scale from -127 to 127, or from -8 to 7. In products x is rounded too, block by block, to
// scale q with scale = max|x| / 127 in f32 and q from -127 to 127, so that whole numbers are multiplied, four at a
// time, and summed up in 32 bits.
//
// In memory, rows are in groups of 16 and inputs in runs of 64, both filled up with zeros. Group after group and run
// after run there are cells of 64 bytes with four bytes for each row of the group: first, for whole numbers, the two
// scales of the run's blocks; then consecutive inputs, two in bf16, four as q + 128, or eight as q + 8, of which the
// first four are in the lower halves of the bytes.
#pragma once

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

/// A weight matrix (out, in) in narrow numbers, made once and never changed; a copy shares them. It has no gradient.
class NarrowMatrix {
 public:
  NarrowMatrix() = default;  // undefined
  /// Throws Error unless `weight` is a matrix in f32 of numbers within +-2^127.
  NarrowMatrix(const Tensor& weight, NarrowType type);

  bool defined() const { return static_cast<bool>(memory_); }
  NarrowType type() const { return type_; }
  Shape shape() const { return {out_, in_}; }
  /// What a product with few rows reads.
  Index bytes() const;
  /// The numbers that it stands for: (out, in), f32.
  Tensor to_tensor() const;

 private:
  friend Tensor linear(const Tensor& x, const NarrowMatrix& weight, const Tensor& bias);
  Index groups() const;

  Buffer memory_;
  NarrowType type_ = NarrowType::bf16;
  Index out_ = 0, in_ = 0;
};

/// x weight^T + bias, as with a Tensor as weight: (.., in) -> (.., out), all in f32. It has no gradient and throws
/// Error while gradients are recorded. A block of x that is not finite makes its row of the result NaN for int8 and
/// int4.
Tensor linear(const Tensor& x, const NarrowMatrix& weight, const Tensor& bias = {});

#pragma GCC visibility pop
}  // namespace gradus
