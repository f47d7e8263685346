// The op table: one row a case of an op, and every suite in op_test.cpp runs over all rows. To add an op is to add a
// row with the op and its definition as loops over plain doubles (reference.h); the rest follows, PyTorch's answers
// too. The rows lie in rows/, in files that are named as those of core/ops.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <iosfwd>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gradus/core/ops.h>

#include "reference.h"

namespace gradus::testing {

namespace ref = reference;
using In = const std::vector<Tensor>&;
using Arrays = const std::vector<Array>&;
using Shapes = std::vector<Shape>;

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
  part,      // -0.95 .. 0.95, for what ends at 1
};

/// Allowed error against PyTorch (tests/reference/measure.h) in roundings, which are 2^-53 in f64 and 2^-24 in f32; 0
/// is the same bits. About twice the largest error seen with any instruction set in either type (docs/correctness.md),
/// so that a formula that loses one more bit shows. Inputs are multiples of 2^-16, which is why sums of them, and even
/// products in f64, have no rounding at all.
struct Limits {
  double forward = 4, gradient = 8;
  // Pointwise ops: the same for every element by itself, a part of its own value and not of the largest.
  std::optional<double> each = {};
};

/// Inputs for PyTorch where differences cannot judge a gradient: kinks, ties, infinities.
struct Edge {
  std::string name;  // may be empty
  std::vector<Array> inputs;
};

struct OpRow {
  std::string op;            // what record() calls it, or its name in ops.h
  std::string variant = {};  // what is special about this row
  std::vector<Shape> shapes;
  std::function<Tensor(In)> f;
  std::function<Array(Arrays)> reference;

  std::vector<Domain> domains = {Domain::any};          // of each input; the last one goes for the rest
  std::set<std::size_t> no_gradient = {};               // inputs that are not differentiable
  std::function<std::vector<Shape>(Index)> sized = {};  // the shapes with last size n
  std::vector<Shape> large = {};                        // shapes whose work is cut for the threads

  // The same in PyTorch, as Python with `x` as in f, `torch`, `F` (torch.nn.functional) and the functions of
  // tests/reference/ops.py. Empty: torch's or F's function called `op`, with the inputs as its arguments.
  std::string torch = {};
  std::vector<Index> torch_sizes = {17};  // for which PyTorch answers, too, where `sized` is given
  std::vector<Edge> edges = {};
  Limits limits = {};

  // Allowed |error| / max(1, |value|) in f32: a few roundings (6e-8 each) of values around 1 unless the row says more.
  double f32_tolerance = 1e-6;
  double f32_grad_tolerance = 4e-6;
  double f64_tolerance = 1e-12;
  double gradcheck_step = 1e-6;
  // Too many inputs for one difference each: the slope along random directions instead, and no answers of PyTorch. Only
  // for ops that are linear in each input, where a step of 1 has no truncation error.
  bool directions = false;

  std::string name() const { return variant.empty() ? op : op + "_" + variant; }
};

/// `.sized = GRADUS_SIZED({3, n}, {n})`
#define GRADUS_SIZED(...) [](Index n) { return Shapes{__VA_ARGS__}; }

/// A file of rows/ puts its rows into the table: `const AddRows softmax("softmax", [](std::vector<OpRow>& rows) {..});`
class AddRows {
 public:
  using Add = void (*)(std::vector<OpRow>& rows);
  AddRows(const char* file, Add add);
};

/// All rows, those of one file after those of another.
const std::vector<OpRow>& op_table();
void PrintTo(const OpRow* row, std::ostream* out);

/// The same values at every call for the same row and shapes.
std::vector<Array> make_inputs(const OpRow& row, const std::vector<Shape>& shapes);

/// Targets and ids that follow from the sizes, so that a row needs only shapes; tests/reference/ops.py has them too.
std::vector<std::int32_t> picks(Index count, Index below, std::int32_t every_third = -1);

}  // namespace gradus::testing
