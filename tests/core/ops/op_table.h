// The op table: one row a case of an op, and every suite in op_test.cpp runs over all rows. To add an op is to add a
// row with the op and its definition as loops over plain doubles (reference.h); the rest follows.
#pragma once

#include <functional>
#include <iosfwd>
#include <set>
#include <string>
#include <vector>

#include <gradus/core/ops.h>

#include "reference.h"

namespace gradus::testing {

using In = const std::vector<Tensor>&;
using Arrays = const std::vector<Array>&;

/// Which values an input takes. All of them are exact in f32, so both types compute with the same numbers.
enum class Domain {
  any,       // -2 .. 2
  wide,      // -20 .. 20
  low,       // -20 .. 2, for what grows too fast
  positive,  // 0.5 .. 2
  nonzero,   // 0.2 .. 2 and its negative
  distinct,  // no two closer than 1/16, so that a maximum has one place
  whole,     // 1/1024 times a whole number: what a step of 1/1024 leaves exact in f32
  flags,     // 0 or 1
};

struct OpRow {
  std::string op;       // what record() calls it, or its name in ops.h
  std::string variant;  // what is special about this row
  std::vector<Shape> shapes;
  std::function<Tensor(In)> f;
  std::function<Array(Arrays)> reference;

  std::vector<Domain> domains = {Domain::any};          // of each input; the last one goes for the rest
  std::set<std::size_t> no_gradient = {};               // inputs that are not differentiable
  std::function<std::vector<Shape>(Index)> sized = {};  // the shapes with last size n
  std::vector<Shape> large = {};                        // shapes whose work is cut for the threads

  // Allowed |error| / max(1, |value|) in f32: a few roundings (6e-8 each) of values around 1 unless the row says more.
  double f32_tolerance = 1e-6;
  double f32_grad_tolerance = 4e-6;
  double f64_tolerance = 1e-12;
  double gradcheck_step = 1e-6;
  // Too many inputs for one difference each: the slope along random directions instead. Only for ops that are linear in
  // each input, where a step of 1 has no truncation error.
  bool directions = false;

  std::string name() const { return variant.empty() ? op : op + "_" + variant; }
};

const std::vector<OpRow>& op_table();
/// Rows of op_rows_windows.cpp, for op_table().
void add_windows_and_losses(std::vector<OpRow>& rows);
void PrintTo(const OpRow* row, std::ostream* out);

/// The same values at every call for the same row and shapes.
std::vector<Array> make_inputs(const OpRow& row, const std::vector<Shape>& shapes);

}  // namespace gradus::testing
