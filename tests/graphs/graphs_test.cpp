// The fixed set of graphs, modules and optimizer programs with PyTorch's answers, on every instruction set and in both
// types; and that no op, module or optimizer is missing from it. graphs.py draws the set, `make graphs` new ones.
#include <algorithm>
#include <set>

#include <gradus/gradus.h>

#include "../core/ops/op_table.h"
#include "../sources.h"
#include "../support.h"
#include "case.h"
#include "registry.h"

namespace gradus::testing {
namespace {

const std::vector<GraphCase>& fixed_set() {
  static const std::vector<GraphCase> all = read_graphs(GRADUS_SOURCE_DIR "/tests/graphs/fixed");
  return all;
}

class Graphs : public ::testing::TestWithParam<std::string_view> {};

TEST_P(Graphs, OfTheFixedSetAgreeWithPytorch) {
  const WithInstructionSet guard(GetParam());
  for (const GraphCase& c : fixed_set()) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const Distance& one : compare(c, dtype)) {
        EXPECT_FALSE(one.wrong()) << c.name << " " << name_of(dtype) << ": " << one.what << ", error " << one.error
                                  << ", limit " << one.limit << "\n"
                                  << print_test(c, dtype, GetParam());
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixed, Graphs, ::testing::ValuesIn(tested_instruction_sets()),
                         [](const auto& given) { return std::string(given.param); });

// The ops, modules and optimizers of the fixed set, which Python's registries have chosen.
std::set<std::string> drawn_names() {
  std::set<std::string> names;
  for (const GraphCase& c : fixed_set()) {
    if (c.is_program()) names.insert(c.description["optimizer"].get<std::string>());
    for (const auto& item : c.description.value("items", nlohmann::json::array())) {
      if (item.contains("op")) names.insert(item["op"].get<std::string>());
    }
  }
  return names;
}

bool has_form(const std::set<std::string>& names, const std::string& op) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name == op || name.starts_with(op + "_"); });
}

constexpr const char* what_to_do =
    ": add an entry to the registries of tests/graphs (C++ and Python), then graphs.py --write";

// Those without an entry of their own are drawn as rows of the op table.
TEST(GraphsRegistry, HasEveryDeclaredOp) {
  std::set<std::string> drawn = drawn_names();
  const std::set<std::string> declared = declared_names();
  EXPECT_GE(declared.size(), 45U) << "the search finds too little";
  EXPECT_TRUE(drawn.contains("row"));
  for (const OpRow& row : op_table()) drawn.insert(row.op);
  for (const std::string& op : declared) EXPECT_TRUE(has_form(drawn, op)) << op << " has no row in the op table";
}

TEST(GraphsRegistry, HasEveryModuleAndOptimizer) {
  const std::set<std::string> drawn = drawn_names(), modules = declared_modules(), optimizers = declared_optimizers();
  EXPECT_GE(modules.size(), 32U) << "the search finds too little";
  EXPECT_GE(optimizers.size(), 4U) << "the search finds too little";
  for (const std::string& module : modules) {
    EXPECT_TRUE(drawn.contains("nn." + module)) << module << " is in no case" << what_to_do;
  }
  for (const std::string& optimizer : optimizers) {
    EXPECT_TRUE(drawn.contains(optimizer)) << optimizer << " is in no program" << what_to_do;
  }
}

TEST(GraphsRegistry, EntriesAreDrawn) {
  const std::set<std::string> drawn = drawn_names();
  for (const auto& [name, entry] : registry()) {
    EXPECT_TRUE(drawn.contains(name)) << name << " has C++ code but no entry in Python, or is not in the fixed set";
  }
}

// The machine's own sight: an answer that is off by a little more than the limit.
TEST(GraphsCompare, AWrongAnswerIsSeen) {
  const auto found = std::find_if(fixed_set().begin(), fixed_set().end(), [](const GraphCase& c) {
    return !c.is_program() && !c.answers.empty() && std::abs(c.answers.front()) > 0.5;
  });
  ASSERT_NE(found, fixed_set().end());
  GraphCase wrong = *found;
  wrong.answers.front() *= 1 + 1e-6;
  const std::vector<Distance> distances = compare(wrong, DType::f64);
  EXPECT_TRUE(std::any_of(distances.begin(), distances.end(), [](const Distance& one) { return one.wrong(); }));
}

TEST(GraphsPrint, CodeHasTheCasesNamesAndValues) {
  const auto node = nlohmann::json::parse(R"({"op": "sum_dims", "in": [3], "dims": [0, -1], "keepdim": true})");
  EXPECT_EQ(code_of(registry().at("sum_dims"), node), "sum(x3, std::vector<Index>{0, -1}, true)");
  const auto linear = nlohmann::json::parse(R"({"op": "linear", "in": [0, 0]})");
  EXPECT_EQ(code_of(registry().at("linear"), linear), "linear(x0, x0, Tensor())");
}

}  // namespace
}  // namespace gradus::testing
