// checkpoint(): the same bits as without it, less memory, and what must be noticed between its two runs of f.
#include <gradus/core/checkpoint.h>

#include <cmath>
#include <optional>
#include <thread>

#include <gradus/core/inspect/anomaly.h>
#include <gradus/core/ops.h>

#include <gmock/gmock.h>

#include "../support.h"

namespace gradus::testing {
namespace {

using ::testing::HasSubstr;
using Bits = std::vector<std::uint64_t>;
using Numbers = std::vector<double>;
using In = const std::vector<Tensor>&;

constexpr DType f64 = DType::f64;

Tensor leaf(const Nested& values) {
  return tensor(values, f64).requires_grad(true);
}

// f through checkpoint(), or f itself.
Tensor call(bool checkpointed, const TensorFunction& f, const Tensor& x) {
  return checkpointed ? checkpoint(f, x) : f(x);
}
Tensor call(bool checkpointed, const TensorsFunction& f, In x) {
  return checkpointed ? checkpoint(f, x) : f(x);
}

// What two micro-batches give: every value and gradient, and where the generator stands.
std::pair<std::vector<Bits>, std::string> train(bool checkpointed) {
  manual_seed(3);
  const Tensor weight = randn({8, 8}).requires_grad(true), tied = randn({8}).requires_grad(true);
  const Tensor x = randn({5, 8}).requires_grad(true);
  const auto f = [weight, tied](const Tensor& h) {
    const Tensor normed = layer_norm(h) * tied;
    return h + dropout(relu(matmul(dropout(normed, 0.2), weight)), 0.3) * h;
  };
  std::vector<Bits> seen;
  for (int i = 0; i < 2; ++i) {
    const Tensor first = x * tied;
    first.retain_grad();
    const Tensor second = call(checkpointed, f, first), third = call(checkpointed, f, second);
    const Tensor loss = sum((third + first) * randn({5, 8}) * tied);  // `first` is used around the blocks too
    loss.backward();
    for (const Tensor& each : {second, third, loss, first.grad(), x.grad(), weight.grad(), tied.grad()}) {
      seen.push_back(bits(each));
    }
  }
  return {seen, default_generator().state()};
}

TEST(Checkpoint, GivesTheSameBitsAsWithoutIt) {
  EXPECT_EQ(train(true), train(false));
}

TEST(Checkpoint, KeepsTheArgumentsAndTheResultOnly) {
  constexpr std::size_t size = 10'000 * sizeof(double);
  const Tensor x = zeros({10'000}, f64).requires_grad(true);
  const auto f = [](const Tensor& h) { return exp(sin(exp(sin(h)))); };
  const auto kept = [&](bool checkpointed) {
    const std::size_t before = memory_stats().bytes_in_use;
    const Tensor y = call(checkpointed, f, x);
    return memory_stats().bytes_in_use - before;
  };
  EXPECT_GE(kept(false), 4 * size);
  EXPECT_LT(kept(true), 2 * size);
}

TEST(Checkpoint, RunsFOnceForTheResultAndOnceForEachBackward) {
  const Tensor x = leaf({1, 2});
  int runs = 0;
  const auto f = [&](const Tensor& h) {
    ++runs;
    return exp(h);
  };
  Tensor y = checkpoint(f, x);
  EXPECT_EQ(runs, 1);
  sum(y).backward(true);
  EXPECT_EQ(runs, 2);
  const Bits once = bits(x.grad());
  x.zero_grad();
  sum(y).backward();
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(bits(x.grad()), once);
  EXPECT_THAT(error_of([&] { sum(y).backward(); }), HasSubstr("the graph behind 'checkpoint' was released"));

  x.zero_grad();
  y = checkpoint(f, x);
  const NoGrad off;
  y.backward(ones_like(y));
  EXPECT_EQ(runs, 5);
  EXPECT_EQ(bits(x.grad()), once);
  y = checkpoint(f, x);
  EXPECT_EQ(runs, 6);
  EXPECT_FALSE(y.requires_grad());
}

TEST(Checkpoint, GivesGradientsToWhatFUsesBesides) {
  for (const bool checkpointed : {false, true}) {
    const Tensor x = leaf({1, 2}), a = leaf({3, 4}), b = leaf({5, 6});
    const Tensor middle = a * b;  // its graph lies outside
    const Tensor y = call(
        checkpointed, [&](const Tensor& h) { return h * middle * b; }, x);
    (sum(y) + sum(middle)).backward();
    EXPECT_EQ(x.grad().to_vector(), (Numbers{75, 144}));
    EXPECT_EQ(a.grad().to_vector(), (Numbers{30, 78}));
    EXPECT_EQ(b.grad().to_vector(), (Numbers{33, 100}));
  }
}

TEST(Checkpoint, TakesOneTensorInSeveralPlaces) {
  for (const bool checkpointed : {false, true}) {
    const Tensor x = leaf({2, 3}), h = x * 1;
    const Tensor y = call(checkpointed, [&](In in) { return in[0] * in[1] * h; }, {h, h});
    sum(y).backward();
    EXPECT_EQ(x.grad().to_vector(), (Numbers{12, 27}));
  }
}

TEST(Checkpoint, GivesNoGradientToWhatTheResultDoesNotDependOn) {
  const Tensor x = leaf({1, 2}), unused = leaf({3, 4}), constant = tensor({5, 6}, f64);
  const auto f = [](In in) { return in[0] * in[2] * in[1].detach() * (in[3].defined() ? 0 : 1); };
  sum(checkpoint(f, {x, unused, constant, {}})).backward();
  EXPECT_EQ(x.grad().to_vector(), (Numbers{15, 24}));
  EXPECT_FALSE(unused.grad().defined());
  EXPECT_FALSE(constant.grad().defined());
}

TEST(Checkpoint, ReturnsWhatFReturnsIfNothingWasComputed) {
  const Tensor x = leaf({1, 2}), other = leaf({3, 4}), older = other * 2;
  const auto same = [](const Tensor& a, const Tensor& b) { return a.node_ptr() == b.node_ptr(); };
  EXPECT_TRUE(same(checkpoint([](const Tensor& h) { return h; }, x), x));
  EXPECT_TRUE(same(checkpoint([&](const Tensor&) { return other; }, x), other));
  EXPECT_TRUE(same(checkpoint([&](const Tensor&) { return older; }, x), older));
  EXPECT_FALSE(checkpoint([](const Tensor& h) { return h.detach() * 2; }, x).requires_grad());
  EXPECT_FALSE(checkpoint([](const Tensor& h) { return h * 2; }, x.detach()).requires_grad());
  EXPECT_THAT(error_of([&] { checkpoint([](const Tensor&) { return Tensor(); }, x); }),
              HasSubstr("checkpoint: f returned an undefined tensor"));
}

TEST(Checkpoint, MayBeNested) {
  const auto run = [](bool outer, bool inner) {
    manual_seed(5);
    const Tensor w = leaf({0.5, -1.5}), x = leaf({1, 2});
    const auto f = [&](const Tensor& h) { return dropout(tanh(h * w) + h, 0.5) * w; };
    const auto twice = [&](const Tensor& h) { return call(inner, f, call(inner, f, h) + h * w); };
    sum(call(outer, twice, x * 2) * w).backward();
    return std::pair(bits(x.grad()), bits(w.grad()));
  };
  const auto plain = run(false, false);
  EXPECT_EQ(run(true, false), plain);
  EXPECT_EQ(run(false, true), plain);
  EXPECT_EQ(run(true, true), plain);
}

// ---- gradients of chosen tensors, and of gradients

TEST(Checkpoint, UnderGradGivesOthersNothing) {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4}), h = x * 2;
  const Tensor y = sum(checkpoint([&](const Tensor& in) { return in * w * w; }, h));
  for (const bool create_graph : {false, true}) {
    const GradOptions options{.retain_graph = true, .create_graph = create_graph};
    EXPECT_EQ(grad(y, {x}, options)[0].to_vector(), (Numbers{18, 32}));
    EXPECT_EQ(grad(y, {h}, options)[0].to_vector(), (Numbers{9, 16}));
    EXPECT_EQ(grad(y, {w}, options)[0].to_vector(), (Numbers{12, 32}));
    EXPECT_FALSE(x.grad().defined());
    EXPECT_FALSE(w.grad().defined());
  }
  y.backward();  // nothing stayed left out
  EXPECT_EQ(x.grad().to_vector(), (Numbers{18, 32}));
  EXPECT_EQ(w.grad().to_vector(), (Numbers{12, 32}));
}

TEST(Checkpoint, HasHigherDerivatives) {
  const auto run = [](bool checkpointed) {
    const Tensor x = leaf({0.5, -0.3}), w = leaf({1.5, 0.7});
    const Tensor h = sin(x);
    const Tensor y = call(checkpointed, [&](In in) { return exp(in[0] * w) * in[1]; }, {h, h});
    std::vector<Numbers> found;
    Tensor value = sum(y * h);  // h has a part of its gradient when the checkpoint's turn comes
    for (int i = 0; i < 3; ++i) {
      const auto gradients = grad(value, {x, w}, {.create_graph = true});
      found.push_back(gradients[0].to_vector());
      found.push_back(gradients[1].to_vector());
      value = sum(gradients[0] * gradients[1]);
    }
    value.backward();
    found.push_back(x.grad().to_vector());
    found.push_back(w.grad().to_vector());
    return found;
  };
  const auto expected = run(false), found = run(true);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (std::size_t k = 0; k < 2; ++k) EXPECT_NEAR(found[i][k], expected[i][k], 1e-12 * std::abs(expected[i][k]));
  }
}

// f's own grad() must not run into the graph around the checkpoint, whose backward is under way.
TEST(Checkpoint, LetsFTakeGradients) {
  const auto run = [](bool checkpointed) {
    const Tensor x = leaf({0.5, -0.3}), before = exp(x), outside = sin(x);
    const auto slope = [&](const Tensor& h) {
      const Tensor constant = grad(sum(h * h * outside), {h}, {.retain_graph = true})[0];
      return grad(sum(h * h * h * outside), {h}, {.create_graph = true})[0] + h * constant;
    };
    const Tensor y = call(checkpointed, slope, before);
    sum(y * before * outside).backward();
    return bits(x.grad());
  };
  EXPECT_EQ(run(true), run(false));
}

// ---- what may not happen between the runs

TEST(Checkpoint, NoticesWhatWasWrittenInBetween) {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4}), constant = tensor({5, 6}, f64);
  const auto loss = [&] { return sum(checkpoint([&](const Tensor& h) { return h * w + constant; }, x) * 2); };
  Tensor y = loss();
  w.fill_(7);
  EXPECT_EQ(error_of([&] { y.backward(); }),
            "checkpoint: backward needs its input 1 (2) as it was when the op ran, but fill_ has changed it since; "
            "call backward() before the change, compute the loss again after it, or change a clone()");
  EXPECT_FALSE(w.grad().defined());
  y = loss();
  constant.fill_(7);  // no input of the op
  EXPECT_EQ(
      error_of([&] { y.backward(); }),
      "checkpoint: backward() ran f again and got another result (shape (2), the first time (2)); f must use "
      "nothing that changes between the runs: no variables that change, no settings, no generator but the default "
      "one; call mark_written() if you wrote the first result through data()");
  EXPECT_FALSE(x.grad().defined());
  EXPECT_NO_THROW(loss().backward());
  EXPECT_EQ(x.grad().to_vector(), (Numbers{14, 14}));
}

TEST(Checkpoint, NoticesAnotherResult) {
  const Tensor x = leaf({1, 2});
  Generator own(1);
  const auto error = [&](const TensorFunction& f) {
    const Tensor y = checkpoint(f, x);
    return error_of([&] { sum(y).backward(); });
  };
  EXPECT_THAT(error([&](const Tensor& h) { return h + randn({2}, f64, own); }), HasSubstr("got another result"));
  int run = 0;
  EXPECT_THAT(error([&](const Tensor& h) { return run++ == 0 ? h * 2 : sum(h); }), HasSubstr("(shape (), the first"));
  run = 0;
  EXPECT_THAT(error([&](const Tensor& h) { return run++ == 0 ? h * 2 : h.detach() * 2; }), HasSubstr("got another"));
  run = 0;
  EXPECT_THAT(error([&](const Tensor& h) { return run++ == 0 ? h * 1 : h; }), HasSubstr("got another result"));
  run = 0;
  EXPECT_THAT(error([&](const Tensor& h) { return run++ == 0 ? h * 1 : Tensor(); }), HasSubstr("got another result"));
  EXPECT_FALSE(x.grad().defined());
}

TEST(Checkpoint, AllowsItsResultToBeWritten) {
  const Tensor x = leaf({1, 2}), y = checkpoint([](const Tensor&h) { return h * h; }, x), z = sum(y * 3);
  y.fill_(9);
  z.backward();
  EXPECT_EQ(x.grad().to_vector(), (Numbers{6, 12}));
}

TEST(Checkpoint, TakesAnotherThreadsResultsAsArguments) {
  const Tensor x = leaf({1, 2});
  Tensor theirs;
  std::thread([&] {
    for (int i = 0; i < 10'000; ++i) zeros({1});  // their ids are above those of a new thread
    theirs = x * 3;
  }).join();
  std::thread([&] {
    sum(checkpoint([](const Tensor& h) { return h * h; }, theirs)).backward(true);
    EXPECT_EQ(x.grad().to_vector(), (Numbers{18, 36}));
  }).join();
  std::thread([&] {
    const Tensor y = checkpoint([&](const Tensor& h) { return h * theirs; }, leaf({1, 1}));
    EXPECT_EQ(error_of([&] { sum(y).backward(); }),
              "checkpoint: f uses the result (2) of 'mul', which it did not use before or which another thread "
              "computed; pass it to checkpoint() as an argument");
  }).join();
}

TEST(Checkpoint, RunsBackwardOnAnotherThreadWithTheSameNumbers) {
  const Tensor x = full({100}, 1, f64).requires_grad(true);
  const Tensor y = checkpoint([](const Tensor& h) { return dropout(h, 0.5); }, x);
  std::thread([&] { sum(y).backward(); }).join();
  EXPECT_EQ(x.grad().to_vector(), y.to_vector());
}

TEST(Checkpoint, LeavesEverythingAsItWasWhenFThrows) {
  const Tensor x = leaf({1, 2}), h = x * 2;
  int run = 0;
  const auto f = [&](const Tensor& in) {
    const Tensor y = dropout(in, 0.5);
    if (run++ % 2 == 1) fail("f: no");
    return y * 2;
  };
  const Tensor y = checkpoint(f, h);
  const std::string state = default_generator().state();
  EXPECT_EQ(error_of([&] { sum(y).backward(); }), "f: no");
  EXPECT_EQ(default_generator().state(), state);
  EXPECT_FALSE(h.grad().defined());
  sum(h * 5).backward();  // goes through h to x
  EXPECT_EQ(x.grad().to_vector(), (Numbers{10, 10}));
  run = 1;
  EXPECT_EQ(error_of([&] { checkpoint(f, x); }), "f: no");
}

TEST(Checkpoint, ErrorsNameTheOpInside) {
  const Tensor x = leaf({0, 1});
  const AnomalyMode watch({{"block.weight", x}});
  const Tensor y = checkpoint([](const Tensor& h) { return sqrt(h) * 2; }, x);
  EXPECT_THAT(error_of([&] { sum(y).backward(); }),
              AllOf(HasSubstr("sqrt: its backward made the gradient of input 0 inf"), HasSubstr("in block")));
  EXPECT_THAT(error_of([&] { checkpoint([](const Tensor& h) { return log(h) * 0; }, x); }),
              HasSubstr("log: its result"));
}

// ---- memory

TEST(Checkpoint, LeavesNoMemoryBehind) {
  const Tensor w = leaf({1.5, 0.7}), x = leaf({1, 2});
  const auto f = [w](const Tensor& h) { return tanh(h * w); };
  const auto use = [&] {
    sum(checkpoint(f, checkpoint(f, x))).backward();
    checkpoint(f, checkpoint(f, x));  // dropped without backward
    grad(sum(grad(sum(checkpoint(f, x)), {x}, {.create_graph = true})[0]), {w});
    w.zero_grad();
    x.zero_grad();
  };
  use();
  const std::size_t before = memory_stats().bytes_in_use;
  for (int i = 0; i < 3; ++i) use();
  EXPECT_EQ(memory_stats().bytes_in_use, before);
}

// Each f holds the result before it, beside the graph. Freeing them must not recurse.
TEST(Checkpoint, OfManyInARowIsFreed) {
  Tensor y = leaf({1});
  for (int i = 0; i < 50'000; ++i) y = checkpoint([y](const Tensor& h) { return h + y * 0; }, y);
  EXPECT_EQ(y.item(), 1);
}

}  // namespace
}  // namespace gradus::testing
