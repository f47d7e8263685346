// Trainer and evaluation: accumulation, repeatability, what stops a run, and that it learns.
#include <gradus/models/train/trainer.h>

#include <cmath>
#include <limits>
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/anomaly.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/buffer.h>
#include <gradus/core/runtime/parallel.h>
#include <gradus/models/train/evaluate.h>
#include <gradus/models/train/unsuspended_clock.h>
#include <gradus/nn/optim/sgd.h>

#include "../command.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using testing::error_of;
using testing::figure;
using ::testing::HasSubstr;
using testing::small_config;
using testing::words;

// A model and the data that it learns, both from fixed seeds.
struct World {
  explicit World(DType dtype = DType::f32, double dropout = 0)
      : lines(words(60)),
        data(lines, CharTokenizer::from_documents(lines), {.block_size = 8, .seed = 5}),
        model(make(dropout)) {
    model.to(dtype);
  }
  GPT make(double dropout) const {
    manual_seed(9);
    GPTConfig config = small_config(data.tokenizer().vocab_size());
    config.dropout = dropout;
    return GPT(config);
  }
  std::vector<double> weights() const {
    std::vector<double> result;
    for (const Tensor& parameter : model.parameters()) {
      const auto values = parameter.to_vector();
      result.insert(result.end(), values.begin(), values.end());
    }
    return result;
  }
  std::vector<std::string> lines;
  DocumentDataset data;
  GPT model;
};

TEST(Trainer, TellsAnomalyModeTheStep) {
  World world;
  Trainer trainer(world.model, world.data, {.steps = 5, .batch_size = 4, .lr = 1e-3});
  const AnomalyMode watch(world.model.named_parameters());
  trainer.step();
  for (const auto& [name, parameter] : world.model.named_parameters()) {
    if (name == "h.1.mlp.c_fc.weight") parameter.copy_(randn(parameter.shape()) * 1e38);
  }
  const std::string error = error_of([&] { trainer.step(); });
  EXPECT_THAT(error, AllOf(HasSubstr("linear: its result"), HasSubstr("; in h.1.mlp.c_fc; step 2;")));
}

TEST(Trainer, AccumulatedRaggedBatchesEqualOneLargeBatch) {
  World large(DType::f64), accumulated(DType::f64);
  Trainer a(large.model, large.data, {.steps = 5, .batch_size = 12, .lr = 0.01});
  Trainer b(accumulated.model, accumulated.data, {.steps = 5, .batch_size = 4, .accumulation = 3, .lr = 0.01});
  for (int i = 0; i < 5; ++i) {
    const StepReport x = a.step(), y = b.step();
    EXPECT_EQ(x.tokens, y.tokens);
    EXPECT_NEAR(x.loss, y.loss, 1e-13);
    EXPECT_NEAR(x.grad_norm, y.grad_norm, 1e-12);
  }
  const auto x = large.weights(), y = accumulated.weights();
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-9);  // Adam enlarges what rounding leaves
}

TEST(Trainer, TakesAnyOptimizer) {
  // SGD without momentum, by hand: p -= lr g, with the rate of the schedule and not the optimizer's own.
  World given(DType::f64), by_hand(DType::f64);
  const TrainOptions options{.steps = 4, .batch_size = 4, .lr = 0.1, .min_lr = 0.02, .clip = 0};
  Trainer trainer(given.model, given.data, options,
                  std::make_unique<optim::SGD>(given.model.parameters(), optim::SGDOptions{.lr = 7}));
  for (int i = 0; i < 4; ++i) {
    Batch batch;
    by_hand.data.next(4, batch);
    accumulate_gradients(by_hand.model, std::span(&batch, 1));
    const StepReport report = trainer.step();
    const NoGrad no_grad;
    for (Tensor& parameter : by_hand.model.parameters()) {
      parameter.copy_(parameter - report.lr * parameter.grad());
      parameter.zero_grad();
    }
  }
  const auto x = given.weights(), y = by_hand.weights();
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-14);
}

// What it does not train keeps no gradient from step to step either.
TEST(Trainer, TakesAnOptimizerOfSomeParameters) {
  World given(DType::f64);
  const std::vector<Tensor> all = given.model.parameters();
  Trainer trainer(given.model, given.data, {.steps = 2, .batch_size = 4},
                  std::make_unique<optim::SGD>(std::vector<Tensor>{all.front()}, optim::SGDOptions{}));
  trainer.step();
  for (const Tensor& parameter : all) EXPECT_FALSE(parameter.grad().defined());
}

// All batches of sequences [begin, end) of the training part.
Batch sequences(const Dataset& data, Index begin, Index end) {
  Batch batch;
  for (Index i = begin; i < end; ++i) data.append(Part::train, i, batch);
  return batch;
}

TEST(Trainer, HoweverTheBatchIsCutTheGradientIsTheSame) {
  World s(DType::f64);
  const auto gradient = [&](const std::vector<Index>& sizes, double smoothing) {
    std::vector<Batch> batches;
    Index begin = 0;
    for (const Index size : sizes) {
      batches.push_back(sequences(s.data, begin, begin + size));
      begin += size;
    }
    s.model.zero_grad();
    std::vector<std::vector<double>> result{{accumulate_gradients(s.model, batches, smoothing)}};
    for (const Tensor& parameter : s.model.parameters()) result.push_back(parameter.grad().to_vector());
    return result;
  };
  double worst = 0;
  for (const double smoothing : {0.0, 0.1}) {
    const auto whole = gradient({32}, smoothing);
    for (const auto& sizes : {std::vector<Index>(8, 4), std::vector<Index>{5, 11, 16}}) {
      const auto cut = gradient(sizes, smoothing);
      for (std::size_t t = 0; t < whole.size(); ++t) {
        double largest = 0, difference = 0;
        for (std::size_t i = 0; i < whole[t].size(); ++i) {
          largest = std::max(largest, std::abs(whole[t][i]));
          difference = std::max(difference, std::abs(cut[t][i] - whole[t][i]));
        }
        EXPECT_GT(largest, 0) << t;
        worst = std::max(worst, difference / largest);
      }
    }
  }
  EXPECT_LT(worst, 1e-12);
  figure("accumulation",
         fmt::format("32 sequences as 8 x 4 and as 5 + 11 + 16, with and without label smoothing: loss and gradients "
                     "differ by {:.1e} of each tensor's largest at most (f64)",
                     worst));
}

TEST(Trainer, LabelSmoothing) {
  World s(DType::f64);
  const Batch batch = sequences(s.data, 0, 6);
  constexpr double part = 0.2;
  const Tensor log_p = log_softmax(s.model(batch.tokens, batch.lengths));
  const auto values = log_p.to_vector();
  const auto vocabulary = static_cast<std::size_t>(log_p.size(-1));
  double expected = 0;
  for (std::size_t row = 0; row < batch.targets.size(); ++row) {
    for (std::size_t k = 0; k < vocabulary; ++k) {
      const double target =
          (std::cmp_equal(k, batch.targets[row]) ? 1 - part : 0) + part / static_cast<double>(vocabulary);
      expected -= target * values[row * vocabulary + k] / static_cast<double>(batch.targets.size());
    }
  }
  EXPECT_NEAR(accumulate_gradients(s.model, std::span(&batch, 1), part), expected, 1e-13);
}

TEST(Trainer, AStepIsForwardBackwardClipAdamW) {
  World trained(DType::f64), by_hand(DType::f64);
  constexpr double clip = 0.2;
  Trainer trainer(trained.model, trained.data,
                  {.steps = 4,
                   .batch_size = 5,
                   .lr = 0.01,
                   .schedule = optim::Schedule::constant,
                   .weight_decay = 0.1,
                   .clip = clip});
  optim::AdamW optimizer(optim::decay_groups(by_hand.model, 0.1),
                         {.lr = 0.01, .betas = {0.9, 0.99}, .weight_decay = 0.1});
  Batch batch;
  while (!trainer.done()) {
    const StepReport report = trainer.step();
    by_hand.data.next(5, batch);
    const Tensor loss = cross_entropy(by_hand.model(batch.tokens, batch.lengths), batch.targets);
    loss.backward();
    EXPECT_NEAR(report.grad_norm, optim::clip_grad_norm(by_hand.model.parameters(), clip), 1e-12);
    EXPECT_GT(report.grad_norm, clip);
    optimizer.step();
    optimizer.zero_grad();
    EXPECT_NEAR(report.loss, loss.item(), 1e-13);
  }
  EXPECT_EQ(trained.weights(), by_hand.weights());
}

TEST(Trainer, LossFallsAndTheScheduleIsFollowed) {
  World s;
  const double before = evaluate(s.model, s.data, Part::train).loss;
  Trainer trainer(
      s.model, s.data,
      {.steps = 100, .batch_size = 16, .lr = 0.02, .min_lr = 0.001, .warmup = 9, .schedule = optim::Schedule::linear});
  std::vector<double> rates;
  for (Index i = 1; !trainer.done(); ++i) {
    const StepReport report = trainer.step();
    EXPECT_EQ(report.step, i);
    rates.push_back(report.lr);
  }
  EXPECT_EQ(trainer.steps_done(), 100);
  EXPECT_NEAR(rates[0], 0.002, 1e-12);
  EXPECT_NEAR(rates[9], 0.02, 1e-12);
  EXPECT_NEAR(rates[99], 0.001 + 0.019 / 91, 1e-12);
  EXPECT_LT(evaluate(s.model, s.data, Part::train).loss, before - 0.3);
}

TEST(Trainer, SameSeedSameBitsAtAnyNumberOfThreads) {
  const auto train = [](int threads) {
    const int usual = num_threads();
    set_num_threads(threads);
    World s(DType::f32, 0.1);
    Trainer trainer(s.model, s.data, {.steps = 20, .batch_size = 16, .lr = 0.01});
    while (!trainer.done()) trainer.step();
    set_num_threads(usual);
    return s.weights();
  };
  const auto once = train(1);
  EXPECT_EQ(once, train(1));
  EXPECT_EQ(once, train(3));
}

TEST(Trainer, BudgetInSeconds) {
  World s;
  Trainer trainer(s.model, s.data, {.seconds = 0.05, .batch_size = 4, .lr = 0.01, .min_lr = 0});
  double lr = 1;
  while (!trainer.done()) {
    const StepReport report = trainer.step();
    EXPECT_LE(report.lr, lr);
    lr = report.lr;
  }
  EXPECT_GE(trainer.seconds(), 0.05);
  EXPECT_LT(lr, 0.01);

  World t;
  Trainer both(t.model, t.data, {.steps = 2, .seconds = 1000, .batch_size = 4});
  both.step();
  EXPECT_NEAR(both.progress(), 0.5, 1e-9);
  both.step();
  EXPECT_TRUE(both.done());
}

TEST(Trainer, TimeBetweenStepsCountsIfSaid) {
  World s;
  double now = 0;
  Trainer trainer(s.model, s.data, {.seconds = 10, .batch_size = 4});
  trainer.set_clock([&] { return now += 0.5; });
  trainer.step();
  EXPECT_DOUBLE_EQ(trainer.seconds(), 0.5);
  trainer.spend(7);
  EXPECT_DOUBLE_EQ(trainer.progress(), 0.75);
  trainer.reserve(2.5);
  EXPECT_TRUE(trainer.done());
  trainer.reserve(100);  // half the budget at most
  EXPECT_DOUBLE_EQ(trainer.progress(), 1);
  trainer.reserve(0);
  EXPECT_FALSE(trainer.done());
}

TEST(RunningClock, GoesOnWhileTheProcessRuns) {
  RunningClock clock;
  const double before = clock.seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(clock.seconds(), before + 0.02);
}

TEST(Trainer, BudgetInTokens) {
  World s;
  Trainer trainer(s.model, s.data, {.tokens = 100, .batch_size = 4, .lr = 0.01, .min_lr = 0});
  Index tokens = 0;
  double lr = 1;
  while (!trainer.done()) {
    const StepReport report = trainer.step();
    EXPECT_LT(report.lr, lr);
    lr = report.lr;
    tokens += report.tokens;
    EXPECT_EQ(trainer.tokens_done(), tokens);
    EXPECT_EQ(trainer.done(), tokens >= 100);
  }
}

// Stopped after any step and taken up by another trainer, everything that follows has the same bits.
TEST(Trainer, ItsStateGoesOnExactly) {
  for (const bool by_tokens : {false, true}) {
    const TrainOptions options{.steps = by_tokens ? 0 : 12,
                               .tokens = by_tokens ? 700 : 0,
                               .batch_size = 4,
                               .accumulation = 3,
                               .lr = 0.01,
                               .warmup = 2,
                               .label_smoothing = 0.1};
    World whole(DType::f32, 0.2);
    Trainer uninterrupted(whole.model, whole.data, options);
    std::vector<StepReport> reports;
    while (!uninterrupted.done()) reports.push_back(uninterrupted.step());

    for (std::size_t stop = 0; stop < reports.size(); ++stop) {
      World first(DType::f32, 0.2);
      Trainer begun(first.model, first.data, options);
      for (std::size_t i = 0; i < stop; ++i) begun.step();
      const TrainerState state = begun.state();
      World second(DType::f32, 0.2);
      for (std::size_t i = 0; i < second.model.parameters().size(); ++i) {
        second.model.parameters()[i].copy_(first.model.parameters()[i]);
      }
      manual_seed(1234);
      Trainer resumed(second.model, second.data, options);
      resumed.set_state(state);
      EXPECT_EQ(resumed.steps_done(), static_cast<Index>(stop));
      for (std::size_t i = stop; i < reports.size(); ++i) {
        const StepReport report = resumed.step();
        EXPECT_EQ(report.loss, reports[i].loss) << stop;
        EXPECT_EQ(report.lr, reports[i].lr) << stop;
        EXPECT_EQ(report.grad_norm, reports[i].grad_norm) << stop;
      }
      EXPECT_TRUE(resumed.done());
      ASSERT_EQ(second.weights(), whole.weights()) << stop;
    }
  }
}

TEST(Trainer, AStateThatDoesNotFitChangesNothing) {
  const TrainOptions options{.steps = 12, .batch_size = 4};
  World other(DType::f32, 0.2);
  Trainer ahead(other.model, other.data, options);
  for (int i = 0; i < 5; ++i) ahead.step();
  const TrainerState good = ahead.state();
  std::vector<TrainerState> bad(4, good);
  bad[0].generator = "nonsense";
  bad[1].dataset.position = 1'000'000;
  bad[2].dataset.generator = "nonsense";
  bad[3].optimizer.pop_back();
  const auto losses = [&](bool try_states) {
    World s(DType::f32, 0.2);
    Trainer trainer(s.model, s.data, options);
    std::vector<double> all;
    for (int i = 0; i < 8; ++i) {
      for (const TrainerState& state : bad) {
        if (try_states) error_of([&] { trainer.set_state(state); });
      }
      all.push_back(trainer.step().loss);
    }
    EXPECT_EQ(trainer.steps_done(), 8);
    return all;
  };
  EXPECT_EQ(losses(true), losses(false));
}

TEST(Trainer, NamesTheOpThatMadeTheFirstNaN) {
  World s(DType::f32, 0.2);
  Trainer trainer(s.model, s.data, {.steps = 10, .batch_size = 4});
  trainer.step();
  const std::string generator = [&] {
    Generator copy = default_generator();
    return copy.state();
  }();
  for (const auto& [name, parameter] : s.model.named_parameters()) {
    if (name == "h.1.mlp.c_fc.weight") parameter.copy_(randn(parameter.shape()) * 1e38);
  }
  default_generator().set_state(generator);
  const std::string error = error_of([&] { trainer.step(); });
  EXPECT_THAT(error, AllOf(HasSubstr("of step 2 is"), HasSubstr("weights of step 1"), HasSubstr("linear: its result"),
                           HasSubstr("h.1.mlp.c_fc"), HasSubstr("step 2")));
  // The second run of the step drew what the first one did, and left the generator where that one did.
  Generator expected(0);
  expected.set_state(generator);
  for (int i = 0; i < 5; ++i) expected.random64();  // 1 after the embedding, 2 in each of 2 blocks
  EXPECT_EQ(default_generator().state(), expected.state());
}

TEST(Trainer, StopsBeforeANonFiniteStep) {
  World s;
  Trainer trainer(s.model, s.data, {.steps = 10, .batch_size = 4});
  trainer.step();
  s.model.wte.weight.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  const auto h = s.model.h[0].mlp.c_fc.weight.to_vector();
  EXPECT_THAT(error_of([&] {
                for (int i = 0; i < 9; ++i) trainer.step();
              }),
              AllOf(HasSubstr("the loss of step 2 is nan"), HasSubstr("learning rate")));
  EXPECT_EQ(s.model.h[0].mlp.c_fc.weight.to_vector(), h);
  EXPECT_EQ(trainer.steps_done(), 1);
  for (const Tensor& parameter : s.model.parameters()) EXPECT_FALSE(parameter.grad().defined());

  // A learning rate that ruins the model ends in an error as well, not in a run on NaN.
  World t;
  Trainer wild(t.model, t.data, {.steps = 200, .batch_size = 4, .lr = 1e30, .schedule = optim::Schedule::constant});
  EXPECT_THAT(error_of([&] {
                while (!wild.done()) wild.step();
              }),
              HasSubstr("1e+30"));
}

TEST(Trainer, CheckpointedActivationsChangeNoBit) {
  for (const double dropout : {0.0, 0.3}) {
    const auto run = [&](bool again) {
      World world(DType::f32, dropout);
      world.model.set_checkpoint_activations(again);
      manual_seed(2);
      Trainer trainer(world.model, world.data, {.steps = 4, .batch_size = 4, .accumulation = 3, .lr = 0.01});
      std::vector<double> seen;
      while (!trainer.done()) {
        const StepReport report = trainer.step();
        seen.insert(seen.end(), {report.loss, report.grad_norm});
      }
      const std::vector<double> weights = world.weights();
      seen.insert(seen.end(), weights.begin(), weights.end());
      return gradus::testing::bits(seen);
    };
    EXPECT_EQ(run(true), run(false));
  }
}

TEST(Trainer, AnomaliesInCheckpointedBlocksNameOpAndModule) {
  World world;
  world.model.set_checkpoint_activations(true);
  Trainer trainer(world.model, world.data, {.steps = 5, .batch_size = 4, .lr = 1e-3});
  for (const auto& [name, parameter] : world.model.named_parameters()) {
    if (name == "h.1.mlp.c_fc.weight") parameter.copy_(randn(parameter.shape()) * 1e38);
  }
  EXPECT_THAT(error_of([&] { trainer.step(); }), AllOf(HasSubstr("linear: its result"), HasSubstr("in h.1.mlp.c_fc")));
}

TEST(Trainer, ASteadyStepAsksTheSystemForNoMemory) {
  if (!testing::pool_keeps_blocks()) GTEST_SKIP() << "under AddressSanitizer memory goes back at once";
  World s;
  // The same batch each time: all documents, so that sizes repeat.
  Trainer trainer(s.model, s.data, {.steps = 20, .batch_size = s.data.size(Part::train)});
  for (int i = 0; i < 3; ++i) trainer.step();
  const auto before = memory_stats().system_allocations;
  for (int i = 0; i < 5; ++i) trainer.step();
  EXPECT_EQ(memory_stats().system_allocations, before);
}

TEST(Trainer, MistakesInOptions) {
  World s;
  const auto error = [&](const TrainOptions& options) { return error_of([&] { Trainer(s.model, s.data, options); }); };
  EXPECT_THAT(error({}), HasSubstr("never end"));
  EXPECT_THAT(error({.steps = -1}), HasSubstr("steps is -1"));
  EXPECT_THAT(error({.seconds = std::nan("")}), HasSubstr("seconds"));
  EXPECT_THAT(error({.steps = 1, .lr = std::nan("")}), HasSubstr("learning rate is nan"));
  EXPECT_THAT(error({.steps = 1, .lr = -1}), HasSubstr("learning rate is -1"));
  EXPECT_THAT(error({.steps = 1, .batch_size = 0}), HasSubstr("batch_size"));
  EXPECT_THAT(error({.steps = 1, .accumulation = 0}), HasSubstr("accumulation"));
  EXPECT_THAT(error({.steps = 1, .clip = -1}), HasSubstr("clip"));
  EXPECT_THAT(error({.tokens = -1}), HasSubstr("tokens is -1"));
  EXPECT_THAT(error({.steps = 1, .label_smoothing = 1}), HasSubstr("label_smoothing"));
  EXPECT_NE(error({.steps = 1, .warmup = 2}), "");
  EXPECT_NE(error({.steps = 1, .lr = 0.1, .min_lr = 0.2}), "");
  EXPECT_NE(error({.steps = 1, .beta1 = 1}), "");
  EXPECT_NE(error({.steps = 1, .weight_decay = -1}), "");
  GPT other(small_config(20));
  EXPECT_THAT(error_of([&] { Trainer(other, s.data, {.steps = 1}); }), AllOf(HasSubstr("vocabulary"), HasSubstr("20")));
  GPT narrow(small_config(s.data.tokenizer().vocab_size(), 4));
  EXPECT_THAT(error_of([&] { Trainer(narrow, s.data, {.steps = 1}); }), HasSubstr("block_size"));
}

TEST(Evaluate, IsTheMeanOverAllTokens) {
  World s(DType::f64, 0.3);
  const Evaluation result = evaluate(s.model, s.data, Part::train);
  EXPECT_EQ(result.tokens, s.data.tokens(Part::train));
  EXPECT_TRUE(s.model.training());
  s.model.eval();
  Batch batch;
  double sum = 0;
  for (Index i = 0; i < s.data.size(Part::train);) {
    i = s.data.read(Part::train, i, 1, batch);  // one by one
    const auto length = static_cast<Index>(batch.tokens.size());
    sum += cross_entropy(s.model(batch.tokens, 1, length), batch.targets).item() * static_cast<double>(length);
  }
  EXPECT_NEAR(result.loss, sum / static_cast<double>(result.tokens), 1e-12);
  EXPECT_EQ(evaluate(s.model, s.data, Part::train).loss, result.loss);
  EXPECT_FALSE(s.model.training());

  const DocumentDataset all(s.lines, s.data.tokenizer(), {.block_size = 8, .held_out = 0});
  EXPECT_THAT(error_of([&] { evaluate(s.model, all); }), HasSubstr("held-out part"));
}

TEST(Evaluate, SomeSequencesAreSpreadOverThePart) {
  World s(DType::f64);
  const Index size = s.data.size(Part::train);
  EXPECT_EQ(evaluate(s.model, s.data, Part::train, {.sequences = 10 * size}).loss,
            evaluate(s.model, s.data, Part::train).loss);
  Batch batch;
  for (const Index i : {Index{0}, size / 3, 2 * size / 3}) s.data.append(Part::train, i, batch);
  s.model.eval();
  const double loss = cross_entropy(s.model(batch.tokens, batch.lengths), batch.targets).item();
  const Evaluation some = evaluate(s.model, s.data, Part::train, {.sequences = 3});
  EXPECT_NEAR(some.loss, loss, 1e-12);
  EXPECT_EQ(some.sequences, 3);
  EXPECT_GT(some.margin, 0);
  EXPECT_EQ(evaluate(s.model, s.data, Part::train).margin, 0);
  EXPECT_NEAR(some.margin, judge(s.model, s.data, Part::train, {.sequences = 3}).loss.margin, 1e-12);
  double last = -1;
  evaluate(s.model, s.data, Part::train, {.progress = [&](double done) { last = done; }});
  EXPECT_EQ(last, 1);
  EXPECT_THROW(evaluate(s.model, s.data, Part::train, {.progress = [](double) { throw 1; }}), int);
  EXPECT_FALSE(s.model.training());  // as it was
  EXPECT_EQ(sequences_of(s.data, Part::train, s.data.tokens(Part::train)), 0);
  EXPECT_NEAR(static_cast<double>(sequences_of(s.data, Part::train, s.data.tokens(Part::train) / 2)),
              static_cast<double>(size) / 2, 1);
}

TEST(Judge, LossAccuracyAndIntervals) {
  World s(DType::f64);
  s.model.eval();
  const Judgement result = judge(s.model, s.data, Part::train);
  EXPECT_NEAR(result.loss.value, evaluate(s.model, s.data, Part::train).loss, 1e-12);
  EXPECT_EQ(result.sequences, s.data.size(Part::train));
  EXPECT_EQ(result.tokens, s.data.tokens(Part::train));
  // By hand: a sum over the tokens of each sequence, and how the sums scatter around mean times length.
  std::vector<double> losses, rights, lengths;
  for (Index i = 0; i < s.data.size(Part::train); ++i) {
    const Batch batch = sequences(s.data, i, i + 1);
    const Tensor logits = s.model(batch.tokens, batch.lengths);
    const auto n = static_cast<double>(batch.tokens.size());
    lengths.push_back(n);
    losses.push_back(n * cross_entropy(logits, batch.targets).item());
    const auto likeliest = argmax(logits);
    rights.push_back(0);
    for (std::size_t t = 0; t < batch.targets.size(); ++t) rights.back() += likeliest[t] == batch.targets[t] ? 1 : 0;
  }
  const auto margin = [&](const std::vector<double>& sums) {
    double total = 0, tokens = 0, squares = 0;
    const auto count = static_cast<double>(sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i) total += sums[i], tokens += lengths[i];
    for (std::size_t i = 0; i < sums.size(); ++i) squares += std::pow(sums[i] - total / tokens * lengths[i], 2);
    return 1.959964 * std::sqrt(count / (count - 1) * squares) / tokens;
  };
  EXPECT_NEAR(result.loss.margin, margin(losses), 1e-12);
  EXPECT_NEAR(result.accuracy.margin, margin(rights), 1e-12);
  double right = 0;
  for (const double x : rights) right += x;
  EXPECT_NEAR(result.accuracy.value, right / static_cast<double>(result.tokens), 1e-12);

  const std::vector<std::string> two{"abc", "bca"};
  const DocumentDataset one(two, s.data.tokenizer(), {.block_size = 8, .held_out = 0.5});
  EXPECT_TRUE(std::isnan(judge(s.model, one).loss.margin));
}

TEST(Judge, PerByteAndPerCharacterWhateverTheTokensAre) {
  const std::string text = "가나다 abc, 하늘 땅 별 12\n가나 abc 땅 하늘 별별\n";
  manual_seed(1);
  const auto of = [&](const AnyTokenizer& tokenizer) {
    const TextDataset data(text, tokenizer, {.block_size = 8, .held_out = 0});
    GPT model(small_config(tokenizer.vocab_size()));
    return judge(model, data, Part::train);
  };
  const Judgement characters = of(CharTokenizer::from_text(text)), bytes = of(ByteTokenizer(false));
  EXPECT_EQ(characters.characters, characters.tokens);
  EXPECT_EQ(characters.loss_per_character.value, characters.loss.value);
  EXPECT_EQ(characters.loss_per_character.margin, characters.loss.margin);
  // The first token is no target: a character, or the first byte of one, which counts where it begins.
  EXPECT_EQ(characters.bytes, static_cast<Index>(text.size()) - 3);
  EXPECT_EQ(bytes.bytes, static_cast<Index>(text.size()) - 1);
  EXPECT_EQ(bytes.characters, characters.characters);
  EXPECT_EQ(bytes.loss_per_byte.value, bytes.loss.value);
  for (const Judgement& one : {characters, bytes}) {
    const double all = one.loss.value * static_cast<double>(one.tokens);
    EXPECT_NEAR(one.loss_per_byte.value * static_cast<double>(one.bytes), all, 1e-9);
    EXPECT_NEAR(one.loss_per_character.value * static_cast<double>(one.characters), all, 1e-9);
    EXPECT_GT(one.loss_per_byte.margin, 0);
  }
}

}  // namespace
}  // namespace gradus::models
