// Every suite here runs over every row of the op table, and where kernels matter for every instruction set this machine
// has. The gradients of f(x) are those of sum(f(x) * weight) with random weights.
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include <gradus/core/derivatives.h>
#include <gradus/core/inspect/gradcheck.h>

#include "../../sources.h"
#include "../../support.h"
#include "op_table.h"

namespace gradus::testing {
namespace {

struct Outcome {
  Shape shape;
  std::vector<double> values;
  std::vector<std::vector<double>> grads;  // of each input; empty for one that has none
};

std::vector<double> output_weight(Index count) {
  std::mt19937 engine(5);
  std::vector<double> weight;
  for (Index i = 0; i < count; ++i) weight.push_back((static_cast<double>(engine() % 4096) - 2047.5) / 2048);
  return weight;
}

bool differentiable(const OpRow& row, std::size_t input) {
  return !row.no_gradient.contains(input);
}

std::vector<Tensor> make_tensors(const OpRow& row, const std::vector<Array>& inputs, DType dtype,
                                 std::size_t unwanted = SIZE_MAX) {
  std::vector<Tensor> x;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    x.push_back(tensor(inputs[i].values, inputs[i].shape, dtype));
    x.back().requires_grad(differentiable(row, i) && i != unwanted);
  }
  return x;
}

// A comparison has no gradient; F32GradientsEqualF64Gradients sees to it that nothing else has none.
void backward(const Tensor& y) {
  if (y.requires_grad()) y.backward(tensor(output_weight(y.numel()), y.shape(), y.dtype()));
}

Outcome run(const OpRow& row, const std::vector<Array>& inputs, DType dtype, std::size_t unwanted = SIZE_MAX) {
  const std::vector<Tensor> x = make_tensors(row, inputs, dtype, unwanted);
  const Tensor y = row.f(x);
  Outcome outcome{y.shape(), y.to_vector(), {}};
  backward(y);
  for (const Tensor& input : x) {
    outcome.grads.push_back(input.grad().defined() ? input.grad().to_vector() : std::vector<double>{});
  }
  return outcome;
}

// |a - b| <= tolerance max(scale, |b|) everywhere; says where it is worst.
void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance, double scale = 1) {
  ASSERT_EQ(a.size(), b.size());
  double worst = 0;
  std::size_t place = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(a[i] - b[i]) / std::max(scale, std::abs(b[i]));
    if (!(error <= worst)) {
      worst = error;
      place = i;
    }
    if (std::isnan(error)) break;
  }
  EXPECT_LE(worst, tolerance) << "at " << place << " of " << a.size() << ": " << a[place] << " for " << b[place];
}

double weighted(const Array& y) {
  const std::vector<double> weight = output_weight(y.shape.numel());
  return std::inner_product(y.values.begin(), y.values.end(), weight.begin(), 0.0);
}

// The gradients of the reference by central differences: what the library is held against without its own help.
std::vector<std::vector<double>> reference_grads(const OpRow& row, std::vector<Array> inputs) {
  std::vector<std::vector<double>> grads;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    grads.emplace_back();
    if (!differentiable(row, i)) continue;
    for (double& value : inputs[i].values) {
      const double kept = value, h = 1e-5 * std::max(1.0, std::abs(kept));
      value = kept + h;
      const double above = weighted(row.reference(inputs)), x_above = value;
      value = kept - h;
      const double below = weighted(row.reference(inputs)), x_below = value;
      value = kept;
      grads[i].push_back((above - below) / (x_above - x_below));
    }
  }
  return grads;
}

class EachOp : public ::testing::TestWithParam<const OpRow*> {
 protected:
  const OpRow& row() const { return *GetParam(); }
};

TEST_P(EachOp, ForwardEqualsTheReference) {
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  const Array expected = row().reference(inputs);
  for (const std::string_view isa : tested_instruction_sets()) {
    SCOPED_TRACE(isa);
    const WithInstructionSet guard(isa);
    for (const DType dtype : {DType::f32, DType::f64}) {
      SCOPED_TRACE(name_of(dtype));
      const Tensor y = row().f(make_tensors(row(), inputs, dtype));
      EXPECT_EQ(y.dtype(), dtype);
      EXPECT_EQ(y.shape(), expected.shape) << fmt::format("{} for {}", y.shape(), expected.shape);
      if (dtype == DType::f32) {
        expect_near(y.to_vector(), expected.values, row().f32_tolerance);
      } else {
        expect_near(y.to_vector(), expected.values, row().f64_tolerance, 0.1);
      }
    }
  }
}

TEST_P(EachOp, GradientsEqualDifferences) {
  if (row().no_gradient.size() == row().shapes.size()) return;
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  for (const std::string_view isa : tested_instruction_sets()) {
    SCOPED_TRACE(isa);
    const WithInstructionSet guard(isa);
    const std::vector<Tensor> x = make_tensors(row(), inputs, DType::f64);
    if (!row().directions) {
      // What passes through f32 is smooth only at the scale of the row's step.
      EXPECT_TRUE(gradcheck(row().f, x, {.step = row().gradcheck_step, .taylor = row().op != "to"}));
      continue;
    }
    const Tensor y = row().f(x);
    backward(y);
    const std::vector<double> weight = output_weight(y.numel());
    std::mt19937 engine(9);
    for (std::size_t i = 0; i < x.size(); ++i) {
      for (int trial = 0; trial < 2; ++trial) {
        std::vector<Tensor> above = make_tensors(row(), inputs, DType::f64);
        std::vector<Tensor> below = make_tensors(row(), inputs, DType::f64);
        double analytic = 0, size = 0;
        const std::vector<double> gradient = x[i].grad().to_vector();
        for (std::size_t j = 0; j < gradient.size(); ++j) {
          const double u = static_cast<double>(engine() % 2001) / 1000 - 1;
          above[i].data<double>()[j] += u;
          below[i].data<double>()[j] -= u;
          analytic += gradient[j] * u;
          size += std::abs(gradient[j] * u);
        }
        const std::vector<double> high = row().f(above).to_vector(), low = row().f(below).to_vector();
        double numeric = 0;
        for (std::size_t j = 0; j < high.size(); ++j) numeric += (high[j] - low[j]) / 2 * weight[j];
        EXPECT_NEAR(analytic, numeric, 1e-12 * size) << "input " << i;
      }
    }
  }
}

// The row's own shapes, and last sizes short of a vector, past one and past two of the widest.
std::vector<std::vector<Shape>> few_shapes(const OpRow& row) {
  std::vector<std::vector<Shape>> all{row.shapes};
  if (row.sized) {
    for (const Index n : {3, 19, 37}) all.push_back(row.sized(n));
  }
  return all;
}

double largest(const std::vector<double>& numbers) {
  double most = 0;
  for (const double number : numbers) most = std::max(most, std::abs(number));
  return most;
}

// The gradients of the inputs by the ops' rules instead of their kernels.
Outcome run_rules(const OpRow& row, const std::vector<Array>& inputs, DType dtype) {
  const std::vector<Tensor> x = make_tensors(row, inputs, dtype);
  const Tensor y = row.f(x);
  Outcome outcome{y.shape(), y.to_vector(), {}};
  if (y.requires_grad()) y.backward(tensor(output_weight(y.numel()), y.shape(), dtype), {.create_graph = true});
  for (const Tensor& input : x) {
    outcome.grads.push_back(input.grad().defined() ? input.grad().to_vector() : std::vector<double>{});
    input.zero_grad();  // the circle of a gradient with a graph
  }
  return outcome;
}

TEST_P(EachOp, RulesEqualKernels) {
  std::vector<std::vector<Shape>> all = few_shapes(row());
  if (!row().large.empty()) all.push_back(row().large);
  for (const std::vector<Shape>& shapes : all) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(shapes, " ")));
    const std::vector<Array> inputs = make_inputs(row(), shapes);
    const Outcome kernels = run(row(), inputs, DType::f64), rules = run_rules(row(), inputs, DType::f64);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      SCOPED_TRACE(i);
      expect_near(rules.grads[i], kernels.grads[i], 1e-12, std::max(1.0, largest(kernels.grads[i])));
    }
    if (HasFailure()) return;
  }
}

// At kinks and ties, too, the rule takes the side that the kernel takes.
TEST_P(EachOp, RulesEqualKernelsAtTheEdges) {
  for (const Edge& edge : row().edges) {
    SCOPED_TRACE(edge.name);
    const Outcome kernels = run(row(), edge.inputs, DType::f64), rules = run_rules(row(), edge.inputs, DType::f64);
    for (std::size_t i = 0; i < edge.inputs.size(); ++i) {
      ASSERT_EQ(rules.grads[i].size(), kernels.grads[i].size());
      for (std::size_t j = 0; j < kernels.grads[i].size(); ++j) {
        const double a = rules.grads[i][j], b = kernels.grads[i][j];
        const bool same = a == b || (std::isnan(a) && std::isnan(b));
        EXPECT_TRUE(same || std::abs(a - b) <= 1e-12 * std::max(1.0, std::abs(b)))
            << a << " for " << b << " in input " << i << " at " << j << ": " << edge.inputs[i].values[j];
      }
    }
  }
}

TEST_P(EachOp, SecondGradientsEqualDifferences) {
  if (row().no_gradient.size() == row().shapes.size() || row().directions) return;
  if (row().op == "to") return;  // whose gradient passes through f32: no difference has enough digits
  const std::vector<Tensor> x = make_tensors(row(), make_inputs(row(), row().shapes), DType::f64);
  if (!row().f(x).requires_grad()) return;
  EXPECT_TRUE(gradgradcheck(row().f, x, {.step = row().gradcheck_step, .max_entries = 60}));
}

TEST_P(EachOp, F32GradientsEqualF64Gradients) {
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  for (const std::string_view isa : tested_instruction_sets()) {
    SCOPED_TRACE(isa);
    const WithInstructionSet guard(isa);
    const Outcome coarse = run(row(), inputs, DType::f32), fine = run(row(), inputs, DType::f64);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(fine.grads[i].empty(), !differentiable(row(), i));
      expect_near(coarse.grads[i], fine.grads[i], row().f32_grad_tolerance);
    }
  }
}

TEST_P(EachOp, BackwardTwiceDoublesTheGradient) {
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  const std::vector<Tensor> x = make_tensors(row(), inputs, DType::f64);
  backward(row().f(x));
  std::vector<std::vector<double>> once;
  for (const Tensor& input : x)
    once.push_back(input.grad().defined() ? input.grad().to_vector() : std::vector<double>{});
  backward(row().f(x));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!differentiable(row(), i)) continue;
    for (double& value : once[i]) value *= 2;
    // Where a gradient is a sum of several terms, the second sum starts from the first and rounds differently.
    expect_near(x[i].grad().to_vector(), once[i], row().directions ? 1e-12 : 1e-14);
  }
}

TEST_P(EachOp, AnUnwantedGradientIsNotMadeAndChangesNoOther) {
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  for (const std::string_view isa : tested_instruction_sets()) {
    SCOPED_TRACE(isa);
    const WithInstructionSet guard(isa);
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Outcome all = run(row(), inputs, dtype);
      for (std::size_t unwanted = 0; unwanted < inputs.size(); ++unwanted) {
        const Outcome others = run(row(), inputs, dtype, unwanted);
        EXPECT_EQ(bits(others.values), bits(all.values));
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          if (i == unwanted) {
            EXPECT_TRUE(others.grads[i].empty());
          } else {
            EXPECT_EQ(bits(others.grads[i]), bits(all.grads[i])) << "input " << i << " without " << unwanted;
          }
        }
      }
    }
  }
}

TEST_P(EachOp, NothingIsRecordedUnderNoGrad) {
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  const std::vector<Tensor> x = make_tensors(row(), inputs, DType::f32);
  const NoGrad guard;
  const Tensor y = row().f(x);
  const bool same = std::any_of(x.begin(), x.end(), [&](const Tensor& in) { return in.node_ptr() == y.node_ptr(); });
  EXPECT_TRUE(same || !y.requires_grad());
  EXPECT_TRUE(y.node().inputs.empty());
}

// The rows that can be made with any last size: every tail of the vector loops, 16 being AVX-512's width in f32.
class EachSizedOp : public EachOp {};

TEST_P(EachSizedOp, EveryLastSizeUpToTwoVectorsAndOne) {
  for (Index n = 1; n <= 33; ++n) {
    SCOPED_TRACE(fmt::format("last size {}", n));
    const std::vector<Array> inputs = make_inputs(row(), row().sized(n));
    const Array expected = row().reference(inputs);
    const std::vector<std::vector<double>> grads = reference_grads(row(), inputs);
    for (const std::string_view isa : tested_instruction_sets()) {
      SCOPED_TRACE(isa);
      const WithInstructionSet guard(isa);
      for (const DType dtype : {DType::f32, DType::f64}) {
        SCOPED_TRACE(name_of(dtype));
        const bool coarse = dtype == DType::f32;
        const Outcome outcome = run(row(), inputs, dtype);
        EXPECT_EQ(outcome.shape, expected.shape);
        expect_near(outcome.values, expected.values, coarse ? row().f32_tolerance : row().f64_tolerance,
                    coarse ? 1 : 0.1);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          SCOPED_TRACE(i);
          // 1e-8: what central differences with a step of 1e-5 can promise.
          const double tolerance = coarse ? row().f32_grad_tolerance : std::max(1e-8, row().f64_tolerance);
          expect_near(outcome.grads[i], grads[i], tolerance);
        }
      }
    }
    if (HasFailure()) return;  // one size is enough to look at
  }
}

class EachLargeOp : public EachOp {};

TEST_P(EachLargeOp, SameBitsAtAnyNumberOfThreads) {
  const std::vector<Array> inputs = make_inputs(row(), row().large);
  for (const DType dtype : {DType::f32, DType::f64}) {
    Outcome one;
    for (const int threads : {1, 2, 3}) {
      const WithThreads guard(threads);
      Outcome outcome = run(row(), inputs, dtype);
      if (threads == 1) {
        one = std::move(outcome);
        continue;
      }
      EXPECT_EQ(bits(outcome.values), bits(one.values)) << threads << " threads";
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        EXPECT_EQ(bits(outcome.grads[i]), bits(one.grads[i])) << threads << " threads, input " << i;
      }
    }
  }
}

// Large shapes take other paths than small ones (partial sums, packing, several tasks).
TEST_P(EachLargeOp, EqualsTheReference) {
  const std::vector<Array> inputs = make_inputs(row(), row().large);
  const Array expected = row().reference(inputs);
  const Outcome fine = run(row(), inputs, DType::f64), coarse = run(row(), inputs, DType::f32);
  EXPECT_EQ(fine.shape, expected.shape);
  // Sums of up to 200,000 terms of both signs: their rounding counts in units of the terms' sum of squares.
  expect_near(fine.values, expected.values, 1e-10);
  expect_near(coarse.values, expected.values, 1e-4);
  for (std::size_t i = 0; i < inputs.size(); ++i) expect_near(coarse.grads[i], fine.grads[i], 5e-4);
}

// One direction for all elements: a piece of work whose gradient is another piece's changes the slope by about its
// share of the gradient, which is thousands of times what is allowed.
TEST_P(EachLargeOp, GradientsEqualTheSlopeAlongADirection) {
  const std::vector<Array> inputs = make_inputs(row(), row().large);
  const std::vector<Tensor> x = make_tensors(row(), inputs, DType::f64);
  const Tensor y = row().f(x);
  backward(y);
  const std::vector<double> weight = output_weight(y.numel());
  const double h = row().gradcheck_step;
  std::mt19937 engine(9);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!differentiable(row(), i)) continue;
    const std::vector<double> gradient = x[i].grad().to_vector();
    std::vector<Array> above = inputs, below = inputs;
    double analytic = 0, squares = 0;
    for (std::size_t j = 0; j < gradient.size(); ++j) {
      const double u = engine() % 2 == 0 ? 1 : -1;
      above[i].values[j] += h * u;
      below[i].values[j] -= h * u;
      analytic += gradient[j] * u;
      squares += gradient[j] * gradient[j];
    }
    const NoGrad guard;
    const std::vector<double> high = row().f(make_tensors(row(), above, DType::f64)).to_vector();
    const std::vector<double> low = row().f(make_tensors(row(), below, DType::f64)).to_vector();
    double numeric = 0;
    for (std::size_t j = 0; j < high.size(); ++j) numeric += (high[j] - low[j]) / (2 * h) * weight[j];
    EXPECT_NEAR(analytic, numeric, 1e-6 * std::sqrt(squares)) << "input " << i;
  }
}

// ---- what an op must not take for granted: fresh gradients, different inputs, elements

using Grads = std::vector<std::vector<double>>;

Grads grads_of(const std::vector<Tensor>& x) {
  Grads grads;
  for (const Tensor& input : x) {
    grads.push_back(input.grad().defined() ? input.grad().to_vector() : std::vector<double>{});
  }
  return grads;
}

std::vector<double> sum_of(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty()) return b;
  std::vector<double> sum = a;
  for (std::size_t i = 0; i < b.size(); ++i) sum[i] += b[i];
  return sum;
}

TEST_P(EachOp, AddsToAGradientThatIsThere) {
  for (const std::vector<Shape>& shapes : few_shapes(row())) {
    const std::vector<Array> inputs = make_inputs(row(), shapes);
    for (const std::string_view isa : available_instruction_sets()) {
      for (const DType dtype : {DType::f32, DType::f64}) {
        SCOPED_TRACE(fmt::format("{} {} {}", isa, name_of(dtype), shapes.back()));
        const WithInstructionSet guard(isa);
        const Outcome alone = run(row(), inputs, dtype);
        const std::vector<Tensor> x = make_tensors(row(), inputs, dtype);
        for (const Tensor& input : x) {
          if (input.requires_grad()) backward(input * 8);
        }
        const Grads before = grads_of(x);
        backward(row().f(x));
        const Grads after = grads_of(x);
        for (std::size_t i = 0; i < x.size(); ++i) {
          // Where a gradient is a sum of several terms, this sum starts from what is there and rounds differently.
          const double tolerance = dtype == DType::f32 ? std::max(row().f32_grad_tolerance, 4e-6) : 1e-12;
          expect_near(after[i], sum_of(before[i], alone.grads[i]), tolerance);
        }
      }
    }
    if (HasFailure()) return;
  }
}

// Inputs `first` and `second`, of one shape, are one tensor: its gradient is the sum of what two tensors would get.
void expect_alias_adds_up(const OpRow& row, std::vector<Array> inputs, std::size_t first, std::size_t second,
                          DType dtype) {
  inputs[second] = inputs[first];
  const Outcome apart = run(row, inputs, dtype);
  std::vector<Tensor> x = make_tensors(row, inputs, dtype);
  if (!differentiable(row, first)) std::swap(first, second);
  x[second] = x[first];
  backward(row.f(x));
  const Grads together = grads_of(x);
  const double tolerance = dtype == DType::f32 ? std::max(row.f32_grad_tolerance, 4e-6) : 1e-12;
  for (std::size_t i = 0; i < x.size(); ++i) {
    SCOPED_TRACE(fmt::format("inputs {} and {} are one: gradient of {}", first, second, i));
    const bool shared = i == first || i == second;
    expect_near(together[i], shared ? sum_of(apart.grads[first], apart.grads[second]) : apart.grads[i], tolerance);
  }
}

TEST_P(EachOp, TakesOneTensorForSeveralInputs) {
  for (const std::vector<Shape>& shapes : few_shapes(row())) {
    const std::vector<Array> inputs = make_inputs(row(), shapes);
    const auto may_be_one = [&](std::size_t i, std::size_t j) {
      return shapes[i] == shapes[j] && (differentiable(row(), i) || differentiable(row(), j));
    };
    for (const std::string_view isa : available_instruction_sets()) {
      for (const DType dtype : {DType::f32, DType::f64}) {
        SCOPED_TRACE(fmt::format("{} {} {}", isa, name_of(dtype), shapes.back()));
        const WithInstructionSet guard(isa);
        for (std::size_t i = 0; i < shapes.size(); ++i) {
          for (std::size_t j = i + 1; j < shapes.size(); ++j) {
            if (may_be_one(i, j)) expect_alias_adds_up(row(), inputs, i, j, dtype);
          }
        }
      }
    }
    if (HasFailure()) return;
  }
}

TEST_P(EachOp, TakesOneTensorForAllInputs) {
  const std::size_t count = row().shapes.size();
  for (const std::vector<Shape>& shapes : few_shapes(row())) {
    if (count < 2 || !row().no_gradient.empty()) return;
    if (!std::all_of(shapes.begin(), shapes.end(), [&](const Shape& shape) { return shape == shapes[0]; })) return;
    const std::vector<Array> inputs(count, make_inputs(row(), shapes)[0]);
    for (const std::string_view isa : available_instruction_sets()) {
      for (const DType dtype : {DType::f32, DType::f64}) {
        SCOPED_TRACE(fmt::format("{} {} {}", isa, name_of(dtype), shapes.back()));
        const WithInstructionSet guard(isa);
        std::vector<double> sum;
        for (const std::vector<double>& grad : run(row(), inputs, dtype).grads) sum = sum_of(sum, grad);
        const Tensor x = tensor(inputs[0].values, inputs[0].shape, dtype).requires_grad(true);
        backward(row().f(std::vector<Tensor>(count, x)));
        expect_near(x.grad().to_vector(), sum, dtype == DType::f32 ? std::max(row().f32_grad_tolerance, 4e-6) : 1e-12);
      }
    }
    if (HasFailure()) return;
  }
}

// f on inputs of these shapes: an Error, or gradients that agree with differences; zeros when f has no elements.
void expect_gradients_of_no_elements(const OpRow& row, const std::vector<Shape>& shapes, DType dtype) {
  const std::vector<Array> inputs = make_inputs(row, shapes);
  const std::vector<Tensor> x = make_tensors(row, inputs, dtype);
  Tensor y;
  try {
    const NoGrad guard;
    y = row.f(x);
  } catch (const Error&) {
    return;  // the op needs elements, or its other arguments are made for other shapes
  }
  poison_the_pool();
  y = row.f(x);
  if (!y.requires_grad()) return;
  backward(y);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!differentiable(row, i)) continue;
    SCOPED_TRACE(fmt::format("gradient of input {} {}, result {}", i, shapes[i], y.shape()));
    ASSERT_TRUE(x[i].grad().defined());
    if (y.numel() > 0) continue;
    EXPECT_EQ(x[i].grad().to_vector(), std::vector<double>(inputs[i].values.size(), 0.0));
  }
  const std::vector<double> values = y.to_vector();
  const bool finite = std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  const bool comparable =
      std::any_of(x.begin(), x.end(), [](const Tensor& in) { return in.requires_grad() && in.numel() > 0; });
  if (dtype == DType::f64 && finite && comparable && y.numel() > 0) {
    EXPECT_TRUE(gradcheck(row.f, make_tensors(row, inputs, dtype), {.step = row.gradcheck_step, .taylor = false}));
  }
}

// Each size of the row's shapes is 0 in turn: wherever it stands, and in one place alone.
TEST_P(EachOp, TakesASizeOfZero) {
  std::set<Index> sizes;
  std::vector<std::vector<Shape>> cases;
  for (std::size_t i = 0; i < row().shapes.size(); ++i) {
    for (Index d = 0; d < row().shapes[i].rank(); ++d) {
      sizes.insert(row().shapes[i][d]);
      cases.push_back(row().shapes);
      cases.back()[i].set(d, 0);
    }
  }
  for (const Index size : sizes) {
    cases.push_back(row().shapes);
    for (Shape& shape : cases.back()) {
      for (Index d = 0; d < shape.rank(); ++d) shape.set(d, shape[d] == size ? 0 : shape[d]);
    }
  }
  for (const std::vector<Shape>& shapes : cases) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      SCOPED_TRACE(fmt::format("{} {}", name_of(dtype), fmt::join(shapes, " ")));
      expect_gradients_of_no_elements(row(), shapes, dtype);
    }
    if (HasFailure()) return;
  }
}

TEST_P(EachOp, InstructionSetsAgree) {
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  const std::vector<std::string_view> sets = available_instruction_sets();
  Outcome best;
  for (const std::string_view isa : sets) {
    SCOPED_TRACE(isa);
    const WithInstructionSet guard(isa);
    Outcome outcome = run(row(), inputs, DType::f64);
    if (isa == sets.front()) {
      best = std::move(outcome);
      continue;
    }
    const double tolerance = row().directions ? 1e-11 : 1e-13;
    expect_near(outcome.values, best.values, tolerance);
    for (std::size_t i = 0; i < inputs.size(); ++i) expect_near(outcome.grads[i], best.grads[i], tolerance);
  }
}

TEST_P(EachOp, LeavesNoMemoryBehind) {
  const std::vector<Array> inputs = make_inputs(row(), row().shapes);
  const auto use = [&] {
    run(row(), inputs, DType::f32);
    row().f(make_tensors(row(), inputs, DType::f64));  // a graph that is dropped without backward
  };
  use();
  const std::size_t before = memory_stats().bytes_in_use;
  for (int i = 0; i < 3; ++i) use();
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

template <class Filter>
auto rows_with(const Filter& filter) {
  std::vector<const OpRow*> rows;
  for (const OpRow& row : op_table()) {
    if (filter(row)) rows.push_back(&row);
  }
  return ::testing::ValuesIn(rows);
}

const auto name_of_row = [](const auto& given) { return given.param->name(); };

INSTANTIATE_TEST_SUITE_P(Table, EachOp, rows_with([](const OpRow&) { return true; }), name_of_row);
INSTANTIATE_TEST_SUITE_P(Table, EachSizedOp, rows_with([](const OpRow& row) { return row.sized != nullptr; }),
                         name_of_row);
INSTANTIATE_TEST_SUITE_P(Table, EachLargeOp, rows_with([](const OpRow& row) { return !row.large.empty(); }),
                         name_of_row);

// ---- the table itself

std::set<std::string> recorded_names() {
  const std::filesystem::path core = std::filesystem::path(GRADUS_SOURCE_DIR) / "core";
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(core)) {
    if (entry.path().extension() == ".cpp") names.merge(words_after(read(entry.path()), " record(", true));
    if (entry.path().extension() == ".def") {
      for (const char* macro : {"\nUNARY(", "\nUNARY_FORM(", "\nBINARY("})
        names.merge(words_after(read(entry.path()), macro));
    }
  }
  return names;
}

std::set<std::string> tested_names() {
  std::set<std::string> names;
  for (const OpRow& row : op_table()) names.insert(row.op);
  return names;
}

TEST(OpTable, HasARowForEveryRecordedName) {
  const std::set<std::string> tested = tested_names(), recorded = recorded_names();
  EXPECT_GE(recorded.size(), 35U) << "the search for record() finds too little";
  for (const std::string& name : recorded) {
    EXPECT_TRUE(tested.contains(name)) << "'" << name
                                       << "' is recorded in core but has no row in tests/core/ops/rows: add one";
  }
}

TEST(OpTable, HasARowForEveryDeclaredOp) {
  const std::set<std::string> tested = tested_names();
  for (const std::string& name : declared_names()) {
    const bool has = std::any_of(tested.begin(), tested.end(), [&](const std::string& row) {
      return row == name || row.starts_with(name + "_");  // gelu: gelu_erf and gelu_tanh
    });
    EXPECT_TRUE(has) << "'" << name << "' is declared in ops.h but has no row in tests/core/ops/rows: add one";
  }
}

TEST(OpTable, NamesOnlyOpsThatExist) {
  const std::set<std::string> recorded = recorded_names();
  std::set<std::string> declared = declared_names(), rows;
  declared.merge(declared_lists());
  for (const OpRow& row : op_table()) {
    EXPECT_TRUE(recorded.contains(row.op) || declared.contains(row.op)) << "no op is called '" << row.op << "'";
    EXPECT_TRUE(rows.insert(row.name()).second) << "two rows are called " << row.name();
  }
}

TEST(OpTable, SweepsSizesAndThreadsForEveryRecordedName) {
  std::set<std::string> sized, large;
  for (const OpRow& row : op_table()) {
    if (row.sized) sized.insert(row.op);
    if (!row.large.empty()) large.insert(row.op);
  }
  for (const std::string& name : recorded_names()) {
    EXPECT_TRUE(sized.contains(name)) << "no row of '" << name << "' has sized shapes";
    EXPECT_TRUE(large.contains(name)) << "no row of '" << name << "' has large shapes";
  }
}

}  // namespace
}  // namespace gradus::testing
