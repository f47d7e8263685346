// One step of the training, as it would go on from its last checkpoint, on one text and at the recipe's full rate (at
// the end of a decay nothing would move): for some weights the gradient, Adam's moments, the update, and how much of
// the gradient came from each token of the text.
#include <algorithm>
#include <cmath>
#include <map>

#include <gradus/core/ops.h>
#include <gradus/core/watch.h>
#include <gradus/models/train/checkpoint.h>

#include "view_parts.h"

namespace gpt {
namespace {

namespace models = gradus::models;
namespace optim = gradus::optim;
using gradus::Index;
using gradus::Node;
using gradus::Tensor;

struct Chosen {
  Index row, col;
  double grad = 0;
  std::vector<double> blame = {};  // per token of the text
};

// A matrix of the model, in the order of the optimizer, which takes matrices before everything else.
struct Matrix {
  std::string name;
  Tensor weight;
  std::vector<double> before = {};
  std::vector<Chosen> chosen = {};
};

// Takes a gradient apart while backward() runs: a product's is a sum over the tokens that went through it, of what came
// in times the gradient of what went out; an embedding's belongs to the token that looked it up.
class Blame : public gradus::OpWatcher {
 public:
  Blame(std::vector<Matrix>& matrices, const models::GPT& model, std::span<const std::int32_t> ids) : ids_(ids) {
    for (Matrix& matrix : matrices) of_[&matrix.weight.node()] = &matrix;
    positions_ = &model.wpe.weight.node();
  }

  void on_backward(const Node& op, bool) override {
    const std::string_view name = op.op;
    if (!op.grad || (name != "linear" && name != "embedding")) return;
    const Node* const weight = op.inputs[name == "linear" ? 1 : 0].get();
    const auto found = of_.find(weight);
    if (found == of_.end()) return;
    gradus::dispatch(op.dtype, [&]<class T>() {
      for (Chosen& chosen : found->second->chosen) {
        name == "linear" ? of_product<T>(op, chosen) : of_embedding<T>(op, weight == positions_, chosen);
      }
    });
  }

 private:
  template <class T>
  void of_product(const Node& op, Chosen& chosen) const {
    const Index out = op.inputs[1]->shape[0], in = op.inputs[1]->shape[1];
    const T *const dy = op.grad.as<T>(), *const x = op.inputs[0]->data.as<T>();
    for (Index t = 0; t < op.numel() / out; ++t) {
      chosen.blame[static_cast<std::size_t>(t)] +=
          static_cast<double>(dy[t * out + chosen.row]) * static_cast<double>(x[t * in + chosen.col]);
    }
  }
  template <class T>
  void of_embedding(const Node& op, bool positions, Chosen& chosen) const {
    const Index C = op.shape[-1];
    for (Index t = 0; t < op.numel() / C; ++t) {
      const Index looked_up = positions ? t : ids_[static_cast<std::size_t>(t)];
      if (looked_up != chosen.row) continue;
      chosen.blame[static_cast<std::size_t>(t)] += static_cast<double>(op.grad.as<T>()[t * C + chosen.col]);
    }
  }

  std::map<const Node*, Matrix*> of_;
  const Node* positions_;
  std::span<const std::int32_t> ids_;
};

// A corner of the matrix, and the largest gradients elsewhere.
std::vector<Chosen> choose(const Tensor& weight) {
  constexpr Index corner = 3;
  constexpr std::size_t largest = 6;
  const std::vector<double> grad = weight.grad().to_vector();
  const Index cols = weight.size(1);
  std::vector<Chosen> all, rest;
  for (std::size_t i = 0; i < grad.size(); ++i) {
    const Index row = static_cast<Index>(i) / cols, col = static_cast<Index>(i) % cols;
    (row < corner && col < corner ? all : rest).push_back({row, col, grad[i]});
  }
  const auto middle = rest.begin() + static_cast<std::ptrdiff_t>(std::min(largest, rest.size()));
  std::ranges::partial_sort(rest, middle,
                            [](const Chosen& a, const Chosen& b) { return std::abs(a.grad) > std::abs(b.grad); });
  all.insert(all.end(), rest.begin(), middle);
  return all;
}

Tensor loss_of(const models::GPT& model, const std::vector<std::int32_t>& ids) {
  const std::vector<std::int32_t> tokens(ids.begin(), ids.end() - 1), targets(ids.begin() + 1, ids.end());
  const std::vector<Index> lengths{static_cast<Index>(tokens.size())};
  return cross_entropy(model(tokens, lengths), targets);
}

// The weights' gradients twice: to choose some of them, and to take those apart.
double take_apart(models::GPT& model, const std::vector<std::int32_t>& ids, std::vector<Matrix>& matrices) {
  loss_of(model, ids).backward();
  for (Matrix& matrix : matrices) {
    matrix.before = matrix.weight.to_vector();
    if (!matrix.weight.grad().defined()) continue;
    matrix.chosen = choose(matrix.weight);
    for (Chosen& chosen : matrix.chosen) chosen.blame.resize(ids.size());  // the last token foretells nothing: 0
  }
  model.zero_grad();
  const Blame blame(matrices, model, ids);
  const Tensor loss = loss_of(model, ids);
  loss.backward();
  return loss.item();
}

}  // namespace

Json one_step_part(const ViewRun& run, const ShownText& text) {
  std::error_code error;
  if (text.ids.size() < 2 || !std::filesystem::exists(run.folder / "train_state.safetensors", error)) return {};
  const models::Checkpoint checkpoint = models::load_checkpoint(run.folder);
  if (checkpoint.trainer.optimizer_name != models::default_optimizer) return {};
  models::GPT model = checkpoint.model;
  model.eval();
  std::vector<Matrix> matrices;
  for (const auto& [name, weight] : model.named_parameters()) {
    if (weight.rank() >= 2) matrices.push_back({name, weight});
  }
  const models::TrainOptions& o = run.options;
  optim::AdamW optimizer(optim::decay_groups(model, o.weight_decay),
                         {.lr = o.lr, .betas = {o.beta1, o.beta2}, .eps = o.eps, .weight_decay = o.weight_decay});
  optimizer.set_state(checkpoint.trainer.optimizer);
  const double loss = take_apart(model, text.ids, matrices);
  constexpr double no_limit = std::numeric_limits<double>::infinity();
  const double norm = optim::clip_grad_norm(model.parameters(), o.clip > 0 ? o.clip : no_limit);
  optimizer.step();
  std::map<std::string, std::vector<double>> state;
  for (const auto& [name, values] : optimizer.state()) state[name] = values.to_vector();

  Json weights = Json::array();
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    const Matrix& matrix = matrices[i];
    const Index cols = matrix.weight.size(1);
    const std::vector<double> after = matrix.weight.to_vector();
    for (const Chosen& chosen : matrix.chosen) {
      const auto at = static_cast<std::size_t>(chosen.row * cols + chosen.col);
      const double steps = state.at(fmt::format("{}.step", i))[0];
      const double m = state.at(fmt::format("{}.exp_avg", i))[at], v = state.at(fmt::format("{}.exp_avg_sq", i))[at];
      weights.push_back({{"name", matrix.name},
                         {"shape", {matrix.weight.size(0), cols}},
                         {"row", chosen.row},
                         {"col", chosen.col},
                         {"value", number(matrix.before[at], 9)},
                         {"grad", number(chosen.grad, 6)},
                         {"m", number(m, 6)},
                         {"v", number(v, 6)},
                         {"m_hat", number(m / (1 - std::pow(o.beta1, steps)), 6)},
                         {"v_hat", number(v / (1 - std::pow(o.beta2, steps)), 6)},
                         {"update", number(after[at] - matrix.before[at], 6)},
                         {"after", number(after[at], 9)},
                         {"blame", numbers(chosen.blame, 6)}});
    }
  }
  return {{"step", checkpoint.trainer.steps + 1},
          {"ids", text.ids},
          {"pieces", pieces_of(run.tokenizer, text.ids)},
          {"loss", number(loss, 7)},
          {"lr", o.lr},
          {"beta1", o.beta1},
          {"beta2", o.beta2},
          {"eps", o.eps},
          {"weight_decay", o.weight_decay},
          {"grad_norm", number(norm, 6)},
          {"clip", number(o.clip > 0 ? std::min(1.0, o.clip / (norm + 1e-6)) : 1, 6)},
          {"weights", std::move(weights)}};
}

}  // namespace gpt
