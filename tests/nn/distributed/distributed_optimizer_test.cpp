// DistributedOptimizer: any number of ranks trains to the same bits, whatever the optimizer.
#include <gradus/nn/distributed/distributed_optimizer.h>

#include <limits>
#include <map>
#include <mutex>

#include <gradus/core/checkpoint.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/buffer.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/optim/adagrad.h>
#include <gradus/nn/optim/adam.h>
#include <gradus/nn/optim/adamax.h>
#include <gradus/nn/optim/clip.h>
#include <gradus/nn/optim/lbfgs.h>
#include <gradus/nn/optim/lion.h>
#include <gradus/nn/optim/muon.h>
#include <gradus/nn/optim/nadam.h>
#include <gradus/nn/optim/radam.h>
#include <gradus/nn/optim/rmsprop.h>
#include <gradus/nn/optim/sgd.h>

#include <gmock/gmock.h>

#include "../../sources.h"
#include "thread_communicator.h"

namespace gradus::testing {
namespace {

using distributed::Communicator;
using distributed::DistributedOptimizer;
using distributed::DistributedOptions;
using distributed::SingleProcess;
using optim::Optimizer;
using optim::ParamGroup;
using Groups = std::vector<ParamGroup>;
using Make = std::function<std::unique_ptr<Optimizer>(Groups)>;

// Large enough for several blocks and buckets.
constexpr Index width = 150;

// Layers of which the first is used twice, the second is recomputed in backward, and one is not used.
struct Net : nn::Module {
  Net() : first(width, width), second(width, width), last(width, 3), unused(5, 4) {}
  Tensor operator()(const Tensor& x) const {
    const Tensor h = tanh(first(x));
    const Tensor again = checkpoint([layer = second](const Tensor& in) { return relu(layer(in)); }, h);
    return last(tanh(first(again)));
  }
  void members(nn::Visitor& visit) const override {
    visit("first", first);
    visit("second", second);
    visit("last", last);
    visit("unused", unused);
  }
  nn::Linear first, second, last, unused;
};

template <class O, class Options>
Make maker(Options options) {
  return [options](Groups groups) { return std::make_unique<O>(std::move(groups), options); };
}

const std::map<std::string, Make>& makers() {
  static const std::map<std::string, Make> all{
      {"SGD", maker<optim::SGD>(optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true})},
      {"Adam", maker<optim::Adam>(optim::AdamOptions{.lr = 0.01, .amsgrad = true, .maximize = true})},
      {"AdamW", maker<optim::AdamW>(optim::AdamWOptions{.lr = 0.01})},
      {"Adamax", maker<optim::Adamax>(optim::AdamaxOptions{.lr = 0.01})},
      {"NAdam", maker<optim::NAdam>(optim::NAdamOptions{.lr = 0.01})},
      {"RAdam", maker<optim::RAdam>(optim::RAdamOptions{.lr = 0.01})},
      {"RMSprop", maker<optim::RMSprop>(optim::RMSpropOptions{.lr = 0.01, .momentum = 0.5, .centered = true})},
      {"Adagrad", maker<optim::Adagrad>(optim::AdagradOptions{.lr = 0.01, .initial_accumulator_value = 0.1})},
      {"Lion", maker<optim::Lion>(optim::LionOptions{.lr = 0.01})},
      {"Muon", maker<optim::Muon>(optim::MuonOptions{.lr = 0.01})},
  };
  return all;
}

// Matrices, then the rest, at another rate; Muon gets the matrices alone.
Groups groups_of(const nn::Module& net, const std::string& name) {
  Groups groups = optim::decay_groups(net, 0.1);
  groups[1].lr_scale = 0.5;
  if (name == "Muon") groups.resize(1);
  return groups;
}

struct Setting {
  std::string optimizer = "AdamW";
  int micro_batches = 12;  // of a step
  DistributedOptions options = {.bucket_bytes = 100'000};
  double max_norm = 0.5;
  double loss_scale = 1;
};

// Everything that must be the same.
struct Outcome {
  std::vector<std::vector<std::uint64_t>> weights, state;
  std::vector<std::string> names;
  std::vector<std::uint64_t> norms;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

void expect_equal(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.norms, b.norms);
  EXPECT_EQ(a.names, b.names);
  EXPECT_TRUE(a.weights == b.weights) << "the weights differ";
  EXPECT_TRUE(a.state == b.state) << "the state differs";
}

void add_state(Outcome& outcome, const nn::NamedTensors& state) {
  for (const auto& [name, value] : state) {
    outcome.names.push_back(fmt::format("{} {} {}", name, value.shape(), value.dtype()));
    outcome.state.push_back(bits(value));
  }
}

// Micro-batch `number` of a step: some use only a part of the net.
Tensor loss_of(const Net& net, int step, int number, double scale) {
  Generator numbers(static_cast<std::uint64_t>(1000 * step + number));
  const Tensor x = randn({2 + number % 3, width}, DType::f32, numbers);
  return mean(square(number % 4 == 3 ? net.last(x) : net(x))) * (scale / 12);
}

void train_step(const Net& net, DistributedOptimizer& optimizer, const Setting& setting, int step, Outcome& outcome) {
  const Communicator& all = optimizer.communicator();
  optimizer.zero_grad();
  for (int i = all.rank(); i < setting.micro_batches; i += all.size()) {
    const auto arriving = optimizer.arriving_weights();
    loss_of(net, step, i, setting.loss_scale).backward();
  }
  optimizer.finish_weights();
  std::vector<Tensor> clipped = net.parameters();
  if (setting.optimizer == "Muon") std::erase_if(clipped, [](const Tensor& param) { return param.rank() < 2; });
  outcome.norms.push_back(std::bit_cast<std::uint64_t>(optimizer.clip_grad_norm(clipped, setting.max_norm)));
  optimizer.set_lr(0.01 / (1 + step));
  optimizer.start_step();
}

// Every rank's outcome, the state rank 0's. `from`: begin with that state and these weights at `first_step`.
struct Start {
  int step = 0;
  nn::NamedTensors weights, state;
};
Outcome train(int ranks, const Setting& setting, int steps, const Start& from = {}, Start* end = nullptr) {
  Outcome result;
  std::mutex mutex;
  run_ranks(ranks, [&](Communicator& all) {
    const bool differ = setting.optimizer != "Muon" && from.weights.empty();  // rank 0's weights count
    manual_seed(static_cast<std::uint64_t>(7 + (differ ? all.rank() : 0)));
    Net net;
    for (const auto& [name, value] : from.weights) {
      for (auto& [own, param] : net.named_parameters()) {
        if (own == name) param.copy_(value);
      }
    }
    DistributedOptimizer optimizer(makers().at(setting.optimizer)(groups_of(net, setting.optimizer)), all,
                                   setting.options);
    if (!from.state.empty()) optimizer.set_state(from.state);
    Outcome outcome;
    for (int step = from.step; step < steps; ++step) train_step(net, optimizer, setting, step, outcome);
    optimizer.finish_weights();
    for (const Tensor& param : net.parameters()) outcome.weights.push_back(bits(param));
    const nn::NamedTensors state = optimizer.state();
    const std::lock_guard lock(mutex);
    if (all.rank() == 0) {
      add_state(outcome, state);
      if (end != nullptr) {
        end->step = steps;
        end->state = state;
        for (const auto& [name, value] : net.named_parameters())
          end->weights.emplace_back(name, value.detach().clone());
      }
      result.state = outcome.state;
      result.names = outcome.names;
    }
    if (result.weights.empty()) {
      result.weights = outcome.weights;
      result.norms = outcome.norms;
    }
    EXPECT_EQ(outcome.weights, result.weights) << "rank " << all.rank();
    EXPECT_EQ(outcome.norms, result.norms) << "rank " << all.rank();
  });
  return result;
}

TEST(DistributedOptimizer, IsTestedWithEveryOptimizer) {
  std::set<std::string> names;
  for (const auto& [name, make] : makers()) names.insert(name);
  names.insert("LBFGS");  // which it refuses
  EXPECT_EQ(names, declared_optimizers());
}

TEST(DistributedOptimizer, GivesTheSameBitsForAnyNumberOfRanks) {
  for (const auto& [name, make] : makers()) {
    SCOPED_TRACE(name);
    const Setting setting{.optimizer = name};
    const Outcome one = train(1, setting, 3);
    for (const int ranks : {2, 3, 4}) {
      SCOPED_TRACE(ranks);
      expect_equal(train(ranks, setting, 3), one);
    }
  }
}

// What one process does by hand: every micro-batch by itself, added in order.
TEST(DistributedOptimizer, GivesTheBitsOfTheSumOverMicroBatches) {
  manual_seed(7);
  const Net net;
  const auto optimizer = makers().at("AdamW")(groups_of(net, "AdamW"));
  Outcome expected;
  const Setting setting;
  for (int step = 0; step < 3; ++step) {
    std::vector<Tensor> sums(net.parameters().size());
    for (int i = 0; i < setting.micro_batches; ++i) {
      optimizer->zero_grad();
      loss_of(net, step, i, 1).backward();
      for (std::size_t p = 0; p < sums.size(); ++p) {
        const Tensor grad = net.parameters()[p].grad();
        if (grad.defined()) sums[p] = sums[p].defined() ? sums[p] + grad : grad.clone();
      }
    }
    for (std::size_t p = 0; p < sums.size(); ++p) {
      if (sums[p].defined()) net.parameters()[p].node().grad = sums[p].node().data;
    }
    expected.norms.push_back(std::bit_cast<std::uint64_t>(optim::clip_grad_norm(net.parameters(), setting.max_norm)));
    optimizer->set_lr(0.01 / (1 + step));
    optimizer->step();
  }
  for (const Tensor& param : net.parameters()) expected.weights.push_back(bits(param));
  add_state(expected, optimizer->state());
  for (const int ranks : {1, 3}) expect_equal(train(ranks, setting, 3), expected);
}

TEST(DistributedOptimizer, BucketsDoNotChangeTheBits) {
  const Outcome one = train(1, {}, 2);
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{1} << 30}) {
    SCOPED_TRACE(bytes);
    expect_equal(train(2, {.options = {.bucket_bytes = bytes}}, 2), one);
  }
}

TEST(DistributedOptimizer, NormsBeyondF32HaveTheSameBits) {
  for (const double scale : {1e18, 1e-22}) {
    const Setting setting{.optimizer = "SGD", .max_norm = 1e-3, .loss_scale = scale};
    const Outcome one = train(1, setting, 2);
    EXPECT_TRUE(std::isfinite(std::bit_cast<double>(one.norms[0])));
    EXPECT_GT(std::bit_cast<double>(one.norms[0]), 0);
    SCOPED_TRACE(scale);
    expect_equal(train(3, setting, 2), one);
  }
}

TEST(DistributedOptimizer, GoesOnWithAnotherNumberOfRanks) {
  for (const std::string name : {"AdamW", "Muon"}) {
    const Setting setting{.optimizer = name};
    const Outcome whole = train(1, setting, 4);
    Start middle, later;
    train(3, setting, 2, {}, &middle);
    train(1, setting, 3, middle, &later);
    const Outcome resumed = train(2, setting, 4, later);
    EXPECT_EQ(resumed.weights, whole.weights);
    EXPECT_EQ(resumed.state, whole.state);
    EXPECT_EQ(resumed.names, whole.names);
  }
}

TEST(DistributedOptimizer, WithBf16HasItsOwnBits) {
  const Setting setting{.options = {.bucket_bytes = 100'000, .bf16 = true}};
  const Outcome one = train(1, setting, 2);
  EXPECT_FALSE(one == train(1, {}, 2));
  for (const int ranks : {2, 4}) {
    SCOPED_TRACE(ranks);
    expect_equal(train(ranks, setting, 2), one);
  }
}

TEST(DistributedOptimizer, OneMicroBatchIsAnOrdinaryStep) {
  std::vector<std::vector<std::uint64_t>> expected, found;
  for (const bool wrapped : {false, true}) {
    manual_seed(3);
    const Net net;
    SingleProcess alone;
    auto inner = makers().at("AdamW")(groups_of(net, "AdamW"));
    Optimizer* const plain = inner.get();
    DistributedOptimizer optimizer(std::move(inner), alone, {.accumulation = 1});
    loss_of(net, 0, 0, 1).backward();
    EXPECT_TRUE(net.first.weight.grad().defined());
    if (wrapped) {
      optimizer.step();
    } else {
      plain->step();
    }
    for (const Tensor& param : net.parameters()) (wrapped ? found : expected).push_back(bits(param));
  }
  EXPECT_EQ(found, expected);
}

TEST(DistributedOptimizer, OfOneRankLeavesTheSumsInTheParameters) {
  manual_seed(3);
  const Net net;
  SingleProcess alone;
  DistributedOptimizer optimizer(makers().at("SGD")(groups_of(net, "SGD")), alone);
  for (int i = 0; i < 2; ++i) loss_of(net, 0, i, 1).backward();
  EXPECT_FALSE(net.last.weight.grad().defined());
  optimizer.finish_gradients();
  EXPECT_TRUE(net.last.weight.grad().defined());
  optimizer.zero_grad();
  EXPECT_FALSE(net.last.weight.grad().defined());
  loss_of(net, 0, 0, 1).backward();
  optimizer.zero_grad();  // what was not finished goes too
  optimizer.finish_gradients();
  EXPECT_FALSE(net.last.weight.grad().defined());
}

TEST(DistributedOptimizer, SendsAndKeepsAPartOnly) {
  std::vector<std::size_t> sent(2), kept(2);
  Index parameters = 0;
  run_ranks(2, [&](Communicator& all) {
    manual_seed(3);
    const Net net;
    DistributedOptimizer optimizer(makers().at("SGD")(groups_of(net, "SGD")), all, {.bucket_bytes = 100'000});
    loss_of(net, 0, 0, 1).backward();
    optimizer.finish_gradients();
    sent[static_cast<std::size_t>(all.rank())] = dynamic_cast<ThreadCommunicator&>(all).bytes_sent();
    if (all.rank() == 0) parameters = net.num_parameters();
  });
  const auto bytes = static_cast<std::size_t>(parameters) * sizeof(float);
  EXPECT_NEAR(static_cast<double>(sent[0] + sent[1]), static_cast<double>(bytes), 1000);
  EXPECT_NEAR(static_cast<double>(sent[0]), static_cast<double>(bytes) / 2, 70'000);  // a block
}

// All ranks together hold as much for the moments as one process does: each has a part.
TEST(DistributedOptimizer, SplitsTheMoments) {
  constexpr Index rows = 700, columns = 900;
  constexpr double one_moment = rows * columns * sizeof(float);
  for (const int ranks : {1, 2, 4}) {
    std::size_t before = 0, after = 0;
    run_ranks(ranks, [&](Communicator& all) {
      const nn::Linear layer(columns, rows, {.bias = false});
      DistributedOptimizer optimizer(std::make_unique<optim::AdamW>(layer.parameters()), all);
      all.barrier();
      if (all.rank() == 0) before = memory_stats().bytes_in_use;
      all.barrier();
      sum(layer(ones({1, columns}))).backward();
      optimizer.step();
      optimizer.zero_grad();
      all.barrier();
      if (all.rank() == 0) after = memory_stats().bytes_in_use;
      all.barrier();
    });
    const double grown = static_cast<double>(after) - static_cast<double>(before);
    EXPECT_NEAR(grown, 2 * one_moment, 0.2 * one_moment + 65'536.0 * ranks) << ranks;
  }
}

TEST(DistributedOptimizer, FrozenParametersStayAsTheyAre) {
  for (const int ranks : {1, 2}) {
    run_ranks(ranks, [](Communicator& all) {
      manual_seed(3);
      Net net;
      net.second.weight.requires_grad(false);
      const auto before = bits(net.second.weight);
      DistributedOptimizer optimizer(makers().at("AdamW")(groups_of(net, "AdamW")), all);
      loss_of(net, 0, 0, 1).backward();
      optimizer.clip_grad_norm(net.parameters(), 1);
      optimizer.step();
      EXPECT_EQ(bits(net.second.weight), before);
    });
  }
}

TEST(DistributedOptimizer, RefusesToClipWhatItDoesNotHave) {
  const std::string error = error_of([] {
    run_ranks(2, [](Communicator& all) {
      const Net net;
      DistributedOptimizer optimizer(makers().at("Muon")(groups_of(net, "Muon")), all);
      loss_of(net, 0, 0, 1).backward();
      optimizer.clip_grad_norm(net.parameters(), 1);
    });
  });
  expect_contains(error, "a parameter (150) has a gradient, but Muon did not train it");
}

TEST(DistributedOptimizer, RefusesParametersOfAnotherType) {
  run_ranks(2, [](Communicator& all) {
    Net net;
    DistributedOptimizer optimizer(makers().at("SGD")(groups_of(net, "SGD")), all);
    net.to(DType::f64);
    const Tensor x = ones({1, width}, DType::f64);
    expect_contains(error_of([&] { sum(net(x)).backward(); }), "is f64 now and was f32");
  });
}

TEST(DistributedOptimizer, RefusesAnotherThread) {
  SingleProcess alone;
  const Net net;
  DistributedOptimizer optimizer(makers().at("SGD")(groups_of(net, "SGD")), alone);
  std::thread([&] {
    loss_of(net, 0, 0, 1).backward();
    expect_contains(error_of([&] { optimizer.step(); }), "a thread uses it that did not make it");
  }).join();
}

TEST(DistributedOptimizer, RefusesWhatCannotBeSplit) {
  SingleProcess alone;
  const Net net;
  expect_contains(error_of([&] { DistributedOptimizer(std::make_unique<optim::LBFGS>(net.parameters()), alone); }),
                  "LBFGS updates all parameters together");
  expect_contains(error_of([&] { DistributedOptimizer(nullptr, alone); }), "there is no optimizer");
  const std::string error = error_of([&] {
    run_ranks(2, [&](Communicator& all) {
      const nn::Linear own(3, 2 + all.rank());
      DistributedOptimizer(std::make_unique<optim::SGD>(own.parameters()), all);
    });
  });
  expect_contains(error, "the list of parameters of rank 1 on host1");
}

TEST(DistributedOptimizer, AnErrorOfOneRankReachesTheOthers) {
  const std::string error = error_of([] {
    run_ranks(2, [](Communicator& all) {
      const Net net;
      DistributedOptimizer optimizer(makers().at("SGD")(groups_of(net, "SGD")), all);
      check(all.rank() == 0, "rank 1 cannot read its data");
      loss_of(net, 0, 0, 1).backward();
      optimizer.step();
    });
  });
  expect_contains(error, "rank 1 cannot read its data");
}

}  // namespace
}  // namespace gradus::testing
