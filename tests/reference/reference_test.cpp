// PyTorch as the judge: every case of tests/reference/*.safetensors on every instruction set that this machine has, and
// that no op, module, optimizer or schedule is without one.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <ostream>
#include <set>

#include "../sources.h"
#include "../support.h"
#include "measure.h"
#include "reference_file.h"
#include "rows.h"

namespace gradus::testing {

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.title();
}

namespace {

std::string test_name(const Case& c) {
  std::string name = c.file + "_" + c.name;
  std::replace(name.begin(), name.end(), '@', '_');
  return name;
}

class Pytorch : public ::testing::TestWithParam<std::tuple<Case, DType>> {};

TEST_P(Pytorch, Agrees) {
  const auto& [c, dtype] = GetParam();
  const double rounding = dtype == DType::f32 ? 0x1p-24 : 0x1p-53;
  for (const std::string_view isa : tested_instruction_sets()) {
    SCOPED_TRACE(isa);
    const WithInstructionSet guard(isa);
    const std::optional<Errors> errors = against_pytorch(c, dtype, dtype);
    ASSERT_TRUE(errors.has_value());
    EXPECT_LE(errors->forward / rounding, c.limits.forward) << "roundings in the result";
    EXPECT_LE(errors->gradient.value_or(0) / rounding, c.limits.gradient) << "roundings in the gradient";
    if (c.limits.each) {
      EXPECT_LE(errors->each / rounding, *c.limits.each) << "roundings in one element of the result";
    }
  }
}

class SecondDerivatives : public ::testing::TestWithParam<Case> {};

TEST_P(SecondDerivatives, AgreeWithPytorch) {
  EXPECT_LE(rules_against_kernels(GetParam()).value_or(0), 1e-12);
  EXPECT_LE(second_against_pytorch(GetParam()).value_or(0), 1e-10);
}

std::vector<Case> cases_with_second_derivatives() {
  std::vector<Case> all;
  std::copy_if(cases().begin(), cases().end(), std::back_inserter(all),
               [](const Case& c) { return c.name.find('@') == std::string::npos && !inputs_with_gradient(c).empty(); });
  return all;
}

INSTANTIATE_TEST_SUITE_P(Reference, SecondDerivatives, ::testing::ValuesIn(cases_with_second_derivatives()),
                         [](const auto& given) { return test_name(given.param); });

std::vector<std::tuple<Case, DType>> cases_of_both_types() {
  std::vector<std::tuple<Case, DType>> all;
  for (const Case& c : cases()) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      if (has_results(c, dtype)) all.emplace_back(c, dtype);
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Reference, Pytorch, ::testing::ValuesIn(cases_of_both_types()), [](const auto& given) {
  return fmt::format("{}_{}", test_name(std::get<Case>(given.param)), std::get<DType>(given.param));
});

// Rates of schedules are doubles; everything else has been computed in both types.
TEST(Reference, EveryCaseHasBothTypes) {
  for (const Case& c : cases()) {
    EXPECT_TRUE(has_results(c, DType::f64)) << c.title();
    EXPECT_EQ(has_results(c, DType::f32), c.subject->name != "Schedule" && c.subject->name != "ReduceLROnPlateau")
        << c.title();
  }
}

// ---- that nothing is missing

std::set<std::string> case_names(const std::string& file) {
  std::set<std::string> names;
  for (const auto& [name, recorded] : reference_file(file)) names.insert(name);
  return names;
}

bool any_starts_with(const std::set<std::string>& names, const std::string& start) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return (name + "_").starts_with(start); });
}

// core's OpTable tests see to it that every op has a row.
TEST(Reference, HasTheRowsOfTheOpTableAndNoOthers) {
  EXPECT_EQ(read(GRADUS_SOURCE_DIR "/tests/reference/ops.json"), rows_as_json())
      << "the op table has changed: run `make reference`";
  std::set<std::string> rows;
  for (const RowCase& c : row_cases()) rows.insert(c.name);
  EXPECT_EQ(case_names("ops"), rows) << "the op table has changed: run `make reference`";
}

TEST(Reference, GradientsOfOpsAreThoseOfTheTable) {
  for (const RowCase& row : row_cases()) {
    const auto c = std::find_if(cases().begin(), cases().end(),
                                [&](const Case& known) { return known.file == "ops" && known.name == row.name; });
    if (c == cases().end()) continue;  // the test above says so
    std::vector<std::string> wanted;
    for (std::size_t i = 0; i < row.shapes.size(); ++i) {
      if (!row.row->no_gradient.contains(i)) wanted.push_back(std::to_string(i));
    }
    EXPECT_EQ(inputs_with_gradient(*c), wanted) << c->title();
  }
}

// Modules and optimizers of the fixed set of random graphs may do without; graphs_test.cpp sees to it that all are in.
void expect_cases(const std::string& file, const std::string& before, const std::set<std::string>& wanted,
                  std::size_t at_least) {
  EXPECT_GE(wanted.size(), at_least) << "the search finds too little";
  const std::set<std::string> names = case_names(file);
  for (const std::string& name : wanted) {
    EXPECT_TRUE(any_starts_with(names, before + name + "_"))
        << before + name << " has no case in " << file << ".safetensors: add it to tests/reference/" << file
        << ".py and cases.cpp, and `make reference`";
  }
}

TEST(Reference, HasACaseForEveryActivationAndSchedule) {
  expect_cases("modules", "MLP_", enumerators("nn/layers/activation.h", "enum class Activation {"), 6);
  expect_cases("optimizers", "Schedule_", enumerators("nn/optim/warmup_schedule.h", "enum Kind {"), 3);
}

TEST(Reference, EverySubjectHasCases) {
  for (const Subject& subject : subjects()) {
    EXPECT_TRUE(std::any_of(
        cases().begin(), cases().end(),
        [&](const Case& c) { return c.subject->section == subject.section && c.subject->name == subject.name; }))
        << subject.name << " has a line in subjects.cpp but no case";
  }
}

TEST(Reference, TheTableHasALineForEverySubject) {
  const std::string page = read(GRADUS_SOURCE_DIR "/docs/correctness.md");
  for (const Subject& subject : subjects()) {
    EXPECT_NE(page.find("\n| `" + subject.name + "` | "), std::string::npos)
        << subject.name << " has no line in docs/correctness.md: run `make correctness`";
  }
}

// ---- the measure

TEST(Reference, ErrorIsAPartOfTheLargestValue) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(error({1, 2, 4}, {1, 2, 4}), 0);
  EXPECT_EQ(error({1, 3, 4}, {1, 2, -4}), 2);
  EXPECT_EQ(error({1, 2.5, 4}, {1, 2, 4}), 0.125);
  EXPECT_EQ(error({1, 2.5, 4}, {1, 2, 4}, 8), 0.0625);
  EXPECT_EQ(error({0.5}, {0}), 0.5);
  EXPECT_EQ(error({1, nan, infinity}, {1, nan, infinity}), 0);
  EXPECT_EQ(error({nan}, {1}), infinity);
  EXPECT_EQ(error({1}, {nan}), infinity);
  EXPECT_EQ(error({infinity}, {-infinity}), infinity);
  EXPECT_EQ(error({1}, {1, 2}), infinity);
  EXPECT_EQ(error_of_each({1, 3, nan, 0}, {1, 4, nan, -0.0}), 0.25);
  EXPECT_EQ(error_of_each({1e-300}, {0}), infinity);
  EXPECT_EQ(error_of_each({nan}, {1}), infinity);
  EXPECT_EQ(error_of_each({infinity}, {-infinity}), infinity);
}

TEST(Reference, AWrongGradientIsSeen) {
  const auto softmax_case =
      std::find_if(cases().begin(), cases().end(), [](const Case& c) { return c.name == "softmax_last"; });
  Case wrong = *softmax_case;
  // The same result, but a gradient that forgets the sum over the row.
  wrong.f = [](const NamedInputs& in) {
    const Tensor& x = in.at("0");
    const Tensor shifted = exp(x);
    return shifted / sum(shifted, {-1}, true).detach();
  };
  const std::optional<Errors> errors = against_pytorch(wrong, DType::f64, DType::f64);
  EXPECT_LT(errors->forward, 1e-15);
  EXPECT_GT(*errors->gradient, 0.1);
  EXPECT_GT(*against_differences(wrong), 0.1);
}

// ---- central differences, for what the tests of single ops and modules do not put together

class Differences : public ::testing::TestWithParam<Case> {};

TEST_P(Differences, AgreeWithTheGradient) {
  if (sanitized) GTEST_SKIP() << "thousands of forward passes";
  EXPECT_LT(*against_differences(GetParam()), 1e-6);
}

std::vector<Case> losses_of_models() {
  std::vector<Case> chosen;
  for (const Case& c : cases()) {
    if (c.subject->section == "Models" && c.name == "loss") chosen.push_back(c);
  }
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Models, Differences, ::testing::ValuesIn(losses_of_models()),
                         [](const auto& given) { return test_name(given.param); });

}  // namespace
}  // namespace gradus::testing
