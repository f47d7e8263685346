// The engine: what backward() does with reused values, tied weights, released and retained graphs, and very deep ones.
#include <gradus/core/autograd.h>

#include <gradus/core/ops.h>

#include <thread>

#include "../support.h"

namespace gradus::testing {
namespace {

constexpr DType f64 = DType::f64;

Tensor leaf(double value) {
  return tensor(value, f64).requires_grad(true);
}

TEST(Micrograd, ReadmeExpression) {
  const Tensor a = leaf(-4), b = leaf(2);
  Tensor c = a + b;
  Tensor d = a * b + pow(b, 3);
  c = c + c + 1;
  c = c + 1 + c + (-a);
  d = d + d * 2 + relu(b + a);
  d = d + 3 * d + relu(b - a);
  const Tensor e = c - d;
  const Tensor f = pow(e, 2);
  Tensor g = f / 2;
  g = g + 10 / f;
  EXPECT_NEAR(g.item(), 24.70408163265306, 1e-12);
  g.backward();
  EXPECT_NEAR(a.grad().item(), 138.83381924198252, 1e-11);
  EXPECT_NEAR(b.grad().item(), 645.5772594752186, 1e-11);
}

TEST(Backward, AddsUpWhatIsUsedTwice) {
  const Tensor x = leaf(3);
  (x * x + x).backward();
  EXPECT_EQ(x.grad().item(), 7);
  (x + x).backward();
  EXPECT_EQ(x.grad().item(), 9);
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
}

// The second share of one gradient must not be written over the first, in whatever order an op asks and writes.
TEST(Backward, AnOpMayAskForBothSharesOfOneGradientFirst) {
  const Tensor x = tensor({1, 2}, f64).requires_grad(true);
  const Tensor y = record("five", x.detach() * 5, {x, x}, [](const Node& out, Inputs in) {
    const GradShare<double> first = in[0].grad_share<double>(), second = in[1].grad_share<double>();
    const double* const dy = out.grad_or_null<double>();
    const auto put = [](GradShare<double> to, Index i, double value) { to.p[i] = to.adds ? to.p[i] + value : value; };
    for (Index i = 0; i < out.numel(); ++i) put(second, i, 3 * dy[i]);
    for (Index i = 0; i < out.numel(); ++i) put(first, i, 2 * dy[i]);
  });
  sum(y).backward();
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{5, 5}));
}

TEST(Backward, WaitsForEveryUserOfAValue) {
  // A diamond whose branches differ in length: the short one must not send its share on before the long one.
  const Tensor x = leaf(2);
  const Tensor y = x * 3;
  Tensor longer = y;
  for (int i = 0; i < 5; ++i) longer = longer * 2;
  (y + longer * y).backward();  // 3x + 32 (3x)^2
  EXPECT_EQ(x.grad().item(), 3 + 2 * 32 * 9 * 2);
}

TEST(Backward, FollowsResiduals) {
  const Tensor x = leaf(1.5);
  Tensor y = x;
  for (int i = 0; i < 10; ++i) y = y + y * 0.5;
  y.backward();
  EXPECT_NEAR(x.grad().item(), std::pow(1.5, 10), 1e-12);
}

TEST(Backward, AddsUpOverATiedWeight) {
  Tensor table = tensor({1, 2, 3, 4, 5, 6}, {3, 2}, f64);
  table.requires_grad(true);
  const std::vector<std::int32_t> ids{1};
  const Tensor logits = linear(embedding(table, ids), table);  // the same matrix at both ends
  logits.backward(tensor({1, 10, 100}, {1, 3}, f64));
  // As output layer: dlogits_i * row 1; as table: sum_i dlogits_i * row i, added to row 1.
  expect_close(table.grad(), {3, 4, 30 + 531, 40 + 642, 300, 400});
}

TEST(Backward, SpansSeveralResults) {
  const Tensor x = leaf(2);
  const Tensor y = x * x;
  (y * 3).backward(true);
  (y * 5).backward();
  EXPECT_EQ(x.grad().item(), 32);
}

TEST(Backward, TakesAWeight) {
  Tensor x = tensor({1, 2, 3}, f64);
  x.requires_grad(true);
  (x * x).backward(tensor({1, 10, 100}, f64));
  expect_close(x.grad(), {2, 40, 600});
}

TEST(Backward, OnALeafGivesTheWeight) {
  const Tensor x = leaf(5);
  x.backward();
  x.backward();
  EXPECT_EQ(x.grad().item(), 2);
}

TEST(Backward, LeavesLeavesAloneThatWantNothing) {
  const Tensor x = leaf(5), constant = tensor(3, f64);
  (x * constant).backward();
  EXPECT_EQ(x.grad().item(), 3);
  EXPECT_FALSE(constant.grad().defined());
}

TEST(Backward, ThroughAReleasedGraphSaysWhatToDo) {
  const Tensor x = leaf(2);
  const Tensor y = x * x, z = y * 3;
  z.backward();
  EXPECT_EQ(x.grad().item(), 12);
  for (const Tensor& root : {z, y, y * 2, z + x}) {
    const std::string text = error_of([&] { root.backward(); });
    expect_contains(text, "released");
    expect_contains(text, "retain_graph");
  }
  EXPECT_EQ(x.grad().item(), 12) << "a refused backward must not change gradients";
  EXPECT_EQ(z.item(), 12) << "values stay readable";
  (x * 4).backward();
  EXPECT_EQ(x.grad().item(), 16) << "the leaf can be used again";
}

TEST(Backward, OfARetainedGraphDoublesLeavesExactly) {
  const Tensor x = leaf(2);
  const Tensor y = x * x;
  const Tensor z = y * y;
  z.backward(true);
  EXPECT_EQ(x.grad().item(), 32);
  EXPECT_EQ(y.grad().item(), 8) << "interior gradients can be read while the graph is kept";
  z.backward(true);
  EXPECT_EQ(x.grad().item(), 64) << "had y kept its 8, this would be 96";
  EXPECT_EQ(y.grad().item(), 8);
  z.backward();
  EXPECT_EQ(x.grad().item(), 96);
  EXPECT_FALSE(y.grad().defined());
}

TEST(Backward, FreesInteriorGradients) {
  const Tensor x = leaf(2);
  const Tensor y = x * x;
  const Tensor z = y * y;
  z.backward();
  EXPECT_FALSE(y.grad().defined());
  EXPECT_FALSE(z.grad().defined());
  EXPECT_TRUE(y.node().inputs.empty());
  EXPECT_TRUE(x.grad().defined());
}

TEST(Backward, NeedsOneNumberOrAWeight) {
  Tensor x = ones({2, 3});
  x.requires_grad(true);
  const std::string text = error_of([&] { (x * 2.0).backward(); });
  expect_contains(text, "(2, 3)");
  expect_contains(text, "mean(x)");
}

TEST(NoGrad, RecordsNothingAndNests) {
  const Tensor x = leaf(2);
  EXPECT_TRUE(grad_enabled());
  {
    const NoGrad outer;
    {
      const NoGrad inner;
      EXPECT_FALSE(grad_enabled());
    }
    EXPECT_FALSE(grad_enabled());
    const Tensor y = x * x;
    EXPECT_FALSE(y.requires_grad());
    EXPECT_TRUE(y.node().inputs.empty());
    expect_contains(error_of([&] { y.backward(); }), "NoGrad");
    std::thread([] { EXPECT_TRUE(grad_enabled()); }).join();
  }
  EXPECT_TRUE(grad_enabled());
  EXPECT_TRUE((x * x).requires_grad());
}

TEST(Backward, WorksUnderNoGrad) {
  const Tensor x = leaf(2);
  const Tensor y = x * x;
  const NoGrad guard;
  y.backward();
  EXPECT_EQ(x.grad().item(), 4);
}

TEST(Detach, SharesTheValuesWithoutTheHistory) {
  const Tensor x = leaf(2);
  const Tensor y = x * x, cut = y.detach();
  EXPECT_FALSE(cut.requires_grad());
  EXPECT_TRUE(cut.is_leaf());
  (cut * x).backward();
  EXPECT_EQ(x.grad().item(), 4) << "cut counts as a constant";
  cut.fill_(7);
  EXPECT_EQ(y.item(), 7) << "the memory is shared";
}

TEST(RequiresGrad, IsForLeaves) {
  const Tensor x = leaf(2);
  Tensor y = x * x;
  EXPECT_FALSE(y.is_leaf());
  EXPECT_TRUE(x.is_leaf());
  const std::string text = error_of([&] { y.requires_grad(false); });
  expect_contains(text, "'mul'");
  expect_contains(text, "detach()");
  y.backward();
  EXPECT_FALSE(y.is_leaf()) << "a released result is still no leaf";
  expect_contains(error_of([&] { y.requires_grad(true); }), "detach()");
}

TEST(Node, KnowsItsOpAndItsAge) {
  const Tensor x = leaf(2);
  const Tensor y = tanh(x);
  EXPECT_STREQ(y.node().op, "tanh");
  EXPECT_STREQ(x.node().op, "");
  EXPECT_GT(y.node().id, x.node().id);
}

// An op that is composed of others bears its own name: what errors say, and what a user sees in `op`.
TEST(Node, OfAComposedOpBearsTheNameThatTheProgramCalled) {
  const auto f = [](const Shape& shape) { return rand(shape, f64).requires_grad(true); };
  const Tensor x = f({2, 3, 4}), y = f({2, 3, 4}), v = f({4}), flags = ones({4}, f64);
  const std::pair<const char*, Tensor> results[] = {
      {"mean", mean(x)},
      {"mean", mean(x, 1)},
      {"mean", mean(x, {0, 2})},
      {"sum", sum(x, {0, 2})},
      {"max", max(x, {0, 2})},
      {"var", var(x)},
      {"var", var(x, {0, 2})},
      {"var", var(f({}))},
      {"mse_loss", mse_loss(x, y)},
      {"l1_loss", l1_loss(x, y)},
      {"huber_loss", huber_loss(x, y)},
      {"binary_cross_entropy_with_logits", binary_cross_entropy_with_logits(x, y)},
      {"kl_div", kl_div(x, y)},
      {"broadcast_to", broadcast_to(v, {2, 4})},
      {"where", where(flags, x, v)},
      {"stack", stack({x, y})},
      {"transpose", transpose(x)},
      {"matmul", matmul(x, v)},
      {"matmul", matmul(x, f({4, 2}))},
      {"matmul", matmul(v, v)},
      {"conv1d", conv1d(x, f({2, 3, 2}))},
      {"gelu", gelu(x)},
      {"gelu", gelu(x, Gelu::tanh)},
      {"clone", x.clone()},
  };
  for (const auto& [name, result] : results) {
    EXPECT_STREQ(result.node().op, name);
    EXPECT_STREQ(result.node().called(), name);
    for (const NodePtr& input : result.node().inputs) {  // and its steps are known as steps of it
      if (input == nullptr || input->is_leaf()) continue;
      EXPECT_STREQ(input->called(), name);
    }
    Tensor changed = result;
    expect_contains(error_of([&] { changed.requires_grad(false); }), "'" + std::string(name) + "'");
  }
  const Tensor loss = mean(x);
  loss.backward();
  expect_contains(error_of([&] { loss.backward(); }), "behind this 'mean'");
  EXPECT_STREQ((x * 2.0).node().called(), "mul") << "what follows is no step of it";
  EXPECT_STREQ(broadcast_to(x, x.shape()).node().op, "") << "an argument that is returned as it came keeps its name";
  error_of([&] { mean(Tensor()); });
  EXPECT_STREQ(tanh(x).node().called(), "tanh") << "after an error inside a composed op";
  expect_contains(error_of([&] { stack({x, ones({2, 3, 4})}); }), "stack: got f64 and f32");
}

TEST(Record, LeavesOutUndefinedInputs) {
  Tensor x = ones({2, 3}, f64), w = ones({4, 3}, f64);
  w.requires_grad(true);
  const Tensor y = linear(x, w);
  ASSERT_EQ(y.node().inputs.size(), 3U);
  EXPECT_EQ(y.node().inputs.begin()[2], nullptr);
  sum(y).backward();
  expect_close(w.grad(), std::vector<double>(12, 2));
}

TEST(CompoundAssignment, MovesTheNameAndKeepsTheGraph) {
  const Tensor x = leaf(3);
  Tensor y = x * 1.0, first = y;
  y += x;
  y *= x;
  y -= x;
  y /= leaf(2);
  EXPECT_EQ(x.item(), 3);
  EXPECT_EQ(first.item(), 3);
  y.backward();  // (2 x^2 - x) / 2
  EXPECT_EQ(x.grad().item(), (4 * 3 - 1) / 2.0);
}

// pytorch#5534: freeing a deep graph must not recurse.
TEST(DeepGraph, OfAMillionNodesRunsBackwardAndIsFreed) {
  const std::size_t before = memory_stats().bytes_in_use;
  {
    const Tensor x = tensor(1).requires_grad(true);
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = -y;
    EXPECT_EQ(y.item(), 1);
    y.backward();
    EXPECT_EQ(x.grad().item(), 1);
  }
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

TEST(DeepGraph, OfAMillionNodesIsFreedWithoutBackward) {
  const std::size_t before = memory_stats().bytes_in_use;
  {
    const Tensor x = tensor(1).requires_grad(true);
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y + y;  // each node is owned twice by the next
  }
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

TEST(DeepGraph, IsFreedFromItsMiddleToo) {
  const std::size_t before = memory_stats().bytes_in_use;
  {
    const Tensor x = tensor(1).requires_grad(true);
    Tensor y = x, kept;
    for (int i = 0; i < 200'000; ++i) {
      y = y * x;
      if (i == 100'000) kept = y;
    }
    y = {};
    kept.backward();
    EXPECT_EQ(x.grad().item(), 100'002);
  }
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

TEST(Graphs, BuiltOnTwoThreadsAtOnceShareNothing) {
  std::vector<std::vector<std::uint64_t>> results(3);
  const auto work = [&](std::size_t place) {
    manual_seed(5);
    Tensor w = randn({64, 64}), x = randn({130, 64});
    w.requires_grad(true);
    for (int step = 0; step < 10; ++step) {
      const Tensor loss = mean(tanh(linear(gelu(linear(x, w)), w)));
      loss.backward();
      const NoGrad guard;
      w.copy_(w - w.grad() * 0.1);
      w.zero_grad();
    }
    results[place] = bits(w);
  };
  work(0);
  std::thread first(work, 1), second(work, 2);
  first.join();
  second.join();
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

// A thread that has made more nodes than this one has counted further.
TEST(Threads, AGraphMayPassFromOneToAnother) {
  const Tensor x = leaf(3);
  Tensor y;
  std::thread([&] {
    for (int i = 0; i < 1000; ++i) leaf(i);
    y = x * x;
  }).join();
  Tensor z = y;
  for (int i = 0; i < 3; ++i) z = z * y + y;  // y^4 + y^3 + y^2 + y
  z.backward();
  EXPECT_EQ(x.grad().item(), (4 * 729 + 3 * 81 + 2 * 9 + 1) * 6);
}

}  // namespace
TEST(Autograd, AnInputSwitchedOffSinceItWasUsedGetsNoGradient) {
  Tensor x = tensor({1, 2}).requires_grad(true);
  Tensor w = tensor({3, 4}).requires_grad(true);
  const Tensor y = sum(exp(x) * w);
  x.requires_grad(false);
  y.backward();
  EXPECT_FALSE(x.grad().defined());
  EXPECT_TRUE(w.grad().defined());
}

}  // namespace gradus::testing
