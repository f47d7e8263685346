// How well a model predicts a part of the data: the loss alone, quickly, or with accuracy and how sure both are.
#pragma once

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/dataset.h>
#include <gradus/nn/distributed/communicator.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// How much is evaluated.
struct EvaluateOptions {
  Index sequences = 0;     // so many, spread evenly over the part; 0: all
  Progress progress = {};  // called after each batch; what it throws ends the work
  // Several ranks share the batches; all call evaluate() or judge(), and get the same result, with the bits of one.
  distributed::Communicator* communicator = nullptr;
};

/// A mean loss.
struct Evaluation {
  double loss = 0;      // nats per token, boundary tokens included
  Index tokens = 0;     // how many were predicted,
  Index sequences = 0;  // and in how many sequences
  // Half the width of the 95 % confidence interval of the loss on the whole part: 0 if all of it was evaluated, NaN if
  // only one of several sequences was.
  double margin = 0;
};

/// The mean loss over a part, in eval mode and without recording. Throws Error for an empty part.
Evaluation evaluate(GPT& model, const Dataset& dataset, Part part = Part::held_out,
                    const EvaluateOptions& options = {});

/// How many sequences of a part have about `tokens` tokens together; 0, which means all, if the part has no more.
Index sequences_of(const Dataset& dataset, Part part, Index tokens);

/// A mean and half the width of its 95 % confidence interval; NaN where there is only one sequence.
struct Estimate {
  double value = 0, margin = 0;
};

/// Loss and accuracy with their intervals.
struct Judgement {
  Estimate loss;      // nats per token
  Estimate accuracy;  // share of the targets that the model ranked first
  Index tokens = 0, sequences = 0;
  // Nats per byte and per character of the text that the targets stand for, a boundary being a line end: what models
  // with different tokenizers are compared by.
  Estimate loss_per_byte, loss_per_character;
  Index bytes = 0, characters = 0;
};

/// Like evaluate(), with accuracy; the intervals are for new data of the same kind. Sequences count as independent, not
/// tokens, which are correlated within a sequence: the variance is that of a ratio of sums over clusters (Cochran 1977,
/// section 6.3).
Judgement judge(GPT& model, const Dataset& dataset, Part part = Part::held_out, const EvaluateOptions& options = {});

#pragma GCC visibility pop
}  // namespace gradus::models
