// The numbers of a result: loss (held out), train, gap, diverged (1 or 0), seconds, steps_per_second, tokens; of Adam's
// first steps first_update, early_update and early_move. Its lists: gradient (norm of each block's before training),
// updates (of the first 50 steps). A run whose loss or gradients are not finite has diverged: its losses are those of
// guessing all characters alike, until Results knows of worse ones.
#include "trial.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/random.h>
#include <gradus/models/train/evaluate.h>
#include <gradus/models/train/trainer.h>
#include <gradus/nn/init.h>

namespace gpt::lab {
namespace {

namespace models = gradus::models;
using gradus::Tensor;
constexpr Index batch_size = 8, early_steps = 50;

void set_start(const models::GPT& model, Start start) {
  if (start == Start::gpt2) return;
  for (const auto& [name, weight] : model.named_parameters()) {
    if (!name.starts_with("h.") || weight.rank() < 2) continue;
    if (start == Start::xavier) gradus::nn::init::xavier_normal_(weight);
    if (start == Start::he) {
      gradus::nn::init::kaiming_normal_(weight, 0, gradus::nn::init::Fan::in, gradus::nn::init::Nonlinearity::relu);
    }
  }
}

models::TextDataset dataset_of(const Arm& arm, const Material& material, Index seed) {
  const std::string_view text = material.train;
  return {arm.characters > 0 ? first_characters(text, arm.characters) : text,
          material.held_out,
          material.tokenizer,
          {.block_size = arm.model.block_size, .seed = static_cast<std::uint64_t>(seed)}};
}

// Of each block, on one batch.
std::vector<double> gradient_norms(const models::GPT& model, models::Dataset& dataset) {
  const models::GPT copy = gradus::nn::clone(model);
  std::vector<models::Batch> batch(1);
  dataset.next(batch_size, batch[0]);
  models::accumulate_gradients(copy, batch);
  std::vector<double> norms;
  constexpr double no_limit = std::numeric_limits<double>::infinity();
  for (const models::Block& block : copy.h) {
    norms.push_back(gradus::optim::clip_grad_norm(block.parameters(), no_limit));
  }
  return norms;
}

// How far the matrices move in a step.
class Moves {
 public:
  explicit Moves(const models::GPT& model) {
    for (const Tensor& parameter : model.parameters()) {
      if (parameter.rank() >= 2) matrices_.push_back(parameter);
    }
  }
  void before() {
    old_.clear();
    for (const Tensor& matrix : matrices_) old_.push_back(matrix.to_vector());
  }
  // The mean distance of an entry that has moved. Rows of tokens that have not come yet are moved by weight decay
  // alone.
  double mean() const {
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < matrices_.size(); ++i) {
      const std::vector<double> now = matrices_[i].to_vector();
      for (std::size_t k = 0; k < now.size(); ++k) {
        if (now[k] != old_[i][k]) sum += std::abs(now[k] - old_[i][k]), ++count;
      }
    }
    return count > 0 ? sum / count : 0;
  }

 private:
  std::vector<Tensor> matrices_;
  std::vector<std::vector<double>> old_;
};

void note_moves(Result& result, const std::vector<double>& sizes, const std::vector<double>& moves) {
  if (sizes.empty()) return;
  result.lists["updates"] = sizes;
  result.numbers["first_update"] = sizes.front();
  result.numbers["early_update"] = mean_of(sizes).value;
  result.numbers["early_move"] = mean_of(moves).value;
}

double measured(models::GPT& model, const models::Dataset& dataset, models::Part part, Index tokens) {
  return models::evaluate(model, dataset, part, {.sequences = models::sequences_of(dataset, part, tokens)}).loss;
}

void train(const Arm& arm, models::GPT& model, models::Dataset& dataset, Index steps, Result& result,
           const std::function<bool()>& go_on) {
  models::Trainer trainer(model, dataset,
                          {.steps = steps,
                           .batch_size = batch_size,
                           .lr = arm.lr,
                           .warmup = std::llround(arm.warmup * static_cast<double>(steps)),
                           .schedule = arm.schedule,
                           .weight_decay = arm.weight_decay,
                           .clip = arm.clip});
  Moves moves(model);
  std::vector<double> sizes, distances;
  while (!trainer.done() && go_on()) {
    const bool is_early = trainer.steps_done() < early_steps;
    if (is_early) moves.before();
    try {
      const models::StepReport report = trainer.step();
      if (!is_early) continue;
      distances.push_back(moves.mean()), sizes.push_back(distances.back() / report.lr);
    } catch (const gradus::Error&) {  // not finite: a result like any other
      result.numbers["diverged"] = 1;
      break;
    }
  }
  note_moves(result, sizes, distances);
  result.numbers["tokens"] = static_cast<double>(trainer.tokens_done());
}

// The loss while the rate rises from 1e-5 to 1, smoothed; where it is lowest and where it falls fastest.
void test_range(models::GPT& model, models::Dataset& dataset, Index steps, Result& result,
                const std::function<bool()>& go_on) {
  constexpr double low = -5, high = 0, memory = 0.9, far = 1;
  gradus::optim::AdamW optimizer(model.parameters(), {.betas = {0.9, 0.99}, .weight_decay = 0});
  std::vector<models::Batch> batch(1);
  std::vector<double> logs, losses;
  double sum = 0, weight = 0, lowest = INFINITY;
  for (Index i = 0; i < steps && go_on(); ++i) {
    const double log = low + (high - low) * static_cast<double>(i) / static_cast<double>(std::max<Index>(1, steps - 1));
    dataset.next(batch_size, batch[0]);
    optimizer.zero_grad();
    const double loss = models::accumulate_gradients(model, batch);
    if (!std::isfinite(loss) || !std::isfinite(gradus::optim::clip_grad_norm(model.parameters(), 1))) break;
    optimizer.set_lr(std::pow(10, log));
    optimizer.step();
    sum = memory * sum + loss, weight = memory * weight + 1;
    logs.push_back(log), losses.push_back(sum / weight);
    lowest = std::min(lowest, losses.back());
    if (losses.back() > lowest + far) break;
  }
  if (losses.empty()) return;
  const auto at = static_cast<std::size_t>(std::ranges::min_element(losses) - losses.begin());
  result.numbers["log10_lowest"] = logs[at];
  const std::size_t window = std::max<std::size_t>(1, losses.size() / 20);
  std::size_t steepest = 0;
  for (std::size_t i = 0; i + window < losses.size(); ++i) {
    if (losses[i + window] - losses[i] < losses[steepest + window] - losses[steepest]) steepest = i;
  }
  result.numbers["log10_steepest"] = logs[std::min(steepest + window / 2, logs.size() - 1)];
  // At rates that all seeds have in common, as far as each came.
  constexpr Index shown = 60;
  for (Index i = 0; i < shown; ++i) {
    const auto index = static_cast<std::size_t>(i * (steps - 1) / (shown - 1));
    if (index >= losses.size()) break;
    result.lists["rates"].push_back(std::pow(10, logs[index])), result.lists["losses"].push_back(losses[index]);
  }
}

}  // namespace

std::string_view first_characters(std::string_view text, Index count) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!models::continues_character(text[i]) && count-- == 0) return text.substr(0, i);
  }
  return text;
}

Index steps_of(const Arm& arm, const Plan& plan) {
  return std::max<Index>(1, std::llround(arm.share * static_cast<double>(plan.steps)));
}

Result run_trial(const Arm& arm, const Material& material, const Plan& plan, Index seed,
                 const std::function<bool()>& go_on) {
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  Result result{.arm = arm.name, .seed = seed};
  gradus::manual_seed(static_cast<std::uint64_t>(seed));
  models::TextDataset dataset = dataset_of(arm, material, seed);
  models::GPT model(arm.model);
  set_start(model, arm.start);
  const Index steps = steps_of(arm, plan);
  result.numbers["diverged"] = 0;
  if (arm.range_test) {
    test_range(model, dataset, steps, result, go_on);
  } else {
    result.lists["gradient"] = gradient_norms(model, dataset);
    const double before = seconds();
    train(arm, model, dataset, steps, result, go_on);
    const double done = result.numbers["tokens"] / static_cast<double>(batch_size * arm.model.block_size);
    result.numbers["steps_per_second"] = done / std::max(seconds() - before, 1e-9);
    double loss = measured(model, dataset, models::Part::held_out, plan.eval_tokens),
           trained = measured(model, dataset, models::Part::train, plan.eval_tokens);
    if (!std::isfinite(loss) || !std::isfinite(trained)) result.numbers["diverged"] = 1;
    if (result.numbers["diverged"] != 0) loss = trained = material.uniform;
    result.numbers["loss"] = loss, result.numbers["train"] = trained, result.numbers["gap"] = loss - trained;
  }
  result.numbers["seconds"] = seconds();
  return result;
}

}  // namespace gpt::lab
