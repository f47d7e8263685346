// How well a model predicts a part of the data: the loss alone, quickly, or with accuracy and how sure both are.
#pragma once

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/dataset.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// How much is evaluated.
struct EvaluateOptions {
  Index sequences = 0;     // about so many, spread evenly over the part; 0: all
  Progress progress = {};  // called between batches, some thousand tokens each; what it throws ends the work
};

/// A mean loss.
struct Evaluation {
  double loss = 0;      // nats per token, boundary tokens included
  Index tokens = 0;     // how many were predicted,
  Index sequences = 0;  // and in how many sequences
  // Half the width of the 95 % confidence interval of what the whole part would give: 0 where that is what was
  // evaluated, NaN for one sequence of several.
  double margin = 0;
};

/// The mean loss over a part, in eval mode and without recording. Throws Error for an empty part.
Evaluation evaluate(GPT& model, const Dataset& dataset, Part part = Part::held_out,
                    const EvaluateOptions& options = {});

/// How many sequences of a part have about `tokens` tokens together; 0 where the part has no more: all.
Index sequences_of(const Dataset& dataset, Part part, Index tokens);

/// A mean over tokens and half the width of its 95 % confidence interval; NaN where there is only one sequence.
struct Estimate {
  double value = 0, margin = 0;
};

/// Loss and accuracy with their intervals.
struct Judgement {
  Estimate loss;      // nats per token
  Estimate accuracy;  // part of the tokens that the model found likeliest
  Index tokens = 0, sequences = 0;
};

/// The same with intervals of what more data of the same kind would give. Tokens of one sequence are alike, so that
/// sequences are what counts as independent: the variance is that of a ratio of sums over clusters (Cochran 1977,
/// section 6.3).
Judgement judge(GPT& model, const Dataset& dataset, Part part = Part::held_out, const EvaluateOptions& options = {});

#pragma GCC visibility pop
}  // namespace gradus::models
