#include "case.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>

#include <gradus/nn/files/safetensors.h>

#include "registry.h"

namespace gradus::testing {
namespace {

using nlohmann::json;

Shape shape_of(const json& sizes) {
  return Shape(std::span<const Index>(sizes.get<std::vector<Index>>()));
}

std::vector<Tensor> picked(const std::vector<Tensor>& all, const json& places) {
  std::vector<Tensor> chosen;
  for (const json& place : places) chosen.push_back(all[place.get<std::size_t>()]);
  return chosen;
}

void run_backward(const std::vector<Tensor>& values, const json& step) {
  const Tensor& root = values[step.at("root").get<std::size_t>()];
  const bool retain = step.at("retain").get<bool>();
  if (!root.requires_grad()) return;
  if (step.contains("weight")) {
    root.backward(values[step["weight"].get<std::size_t>()], retain);
  } else if (step.contains("weight_is_grad_of")) {
    const Tensor weight = values[step["weight_is_grad_of"].get<std::size_t>()].grad();
    if (weight.defined()) root.backward(weight, retain);
  } else {
    root.backward(retain);
  }
}

double largest(std::span<const double> values) {
  double result = 0;
  for (const double value : values) {
    if (std::isfinite(value)) result = std::max(result, std::abs(value));
  }
  return result;
}

// The largest difference; infinite where only one is NaN, or one is an infinity and the other is not the same one.
double difference(const Tensor& ours, std::span<const double> theirs) {
  if (!ours.defined())
    return std::any_of(theirs.begin(), theirs.end(), [](double x) { return !std::isfinite(x); })
               ? std::numeric_limits<double>::infinity()
               : largest(theirs);
  const std::vector<double> values = ours.to_vector();
  double result = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] == theirs[i] || (std::isnan(values[i]) && std::isnan(theirs[i]))) continue;
    const double one = std::abs(values[i] - theirs[i]);
    if (!std::isfinite(one)) return std::numeric_limits<double>::infinity();
    result = std::max(result, one);
  }
  return result;
}

Distance distance(const GraphCase& c, std::size_t answer, const Result& ours, std::span<const double> theirs,
                  DType dtype) {
  const Measure measure = measure_of(c, answer, theirs, dtype);
  const bool fits = !ours.value.defined() || ours.value.shape() == shape_of(c.description.at("shapes").at(answer));
  const double error = fits ? difference(ours.value, theirs) / measure.base : std::numeric_limits<double>::infinity();
  return {fits ? ours.what : fmt::format("{}, whose shape is {}", ours.what, ours.value.shape()), ours.subjects, error,
          measure.limit};
}

}  // namespace

Measure measure_of(const GraphCase& c, std::size_t answer, std::span<const double> values, DType dtype) {
  const json& d = c.description;
  const bool is_gradient = !c.is_program() && answer >= d.at("outputs").size();
  const double scale = d.at("scales").at(is_gradient ? 1 : 0).get<double>();
  double base = std::max(largest(values), scale / 20);
  if (base == 0) base = 1;
  if (dtype == DType::f64) return {base, 1e-11};
  return {base, 8 * d.at("f32").at(answer).get<double>() + 0x1p-24 * std::max(16.0, 8 * scale / base)};
}

std::vector<GraphCase> read_graphs(const std::string& path) {
  std::map<std::string, Tensor> tensors;
  for (auto& [name, tensor] : nn::read_tensors(path + ".safetensors").tensors) tensors.emplace(name, tensor);
  std::ifstream file(path + ".jsonl");
  check(file.is_open(), "graphs: cannot open {}.jsonl", path);
  std::vector<GraphCase> cases;
  for (std::string line; std::getline(file, line);) {
    json description = json::parse(line);
    const std::string name = description.at("name").get<std::string>();
    cases.push_back(
        {name, std::move(description), tensors.at(name + ".in").to_vector(), tensors.at(name + ".out").to_vector()});
  }
  return cases;
}

std::vector<Result> run_graph(const GraphCase& c, DType dtype) {
  const json& items = c.description.at("items");
  std::vector<Tensor> values;
  std::vector<std::vector<std::string>> users(items.size());
  std::vector<std::size_t> leaves;
  std::size_t used = 0;
  for (const json& item : items) {
    if (item.contains("op")) {
      const std::string op = item["op"].get<std::string>();
      for (const json& place : item["in"]) users[place.get<std::size_t>()].push_back(op);
      const auto known = registry().find(op);
      check(known != registry().end(), "graphs: '{}' has no entry in ops.cpp or modules.cpp", op);
      const std::vector<Tensor> inputs = picked(values, item["in"]);
      values.push_back(known->second.f(Call(item, inputs, dtype)));
      continue;
    }
    const Shape shape = shape_of(item.at("shape"));
    const auto count = static_cast<std::size_t>(shape.numel());
    values.push_back(tensor(std::span(c.inputs).subspan(used, count), shape, dtype));
    values.back().requires_grad(item.at("grad").get<bool>());
    if (values.back().requires_grad()) leaves.push_back(values.size() - 1);
    used += count;
  }
  // Values are read before anything runs backward: a gradient that spoils one shows in the next pass, not here.
  std::vector<Result> results;
  for (const json& place : c.description.at("outputs")) {
    const auto i = place.get<std::size_t>();
    results.push_back({fmt::format("x{}", i), {items[i].value("op", "leaf")}, values[i].clone()});
  }
  for (const json& step : c.description.at("steps")) run_backward(values, step);
  for (const std::size_t i : leaves) {
    results.push_back({fmt::format("the gradient of x{}", i), users[i], values[i].grad()});
  }
  return results;
}

std::vector<Distance> compare(const GraphCase& c, DType dtype) {
  try {
    const std::vector<Result> results = c.is_program() ? run_program(c, dtype) : run_graph(c, dtype);
    const json& shapes = c.description.at("shapes");
    check(results.size() == shapes.size(), "graphs: {} results, the file has {}", results.size(), shapes.size());
    std::vector<Distance> all;
    std::size_t used = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto count = static_cast<std::size_t>(shape_of(shapes[i]).numel());
      all.push_back(distance(c, i, results[i], std::span(c.answers).subspan(used, count), dtype));
      used += count;
    }
    return all;
  } catch (const std::exception& error) {
    return {{error.what(), {}, std::numeric_limits<double>::infinity(), 0}};
  }
}

}  // namespace gradus::testing
