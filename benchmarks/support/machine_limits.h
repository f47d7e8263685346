// What the machine can do at most, measured in the same process as the benchmark that is held against it.
#pragma once

namespace limits {

/// Multiply-adds count as two. In registers alone, f32, with the instruction set that gradus uses; per second.
double flops(int threads);
/// Bytes a second from memory: reading far more than the caches hold.
double read_bytes(int threads);
/// Bytes a second that memcpy reads and writes, together.
double copy_bytes(int threads);

}  // namespace limits
