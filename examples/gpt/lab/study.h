// A study: a question, the settings that are compared (its arms), and what the results say. Each is a function in a
// file of its own; studies() lists them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <gradus/models/gpt/gpt.h>
#include <gradus/nn/optim/warmup_schedule.h>

#include "results.h"

namespace gpt::lab {

/// How the first weights of the blocks' matrices are drawn; gpt2: all of them as the configuration says.
enum class Start { gpt2, xavier, he };

/// One of the settings that are compared.
struct Arm {
  std::string name;
  gradus::models::GPTConfig model = {};
  double lr = 4e-3;
  double warmup = 0.1;  // part of the steps
  gradus::optim::Schedule::Kind schedule = gradus::optim::Schedule::cosine;
  double weight_decay = 0.1;
  double clip = 1;
  double share = 1;  // of the study's steps
  Start start = Start::gpt2;
  Index characters = 0;     // of the training part, that it learns from; 0: all
  bool range_test = false;  // the rate rises from 1e-5 to 1, a fixed factor a step
};

/// A hash of all that an arm trains with; its name is not part of it.
std::string fingerprint_of(const Arm& arm);

struct Table {
  Sentence caption;
  std::vector<Sentence> columns;
  std::vector<std::vector<std::string>> rows;
};

struct Series {
  std::string name;
  std::vector<double> x = {}, y = {}, low = {}, high = {};  // low and high may be empty

  void add(double at, const Mean& mean);
};

struct Chart {
  Sentence title, x, y;
  bool log_x = false, log_y = false;
  std::vector<Series> series = {};
};

/// What is written and printed; the first sentences are the conclusion.
struct Report {
  std::vector<Sentence> sentences;
  std::vector<Table> tables;
  std::vector<Chart> charts;
};

struct Study {
  const char* name;
  Sentence question;
  Sentence how;  // what is trained, and why this can answer it
  std::vector<Arm> (*arms)(Index vocab_size);
  Report (*conclude)(const Results& results, const std::vector<Arm>& arms);
  Index good_steps = 300;  // with fewer, rather fewer seeds
};

std::span<const Study> studies();

/// Width 64, 2 layers, 4 heads, context 64: what studies vary.
gradus::models::GPTConfig small_model(Index vocab_size);
/// A table with the arms and their held-out losses.
Table table_of_losses(const Results& results, const std::vector<Arm>& arms);

// Each in its file.
Study heads_study();
Study warmup_study();
Study decay_study();
Study gelu_study();
Study init_study();
Study residual_study();
Study norm_study();
Study rate_study();
Study scaling_study();

}  // namespace gpt::lab
