// PostAccumulateGrad: which parameters are told, when, and how often; and OpWatcher::before().
#include <gradus/core/post_accumulate_grad.h>

#include <optional>
#include <stdexcept>

#include <gradus/core/checkpoint.h>
#include <gradus/core/ops.h>

#include <gmock/gmock.h>

#include "../support.h"
#include "ops/op_table.h"

namespace gradus::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Tensor leaf(double first) {
  return tensor({first, first + 1}, DType::f64).requires_grad(true);
}

// What was told, by the places of the parameters, and the gradients at that moment.
struct Told {
  explicit Told(const std::vector<Tensor>& params)
      : hook(
            params,
            [this, params](const Tensor& param) {
              const auto place = std::ranges::find(params, param.node_ptr(), &Tensor::node_ptr);
              order.push_back(static_cast<int>(place - params.begin()));
              gradients.push_back(bits(param.grad()));
            },
            [this] { ++done; }) {}
  int done = 0;
  std::vector<int> order;
  std::vector<std::vector<std::uint64_t>> gradients;
  PostAccumulateGrad hook;
};

// Each gradient was the whole one when it was told.
void expect_whole(const Told& told, const std::vector<Tensor>& params) {
  for (std::size_t i = 0; i < told.order.size(); ++i) {
    EXPECT_EQ(told.gradients[i], bits(params[static_cast<std::size_t>(told.order[i])].grad())) << i;
  }
}

TEST(PostAccumulateGrad, TellsWhatWasUsedLastFirst) {
  const std::vector<Tensor> p{leaf(1), leaf(2), leaf(3)};
  Told told(p);
  sum(exp(p[0]) * p[1] * p[2]).backward();
  EXPECT_THAT(told.order, ElementsAre(2, 1, 0));
  EXPECT_EQ(told.done, 1);
  expect_whole(told, p);
  const Tensor other = leaf(4);
  sum(exp(other)).backward();  // does not concern it
  EXPECT_EQ(told.done, 1);
}

TEST(PostAccumulateGrad, TellsATiedParameterAfterItsEarliestUse) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  Told told(p);
  sum(exp(p[0]) * p[1] * p[0]).backward();
  EXPECT_THAT(told.order, ElementsAre(1, 0));
  expect_whole(told, p);
}

TEST(PostAccumulateGrad, TellsNobodyOfWhatWasNotUsed) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  const Tensor other = leaf(3);
  Told told(p);
  sum(p[1] * other).backward();
  EXPECT_THAT(told.order, ElementsAre(1));
}

TEST(PostAccumulateGrad, TellsOfARootThatIsAParameter) {
  const Tensor x = tensor(2.0, DType::f64).requires_grad(true);
  Told told({x});
  x.backward();
  EXPECT_THAT(told.order, ElementsAre(0));
}

TEST(PostAccumulateGrad, TellsOnceForEachBackward) {
  const std::vector<Tensor> p{leaf(1)};
  Told told(p);
  const Tensor y = sum(p[0] * p[0]);
  y.backward(true);
  y.backward();
  EXPECT_THAT(told.order, ElementsAre(0, 0));
  EXPECT_NE(told.gradients[0], told.gradients[1]);
  expect_close(p[0].grad(), {4, 8});
}

TEST(PostAccumulateGrad, TellsWithCreateGraph) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  Told told(p);
  sum(exp(p[0]) * p[1] * p[0]).backward(BackwardOptions{.create_graph = true});
  EXPECT_THAT(told.order, ElementsAre(1, 0));
  expect_whole(told, p);
  for (const Tensor& each : p) each.zero_grad();
}

TEST(PostAccumulateGrad, IsSilentForGrad) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  Told told(p);
  for (const bool create_graph : {false, true}) {
    grad(sum(p[0] * p[1]), p, {.create_graph = create_graph});
  }
  EXPECT_THAT(told.order, IsEmpty());
  sum(p[0] * p[1]).backward();  // and not for what follows
  EXPECT_EQ(told.order.size(), 2U);
}

// Two segments with a parameter each, one that both share, one that is also used outside.
Tensor segments(const std::vector<Tensor>& p, bool checkpointed) {
  const auto run = [&](const Tensor& own, const Tensor& x) {
    const TensorFunction f = [own, shared = p[2], tied = p[3]](const Tensor& h) {
      return sigmoid(h * own + shared) * tied;
    };
    return checkpointed ? checkpoint(f, x) : f(x);
  };
  return sum(run(p[1], run(p[0], exp(p[3]))));
}

TEST(PostAccumulateGrad, WaitsForEveryCheckpointThatUsesAParameter) {
  for (const bool checkpointed : {false, true}) {
    const std::vector<Tensor> p{leaf(0.1), leaf(0.2), leaf(0.3), leaf(0.4)};
    Told told(p);
    segments(p, checkpointed).backward();
    ASSERT_EQ(told.order.size(), 4U);
    EXPECT_EQ(told.done, 1);
    EXPECT_EQ(told.order.front(), 1);  // the later segment's own, when that segment is done
    EXPECT_EQ(told.order.back(), 3);
    expect_whole(told, p);
  }
}

TEST(PostAccumulateGrad, WaitsForCheckpointsInsideOthers) {
  const std::vector<Tensor> p{leaf(0.1), leaf(0.2), leaf(0.3)};
  Told told(p);
  const TensorFunction inner = [w = p[0], s = p[2]](const Tensor& h) { return exp(h * w) * s; };
  const TensorFunction outer = [inner, w = p[1], s = p[2]](const Tensor& h) { return checkpoint(inner, h * s) * w; };
  sum(checkpoint(outer, exp(p[2]))).backward();
  ASSERT_EQ(told.order.size(), 3U);
  EXPECT_EQ(told.order.back(), 2);
  expect_whole(told, p);
}

TEST(PostAccumulateGrad, RefusesAParameterThatOnlyASecondRunUses) {
  const Tensor late = leaf(1), x = leaf(2);
  Told told({late});
  const auto runs = std::make_shared<int>(0);
  const TensorFunction f = [late, runs](const Tensor& h) { return ++*runs > 1 ? h * late / late.detach() : h * 1; };
  const Tensor y = sum(checkpoint(f, x) * late);
  expect_contains(error_of([&] { y.backward(); }), "did not use before");
}

TEST(PostAccumulateGrad, MayTakeAndDropTheGradient) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  std::vector<Tensor> taken;
  const PostAccumulateGrad hook(p, [&](const Tensor& param) {
    taken.push_back(param.grad());
    param.zero_grad();
  });
  for (int i = 0; i < 2; ++i) sum(exp(p[0]) * p[1] * p[0]).backward();
  ASSERT_EQ(taken.size(), 4U);
  EXPECT_EQ(bits(taken[0]), bits(taken[2]));
  EXPECT_EQ(bits(taken[1]), bits(taken[3]));
  for (const Tensor& each : p) EXPECT_FALSE(each.grad().defined());
}

TEST(PostAccumulateGrad, TellsNobodyAfterAnError) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  Told told(p);
  const Tensor y = exp(p[0]);
  const Tensor failing = record("failing", y.detach().clone(), {y},
                                [](const Node&, Inputs) { throw std::runtime_error("no derivative"); });
  const Tensor z = sum(failing * p[1]);
  EXPECT_THROW(z.backward(), std::runtime_error);
  EXPECT_THAT(told.order, ElementsAre(1));
  EXPECT_EQ(told.done, 0);
  told.order.clear();
  sum(p[0] * p[1]).backward();
  EXPECT_EQ(told.order.size(), 2U);
}

TEST(PostAccumulateGrad, WhatItThrowsEndsBackward) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  std::optional<PostAccumulateGrad> hook;
  hook.emplace(p, [](const Tensor&) { throw std::runtime_error("enough"); });
  EXPECT_THROW(sum(exp(p[0]) * p[1]).backward(), std::runtime_error);
  EXPECT_FALSE(p[0].grad().defined());
  hook.reset();
  sum(p[0]).backward();
  EXPECT_TRUE(p[0].grad().defined());
}

TEST(PostAccumulateGrad, MayRunBackwardItself) {
  const Tensor p = leaf(1), q = leaf(2);
  Told told({p, q});
  const PostAccumulateGrad hook({p}, [&](const Tensor& param) {
    param.zero_grad();
    sum(param * q).backward();
  });
  sum(p * 3).backward();
  EXPECT_THAT(told.order, ElementsAre(0));
  EXPECT_TRUE(q.grad().defined());
}

TEST(PostAccumulateGrad, SeveralMayLiveAndEndInAnyOrder) {
  const std::vector<Tensor> p{leaf(1), leaf(2)};
  auto first = std::make_unique<Told>(std::vector{p[0]});
  Told second({p[0], p[1]});
  sum(p[0] * p[1]).backward();
  EXPECT_EQ(first->order.size(), 1U);
  EXPECT_EQ(second.order.size(), 2U);
  first.reset();
  sum(p[0] * p[1]).backward();
  EXPECT_EQ(second.order.size(), 4U);
}

TEST(PostAccumulateGrad, RefusesWhatIsNoLeaf) {
  const auto nothing = [](const Tensor&) {};
  expect_contains(error_of([&] { PostAccumulateGrad({exp(leaf(1))}, nothing); }), "the result of an op");
  expect_contains(error_of([&] { PostAccumulateGrad({Tensor()}, nothing); }), "undefined");
  expect_contains(error_of([&] { PostAccumulateGrad({leaf(1)}, nullptr); }), "empty function");
}

// Before an op runs, all its tensors were shown.
struct Seen : OpWatcher {
  std::set<const Node*> begun;
  std::vector<std::string> missed;
  void before(const char* /*op*/, Inputs inputs) override {
    for (const Tensor& x : inputs) {
      if (x.defined()) begun.insert(&x.node());
    }
  }
  void on_forward(const char* op, const Tensor& /*y*/, Inputs inputs) override {
    for (const Tensor& x : inputs) {
      if (x.defined() && x.is_leaf() && x.requires_grad() && !begun.contains(&x.node())) missed.emplace_back(op);
    }
  }
};

TEST(OpWatcher, SeesTheInputsOfEveryOpBeforeItRuns) {
  for (const OpRow& row : op_table()) {
    SCOPED_TRACE(row.name());
    std::vector<Tensor> x;
    for (const Array& input : make_inputs(row, row.shapes)) {
      x.push_back(tensor(input.values, input.shape, DType::f64).requires_grad(true));
    }
    Seen seen;
    row.f(x);
    EXPECT_THAT(seen.missed, IsEmpty());
  }
}

}  // namespace
}  // namespace gradus::testing
