#include "rows.h"

#include <cmath>

namespace gradus::testing {
namespace {

const char* name_of(Domain domain) {
  switch (domain) {
    case Domain::any:
      return "any";
    case Domain::wide:
      return "wide";
    case Domain::low:
      return "low";
    case Domain::positive:
      return "positive";
    case Domain::nonzero:
      return "nonzero";
    case Domain::distinct:
      return "distinct";
    case Domain::whole:
      return "whole";
    case Domain::flags:
      return "flags";
    case Domain::part:
      return "part";
  }
  return "";
}

// As Python's json reads it: infinities have names, and -0 must have a point to keep its sign.
std::string number(double x) {
  if (std::isinf(x)) return x < 0 ? "-Infinity" : "Infinity";
  return std::floor(x) == x ? fmt::format("{:.1f}", x) : fmt::format("{}", x);
}

template <class List, class Text>
std::string list(const List& items, const Text& text) {
  std::vector<std::string> texts;
  for (const auto& item : items) texts.push_back(text(item));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string quoted(const std::string& text) {
  return '"' + text + '"';  // rows' Python has neither double quotes nor backslashes
}

std::string line(const RowCase& c) {
  const OpRow& row = *c.row;
  const auto sizes = [](const Shape& shape) {
    std::vector<Index> all;
    for (Index d = 0; d < shape.rank(); ++d) all.push_back(shape[d]);
    return fmt::format("[{}]", fmt::join(all, ", "));
  };
  std::vector<Domain> domains;
  for (std::size_t i = 0; i < c.shapes.size(); ++i) domains.push_back(row.domains[std::min(i, row.domains.size() - 1)]);
  const std::string inputs =
      c.edge != nullptr ? "\"values\": " + list(c.edge->inputs, [](const Array& x) { return list(x.values, number); })
                        : "\"domains\": " + list(domains, [](Domain domain) { return quoted(name_of(domain)); });
  return fmt::format(R"({{"name": {}, "op": {}, "torch": {}, "shapes": {}, {}, "constants": {}}})", quoted(c.name),
                     quoted(row.op), quoted(row.torch), list(c.shapes, sizes), inputs,
                     list(row.no_gradient, [](std::size_t i) { return quoted(std::to_string(i)); }));
}

}  // namespace

const std::vector<RowCase>& row_cases() {
  static const std::vector<RowCase> all = [] {
    std::vector<RowCase> cases;
    for (const OpRow& row : op_table()) {
      if (row.directions) continue;  // large shapes of an op that has other rows
      cases.push_back({&row, row.name(), row.shapes});
      for (const Index n : row.torch_sizes) {
        if (row.sized) cases.push_back({&row, fmt::format("{}@{}", row.name(), n), row.sized(n)});
      }
      for (const Edge& edge : row.edges) {
        std::vector<Shape> shapes;
        for (const Array& x : edge.inputs) shapes.push_back(x.shape);
        cases.push_back({&row, row.name() + (edge.name.empty() ? "@edge" : "@edge_" + edge.name), shapes, &edge});
      }
    }
    return cases;
  }();
  return all;
}

std::string rows_as_json() {
  std::vector<std::string> lines;
  for (const RowCase& c : row_cases()) lines.push_back(line(c));
  return fmt::format("[\n{}\n]\n", fmt::join(lines, ",\n"));
}

}  // namespace gradus::testing
