// One run of a study: a small GPT, trained and measured.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <gradus/models/text/any_tokenizer.h>

#include "study.h"

namespace gpt::lab {

/// The text that all runs of a study learn from; the last tenth is held out.
struct Material {
  std::string train, held_out;
  gradus::models::AnyTokenizer tokenizer;
  double uniform = 0, unigram = 0;  // held-out losses of guessing, nats per character
  Index characters = 0;             // of the training part
};

/// What is the same for all runs.
struct Plan {
  Index steps = 0;  // of an arm whose share is 1
  Index seeds = 0;
  Index eval_tokens = 0;  // that the loss is measured on at the end, of each part
};

/// The first `count` characters of UTF-8; all, if it has fewer.
std::string_view first_characters(std::string_view text, Index count);

Index steps_of(const Arm& arm, const Plan& plan);

/// Trains and measures. `go_on` is asked after each step; false ends the run, whose result then means nothing.
Result run_trial(const Arm& arm, const Material& material, const Plan& plan, Index seed,
                 const std::function<bool()>& go_on);

}  // namespace gpt::lab
