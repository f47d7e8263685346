// What the machine can do at most, measured in the same process as the benchmark that is held against it.
#pragma once

#include <benchmark/benchmark.h>

namespace limits {

/// Multiply-adds count as two. In registers alone, f32, with the instruction set that gradus uses; per second.
double flops(int threads);
/// Bytes a second from memory: reading far more than the caches hold.
double read_bytes(int threads);

/// Counters "FLOP/s" and "of limit" for a benchmark whose every iteration does `count` floating-point operations.
void report_flops(benchmark::State& state, double count, int threads);
/// Counters "bytes/s" and "of limit" for one that has to move `count` bytes between memory and processor.
void report_bytes(benchmark::State& state, double count, int threads);

}  // namespace limits
