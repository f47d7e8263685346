// A case of a graphs file: read, run, compared with PyTorch's answers, printed as a test.
#pragma once

#include <span>
#include <string>
#include <string_view>
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

/// What an answer's errors are a part of, and how large a part may be wrong. The base is the largest value of the
/// answer, or a twentieth of the largest that took part. The limit is 1e-11 in f64; in f32 eight times what PyTorch's
/// own f32 is off (or one that rounds elsewhere, draw.py), and 16 roundings of the base or 8 of the largest that took
/// part.
struct Measure {
  double base, limit;
};
Measure measure_of(const GraphCase& c, std::size_t answer, std::span<const double> values, DType dtype);

/// Of every result, or one infinite distance where the case throws.
std::vector<Distance> compare(const GraphCase& c, DType dtype);

/// A test of one answer: the case as plain code on `isa` in `dtype`.
std::string print_test(const GraphCase& c, DType dtype, std::string_view isa);

}  // namespace gradus::testing
