// Higher derivatives: create_graph, grad() and what is made of it, against closed forms and each other.
#include <gradus/core/derivatives.h>

#include <cmath>
#include <limits>

#include <gradus/core/inspect/anomaly.h>
#include <gradus/core/inspect/gradcheck.h>
#include <gradus/core/ops.h>

#include <gmock/gmock.h>

#include "../support.h"

namespace gradus::testing {
namespace {

constexpr DType f64 = DType::f64;

Tensor leaf(const Nested& values) {
  return tensor(values, f64).requires_grad(true);
}
std::vector<double> numbers(const Tensor& x) {
  return x.to_vector();
}
using Numbers = std::vector<double>;

TEST(Grad, GivesDerivativesOfAnyOrder) {
  const Tensor x = leaf({2, -1});
  Tensor y = sum(pow(x, 4));
  const std::vector<Numbers> expected{{32, -4}, {48, 12}, {48, -24}, {24, 24}, {0, 0}};
  for (const Numbers& each : expected) {
    const Tensor derivative = grad(y, {x}, {.create_graph = true})[0];
    EXPECT_EQ(numbers(derivative), each);
    y = sum(derivative);
  }
}

TEST(Grad, LeavesTheGradientsOfTensorsAlone) {
  const Tensor x = leaf({1, 2}), other = leaf({3, 4});
  sum(x * 10).backward();
  const Tensor middle = x * other, y = sum(middle * middle);
  EXPECT_EQ(numbers(grad(y, {x}, {.retain_graph = true})[0]), (Numbers{18, 64}));
  EXPECT_EQ(numbers(grad(y, {x}, {.create_graph = true})[0]), (Numbers{18, 64}));
  EXPECT_EQ(numbers(x.grad()), (Numbers{10, 10}));
  EXPECT_FALSE(other.grad().defined());
  EXPECT_FALSE(middle.grad().defined());
  y.backward();  // both inputs get theirs: nothing stayed left out
  EXPECT_EQ(numbers(x.grad()), (Numbers{28, 74}));
  EXPECT_EQ(numbers(other.grad()), (Numbers{6, 32}));
}

TEST(Grad, TakesResultsOfOpsAndTheTensorItself) {
  for (const bool create_graph : {false, true}) {
    const Tensor x = leaf({1, 2}), middle = x * 3, y = sum(square(middle));
    const auto gradients = grad(y, {middle, y, x, middle}, {.create_graph = create_graph});
    EXPECT_EQ(numbers(gradients[0]), (Numbers{6, 12}));
    EXPECT_EQ(gradients[1].item(), 1);
    EXPECT_EQ(numbers(gradients[2]), (Numbers{18, 36}));
    EXPECT_EQ(numbers(gradients[3]), (Numbers{6, 12}));
    EXPECT_FALSE(middle.grad().defined());
  }
}

TEST(Grad, WeighsTheOutputs) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor weight = tensor({1, 0, -2}, f64);
  EXPECT_EQ(numbers(grad(x * x, {x}, {.weight = weight})[0]), (Numbers{2, 0, -12}));
}

TEST(Grad, ReleasesTheGraphUnlessToldOtherwise) {
  const Tensor x = leaf({1, 2}), y = sum(exp(x));
  grad(y, {x}, {.create_graph = true});
  grad(y, {x}, {.retain_graph = true});
  grad(y, {x});
  EXPECT_EQ(error_of([&] { grad(y, {x}); }),
            "grad: the graph behind this 'sum' was released by an earlier backward; call that one with "
            "retain_graph = true, or compute the value again");
}

TEST(Grad, KeepsTheGraphBehindX) {
  const Tensor w = leaf({1, 2}), x = leaf({3, 5}), h = w * w;
  EXPECT_EQ(numbers(grad(sum(h * h), {h})[0]), (Numbers{2, 8}));
  EXPECT_EQ(numbers(grad(sum(h * x), {x})[0]), (Numbers{1, 4}));
  EXPECT_EQ(numbers(grad(sum(h * x), {h, x})[0]), (Numbers{3, 5}));
  sum(h * 3).backward();
  EXPECT_EQ(numbers(w.grad()), (Numbers{6, 12}));
  // The graph behind h is released now: it may not be needed.
  EXPECT_EQ(numbers(grad(sum(h * 3), {h})[0]), (Numbers{3, 3}));
  EXPECT_EQ(numbers(grad(h, {h}, {.weight = ones_like(h)})[0]), (Numbers{1, 1}));
  EXPECT_EQ(error_of([&] {
              grad(sum(h * 3 + w), {h, w});
            }),
            "grad: the graph behind 'mul' was released by an earlier backward; call that one with retain_graph = true, "
            "or compute the value again");
}

TEST(Grad, OfSeveralXBehindEachOtherCountsAllPaths) {
  for (const bool create_graph : {false, true}) {
    const Tensor w = leaf({1, 2}), h = w * w, k = h * 2, y = sum(k * h + w);
    const auto gradients = grad(y, {k, w, h}, {.create_graph = create_graph});
    EXPECT_EQ(numbers(gradients[0]), (Numbers{1, 4}));
    EXPECT_EQ(numbers(gradients[1]), (Numbers{9, 65}));
    EXPECT_EQ(numbers(gradients[2]), (Numbers{4, 16}));
  }
}

TEST(Grad, LeavesRetainedGradientsAlone) {
  for (const bool create_graph : {false, true}) {
    const Tensor x = leaf({1, 2}), h = x * x;
    h.retain_grad();
    sum(h * 3).backward(true);
    const Tensor y = sum(h * h);
    EXPECT_EQ(numbers(grad(y, {x}, {.retain_graph = true, .create_graph = create_graph})[0]), (Numbers{4, 32}));
    EXPECT_EQ(numbers(h.grad()), (Numbers{3, 3}));
    EXPECT_EQ(numbers(grad(y, {h}, {.retain_graph = true, .create_graph = create_graph})[0]), (Numbers{2, 8}));
    EXPECT_EQ(numbers(h.grad()), (Numbers{3, 3}));
    y.backward();
    EXPECT_EQ(numbers(h.grad()), (Numbers{2, 8}));
  }
}

TEST(Grad, RulesStayFiniteWhereKernelsDo) {
  const Tensor logits = leaf({{1, 2}, {std::numeric_limits<double>::infinity(), std::nan("")}});
  const Tensor loss = cross_entropy(logits, Ids{1, -1});
  const Tensor of_loss = grad(loss, {logits}, {.create_graph = true})[0];
  EXPECT_NEAR(of_loss.to_vector()[1], -0.26894142136999512, 1e-15);
  EXPECT_EQ(of_loss.to_vector()[2], 0);
  EXPECT_EQ(of_loss.to_vector()[3], 0);

  const Tensor far = leaf({3e200, -3e-200}), near = leaf({4e200, 4e-200});
  EXPECT_NEAR(hypot(far, near).to_vector()[0], 5e200, 1e186);
  EXPECT_NEAR(hypot(far, near).to_vector()[1], 5e-200, 1e-214);
  EXPECT_NEAR(grad(sum(hypot(far, near)), {far})[0].to_vector()[1], -0.6, 1e-15);

  const Tensor x = leaf({1, 3, 2}), top = max(x);
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(numbers(grad(top, {x}, {.weight = full({}, inf, f64), .create_graph = true})[0]), (Numbers{0, inf, 0}));

  // d/db of b a^(b - 1), and d/da of a^b log(a): 1 / a where b is 0
  const auto power = [](const Tensor& ab) { return pow(ab[0], ab[1]); };
  EXPECT_EQ(numbers(hessian(power, leaf({2, 0}))), (Numbers{0, 0.5, 0.5, std::log(2) * std::log(2)}));
  EXPECT_EQ(numbers(hessian(power, leaf({0, 2}))), (Numbers{2, 0, 0, 0}));
}

TEST(Grad, SaysWhatIsWrong) {
  const Tensor x = leaf({1, 2}), y = sum(x), apart = leaf({1});
  EXPECT_EQ(error_of([&] { grad(x, {x}); }),
            "grad: needs one number, got shape (2); reduce it first, e.g. mean(x), or pass a weight");
  EXPECT_EQ(error_of([&] {
              grad(y, {x, x.detach()});
            }),
            "grad: x[1] (2) wants no gradient; call requires_grad(true) on it before y is computed from it");
  EXPECT_EQ(error_of([&] { grad(y, {Tensor()}); }),
            "grad: x[0] is undefined; call requires_grad(true) on it before y is computed from it");
  EXPECT_EQ(error_of([&] { grad(y, {apart}, {.retain_graph = true}); }),
            "grad: y was not computed from x[0] (1); pass .allow_unused = true to get an undefined gradient for it");
  const auto gradients = grad(y, {x, apart}, {.retain_graph = true, .allow_unused = true});
  EXPECT_EQ(numbers(gradients[0]), (Numbers{1, 1}));
  EXPECT_FALSE(gradients[1].defined());
  EXPECT_FALSE(grad(y, {apart}, {.retain_graph = true, .allow_unused = true})[0].defined());
  y.backward();
  EXPECT_EQ(numbers(x.grad()), (Numbers{1, 1}));
}

TEST(Grad, ThrowsForAnOpWithoutARuleOnlyWhereAGraphIsAskedFor) {
  const auto doubled = [](const Tensor& x) {
    return record("my_op", x.detach() * 2, {x}, [](const Node& out, Inputs in) {
      double* const dx = in[0].grad_or_null<double>();
      for (Index i = 0; i < out.numel(); ++i) dx[i] += 2 * out.grad_or_null<double>()[i];
    });
  };
  const Tensor x = leaf({1, 2}), y = sum(doubled(x));
  EXPECT_EQ(numbers(grad(y, {x}, {.retain_graph = true})[0]), (Numbers{2, 2}));
  EXPECT_EQ(error_of([&] { grad(y, {x}, {.create_graph = true}); }),
            "backward: 'my_op' has no second derivative, because it was recorded without a rule; give record() a fifth "
            "argument, rule(y, dy, x), which returns the gradients of the inputs as tensors made with ops");
  y.backward();  // an error leaves the graph as it was
  EXPECT_EQ(numbers(x.grad()), (Numbers{2, 2}));
}

TEST(Grad, ARuleMustReturnAGradientOfItsInputsShapeForEach) {
  const auto wrong = [](const Tensor& x, auto rule) {
    return sum(record(
        "my_op", x.detach() * 2, {x}, [](const Node&, Inputs) {}, rule));
  };
  const Tensor x = leaf({1, 2});
  const auto scalar = [](const Tensor&, const Tensor& dy, const RuleInputs&) { return sum(dy); };
  const auto none = [](const Tensor&, const Tensor&, const RuleInputs&) { return Gradients{}; };
  EXPECT_EQ(
      error_of([&] { grad(wrong(x, scalar), {x}, {.create_graph = true}); }),
      "backward: the rule of 'my_op' returned a gradient of f64 () for input 0, which is f64 (2); they must agree");
  EXPECT_EQ(error_of([&] { grad(wrong(x, none), {x}, {.create_graph = true}); }),
            "backward: the rule of 'my_op' returned 0 gradients for 1 inputs; one each is needed");
}

TEST(CreateGraph, LeavesHoldGradientsThatHaveDerivatives) {
  const Tensor x = leaf({1, 2});
  sum(pow(x, 3)).backward({.create_graph = true});
  EXPECT_EQ(numbers(x.grad()), (Numbers{3, 12}));
  const Tensor first = x.grad();
  x.zero_grad();
  sum(square(first)).backward();  // of 9 x^4
  EXPECT_EQ(numbers(x.grad()), (Numbers{36, 288}));
}

TEST(CreateGraph, AddsToWhatIsThere) {
  const Tensor x = leaf({1, 2});
  sum(x * 5).backward();
  sum(x * x).backward({.create_graph = true});
  EXPECT_EQ(numbers(x.grad()), (Numbers{7, 9}));
  EXPECT_EQ(numbers(grad(sum(x.grad()), {x}, {.retain_graph = true})[0]), (Numbers{2, 2}));
  sum(x * 5).backward();
  EXPECT_EQ(numbers(x.grad()), (Numbers{12, 14}));
  x.zero_grad();
}

// A gradient that passes through unchanged is one tensor for several inputs; each must hold its own.
TEST(CreateGraph, NoTwoTensorsShareAGradient) {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4}), weight = tensor({5, 6}, f64);
  (a + b).backward(weight, {.create_graph = true});
  sum(a).backward();
  EXPECT_EQ(numbers(a.grad()), (Numbers{6, 7}));
  EXPECT_EQ(numbers(b.grad()), (Numbers{5, 6}));
  EXPECT_EQ(numbers(weight), (Numbers{5, 6}));
}

TEST(CreateGraph, WorksInsideNoGrad) {
  const Tensor x = leaf({3}), y = sum(pow(x, 3));
  const NoGrad guard;
  const Tensor first = grad(y, {x}, {.create_graph = true})[0];
  EXPECT_EQ(grad(first, {x})[0].item(), 18);
  EXPECT_FALSE((x * 2).requires_grad());
}

TEST(CreateGraph, NoticesValuesThatChanged) {
  const Tensor x = leaf({3}), y = sum(square(x));
  x.fill_(4);
  EXPECT_THAT(error_of([&] { grad(y, {x}, {.create_graph = true}); }),
              ::testing::StartsWith("square: backward needs its input 0 (1) as it was when the op ran, but fill_"));
  const Tensor z = leaf({3}), unread = sum(z + 1);
  z.fill_(4);  // whose value the gradient of a sum does not need
  EXPECT_EQ(grad(unread, {z}, {.create_graph = true})[0].item(), 1);
}

TEST(CreateGraph, LeavesNoMemoryBehind) {
  const auto use = [] {
    const Tensor x = leaf({{1, 2}, {3, 4}});
    const Tensor y = sum(softmax(matmul(x, x)) * x);
    const Tensor first = grad(y, {x}, {.create_graph = true})[0];
    grad(sum(first * first), {x}, {.create_graph = true});
    (y * 2).backward({.create_graph = true});
    x.zero_grad();
  };
  use();
  const std::size_t before = memory_stats().bytes_in_use;
  for (int i = 0; i < 3; ++i) use();
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

TEST(CreateGraph, IsWatched) {
  const Tensor x = leaf({0}), y = sqrt(x);
  const AnomalyMode watch;
  EXPECT_THAT(error_of([&] { grad(y, {x}, {.create_graph = true}); }), ::testing::HasSubstr("inf"));
}

TEST(RetainGrad, KeepsTheGradientOfAResult) {
  const Tensor x = leaf({1, 2}), middle = x * 3, y = sum(square(middle));
  middle.retain_grad();
  x.retain_grad();
  y.backward();
  EXPECT_EQ(numbers(middle.grad()), (Numbers{6, 12}));
  EXPECT_EQ(numbers(x.grad()), (Numbers{18, 36}));
  EXPECT_EQ(error_of([&] { x.detach().retain_grad(); }),
            "retain_grad: this (2) wants no gradient, nor does anything it was computed from");
}

TEST(EnableGrad, RecordsInsideNoGrad) {
  const Tensor x = leaf({1});
  const NoGrad outer;
  {
    const EnableGrad inner;
    EXPECT_TRUE((x * 2).requires_grad());
  }
  EXPECT_FALSE((x * 2).requires_grad());
}

// ---- what is made of grad()

// f(a, b) = sum(a^2 b) for two tensors of two elements
Tensor cubic(const std::vector<Tensor>& x) {
  return sum(x[0] * x[0] * x[1]);
}
const Numbers a_values{1, 2}, b_values{3, 5};

std::vector<Tensor> inputs() {
  return {tensor(a_values, f64), tensor(b_values, f64)};
}

TEST(Functional, Vjp) {
  const auto [y, gradient] =
      vjp([](const Tensor& x) { return x * x; }, tensor({1, 2, 3}, f64), tensor({1, 10, 0}, f64));
  EXPECT_EQ(numbers(y), (Numbers{1, 4, 9}));
  EXPECT_EQ(numbers(gradient), (Numbers{2, 40, 0}));
  EXPECT_FALSE(gradient.requires_grad());
  EXPECT_FALSE(y.requires_grad());
  const auto [number, gradients] = vjp(cubic, inputs());
  EXPECT_EQ(number.item(), 23);
  EXPECT_EQ(numbers(gradients[0]), (Numbers{6, 20}));
  EXPECT_EQ(numbers(gradients[1]), (Numbers{1, 4}));
}

TEST(Functional, Jvp) {
  const auto [y, along] = jvp([](const Tensor& x) { return exp(x); }, tensor({0, 1}, f64), tensor({2, 3}, f64));
  EXPECT_NEAR(along.to_vector()[0], 2, 1e-15);
  EXPECT_NEAR(along.to_vector()[1], 3 * std::exp(1.0), 1e-14);
  EXPECT_EQ(jvp(cubic, inputs(), {tensor({1, 0}, f64), tensor({0, 1}, f64)}).second.item(), 6 + 4);
}

TEST(Functional, Hvp) {
  const auto [y, products] = hvp(cubic, inputs(), {tensor({1, 0}, f64), tensor({0, 1}, f64)});
  EXPECT_EQ(y.item(), 23);
  EXPECT_EQ(numbers(products[0]), (Numbers{2 * 3, 2 * 2}));
  EXPECT_EQ(numbers(products[1]), (Numbers{2 * 1, 0}));
  EXPECT_EQ(
      numbers(hvp([](const Tensor& x) { return sum(pow(x, 3)); }, tensor({1, 2}, f64), tensor({1, 1}, f64)).second),
      (Numbers{6, 12}));
  // of what is linear: 0, and not undefined
  EXPECT_EQ(numbers(hvp([](const Tensor& x) { return sum(x); }, tensor({1, 2}, f64), tensor({1, 1}, f64)).second),
            (Numbers{0, 0}));
}

TEST(Functional, Jacobian) {
  const Tensor j = jacobian(
      [](const Tensor& x) {
        return matmul(tensor({{1, 2}, {3, 4}, {5, 6}}, f64), x);
      },
      tensor({1, 1}, f64));
  EXPECT_EQ(j.shape(), (Shape{3, 2}));
  EXPECT_EQ(numbers(j), (Numbers{1, 2, 3, 4, 5, 6}));
  const auto parts = jacobian([](const std::vector<Tensor>& x) { return outer(x[0], x[1]); }, inputs());
  EXPECT_EQ(parts[0].shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(numbers(parts[1]), (Numbers{1, 0, 0, 1, 2, 0, 0, 2}));
}

TEST(Functional, Hessian) {
  const auto h = hessian(cubic, inputs());
  EXPECT_EQ(numbers(h[0][0]), (Numbers{6, 0, 0, 10}));
  EXPECT_EQ(numbers(h[0][1]), (Numbers{2, 0, 0, 4}));
  EXPECT_EQ(numbers(h[1][0]), (Numbers{2, 0, 0, 4}));
  EXPECT_EQ(numbers(h[1][1]), (Numbers{0, 0, 0, 0}));
  const Tensor one = hessian([](const Tensor& x) { return prod(x); }, tensor({2, 3, 5}, f64));
  EXPECT_EQ(numbers(one), (Numbers{0, 5, 3, 5, 0, 2, 3, 2, 0}));
}

TEST(Functional, ResultsHaveDerivativesIfAskedFor) {
  const Tensor x = leaf({1, 2});
  const auto cube = [](const Tensor& v) { return sum(pow(v, 3)); };
  EXPECT_EQ(numbers(grad(sum(vjp(cube, x, {}, true).second), {x})[0]), (Numbers{6, 12}));
  EXPECT_EQ(numbers(grad(sum(hvp(cube, x, tensor({1, 2}, f64), true).second), {x})[0]), (Numbers{6, 12}));
  EXPECT_EQ(numbers(grad(sum(hessian(cube, x, true)), {x})[0]), (Numbers{6, 6}));
  EXPECT_EQ(numbers(grad(sum(jacobian([](const Tensor& v) { return v * v; }, x, true)), {x})[0]), (Numbers{2, 2}));
  EXPECT_EQ(grad(jvp(cube, x, tensor({1, 0}, f64), true).second, {x})[0].to_vector(), (Numbers{6, 0}));
  EXPECT_FALSE(x.grad().defined());
}

TEST(Functional, ResultsHaveDerivativesInsideNoGradToo) {
  const Tensor x = leaf({1, 2}), v = tensor({1, 1}, f64);
  const auto cube = [](const Tensor& a) { return sum(pow(a, 3)); };
  const NoGrad guard;
  for (const bool create_graph : {false, true}) {
    EXPECT_EQ(numbers(vjp(cube, x, {}, create_graph).second), (Numbers{3, 12}));
    EXPECT_EQ(jvp(cube, x, v, create_graph).second.item(), 15);
    EXPECT_EQ(numbers(hvp(cube, x, v, create_graph).second), (Numbers{6, 12}));
    EXPECT_EQ(numbers(jacobian(cube, x, create_graph)), (Numbers{3, 12}));
    EXPECT_EQ(numbers(hessian(cube, x, create_graph)), (Numbers{6, 0, 0, 12}));
  }
  const Tensor all = jacobian([](const Tensor& a) { return a * a; }, x, true);
  EXPECT_TRUE(all.requires_grad());
}

TEST(Functional, SayWhatIsWrong) {
  const auto square_of = [](const Tensor& x) { return x * x; };
  const Tensor x = tensor({1, 2}, f64);
  EXPECT_EQ(error_of([&] { vjp(square_of, x); }),
            "vjp: needs one number, got shape (2); reduce it first, e.g. mean(x), or pass v");
  EXPECT_EQ(error_of([&] { vjp(square_of, x, tensor({1}, f64)); }),
            "vjp: v is f64 (1) but f returned f64 (2); they must agree");
  EXPECT_EQ(error_of([&] { jvp(square_of, x, tensor({1}, f64)); }), "jvp: v[0] is f64 (1) but x[0] is f64 (2)");
  EXPECT_EQ(error_of([&] { hvp(cubic, inputs(), {x}); }), "hvp: got 1 directions v for 2 tensors x; pass one for each");
  EXPECT_EQ(error_of([&] { hessian(square_of, x); }),
            "hessian: needs one number, got shape (2); reduce it first, e.g. mean(x)");
  EXPECT_EQ(error_of([&] { jacobian(cubic, {}); }), "jacobian: no x was given; at least one tensor is needed");
  EXPECT_EQ(error_of([&] { jacobian([](const Tensor&) { return Tensor(); }, x); }),
            "jacobian: f returned an undefined tensor; it must return what it computed");
}

TEST(Functional, RefuseAnEmptyFunctionAndTooManyDimensions) {
  const Tensor x = leaf({1, 2});
  const std::string empty = ": f is an empty function; pass one that computes a tensor";
  EXPECT_EQ(error_of([&] { vjp(TensorFunction(), x); }), "vjp" + empty);
  EXPECT_EQ(error_of([&] { jvp(TensorFunction(), x, x); }), "jvp" + empty);
  EXPECT_EQ(error_of([&] { hvp(TensorsFunction(), {x}, {x}); }), "hvp" + empty);
  EXPECT_EQ(error_of([&] { jacobian(TensorFunction(), x); }), "jacobian" + empty);
  EXPECT_EQ(error_of([&] { hessian(TensorFunction(), x); }), "hessian" + empty);
  const auto f = [](const Tensor& a) { return reshape(a, {1, 1, 1, 2, 1}); };
  EXPECT_EQ(error_of([&] { jacobian(f, f(x)); }),
            "jacobian: a derivative of (1, 1, 1, 2, 1) with respect to (1, 1, 1, 2, 1) has 10 dimensions, more than 8; "
            "merge some with reshape");
}

TEST(Gradgradcheck, PassesForARightRuleAndFailsForAWrongOne) {
  const auto cube_with = [](double factor) {
    return [factor](const std::vector<Tensor>& x) {
      return record(
          "cube", pow(x[0].detach(), 3), {x[0]},
          [](const Node& out, Inputs in) {
            const double *const dy = out.grad_or_null<double>(), *const v = in[0].values<double>();
            double* const dx = in[0].grad_or_null<double>();
            for (Index i = 0; i < out.numel(); ++i) dx[i] += 3 * v[i] * v[i] * dy[i];
          },
          [factor](const Tensor&, const Tensor& dy, const RuleInputs& in) {
            return dy * (square(in[0].detach()) * (3 - factor) + square(in[0]) * factor);
          });
    };
  };
  EXPECT_TRUE(gradgradcheck(cube_with(3), {tensor({1, -2}, f64)}));
  EXPECT_FALSE(gradgradcheck(cube_with(2), {tensor({1, -2}, f64)}));
}

}  // namespace
}  // namespace gradus::testing
