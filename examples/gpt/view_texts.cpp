// What the model does with a text, before and after it has learned. L blocks, H heads, T tokens of the text, V
// vocabulary
#include <algorithm>
#include <cmath>
#include <numeric>

#include <gradus/core/ops.h>
#include <gradus/models/gpt/trace.h>

#include "view_parts.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;
using gradus::Tensor;
using models::Part;

constexpr Index texts_shown = 3;
constexpr std::size_t likely_shown = 5, lens_shown = 3;

// The `count` likeliest tokens of a row of probabilities, likeliest first.
std::vector<std::size_t> likeliest(std::span<const double> row, std::size_t count) {
  std::vector<std::size_t> ids(row.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(std::min(count, ids.size()));
  std::ranges::partial_sort(ids, middle,
                            [&](std::size_t a, std::size_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  ids.resize(std::min(count, ids.size()));
  return ids;
}

// [position][[id, probability], ..] of rows of logits; the one before a token foretells it.
Json foretold(const Tensor& logits, std::size_t count, std::set<std::int32_t>& vocab) {
  const std::vector<double> p = softmax(logits).to_vector();
  const auto V = static_cast<std::size_t>(logits.size(-1));
  Json rows = Json::array();
  for (std::size_t t = 0; t * V < p.size(); ++t) {
    const std::span row(p.data() + t * V, V);
    Json pairs = Json::array();
    for (const std::size_t id : likeliest(row, count)) {
      pairs.push_back({id, number(row[id], 4)});
      vocab.insert(static_cast<std::int32_t>(id));
    }
    rows.push_back(std::move(pairs));
  }
  return rows;
}

Json norms_of(const Tensor& stream) {
  return numbers(gradus::norm(stream, 2, {-1}).to_vector(), 4);
}

// Of each token given those before it; nothing foretells the first.
Json probabilities(const Tensor& logits, std::span<const std::int32_t> ids) {
  const std::vector<double> p = softmax(logits).to_vector();
  const auto V = static_cast<std::size_t>(logits.size(-1));
  Json list = Json::array({Json()});
  for (std::size_t t = 1; t < ids.size(); ++t)
    list.push_back(number(p[(t - 1) * V + static_cast<std::size_t>(ids[t])], 6));
  return list;
}

// Attention weights of all blocks, one after another: L x (H, T, T).
std::vector<double> attention_of(const models::GPT& model, const models::Trace& seen) {
  std::vector<double> all;
  for (std::size_t l = 0; l < model.h.size(); ++l) {
    const auto weights = attention_weights(model.h[l], model.config().n_head, seen.blocks[l].normed).to_vector();
    all.insert(all.end(), weights.begin(), weights.end());
  }
  return all;
}

// Sums over the rows of all texts, an entry for each head of each block.
struct HeadSums {
  std::vector<double> entropy, previous;
  double rows = 0;

  void add(std::span<const double> attention, std::size_t heads, std::size_t T) {
    entropy.resize(heads), previous.resize(heads);
    rows += static_cast<double>(T - 1);
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t t = 1; t < T; ++t) {  // the first token sees only itself
        const std::span row = attention.subspan((h * T + t) * T, t + 1);
        for (const double p : row) entropy[h] -= p > 0 ? p * std::log(p) : 0;
        previous[h] += row[t - 1];
      }
    }
  }
};

// [L][H] of a list of heads, by f(head).
template <class F>
Json by_layer(const models::GPTConfig& config, const F& f) {
  Json layers = Json::array();
  for (Index l = 0; l < config.n_layer; ++l) {
    Json heads = Json::array();
    for (Index h = 0; h < config.n_head; ++h) heads.push_back(f(static_cast<std::size_t>(l * config.n_head + h)));
    layers.push_back(std::move(heads));
  }
  return layers;
}

// With the boundary at both ends where the model has learned documents.
std::vector<std::int32_t> ids_of(const ViewRun& run, const std::string& text) {
  const bool documents = run.data_origin.format == models::TextFormat::lines && run.tokenizer.has_boundary();
  std::vector<std::int32_t> ids;
  if (documents) ids.push_back(run.tokenizer.boundary());
  run.tokenizer.encode(run.tokenizer.normalize(text), "--text", ids);
  if (documents) ids.push_back(run.tokenizer.boundary());
  return ids;
}

ShownText cut(std::vector<std::int32_t> ids, const ViewRun& run, std::size_t most) {
  const std::size_t longest = std::min(most, static_cast<std::size_t>(run.config.block_size));
  const bool is_cut = ids.size() > longest;
  ids.resize(std::min(ids.size(), longest));
  std::string text;
  for (const std::int32_t id : ids) text += id == run.tokenizer.boundary_token() ? "" : run.tokenizer.decode({{id}});
  return {std::move(text), std::move(ids), is_cut};
}

// What went through a model with a text, and its attention weights.
struct Seen {
  models::Trace trace;
  std::vector<double> attention;

  Seen(const models::GPT& model, const ShownText& text)
      : trace(models::trace(model, text.ids)), attention(attention_of(model, trace)) {}
};

Json part_of(const Seen& seen, const models::GPT& model, const ShownText& text, std::set<std::int32_t>& vocab) {
  const models::Trace& trace = seen.trace;
  const models::GPTConfig& config = model.config();
  const auto T = static_cast<Index>(text.ids.size());
  Json through = Json::array(), norms = Json::array();
  for (std::size_t i = 0; i <= trace.blocks.size(); ++i) {
    through.push_back(foretold(lens(model, trace.stream(i)), lens_shown, vocab));
    norms.push_back(norms_of(trace.stream(i)));
  }
  return {{"attention", packed(seen.attention, {config.n_layer, config.n_head, T, T})},
          {"prob", probabilities(trace.logits, text.ids)},
          {"top", foretold(trace.logits, likely_shown, vocab)},
          {"lens", std::move(through)},
          {"residual", std::move(norms)}};
}

}  // namespace

std::vector<ShownText> shown_texts(const ViewRun& run, const std::optional<std::string>& asked,
                                   std::size_t most_tokens) {
  std::vector<ShownText> texts;
  if (asked) {
    std::vector<std::int32_t> ids = ids_of(run, *asked);
    gradus::check(ids.size() >= 2, "--text has fewer than two tokens; give a longer one");
    texts.push_back(cut(std::move(ids), run, most_tokens));
    return texts;
  }
  if (!run.data) return texts;
  const models::Dataset& dataset = *run.data->dataset;
  const Part part = dataset.size(Part::held_out) > 0 ? Part::held_out : Part::train;
  const Index size = dataset.size(part);
  const Index least = std::min<Index>(5, run.config.block_size);  // documents of a few tokens show little
  for (Index n = 0, next = 0; n < texts_shown && next < size; ++n) {
    Index i = std::max(next, n * size / texts_shown);
    while (i + 1 < size && dataset.length(part, i) < least) ++i;
    next = i + 1;
    models::Batch batch;
    dataset.append(part, i, batch);
    std::vector<std::int32_t> ids = batch.tokens;
    ids.push_back(batch.targets.back());
    texts.push_back(cut(std::move(ids), run, most_tokens));
  }
  return texts;
}

Json seen_part(const models::GPT& model, const ShownText& text, std::set<std::int32_t>& vocab) {
  return part_of(Seen(model, text), model, text, vocab);
}

TextParts text_parts(const ViewRun& run, const std::vector<ShownText>& texts) {
  TextParts parts;
  if (texts.empty()) return parts;
  const models::GPTConfig& config = run.config;
  const auto heads = static_cast<std::size_t>(config.n_layer * config.n_head);
  std::vector<HeadSums> sums(run.states.size());
  parts.texts = Json::array();
  for (const ShownText& text : texts) {
    parts.vocab.insert(text.ids.begin(), text.ids.end());
    Json at = Json::array();
    for (std::size_t s = 0; s < run.states.size(); ++s) {
      const models::GPT& model = run.states[s].model;
      const Seen seen(model, text);
      at.push_back(part_of(seen, model, text, parts.vocab));
      sums[s].add(seen.attention, heads, text.ids.size());
    }
    parts.texts.push_back({{"text", text.text},
                           {"ids", text.ids},
                           {"pieces", pieces_of(run.tokenizer, text.ids)},
                           {"at", std::move(at)}});
  }
  Json steps = Json::array();
  for (const ViewState& state : run.states) steps.push_back(state.step);
  parts.entropy = {{"step", steps}, {"value", by_layer(config, [&](std::size_t head) {
                                       Json over_steps = Json::array();
                                       for (const HeadSums& sum : sums)
                                         over_steps.push_back(number(sum.entropy[head] / sum.rows));
                                       return over_steps;
                                     })}};
  const HeadSums& last = sums.back();
  parts.previous = by_layer(config, [&](std::size_t head) { return number(last.previous[head] / last.rows); });
  return parts;
}

}  // namespace gpt
