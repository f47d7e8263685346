// A case as the code of a test.
#include <cmath>

#include "case.h"
#include "registry.h"

namespace gradus::testing {
namespace {

using nlohmann::json;

std::string numbers_code(std::span<const double> values) {
  std::string text;
  for (const double value : values) {
    text += text.empty() ? "" : ", ";
    text += std::isnan(value)   ? "NAN"
            : std::isinf(value) ? (value > 0 ? "INFINITY" : "-INFINITY")
                                : fmt::format("{:.17g}", value);
  }
  return "std::vector<double>{" + text + "}";
}

std::string shape_code(const json& sizes) {
  std::string text = sizes.dump();
  text.front() = '{';
  text.back() = '}';
  return "Shape" + text;
}

std::size_t count_of(const json& sizes) {
  std::size_t count = 1;
  for (const json& size : sizes) count *= size.get<std::size_t>();
  return count;
}

std::string backward_of(const json& step) {
  const char* const retain = step.at("retain").get<bool>() ? "true" : "";
  const std::size_t root = step.at("root").get<std::size_t>();
  std::string weight;
  if (step.contains("weight")) weight = fmt::format("x{}", step["weight"].get<std::size_t>());
  if (step.contains("weight_is_grad_of")) {
    weight = fmt::format("x{}.grad()", step["weight_is_grad_of"].get<std::size_t>());
  }
  return fmt::format("  x{}.backward({}{}{});\n", root, weight, weight.empty() || *retain == 0 ? "" : ", ", retain);
}

// Leaves and nodes, each a line.
std::string items_of(const GraphCase& c) {
  std::string text;
  std::size_t used = 0, place = 0;
  for (const json& item : c.description.at("items")) {
    if (item.contains("op")) {
      text += fmt::format("  const Tensor x{} = {};\n", place++,
                          code_of(registry().at(item["op"].get<std::string>()), item));
      continue;
    }
    const std::size_t count = count_of(item.at("shape"));
    text += fmt::format("  const Tensor x{} = tensor({}, {}, dtype){};\n", place++,
                        numbers_code(std::span(c.inputs).subspan(used, count)), shape_code(item.at("shape")),
                        item.at("grad").get<bool>() ? ".requires_grad(true)" : "");
    used += count;
  }
  return text;
}

// One comparison a result: outputs first, then the gradients of the leaves that want one.
std::vector<std::string> results_of(const json& description) {
  std::vector<std::string> names;
  for (const json& place : description.at("outputs")) names.push_back(fmt::format("x{}", place.get<std::size_t>()));
  std::size_t place = 0;
  for (const json& item : description.at("items")) {
    if (item.value("grad", false)) names.push_back(fmt::format("x{}.grad()", place));
    ++place;
  }
  return names;
}

std::string comparisons_of(const GraphCase& c, DType dtype) {
  const std::vector<std::string> names = results_of(c.description);
  std::string text;
  std::size_t used = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::size_t count = count_of(c.description.at("shapes").at(i));
    const auto answers = std::span(c.answers).subspan(used, count);
    used += count;
    const Measure measure = measure_of(c, i, answers, dtype);
    text +=
        fmt::format("  expect_close({}, {}, {:.2g});\n", names[i], numbers_code(answers), measure.limit * measure.base);
  }
  return text;
}

// A program stays data: its loop is programs.cpp's.
std::string program_of(const GraphCase& c, DType dtype) {
  return fmt::format(
      "  const GraphCase c{{\"\", nlohmann::json::parse(R\"({})\"),\n    {},\n    {}}};\n"
      "  for (const Distance& one : compare(c, DType::{})) EXPECT_LE(one.error, one.limit) << one.what;\n",
      c.description.dump(), numbers_code(c.inputs), numbers_code(c.answers), dtype);
}

}  // namespace

std::string print_test(const GraphCase& c, DType dtype, std::string_view isa) {
  std::string text = c.is_program() ? "#include \"graphs/case.h\"\n" : "";
  text += "#include \"graphs/support.h\"\n#include \"support.h\"\n\nnamespace gradus::testing {\n\n";
  text += fmt::format("TEST(Graphs, Disagrees) {{  // {}\n  const WithInstructionSet isa(\"{}\");\n", c.name, isa);
  if (c.is_program()) {
    text += program_of(c, dtype);
  } else {
    text += fmt::format("  const DType dtype = DType::{};\n", dtype) + items_of(c);
    for (const json& step : c.description.at("steps")) text += backward_of(step);
    text += comparisons_of(c, dtype);
  }
  return text + "}\n\n}  // namespace gradus::testing\n";
}

}  // namespace gradus::testing
