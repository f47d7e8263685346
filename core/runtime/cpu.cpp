// Picks the kernel tables at first use: the best available set, or the one GRADUS_ISA names.
#include <gradus/core/runtime/cpu.h>

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include <gradus/core/check.h>
#include <gradus/core/kernels/kernels.h>

namespace gradus {
namespace {

struct InstructionSet {
  std::string_view name;
  const kernels::Kernels<float>* f32;
  const kernels::Kernels<double>* f64;
  const kernels::NarrowKernels* (*narrow)();
  bool (*has)();
};

#ifdef GRADUS_HAVE_AVX512
const kernels::NarrowKernels* narrow_avx512() {
#ifdef GRADUS_HAVE_AVX512VNNI
  if (__builtin_cpu_supports("avx512vnni")) return &kernels::avx512vnni::table_narrow;
#endif
  return &kernels::avx512::table_narrow;
}
#endif

constexpr std::array sets{
#ifdef GRADUS_HAVE_AVX512
    InstructionSet{"avx512", &kernels::avx512::table_f32, &kernels::avx512::table_f64, narrow_avx512,
                   [] {
                     return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
                   }},
#endif
#ifdef GRADUS_HAVE_AVX2
    InstructionSet{"avx2", &kernels::avx2::table_f32, &kernels::avx2::table_f64,
                   [] { return &kernels::avx2::table_narrow; },
                   [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
#ifdef GRADUS_HAVE_SSE2
    InstructionSet{"sse2", &kernels::sse2::table_f32, &kernels::sse2::table_f64,
                   [] { return &kernels::sse2::table_narrow; }, [] { return true; }},
#endif
#ifdef GRADUS_HAVE_NEON
    InstructionSet{"neon", &kernels::neon::table_f32, &kernels::neon::table_f64,
                   [] { return &kernels::neon::table_narrow; }, [] { return true; }},
#endif
};

const InstructionSet& find(std::string_view name, std::string_view asker) {
  for (const InstructionSet& set : sets) {
    if (set.name == name && set.has()) return set;
  }
  fail("{}: the instruction set '{}' is not available here; choose from {}", asker, name,
       fmt::join(available_instruction_sets(), ", "));
}

const InstructionSet& choose() {
  if (const char* name = std::getenv("GRADUS_ISA"); name != nullptr && *name != '\0') return find(name, "GRADUS_ISA");
  for (const InstructionSet& set : sets) {
    if (set.has()) return set;
  }
  fail("cpu: none of the instruction sets this library was built for runs here");
}

std::atomic<const InstructionSet*>& current() {
  static std::atomic<const InstructionSet*> chosen{&choose()};
  return chosen;
}

}  // namespace

std::vector<std::string_view> available_instruction_sets() {
  std::vector<std::string_view> names;
  for (const InstructionSet& set : sets) {
    if (set.has()) names.push_back(set.name);
  }
  return names;
}

std::string_view instruction_set() {
  return current().load(std::memory_order_relaxed)->name;
}
void set_instruction_set(std::string_view name) {
  current() = &find(name, "set_instruction_set");
}

template <>
const kernels::Kernels<float>& kernels::kernels<float>() {
  return *current().load(std::memory_order_relaxed)->f32;
}
template <>
const kernels::Kernels<double>& kernels::kernels<double>() {
  return *current().load(std::memory_order_relaxed)->f64;
}

const kernels::NarrowKernels& kernels::narrow_kernels() {
  return *current().load(std::memory_order_relaxed)->narrow();
}

}  // namespace gradus
