// The op table as PyTorch gets it: a case for the shapes of each row, for further sizes and for edges.
#pragma once

#include <string>
#include <vector>

#include "../core/ops/op_table.h"

namespace gradus::testing {

struct RowCase {
  const OpRow* row;
  std::string name;  // "softmax_last", "softmax_last@17", "softmax_last@edge_masked"
  std::vector<Shape> shapes;
  const Edge* edge = nullptr;  // whose inputs are given; those of the others are drawn by generate.py
};

const std::vector<RowCase>& row_cases();

/// All of them for ops.py: tests/reference/ops.json.
std::string rows_as_json();

}  // namespace gradus::testing
