// What PyTorch judges: every case that generate.py wrote, with the code of gradus that should give the same.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gradus/core/tensor.h>

#include "../core/ops/op_table.h"

namespace gradus::testing {

using NamedInputs = std::map<std::string, Tensor>;  // "0", "1", .. for ops; "x", "weight", .. for modules

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

/// The ops of the op table, and what subjects.cpp lists.
const std::vector<Subject>& subjects();
/// Every case of every file. Throws Error for one that this program does not know.
const std::vector<Case>& cases();

}  // namespace gradus::testing
