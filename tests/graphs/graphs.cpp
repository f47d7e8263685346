// graphs FILE: runs the cases of FILE.jsonl and FILE.safetensors in both types on every instruction set, and prints
// JSON lines: each answer that is wrong, and at the end the largest error of each op. graphs.py reads them. graphs FILE
// --case NAME --isa NAME --dtype f64 prints that case as a test.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

#include <gradus/core/runtime/cpu.h>

#include "case.h"

namespace gradus::testing {
namespace {

using nlohmann::json;

json number(double value) {
  return std::isfinite(value) ? json(value) : json(fmt::format("{}", value));  // JSON has no infinity
}

struct Figures {
  int answers = 0;
  double error[2] = {}, part[2] = {};  // f32, f64: the largest, and as a part of its limit
};

void run_case(const GraphCase& c, std::string_view isa, DType dtype, std::map<std::string, Figures>& figures) {
  const std::size_t type = dtype == DType::f64 ? 1 : 0;
  for (const Distance& one : compare(c, dtype)) {
    if (one.wrong()) {
      const json line{{"case", c.name},           {"isa", isa},
                      {"dtype", name_of(dtype)},  {"what", one.what},
                      {"subjects", one.subjects}, {"error", number(one.error)},
                      {"limit", one.limit}};
      fmt::print("{}\n", line.dump());
    }
    for (const std::string& subject : one.subjects) {
      Figures& figure = figures[subject];
      ++figure.answers;
      if (one.wrong()) continue;
      figure.error[type] = std::max(figure.error[type], one.error);
      figure.part[type] = std::max(figure.part[type], one.error / one.limit);
    }
  }
}

void run_all(const std::vector<GraphCase>& cases) {
  std::map<std::string, Figures> figures;
  for (const std::string_view isa : available_instruction_sets()) {
    set_instruction_set(isa);
    for (const GraphCase& c : cases) {
      for (const DType dtype : {DType::f32, DType::f64}) run_case(c, isa, dtype, figures);
    }
  }
  json all = json::object();
  for (const auto& [subject, figure] : figures) {
    all[subject] = {figure.answers, figure.error[0], figure.part[0], figure.error[1], figure.part[1]};
  }
  fmt::print("{}\n", json{{"figures", all}}.dump());
}

int run(std::span<char*> arguments) {
  const auto value = [&](const char* flag) -> std::string {
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
      if (std::strcmp(arguments[i], flag) == 0) return arguments[i + 1];
    }
    return {};
  };
  if (arguments.size() == 2 && std::strcmp(arguments[1], "--isas") == 0) {
    for (const std::string_view isa : available_instruction_sets()) fmt::print("{}\n", isa);
    return 0;
  }
  check(arguments.size() > 1, "graphs: which file? give the path of FILE.jsonl without .jsonl");
  const std::vector<GraphCase> cases = read_graphs(arguments[1]);
  const std::string name = value("--case");
  if (name.empty()) {
    run_all(cases);
    return 0;
  }
  for (const GraphCase& c : cases) {
    if (c.name == name)
      fmt::print("{}", print_test(c, value("--dtype") == "f32" ? DType::f32 : DType::f64, value("--isa")));
  }
  return 0;
}

}  // namespace
}  // namespace gradus::testing

int main(int count, char** arguments) {
  try {
    return gradus::testing::run({arguments, static_cast<std::size_t>(count)});
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
