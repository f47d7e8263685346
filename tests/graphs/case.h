// A case of a graphs file: read, run, compared with PyTorch's answers, printed as a test.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <gradus/core/tensor.h>

namespace gradus::testing {

/// A line of FILE.jsonl and its numbers from FILE.safetensors. graphs.py says what the line holds.
struct GraphCase {
  std::string name;
  nlohmann::json description;
  std::vector<double> inputs, answers;  // one tensor after another

  bool is_program() const { return description.contains("optimizer"); }
};

/// The cases of `path`.jsonl and `path`.safetensors.
std::vector<GraphCase> read_graphs(const std::string& path);

/// What an answer is compared with.
struct Result {
  std::string what;                   // "the gradient of x0"
  std::vector<std::string> subjects;  // the ops to which an error is put down
  Tensor value;                       // undefined: no gradient arrived, which stands for zeros
};

/// Runs the case in `dtype`: its outputs, then the gradients of the leaves that want one.
std::vector<Result> run_graph(const GraphCase& c, DType dtype);
/// The parameters, averages, norms and rates of an optimizer's program.
std::vector<Result> run_program(const GraphCase& c, DType dtype);

/// How far one result is from PyTorch's f64, as a part of the largest number there, and how far it may be.
struct Distance {
  std::string what;
  std::vector<std::string> subjects;
  double error, limit;

  bool wrong() const { return !(error <= limit); }
};

/// Of every result, or one infinite distance where the case throws.
std::vector<Distance> compare(const GraphCase& c, DType dtype);

/// A test of one answer: the case as plain code on `isa` in `dtype`.
std::string print_test(const GraphCase& c, DType dtype, std::string_view isa);

}  // namespace gradus::testing
