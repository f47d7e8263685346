// Which part of which parameter belongs to which rank, and what is sent together.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <gradus/core/dtype.h>
#include <gradus/core/shape.h>

namespace gradus::distributed::detail {
#pragma GCC visibility push(default)

struct ParamSize {
  Index numel;
  DType dtype;
};

/// Elements begin .. end-1 of a parameter: whole blocks of norm_block_size(), so that the sums of squares of all slices
/// together are those of the parameter.
struct Slice {
  std::size_t param;
  Index begin, end;
  int owner;
};

/// What is sent together, sorted by owner.
using Bucket = std::vector<Slice>;

/// Buckets of at least `bucket_bytes`, but for the last, in the order of the parameters; large parameters lie in
/// several. Each bucket is dealt to the ranks by bytes, so that all receive at the same time, and those that have least
/// so far come first. `whole`: parameters are not cut.
std::vector<Bucket> partition(std::span<const ParamSize> params, int ranks, std::size_t bucket_bytes, bool whole);

#pragma GCC visibility pop
}  // namespace gradus::distributed::detail
