// Tokens are matched by their text: a new character shifts the ids of all that sort after it.
#include <gradus/models/gpt/change_vocabulary.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <unordered_map>

#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::models {
namespace {

// 0, 1, .. count - 1
std::vector<Index> first_rows(Index count) {
  std::vector<Index> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

// For each token of `to` the one of `from` that means the same, or -1.
std::vector<Index> same_tokens(const Tokenizer& from, const Tokenizer& to) {
  if (from == to) return first_rows(to.vocab_size());
  // As a boundary it reads as a line break, which may be a token of its own.
  const auto is_text = [](const Tokenizer& tokenizer, std::int32_t token) { return token != tokenizer.end_token(); };
  std::unordered_map<std::string, Index> known;
  for (std::int32_t token = 0; token < from.vocab_size(); ++token) {
    if (is_text(from, token)) known.emplace(from.decode(std::span(&token, 1)), token);
  }
  std::vector<Index> same;
  for (std::int32_t token = 0; token < to.vocab_size(); ++token) {
    if (is_text(to, token)) {
      const auto found = known.find(to.decode(std::span(&token, 1)));
      same.push_back(found != known.end() ? found->second : -1);
    } else {
      same.push_back(from.end_token().value_or(-1));
    }
  }
  return same;
}

// Row i of `to` becomes row rows[i] of `from`, or stays as it is for -1. Both (.., C).
void copy_rows(const Tensor& from, const Tensor& to, const std::vector<Index>& rows) {
  dispatch(to.dtype(), [&]<class T>() {
    const std::span<const T> source = from.data<T>();
    const std::span<T> target = to.data<T>();
    const auto width = static_cast<std::size_t>(to.size(-1));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] < 0) continue;
      std::ranges::copy(source.subspan(static_cast<std::size_t>(rows[i]) * width, width),
                        target.subspan(i * width).begin());
    }
  });
}

// Rows of both tables by `tokens`, as many positions as there are, and all else as it is.
void copy_weights(const GPT& from, const GPT& to, const std::vector<Index>& tokens) {
  const nn::NamedTensors old = from.named_parameters(), fresh = to.named_parameters();
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    const auto& [name, parameter] = fresh[i];
    if (name == "wte.weight" || name == "lm_head.weight") {
      copy_rows(old[i].second, parameter, tokens);
    } else if (name == "wpe.weight") {
      copy_rows(old[i].second, parameter, first_rows(to.config().block_size));
    } else {
      parameter.copy_(old[i].second);
    }
  }
}

}  // namespace

GPT adapt(const GPT& model, const Tokenizer& from, const GPTConfig& config, const Tokenizer& to) {
  const GPTConfig& own = model.config();
  check(from.vocab_size() == own.vocab_size, "adapt: the tokenizer has {} tokens, the model {}; give the model's own",
        from.vocab_size(), own.vocab_size);
  check(to.vocab_size() == config.vocab_size, "adapt: the new tokenizer has {} tokens, the configuration says {}",
        to.vocab_size(), config.vocab_size);
  check(config.block_size <= own.block_size,
        "adapt: a context of {} was asked for, the model has learned {}; choose that or less", config.block_size,
        own.block_size);
  GPTConfig alike = config;
  alike.vocab_size = own.vocab_size, alike.block_size = own.block_size, alike.dropout = own.dropout;
  alike.attn_dropout = own.attn_dropout, alike.embd_dropout = own.embd_dropout;
  alike.checkpoint_activations = own.checkpoint_activations;
  check(own.lora_rank == 0 && config.lora_rank == 0, "adapt: a model with LoRAs came or was asked for; use merged()");
  check(alike == own,
        "adapt: the configurations differ in more than vocab_size, block_size, dropouts and checkpoint_activations; "
        "make them alike");
  GPT adapted(config);
  adapted.to(model.dtype());
  const std::vector<Index> tokens = same_tokens(from, to);
  copy_weights(model, adapted, tokens);
  return adapted;
}

GPT cut_vocabulary(const GPT& model, Index vocab_size) {
  GPTConfig config = model.config();
  check(vocab_size >= 1 && vocab_size <= config.vocab_size,
        "cut_vocabulary: {} tokens were asked for; choose from 1 to the model's {}", vocab_size, config.vocab_size);
  config.vocab_size = vocab_size;
  const nn::init::Skip skip;
  GPT cut(config);
  cut.to(model.dtype());
  copy_weights(model, cut, first_rows(vocab_size));
  return cut;
}

}  // namespace gradus::models
