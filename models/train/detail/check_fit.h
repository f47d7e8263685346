// Whether a model and a dataset belong together.
#pragma once

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/dataset.h>

namespace gradus::models::detail {

inline void check_fit(const char* what, const GPT& model, const Dataset& dataset) {
  const GPTConfig& config = model.config();
  check(dataset.tokenizer().vocab_size() == config.vocab_size,
        "{}: the data's vocabulary has {} tokens, the model's {}; make the model for the data's tokenizer", what,
        dataset.tokenizer().vocab_size(), config.vocab_size);
  check(dataset.options().block_size <= config.block_size,
        "{}: the data come in sequences of up to {} tokens, the model takes {}; give the data a block_size of at most "
        "that",
        what, dataset.options().block_size, config.block_size);
}

}  // namespace gradus::models::detail
