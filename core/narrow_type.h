// The types that weights are narrowed to for generation. Apart from dtype.h, for the kernels, which include no more.
#pragma once

namespace gradus {

/// What the weights of a NarrowMatrix (core/ops/narrow.h) are stored in: bfloat16, or whole numbers of 8 or 4 bits with
/// a scale for every 32.
enum class NarrowType : unsigned char { bf16, int8, int4 };

}  // namespace gradus
