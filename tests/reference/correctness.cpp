// Prints docs/correctness.md: how far gradus is from PyTorch and from central differences. `make correctness` runs it.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include <gradus/core/runtime/cpu.h>

#include "measure.h"
#include "rows.h"

namespace gradus::testing {
namespace {

constexpr const char* introduction = R"(# How correct gradus is

gradus is compared with PyTorch. `tests/reference/generate.py` has PyTorch compute {cases} cases of every op, module, loss,
optimizer and schedule and of two small GPTs, and stores inputs, results and gradients, in f64 and in f32. The test
program `test_reference` computes the same with gradus and compares. This page shows the differences; it is written by

```sh
make correctness   # builds build/bin/correctness and writes docs/correctness.md
make reference     # has PyTorch write the cases again; they come out byte for byte the same
```

**The error** is the largest difference between two tensors, divided by the largest value of the reference: 1e-16 means
that the 16th digit differs. Gradients are those of the result times random weights: the plain sum of a softmax or of a
normalized row is constant, so its gradient would test nothing. Each line has the largest error of its cases, over all
instruction sets of the machine ({isas}).

- **f64** compares gradus in f64 with PyTorch in f64 and shows whether the formulas agree. A double has 53 bits; one
  rounding is at most 1.1e-16. Only the order of operations and the last bit of functions like `exp` may differ. 0 means
  the same bits.
- **f32** compares gradus in f32 with PyTorch in **f64** and shows what training in f32 loses; one rounding is 6.0e-8.
  The columns beside it show what PyTorch's own f32 loses. The two round in different places, so neither is a measure for
  the other.
- **differences** compares gradus's f64 gradient with (f(x + h) - f(x - h)) / 2h, which needs neither PyTorch nor
  calculus; the error is divided by the largest gradient in the same tensor. A difference of nearly equal numbers has few
  digits left, so these figures show the limits of differences, not of gradus.

- **rule** compares the gradient that an op's rule on tensors gives with the gradient of its kernel, in f64: two
  statements of one derivative, written apart.
- **second derivative** compares the gradient of the gradient along a direction, by inputs and output weights, with
  PyTorch's in f64. Higher derivatives are made of the rules.

A dash means that there is nothing to compare. Tests limit the error of every case, in roundings, to about twice the error
measured (`tests/reference/subjects.cpp`), and fail if an op, module, optimizer or schedule has no case or no line here.

**Random graphs** find what nobody thought of: `make graphs` generates graphs of all ops (sizes 0, 1 and more than two
vectors, one tensor in several places, ties, gradients that exist before), modules with random options and optimizer
programs, runs them in f64 and f32 on every instruction set, and compares every result and gradient with PyTorch: f64 to
1e-11 of the largest value, f32 to eight times the error of PyTorch's own f32. It prints the largest error of each op;
a failing case is shrunk and printed as a C++ test. `make test` runs 500 of them, with PyTorch's results stored.

```sh
make graphs                                                               # a minute or two
make graphs ARGS="--seed 7 --graphs 20000 --modules 5000 --programs 500"  # a quarter of an hour
```
)";

struct Row {
  const Subject* subject;
  int cases = 0;
  std::optional<Errors> f64 = {}, f32 = {}, pytorch = {};
  std::optional<double> differences = {}, rules = {}, second = {};
};

void widen(std::optional<Errors>& all, const std::optional<Errors>& one) {
  if (one && all) all->widen(*one);
  if (one && !all) all = one;
}

Row measure(const Subject& subject) {
  Row row{&subject};
  for (const Case& c : cases()) {
    if (c.subject->section != subject.section || c.subject->name != subject.name) continue;
    ++row.cases;
    for (const std::string_view isa : available_instruction_sets()) {
      set_instruction_set(isa);
      widen(row.f64, against_pytorch(c, DType::f64, DType::f64));
      widen(row.f32, against_pytorch(c, DType::f32, DType::f64));
    }
    set_instruction_set(available_instruction_sets().front());
    widen(row.pytorch, pytorch_f32(c));
    if (const auto one = against_differences(c)) row.differences = std::max(row.differences.value_or(0), *one);
    if (const auto one = rules_against_kernels(c)) row.rules = std::max(row.rules.value_or(0), *one);
    if (const auto one = second_against_pytorch(c)) row.second = std::max(row.second.value_or(0), *one);
  }
  return row;
}

std::string number(std::optional<double> error) {
  if (!error) return "–";
  return *error == 0 ? "0" : fmt::format("{:.1e}", *error);
}

std::string both(const std::optional<Errors>& errors) {
  if (!errors) return "– | –";
  return number(errors->forward) + " | " + number(errors->gradient);
}

// What stands out, in two sentences.
void print_summary(const std::vector<Row>& rows) {
  const Row *forward = &rows[0], *gradient = &rows[0];
  int same_bits = 0;
  const auto gradient_of = [](const Row& row) { return row.f64->gradient.value_or(0); };
  for (const Row& row : rows) {
    if (row.f64->forward > forward->f64->forward) forward = &row;
    if (gradient_of(row) > gradient_of(*gradient)) gradient = &row;
    if (row.f64->forward == 0 && gradient_of(row) == 0) ++same_bits;
  }
  fmt::print(
      "\n**In short:** in f64 no result is further from PyTorch's than {:.1e} (`{}`) and no gradient further than "
      "{:.1e}\n"
      "(`{}`); {} of the {} lines below have the same bits.\n",
      forward->f64->forward, forward->subject->name, gradient_of(*gradient), gradient->subject->name, same_bits,
      rows.size());
}

void print_section(const std::vector<Row>& rows, const char* title, const char* section, const char* what,
                   const char* text) {
  fmt::print("\n## {}\n\n{}\n\n", title, text);
  fmt::print(
      "| {} | cases | f64 result | f64 gradient | f32 result | f32 gradient | PyTorch f32 result "
      "| PyTorch f32 gradient | differences | rule | second derivative "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|\n",
      what);
  for (const Row& row : rows) {
    if (row.subject->section != section) continue;
    fmt::print("| `{}` | {} | {} | {} | {} | {} | {} | {} |\n", row.subject->name, row.cases, both(row.f64),
               both(row.f32), both(row.pytorch), number(row.differences), number(row.rules), number(row.second));
  }
}

void print_page() {
  std::vector<Row> rows;
  for (const Subject& subject : subjects()) rows.push_back(measure(subject));
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.subject->name < b.subject->name; });

  fmt::print(introduction, fmt::arg("cases", cases().size()),
             fmt::arg("isas", fmt::join(available_instruction_sets(), ", ")));
  print_summary(rows);
  print_section(
      rows, "Ops", "Ops", "op",
      "Every row of `tests/core/ops/rows` but the largest shapes, further sizes, and edges: ties, kinks, "
      "infinities.\nInputs are multiples of 2^-16, so sums of them are exact. PyTorch 1.13 has no RMSNorm and no "
      "attention: those are\nwritten with its ops, as the papers have them.");
  print_section(
      rows, "Modules and losses", "Modules", "module",
      "Gradients of the input and of every parameter, by name. That of a key bias of `MultiHeadAttention` is 0 in "
      "exact\narithmetic; both sides have rounding there, which counts as a part of the largest gradient.");
  print_section(rows, "Optimizers and schedules", "Optimizers", "optimizer",
                "Seven steps from given gradients, each parameter after every step; what clipping leaves; the rate at "
                "every step.");
  print_section(
      rows, "Models", "Models", "model",
      "`gpt2`: 2 layers, width 16, tied head, LayerNorm, GELU, biases. `microgpt`: 1 layer, RMSNorm, ReLU, no "
      "biases. Logits\nof packed documents, the loss of a batch, the gradient of each in every parameter, and "
      "loss and gradient norm of ten\nsteps of AdamW with clipping.");
  fmt::print(
      "\n## A larger model\n\n`build/bin/gpt check` makes a new model of GPT-2's shape and compares 50 entries of each "
      "parameter with central differences;\n`build/bin/gpt check DIR` takes the model that `gpt train` left in "
      "DIR.\n\n");
}

}  // namespace
}  // namespace gradus::testing

int main(int argc, char** argv) {
  try {
    if (argc > 1 && std::string_view(argv[1]) == "--rows") {
      fmt::print("{}", gradus::testing::rows_as_json());  // for ops.py
    } else {
      gradus::testing::print_page();
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "correctness: {}\n", error.what());
    return 1;
  }
}
