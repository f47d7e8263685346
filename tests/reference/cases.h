// What PyTorch judges: every case that generate.py wrote, with the code of gradus that should give the same.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::testing {

using NamedInputs = std::map<std::string, Tensor>;  // "0", "1", .. for ops; "x", "weight", .. for modules

/// Allowed error (measure.h) in roundings, which are 2^-53 in f64 and 2^-24 in f32; 0 is the same bits.
struct Limits {
  double forward, gradient;
  // Pointwise ops: the same for every element by itself, a part of its own value and not of the largest.
  std::optional<double> each = {};
};

/// One line of docs/correctness.md: an op, a module, an optimizer, a model.
struct Subject {
  std::string section;  // "Ops"
  std::string name;     // "softmax"
  Limits limits;
};

struct Case {
  std::string file;  // of tests/reference, without .safetensors
  std::string name;  // in that file
  const Subject* subject;
  Limits limits;
  std::function<Tensor(const NamedInputs&)> f;
  bool differences;    // whether central differences can judge the gradient; not at kinks and infinities
  double step = 1e-5;  // of those: where the error of a straight line and rounding are about the same

  std::string title() const { return file + "/" + name; }
};

const std::vector<Subject>& subjects();
/// The limits of single cases, by title, that differ from their subject's.
const std::map<std::string, Limits>& special_limits();

/// Every case of every file. Throws Error for one that this program does not know.
const std::vector<Case>& cases();

}  // namespace gradus::testing
