// Training on several ranks: the bits of one process, whatever the model, the optimizer and the number of ranks.
#include <cmath>
#include <limits>
#include <mutex>

#include <gradus/core/ops.h>
#include <gradus/models/gpt/cost.h>
#include <gradus/models/train/evaluate.h>
#include <gradus/models/train/trainer.h>
#include <gradus/nn/optim/muon.h>
#include <gradus/nn/optim/sgd.h>

#include "../../nn/distributed/thread_communicator.h"
#include "../helpers.h"

namespace gradus::models {
namespace {

using distributed::Communicator;
using gradus::testing::bits;
using gradus::testing::run_ranks;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::small_config;
using testing::words;
using Bits = std::vector<std::uint64_t>;

// Ragged, with dropout, tied weights and recomputed activations.
GPTConfig hard_config(const Dataset& data) {
  GPTConfig config = small_config(data.tokenizer().vocab_size());
  config.dropout = 0.2;
  config.attn_dropout = 0.1;
  config.checkpoint_activations = true;
  return config;
}

struct World {
  explicit World(std::uint64_t seed = 9)
      : lines(words(60)),
        data(lines, CharTokenizer::from_documents(lines), {.block_size = 8, .seed = 5}),
        model((manual_seed(seed), hard_config(data))) {}
  std::vector<std::string> lines;
  DocumentDataset data;
  GPT model;
};

// Everything that must be the same.
struct Outcome {
  std::vector<Bits> weights, state;
  std::vector<std::string> names;
  Bits losses, norms, evaluations;
  std::string generator;
  Index tokens = 0;
};

void expect_equal(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.names, b.names);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.norms, b.norms);
  EXPECT_EQ(a.evaluations, b.evaluations);
  EXPECT_EQ(a.generator, b.generator);
  EXPECT_EQ(a.tokens, b.tokens);
}

struct Setting {
  bool muon = false;
  Index micro_batches = 12;
  Index steps = 6;
  bool bf16 = false;
};

// What a checkpoint keeps.
struct Saved {
  nn::NamedTensors weights;
  TrainerState state;
};

std::unique_ptr<optim::Optimizer> optimizer_of(const GPT& model, const Setting& setting) {
  if (!setting.muon) return nullptr;
  std::vector<Tensor> matrices = model.parameters();
  std::erase_if(matrices, [](const Tensor& param) { return param.rank() != 2; });
  return std::make_unique<optim::Muon>(matrices);
}

Outcome run(Communicator& all, const Setting& setting, Index until, const Saved& from, Saved* end) {
  World world(all.rank() == 0 ? 9 : 17);  // rank 0's weights and generator count
  if (setting.muon) {                     // what it does not train
    for (Tensor& param : world.model.parameters()) param.requires_grad(param.rank() == 2);
  }
  const TrainOptions options{.steps = setting.steps,
                             .batch_size = 3,
                             .accumulation = setting.micro_batches / all.size(),
                             .lr = 0.01,
                             .warmup = 2,
                             .clip = 0.5};
  for (auto& [name, param] : world.model.named_parameters()) {
    for (const auto& [saved, value] : from.weights) {
      if (saved == name) param.copy_(value);
    }
  }
  Trainer trainer(world.model, world.data, options, all, optimizer_of(world.model, setting),
                  {.bucket_bytes = 1000, .bf16 = setting.bf16});
  if (!from.weights.empty()) trainer.set_state(from.state);
  Outcome outcome;
  while (trainer.steps_done() < until) {
    const StepReport report = trainer.steps_done() % 2 == 0 ? trainer.step_before_another() : trainer.step();
    outcome.losses.push_back(std::bit_cast<std::uint64_t>(report.loss));
    outcome.norms.push_back(std::bit_cast<std::uint64_t>(report.grad_norm));
  }
  trainer.finish_weights();
  for (const Index sequences : {0, 3}) {
    const EvaluateOptions how{.sequences = sequences, .communicator = &all};
    const Evaluation result = evaluate(world.model, world.data, Part::held_out, how);
    const Judgement more = judge(world.model, world.data, Part::train, how);
    const Bits numbers =
        bits({result.loss, result.margin, static_cast<double>(result.tokens), more.loss.value, more.loss.margin,
              more.accuracy.value, more.loss_per_byte.value, more.loss_per_character.margin});
    outcome.evaluations.insert(outcome.evaluations.end(), numbers.begin(), numbers.end());
  }
  const TrainerState state = trainer.state();
  for (const Tensor& param : world.model.parameters()) outcome.weights.push_back(bits(param));
  for (const auto& [name, value] : state.optimizer) {
    outcome.names.push_back(name);
    outcome.state.push_back(bits(value));
  }
  outcome.generator = state.generator;
  outcome.tokens = state.tokens;
  if (end != nullptr && all.rank() == 0) {
    end->state = state;
    for (const auto& [name, value] : world.model.named_parameters()) {
      end->weights.emplace_back(name, value.detach().clone());
    }
  }
  return outcome;
}

// Rank 0's outcome; the others' is checked against it.
Outcome train(int ranks, const Setting& setting, Index until, const Saved& from = {}, Saved* end = nullptr) {
  std::vector<Outcome> outcomes(static_cast<std::size_t>(ranks));
  run_ranks(ranks, [&](Communicator& all) {
    outcomes[static_cast<std::size_t>(all.rank())] = run(all, setting, until, from, end);
  });
  for (Outcome& other : outcomes) {
    other.state = outcomes[0].state;  // only rank 0 has it
    other.names = outcomes[0].names;
    expect_equal(other, outcomes[0]);
  }
  return outcomes[0];
}

TEST(DistributedTraining, GivesTheSameBitsForAnyNumberOfRanks) {
  for (const bool muon : {false, true}) {
    SCOPED_TRACE(muon);
    const Setting setting{.muon = muon};
    const Outcome one = train(1, setting, setting.steps);
    EXPECT_NE(one.losses.front(), one.losses.back());
    for (const int ranks : {2, 3, 4, 12}) {
      SCOPED_TRACE(ranks);
      expect_equal(train(ranks, setting, setting.steps), one);
    }
  }
}

TEST(DistributedTraining, GoesOnWithAnotherNumberOfRanks) {
  const Setting setting;
  const Outcome whole = train(1, setting, 6);
  Saved two, five;
  train(4, setting, 2, {}, &two);
  train(1, setting, 5, two, &five);
  Outcome resumed = train(3, setting, 6, five);
  EXPECT_EQ(resumed.losses.back(), whole.losses.back());
  resumed.losses = whole.losses;
  resumed.norms = whole.norms;
  expect_equal(resumed, whole);
}

TEST(DistributedTraining, WithBf16ItHasItsOwnBitsForAnyNumberOfRanks) {
  const Setting setting{.steps = 3, .bf16 = true};
  const Outcome one = train(1, setting, 3);
  EXPECT_NE(one.weights, train(1, {.steps = 3}, 3).weights);
  expect_equal(train(3, setting, 3), one);
}

// In one process: every micro-batch by itself, and the sum in their order.
TEST(DistributedTraining, AccumulationAddsTheGradientsOfMicroBatchesInOrder) {
  struct Gradients : StepWatcher {
    explicit Gradients(const GPT& watched) : model(watched) {}
    void before_update(Index) override {
      for (const Tensor& param : model.parameters()) seen.push_back(bits(param.grad()));
    }
    void after_update(Index) override {}
    const GPT& model;
    std::vector<Bits> seen;
  };
  World world, by_hand;
  GPTConfig plain = by_hand.model.config();
  plain.dropout = plain.attn_dropout = 0;
  manual_seed(4);
  GPT model(plain), twin(plain);
  const auto from = model.parameters(), to = twin.parameters();
  for (std::size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);

  Trainer trainer(model, world.data, {.steps = 1, .batch_size = 3, .accumulation = 3});
  Gradients watcher(model);
  trainer.watch(&watcher);
  trainer.step();

  std::vector<Batch> batches(3);
  double tokens = 0;
  for (Batch& batch : batches) {
    by_hand.data.next(3, batch);
    tokens += static_cast<double>(batch.tokens.size());
  }
  std::vector<Tensor> sums(to.size());
  for (const Batch& batch : batches) {
    twin.zero_grad();
    const double weight = static_cast<double>(batch.tokens.size()) / tokens;
    (cross_entropy(twin(batch.tokens, batch.lengths), batch.targets) * weight).backward();
    for (std::size_t i = 0; i < to.size(); ++i) {
      sums[i] = sums[i].defined() ? sums[i] + to[i].grad() : to[i].grad().clone();
    }
  }
  ASSERT_EQ(watcher.seen.size(), sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(watcher.seen[i], bits(sums[i])) << i;
}

// Of several batches, whose number the ranks need not divide.
TEST(DistributedTraining, EvaluationIsTheSameForAnyNumberOfRanks) {
  const std::vector<std::string> lines = words(3000);
  std::vector<Bits> found;
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, [&](Communicator& all) {
      DocumentDataset data(lines, CharTokenizer::from_documents(lines), {.block_size = 8, .seed = 5});
      manual_seed(1);
      GPT model(small_config(data.tokenizer().vocab_size()));
      Bits numbers;
      for (const Index sequences : {0, 1900}) {
        const EvaluateOptions how{.sequences = sequences, .communicator = &all};
        const Evaluation result = evaluate(model, data, Part::train, how);
        EXPECT_GT(result.tokens, 2 * judged_tokens(model.config()));
        const Judgement more = judge(model, data, Part::train, how);
        const Bits some = bits({result.loss, result.margin, static_cast<double>(result.tokens),
                                static_cast<double>(result.sequences), more.loss.value, more.loss.margin,
                                more.accuracy.value, more.loss_per_byte.margin, more.loss_per_character.value});
        numbers.insert(numbers.end(), some.begin(), some.end());
      }
      static std::mutex mutex;
      const std::lock_guard lock(mutex);
      found.push_back(numbers);
    });
  }
  ASSERT_EQ(found.size(), 6U);
  for (const Bits& numbers : found) EXPECT_EQ(numbers, found[0]);
}

TEST(DistributedTraining, SkippedSequencesAreThoseThatNextReads) {
  World a, b;
  Batch batch;
  for (int i = 0; i < 30; ++i) {  // several epochs
    a.data.next(7, batch);
    EXPECT_EQ(b.data.skip(7), static_cast<Index>(batch.tokens.size()));
  }
  EXPECT_EQ(a.data.state().generator, b.data.state().generator);
  EXPECT_EQ(a.data.epoch(), b.data.epoch());
  Batch after;
  a.data.next(7, batch);
  b.data.next(7, after);
  EXPECT_EQ(after.tokens, batch.tokens);
}

TEST(DistributedTraining, RefusesRanksThatDiffer) {
  const auto with = [](const std::function<void(World&, TrainOptions&)>& change) {
    return error_of([&] {
      run_ranks(2, [&](Communicator& all) {
        World world;
        TrainOptions options{.steps = 2, .batch_size = 2};
        if (all.rank() == 1) change(world, options);
        Trainer(world.model, world.data, options, all);
      });
    });
  };
  EXPECT_THAT(with([](World&, TrainOptions& options) { options.lr = 0.5; }),
              AllOf(HasSubstr("the list of training options of rank 1 on host1"), HasSubstr("the learning rate 0.5")));
  EXPECT_THAT(with([](World& world, TrainOptions&) { world.data.skip(1); }), HasSubstr("the dataset of rank 1"));
}

TEST(DistributedTraining, RefusesAWatcherOfTheStep) {
  struct Nothing : StepWatcher {
    void before_update(Index) override {}
    void after_update(Index) override {}
  } nothing;
  run_ranks(2, [&](Communicator& all) {
    World world;
    Trainer trainer(world.model, world.data, {.steps = 2, .batch_size = 2}, all);
    EXPECT_THAT(error_of([&] { trainer.watch(&nothing); }), HasSubstr("2 ranks cannot be recorded"));
    trainer.watch(nullptr);
  });
}

TEST(DistributedTraining, Rank0sClockEndsTheRunOfAll) {
  std::vector<Index> steps(2);
  run_ranks(2, [&](Communicator& all) {
    World world;
    Trainer trainer(world.model, world.data, {.seconds = 100, .batch_size = 2}, all);
    double now = 0;
    trainer.set_clock([&] { return now += all.rank() == 0 ? 6 : 50; });
    while (!trainer.done()) {
      trainer.spend(all.rank() == 0 ? 4 : 1000);
      trainer.step();
    }
    steps[static_cast<std::size_t>(all.rank())] = trainer.steps_done();
    EXPECT_EQ(trainer.seconds(), 100);
  });
  EXPECT_EQ(steps, (std::vector<Index>{10, 10}));
}

TEST(DistributedTraining, AllRanksNameTheCauseOfANonFiniteStep) {
  std::vector<std::string> errors(3);
  for (const int ranks : {1, 3}) {
    run_ranks(ranks, [&](Communicator& all) {
      World world;
      Trainer trainer(world.model, world.data, {.steps = 5, .batch_size = 2, .accumulation = 3 / all.size()}, all);
      trainer.step();
      Generator numbers(3);
      const Tensor& weight = world.model.h[1].mlp.c_fc.weight;
      weight.copy_(randn(weight.shape(), DType::f32, numbers) * 1e38);
      errors[static_cast<std::size_t>(all.rank())] = error_of([&] { trainer.step(); });
      EXPECT_EQ(trainer.steps_done(), 1);
      for (const Tensor& param : world.model.parameters()) EXPECT_FALSE(param.grad().defined());
    });
    EXPECT_THAT(errors[0], AllOf(HasSubstr("of step 2 is"), HasSubstr("h.1.mlp.c_fc")));
  }
  EXPECT_EQ(errors[1], errors[0]);
  EXPECT_EQ(errors[2], errors[0]);
}

}  // namespace
}  // namespace gradus::models
