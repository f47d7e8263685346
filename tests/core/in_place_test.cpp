// Values that change between an op and its backward(): an error that names the op, the input and what wrote, unless
// the op does not need them.
#include <gradus/core/autograd.h>
#include <gradus/core/inspect/anomaly.h>
#include <gradus/core/ops.h>
#include <gradus/core/ops/update.h>

#include <cmath>
#include <functional>
#include <thread>

#include "../support.h"

namespace gradus::testing {
namespace {

constexpr DType f64 = DType::f64;

Tensor leaf(std::initializer_list<double> values) {
  return tensor(values, f64).requires_grad(true);
}

void descend(const Tensor& x, const Tensor& grad) {
  const SgdStep step{.lr = 0.1, .momentum = 0, .dampening = 0, .weight_decay = 0, .nesterov = false, .first = true};
  sgd_update(x, {}, grad, step);
}

TEST(InPlace, WritingAnInputThatBackwardNeedsIsAnError) {
  const Tensor x = leaf({5});
  const Tensor y = x * x, z = y * y;
  y.copy_(y.detach() + 1);
  EXPECT_EQ(error_of([&] { z.backward(); }),
            "mul: backward needs its input 0 (1) as it was when the op ran, but copy_ has changed it since; call "
            "backward() before the change, compute the loss again after it, or change a clone()");
}

TEST(InPlace, WritingAResultThatBackwardNeedsIsAnError) {
  const Tensor x = leaf({1, 2});
  const Tensor y = exp(x), loss = sum(y);
  y.fill_(3);
  expect_contains(error_of([&] { loss.backward(); }),
                  "exp: backward needs its result (2) as it was when the op ran, "
                  "but fill_ has changed it since");
}

TEST(InPlace, TheErrorNamesTheInputThatChanged) {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor loss = sum(a * b);
  b.fill_(0);
  expect_contains(error_of([&] { loss.backward(); }), "mul: backward needs its input 1 (2)");
  EXPECT_NO_THROW(sum(a * b).backward());  // nothing is left behind
}

// Every function that writes in place, and what it is called in the error.
TEST(InPlace, EveryWriterIsNamed) {
  struct Writer {
    const char* name;
    std::function<void(const Tensor&)> write;
  };
  const Writer writers[] = {
      {"fill_", [](const Tensor& x) { x.fill_(1); }},
      {"copy_", [](const Tensor& x) { x.copy_(zeros_like(x)); }},
      {"my own loop",
       [](const Tensor& x) {
         x.data<double>()[0] = 7;
         x.mark_written("my own loop");
       }},
      {"scale_", [](const Tensor& x) { scale_(x, 2); }},
      {"SGD", [](const Tensor& x) { descend(x, ones_like(x)); }},
      {"Adam",
       [](const Tensor& x) {
         adam_update(x, zeros_like(x), zeros_like(x), ones_like(x),
                     {.lr = 0.1,
                      .beta1 = 0.9,
                      .beta2 = 0.99,
                      .eps = 1e-8,
                      .weight_decay = 0,
                      .decoupled = false,
                      .bias_correction1 = 1,
                      .bias_correction2 = 1});
       }},
  };
  for (const Writer& writer : writers) {
    const Tensor x = leaf({1, 2});
    const Tensor loss = sum(x * x);
    writer.write(x);
    expect_contains(error_of([&] { loss.backward(); }), std::string("but ") + writer.name + " has changed it since");
  }
}

TEST(InPlace, AnUpdateOfAParameterIsNamedAsItIsWritten) {
  Tensor w = leaf({1, 2});
  const Tensor loss = sum(w * w);
  {
    const NoGrad guard;
    w -= w * 0.5;
  }
  expect_contains(error_of([&] { loss.backward(); }), "but -= has changed it since");
}

// What another thread computes with the same values is none of this one's business.
TEST(InPlace, ARefusalStaysOnItsThread) {
  const Tensor x = leaf({1, 2}), shared = tensor({3, 4}, f64);
  Tensor z = zeros_like(x);
  z = record("asks_a_thread", z, {x, shared}, [&](const Node&, Inputs) {
    std::thread([&] { EXPECT_NO_THROW(exp(shared)); }).join();
    EXPECT_NO_THROW(exp(x.detach()));
  });
  shared.fill_(5);
  EXPECT_NO_THROW(sum(z).backward());
}

// A backward inside the op's own, with a guard of its own, ends.
TEST(InPlace, ARefusalOutlivesABackwardInside) {
  const Tensor x = leaf({1, 2}), other = leaf({3, 4});
  const AnomalyMode watch;  // every backward has a guard
  Tensor z = zeros_like(x);
  z = record("runs_another", z, {x}, [other](const Node&, Inputs in) {
    sum(other * other).backward();
    in[0].values<double>();
  });
  x.fill_(5);
  expect_contains(error_of([&] { sum(z).backward(); }), "runs_another: backward needs its input 0 (2)");
}

// A backward that ends in an error leaves no gradient that nobody wrote.
TEST(InPlace, ARefusedBackwardLeavesNoGradientBehind) {
  const auto refused = [](const std::function<Tensor(const Tensor&)>& f, bool writes_result) {
    for (int i = 0; i < 8; ++i) full({2, 2}, 777, f64);  // what the pool hands out next
    const Tensor x = tensor({1, 2, 3, 4}, {2, 2}, f64).requires_grad(true);
    const Tensor y = f(x);
    (writes_result ? y : x).fill_(2);
    EXPECT_THROW(sum(y).backward(), Error);
    EXPECT_FALSE(x.grad().defined());
    sum(x * 2).backward();
    EXPECT_EQ(x.grad().to_vector(), std::vector<double>(4, 2));
  };
  refused([](const Tensor& x) { return exp(x); }, true);
  refused([](const Tensor& x) { return sin(x); }, false);
  refused([](const Tensor& x) { return matmul(x, x); }, false);
  refused([](const Tensor& x) { return softmax(x); }, true);
  refused([](const Tensor& x) { return layer_norm(x); }, false);
  const Tensor x = leaf({1, 2});
  sum(x * 3).backward();
  const Tensor loss = sum(x * x);
  x.fill_(7);
  EXPECT_THROW(loss.backward(), Error);
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{3, 3}));
}

TEST(InPlace, SharedMemoryIsWrittenByEachOfItsTensors) {
  const Tensor x = leaf({1, 2});
  for (const auto& write : {std::function([&] { x.detach().fill_(3); }), std::function([&] {
                              const NoGrad guard;
                              reshape(x, {2, 1}).fill_(3);
                            })}) {
    const Tensor loss = sum(x * x);
    write();
    EXPECT_THROW(loss.backward(), Error);
  }
}

TEST(InPlace, WritingWhatBackwardDoesNotReadIsAllowed) {
  Tensor x = leaf({1, 2}), c = tensor({3, 4}, f64);
  const Tensor loss = sum(x + c);  // the gradient of a sum is 1, whatever was added
  c.fill_(0);
  x.fill_(0);
  EXPECT_NO_THROW(loss.backward());
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{1, 1}));
  const Tensor product = sum(x * c);
  x.requires_grad(false);
  x.fill_(1);
  EXPECT_NO_THROW(product.backward());  // nobody wants a gradient any more
}

TEST(InPlace, AnOpSeesWhatWasWrittenBeforeIt) {
  const Tensor x = leaf({1, 2});
  x.fill_(4);
  sum(x * x).backward();
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{8, 8}));
}

TEST(InPlace, TrainingAndRetainedGraphsStayLegal) {
  const Tensor w = leaf({1, 2});
  for (int step = 0; step < 3; ++step) {
    w.zero_grad();
    const Tensor loss = sum(w * w);
    loss.backward(true);
    EXPECT_NO_THROW(loss.backward());
    descend(w, w.grad());
  }
  const Tensor loss = sum(w * w);
  loss.backward(true);
  descend(w, w.grad());
  EXPECT_THROW(loss.backward(), Error);  // the second would mix old and new weights
}

// A gradient is memory too: backward() adds to it.
TEST(InPlace, AGradientThatIsPartOfAnotherGraphIsNoticed) {
  const Tensor x = leaf({1, 2}), y = leaf({3, 4});
  sum(x * x).backward();
  const Tensor penalty = sum(x.grad() * y);
  sum(x * x).backward();  // x.grad() is another one now
  expect_contains(error_of([&] { penalty.backward(); }), "but backward has changed it since");
}

TEST(InPlace, AnotherThreadsWriteIsNoticed) {
  const Tensor x = leaf({1, 2});
  Tensor loss;
  for (int i = 0; i < 100; ++i) loss = sum(x * x);  // this thread's clock is far ahead of the other's
  std::thread([&] { x.fill_(3); }).join();
  EXPECT_THROW(loss.backward(), Error);
  std::thread([&] {
    for (int i = 0; i < 1000; ++i) zeros({1});  // and now the other way round
    x.fill_(2);
  }).join();
  EXPECT_NO_THROW(sum(x * x).backward());
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{4, 4}));
}

TEST(InPlace, AnOpThatFillsItsResultBeforeRecordIsFine) {
  const Tensor x = leaf({1, 2});
  Tensor y = zeros_like(x);
  const Tensor earlier = y * x;  // an op has recorded what was there before
  y.copy_(x * 3);
  y = record("triple", y, {x}, [](const Node& out, Inputs in) {
    for (Index i = 0; i < out.numel(); ++i) in[0].grad_or_null<double>()[i] += 3 * out.grad_or_null<double>()[i];
    EXPECT_EQ(out.values<double>()[1], 6);
  });
  EXPECT_NO_THROW(sum(y).backward());
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{3, 3}));
}

TEST(InPlace, AnomalyModeFindsWritesThroughData) {
  const Tensor x = leaf({1, 2}), y = leaf({3, 4});
  {
    const AnomalyMode watch;
    const Tensor loss = sum(x * y);
    y.data<double>()[1] = 9;
    expect_contains(error_of([&] { loss.backward(); }),
                    "mul: backward needs its input 1 (2) as it was when the op ran, but a write through data() has "
                    "changed it since");
    const Tensor again = sum(x * y);
    EXPECT_NO_THROW(again.backward(true));
    x.data<double>()[0] = 5;
    EXPECT_THROW(again.backward(), Error);
    const Tensor other = sum(x + y);
    x.data<double>()[0] = 6;
    EXPECT_NO_THROW(other.backward());
  }
  const Tensor loss = sum(x * y);
  y.data<double>()[1] = 9;
  EXPECT_NO_THROW(loss.backward());  // nobody looked
}

// ---- the weight of backward()

TEST(Backward, TakesItsOwnGradientAsWeight) {
  const Tensor x = leaf({1, 2, 3});
  sum(x * x).backward();  // gradient 2 x
  (x * x).backward(x.grad());
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{2 + 4, 4 + 16, 6 + 36}));
  const Tensor y = leaf({1, 2, 3});
  sum(y * y).backward();
  y.backward(y.grad());
  EXPECT_EQ(y.grad().to_vector(), (std::vector<double>{4, 8, 12}));
}

// An op that reads a gradient while it adds to that gradient reads it as it was before.
TEST(Backward, ReadsAGradientThatItAddsTo) {
  const auto f = [](const std::function<Tensor(const Tensor& g, const Tensor& w)>& op, bool apart) {
    Generator generator(3);
    const Tensor w = randn({40, 40}, DType::f32, generator).requires_grad(true);
    sum(w * w).backward();
    const Tensor g = apart ? w.grad().detach().clone() : w.grad();
    op(g, w).backward(randn({40, 40}, DType::f32, generator));
    return w.grad().to_vector();
  };
  const std::function<Tensor(const Tensor&, const Tensor&)> ops[] = {
      [](const Tensor& g, const Tensor& w) { return matmul(g, w); },
      [](const Tensor& g, const Tensor& w) { return linear(g, w); },
      [](const Tensor& g, const Tensor& w) { return g * w; },
      [](const Tensor& g, const Tensor& w) { return scaled_dot_product_attention(g, w, w); },
  };
  for (const auto& op : ops) {
    const std::vector<double> together = f(op, false), apart = f(op, true);
    for (std::size_t i = 0; i < apart.size(); ++i) EXPECT_NEAR(together[i], apart[i], 1e-4 * std::abs(apart[i]) + 1e-4);
  }
}

TEST(Backward, LeavesItsWeightAsItWas) {
  const Tensor x = leaf({1, 2, 3}), weight = tensor({4, 5, 6}, f64), view = weight.detach();
  (x * x).backward(weight);
  (x * x).backward(x);
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{8 + 2, 20 + 8, 36 + 18}));
  EXPECT_EQ(weight.to_vector(), (std::vector<double>{4, 5, 6}));
  EXPECT_EQ(x.to_vector(), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(view.to_vector(), (std::vector<double>{4, 5, 6}));
}

}  // namespace
}  // namespace gradus::testing
