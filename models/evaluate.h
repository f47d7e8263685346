// How well a model predicts a part of the data: the loss alone, quickly, or with accuracy and how sure both are.
#pragma once

#include <gradus/models/dataset.h>
#include <gradus/models/gpt.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// A mean loss.
struct Evaluation {
  double loss = 0;   // nats a token, the boundary token counted like any other
  Index tokens = 0;  // how many were predicted
};

/// The mean loss over every token of a part, or of about `sequences` sequences spread evenly over it (0: all), in eval
/// mode and without recording. Throws Error for an empty part.
Evaluation evaluate(GPT& model, const Dataset& dataset, Part part = Part::held_out, Index sequences = 0);

/// A mean over tokens and half the width of its 95 % confidence interval; NaN where there is only one sequence.
struct Estimate {
  double value = 0, margin = 0;
};

/// Loss and accuracy with their intervals.
struct Judgement {
  Estimate loss;      // nats a token
  Estimate accuracy;  // part of the tokens that the model found likeliest
  Index tokens = 0, sequences = 0;
};

/// The same over the whole part, with intervals. Tokens of one sequence are alike, so that sequences are what counts
/// as independent: the variance is that of a ratio of sums over clusters (Cochran 1977, section 6.3).
Judgement judge(GPT& model, const Dataset& dataset, Part part = Part::held_out);

#pragma GCC visibility pop
}  // namespace gradus::models
