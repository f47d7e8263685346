// Where a training begins: with new weights, with those of a file, or with a checkpoint; and with which data.
#pragma once

#include <optional>

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/train/checkpoint.h>

#include "data.h"
#include "train_arguments.h"

namespace gpt {

// Where weights come from elsewhere: the model's sizes and its vocabulary, if the file tells them.
struct Start {
  std::optional<gradus::models::Checkpoint> checkpoint;
  std::optional<gradus::models::GPTConfig> config;
  std::optional<gradus::models::AnyTokenizer> tokenizer;
  // Of --init-from, if the file has sizes and a vocabulary; and the format of the text that they have learned.
  std::optional<gradus::models::GPT> weights;
  gradus::models::TextFormat format = gradus::models::TextFormat::lines;
  bool data_named = false, held_out_named = false;  // whether flags named them when a run is resumed
};

/// Reads what --resume or --init-from names and takes what that settles into `arguments`.
Start make_start(TrainArguments& arguments);

/// Throws Error for what is not there, no text, not the text of the run that is resumed, or has characters that the
/// weights do not know.
Data load_data(const TrainArguments& arguments, const Start& start);

/// Takes the weights out of `start`.
gradus::models::GPT make_model(const TrainArguments& arguments, const gradus::models::GPTConfig& config, Start& start,
                               const gradus::models::Tokenizer& tokenizer);

}  // namespace gpt
