// Which kernel table this process uses.
#pragma once

#include <string_view>
#include <vector>

namespace gradus {
#pragma GCC visibility push(default)

/// "avx512", "avx2", "sse2" or "neon": what the kernels in use were compiled for. Throws Error when GRADUS_ISA names
/// one that this CPU or this build does not have.
std::string_view instruction_set();

/// The instruction sets that were compiled in and that this CPU has, best first.
std::vector<std::string_view> available_instruction_sets();

/// Switches to another available set, for tests and measurements. No other thread may compute meanwhile.
void set_instruction_set(std::string_view name);

#pragma GCC visibility pop
}  // namespace gradus
