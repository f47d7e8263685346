// Choosing an instruction set while the program runs.
#include <gradus/core/runtime/cpu.h>

#include <algorithm>

#include <gradus/core/kernels/kernels.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

TEST(InstructionSets, TheOneInUseIsAvailable) {
  const std::vector<std::string_view> sets = available_instruction_sets();
  ASSERT_FALSE(sets.empty());
  EXPECT_NE(std::find(sets.begin(), sets.end(), instruction_set()), sets.end());
}

TEST(InstructionSets, CanBeSwitched) {
  const std::string_view before = instruction_set();
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet guard(isa);
    EXPECT_EQ(instruction_set(), isa);
    EXPECT_EQ(kernels::kernels<float>().isa, isa);
    EXPECT_EQ(kernels::kernels<double>().isa, isa);
  }
  EXPECT_EQ(instruction_set(), before);
}

TEST(InstructionSets, AnUnknownOneIsAnErrorThatListsTheChoice) {
  const std::string_view before = instruction_set();
  for (const char* name : {"avx1024", "", "AVX2"}) {
    const std::string text = error_of([&] { set_instruction_set(name); });
    expect_contains(text, fmt::format("'{}'", name));
    expect_contains(text, "choose from");
    expect_contains(text, available_instruction_sets().front());
  }
  EXPECT_EQ(instruction_set(), before);
}

TEST(InstructionSets, OneThatThisMachineLacksIsTheSameError) {
  const std::vector<std::string_view> sets = available_instruction_sets();
  for (const std::string_view isa : {"sse2", "avx2", "avx512", "neon"}) {
    if (std::find(sets.begin(), sets.end(), isa) != sets.end()) continue;
    expect_contains(error_of([&] { set_instruction_set(isa); }), "not available here");
  }
}

}  // namespace
}  // namespace gradus::testing
